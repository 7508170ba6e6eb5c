package intake_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

// FuzzProcess has the backend take anything a registered device could sign. Whatever comes is dropped, or answered with a
// receipt that can be opened and names nothing that is not held.
func FuzzProcess(f *testing.F) {
	body := func(raw []byte) []byte {
		var s wire.SignedHello // an envelope begins with the same fields
		require.NoError(f, proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, &s))
		return s.GetSigned()
	}
	good := envelope(f, deviceKey, "bus-1", 3, 1, "one", "two")
	var e wire.Envelope
	require.NoError(f, proto.Unmarshal(good, &e))
	f.Add(good, e.GetSigned(), e.GetPayload())
	f.Add(hello(f, deviceKey, "bus-1"), body(hello(f, deviceKey, "bus-1")), []byte(nil))
	f.Add(garbled(f, deviceKey, 1, 3), body(garbled(f, deviceKey, 1, 3)), []byte("neither zstd nor a batch"))
	far, err := proto.Marshal(&wire.Hello{Terminal: "bus-1", Epoch: epoch, LastSeq: 1<<64 - 1, AckedSeq: 40, FirstSeq: 1<<64 - 1, NowMs: -1})
	require.NoError(f, err)
	f.Add([]byte{}, far, []byte{})

	f.Fuzz(func(t *testing.T, raw, head, payload []byte) {
		signed := func(domain string) []byte {
			return ed25519.Sign(deviceKey, append([]byte(domain+"\x00"), head...))
		}
		asHello, err := proto.Marshal(&wire.SignedHello{Version: wire.Version, Signed: head, Signature: signed("purselane-hello-1")})
		require.NoError(t, err)
		asEnvelope, err := proto.Marshal(&wire.Envelope{Version: wire.Version, Signed: head, Signature: signed("purselane-envelope-1"), Payload: payload})
		require.NoError(t, err)
		l := uplinktest.NewLedger()
		p := processor(l)
		for _, m := range []struct {
			kind string
			raw  []byte
		}{{wire.KindUp, raw}, {wire.KindHello, raw}, {wire.KindState, raw}, {wire.KindUp, asEnvelope}, {wire.KindHello, asHello}} {
			var h wire.Hello
			if m.kind == wire.KindHello && proto.Unmarshal(head, &h) == nil && h.GetAckedSeq() > 1000 {
				continue // the ledger in memory walks through the numbers
			}
			receipt, err := p.Process(ctx, "bus-1", m.kind, m.raw, noon)
			if err != nil {
				require.True(t, errors.Is(err, intake.ErrDropped), "%v", err)
				require.Nil(t, receipt)
				continue
			}
			if m.kind == wire.KindState {
				continue
			}
			r := opened(t, receipt)
			require.Equal(t, "bus-1", r.GetTerminal())
			require.Equal(t, l.Through("bus-1", r.GetEpoch()), r.GetThroughSeq())
		}
	})
}
