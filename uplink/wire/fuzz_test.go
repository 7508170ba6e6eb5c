package wire

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// FuzzEnvelope opens what is signed by the right device and otherwise anything: the signature is put on after the fuzzer
// had its way, or nothing behind it would ever be reached.
func FuzzEnvelope(f *testing.F) {
	priv, pub := key(1)
	for _, c := range []Compression{Compression_COMPRESSION_NONE, Compression_COMPRESSION_ZSTD} {
		raw, err := seal(priv, header(), [][]byte{[]byte("one"), []byte("two")}, c)
		require.NoError(f, err)
		var e Envelope
		require.NoError(f, proto.Unmarshal(raw, &e))
		f.Add(raw, e.GetSigned(), e.GetPayload())
	}
	f.Fuzz(func(t *testing.T, raw, head, payload []byte) {
		_, _ = OpenEnvelope(pub, raw)

		sig, err := sign(priv, domainEnvelope, head)
		require.NoError(t, err)
		made, err := marshal.Marshal(&Envelope{Version: Version, Signed: head, Signature: sig, Payload: payload})
		require.NoError(t, err)
		o, err := OpenEnvelope(pub, made)
		if err != nil {
			require.Nil(t, o.Records)
			return
		}
		n := uint64(len(o.Records))
		require.Equal(t, o.Header.GetFirstSeq()+n-1, o.Header.GetLastSeq())
		again, err := seal(priv, o.Header, o.Records, o.Header.GetCompression())
		require.NoError(t, err, "what was opened can be sealed")
		o2, err := OpenEnvelope(pub, again)
		require.NoError(t, err)
		require.Len(t, o2.Records, len(o.Records))
		for i := range o.Records {
			require.True(t, bytes.Equal(o.Records[i], o2.Records[i]))
		}
	})
}

func FuzzHello(f *testing.F) {
	priv, pub := key(1)
	raw, err := SealHello(priv, &Hello{Terminal: "bus-1", Epoch: 7, LastSeq: 3, NowMs: -1})
	require.NoError(f, err)
	var s SignedHello
	require.NoError(f, proto.Unmarshal(raw, &s))
	f.Add(raw, s.GetSigned())
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		_, _ = OpenHello(pub, raw)

		sig, err := sign(priv, domainHello, body)
		require.NoError(t, err)
		made, err := marshal.Marshal(&SignedHello{Version: Version, Signed: body, Signature: sig})
		require.NoError(t, err)
		h, err := OpenHello(pub, made)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := SealHello(priv, h)
		require.NoError(t, err)
		h2, err := OpenHello(pub, again)
		require.NoError(t, err)
		require.True(t, proto.Equal(h, h2))
	})
}

func FuzzReceipt(f *testing.F) {
	priv, pub := key(1)
	raw, err := SealReceipt(priv, &Receipt{Terminal: "bus-1", Epoch: 7, ThroughSeq: 3, Wanted: []*Range{{First: 1, Last: 2}}, Unreadable: []*Unreadable{{Seq: 1, Reason: "x"}}})
	require.NoError(f, err)
	var s SignedReceipt
	require.NoError(f, proto.Unmarshal(raw, &s))
	f.Add(raw, s.GetSigned())
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		_, _ = OpenReceipt(pub, raw)

		sig, err := sign(priv, domainReceipt, body)
		require.NoError(t, err)
		made, err := marshal.Marshal(&SignedReceipt{Version: Version, Signed: body, Signature: sig})
		require.NoError(t, err)
		r, err := OpenReceipt(pub, made)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := SealReceipt(priv, r)
		require.NoError(t, err)
		r2, err := OpenReceipt(pub, again)
		require.NoError(t, err)
		require.True(t, proto.Equal(r, r2))
	})
}
