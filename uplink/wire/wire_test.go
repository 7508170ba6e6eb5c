package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"math"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// key makes a key pair that is the same in every run.
func key(seed byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return k, k.Public().(ed25519.PublicKey)
}

func header() *EnvelopeHeader {
	return &EnvelopeHeader{Terminal: "bus-1", Epoch: 7, Batch: 3, FirstSeq: 11, SentAtMs: 1_795_536_000_000, ProfileVersion: 2}
}

// signed makes an envelope with any header and payload, right or wrong, under a good signature.
func signed(t *testing.T, k ed25519.PrivateKey, change func(h *EnvelopeHeader), payload []byte) []byte {
	t.Helper()
	h := header()
	h.LastSeq, h.Count = 12, 2
	sum, last := sha256.Sum256(payload), RecordHash([]byte("two"))
	h.PayloadSha256, h.ChainHash = sum[:], last[:]
	if change != nil {
		change(h)
	}
	body, err := marshal.Marshal(h)
	require.NoError(t, err)
	sig, err := sign(k, domainEnvelope, body)
	require.NoError(t, err)
	raw, err := marshal.Marshal(&Envelope{Version: Version, Signed: body, Signature: sig, Payload: payload})
	require.NoError(t, err)
	return raw
}

func twoRecords(t *testing.T) []byte {
	t.Helper()
	plain, err := marshal.Marshal(&Batch{Records: [][]byte{[]byte("one"), []byte("two")}})
	require.NoError(t, err)
	return plain
}

func TestAnEnvelopeComesOutAsItWentIn(t *testing.T) {
	priv, pub := key(1)
	records := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{0xA5}, 40_000)}
	for name, seal := range map[string]func(ed25519.PrivateKey, *EnvelopeHeader, [][]byte) ([]byte, error){
		"zstd": SealEnvelope, "plain": SealEnvelopePlain,
	} {
		t.Run(name, func(t *testing.T) {
			h := header()
			raw, err := seal(priv, h, records)
			require.NoError(t, err)
			require.Zero(t, h.GetCount(), "the caller's header is not touched")
			again, err := seal(priv, header(), records)
			require.NoError(t, err)
			require.Equal(t, raw, again, "the same batch is the same bytes")

			o, err := OpenEnvelope(pub, raw)
			require.NoError(t, err)
			require.Len(t, o.Records, 3)
			for i := range records {
				require.True(t, bytes.Equal(records[i], o.Records[i]))
			}
			require.Equal(t, []any{"bus-1", uint64(7), uint64(3), uint64(11), uint64(13), uint32(3), uint64(2)},
				[]any{o.Header.GetTerminal(), o.Header.GetEpoch(), o.Header.GetBatch(), o.Header.GetFirstSeq(), o.Header.GetLastSeq(), o.Header.GetCount(), o.Header.GetProfileVersion()})
		})
	}
}

func TestZstdMakesABatchOfRecordsSmaller(t *testing.T) {
	priv, _ := key(1)
	var records [][]byte
	for i := range 100 {
		r, err := marshal.Marshal(&Record{Version: 1, Terminal: "bus-1", Epoch: 7, Seq: uint64(i + 1), Family: "ep", Amount: 200, Merchant: "bus-company"})
		require.NoError(t, err)
		records = append(records, r)
	}
	small, err := SealEnvelope(priv, header(), records)
	require.NoError(t, err)
	plain, err := SealEnvelopePlain(priv, header(), records)
	require.NoError(t, err)
	require.Less(t, len(small), len(plain)/2)
}

func TestAnEnvelopeThatCannotBeIsNotSealed(t *testing.T) {
	priv, _ := key(1)
	one := [][]byte{[]byte("one")}
	for name, c := range map[string]struct {
		key     ed25519.PrivateKey
		first   uint64
		records [][]byte
	}{
		"no record":                       {priv, 1, nil},
		"too many records":                {priv, 1, make([][]byte, MaxRecords+1)},
		"numbers begin at zero":           {priv, 0, one},
		"numbers that wrap round":         {priv, math.MaxUint64, [][]byte{{1}, {2}}},
		"no key":                          {nil, 1, one},
		"more bytes than can be opened":   {priv, 1, [][]byte{make([]byte, MaxPayload+1)}},
		"half a key":                      {priv[:32], 1, one},
		"a terminal name that is no text": {priv, 1, one},
	} {
		t.Run(name, func(t *testing.T) {
			h := header()
			h.FirstSeq = c.first
			if name == "a terminal name that is no text" {
				h.Terminal = "\xff"
			}
			_, err := SealEnvelope(c.key, h, c.records)
			require.Error(t, err)
		})
	}
}

func TestAForgedEnvelopeIsNobodysWord(t *testing.T) {
	priv, pub := key(1)
	stranger, strangerPub := key(2)
	good, err := SealEnvelope(priv, header(), [][]byte{[]byte("one")})
	require.NoError(t, err)
	change := func(f func(e *Envelope)) []byte {
		var e Envelope
		require.NoError(t, proto.Unmarshal(good, &e))
		f(&e)
		raw, err := marshal.Marshal(&e)
		require.NoError(t, err)
		return raw
	}
	hello, err := SealHello(priv, &Hello{Terminal: "bus-1"})
	require.NoError(t, err)
	foreign, err := SealEnvelope(stranger, header(), [][]byte{[]byte("one")})
	require.NoError(t, err)

	for name, c := range map[string]struct {
		key  ed25519.PublicKey
		raw  []byte
		want error
	}{
		"signed by another device":         {pub, foreign, ErrSignature},
		"opened with another device's key": {strangerPub, good, ErrSignature},
		"opened with no key":               {nil, good, ErrSignature},
		"opened with half a key":           {pub[:16], good, ErrSignature},
		"a bit of the header turned":       {pub, change(func(e *Envelope) { e.Signed[3] ^= 1 }), ErrSignature},
		"a bit of the signature turned":    {pub, change(func(e *Envelope) { e.Signature[3] ^= 1 }), ErrSignature},
		"a bit of the payload turned":      {pub, change(func(e *Envelope) { e.Payload[3] ^= 1 }), ErrSignature},
		"the payload cut off":              {pub, change(func(e *Envelope) { e.Payload = nil }), ErrSignature},
		"no signature":                     {pub, change(func(e *Envelope) { e.Signature = nil }), ErrSignature},
		"a hello in its place":             {pub, hello, ErrSignature},
		"not even a message":               {pub, []byte{0xFF, 0xFF}, ErrSignature},
		"nothing":                          {pub, nil, ErrVersion},
		"a version of tomorrow":            {pub, change(func(e *Envelope) { e.Version = 2 }), ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := OpenEnvelope(c.key, c.raw)
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, ErrMalformed)
			require.Nil(t, o.Records)
		})
	}
}

func TestASignatureOverOneKindIsNoneOverAnother(t *testing.T) {
	priv, pub := key(1)
	// A receipt and a hello have the same shell; only the domain string keeps one from being the other.
	raw, err := SealReceipt(priv, &Receipt{Terminal: "bus-1"})
	require.NoError(t, err)
	_, err = OpenHello(pub, raw)
	require.ErrorIs(t, err, ErrSignature)
	raw, err = SealHello(priv, &Hello{Terminal: "bus-1"})
	require.NoError(t, err)
	_, err = OpenReceipt(pub, raw)
	require.ErrorIs(t, err, ErrSignature)
}

func TestASignedEnvelopeThatCannotBeReadKeepsItsHeader(t *testing.T) {
	priv, pub := key(1)
	none := func(f func(h *EnvelopeHeader)) func(h *EnvelopeHeader) {
		return func(h *EnvelopeHeader) {
			h.Compression = Compression_COMPRESSION_NONE
			if f != nil {
				f(h)
			}
		}
	}
	zipped := func(h *EnvelopeHeader) { h.Compression = Compression_COMPRESSION_ZSTD }
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	bomb := w.EncodeAll(make([]byte, 64<<20), nil)
	require.Less(t, len(bomb), 64<<10)
	half := w.EncodeAll(make([]byte, MaxPayload/2+1), nil)

	for name, c := range map[string]struct {
		change  func(h *EnvelopeHeader)
		payload []byte
	}{
		"the payload is no zstd":                {zipped, []byte("not zstd")},
		"64 MiB of zeros in 6 KiB":              {zipped, bomb},
		"the same in two frames":                {zipped, append(bytes.Clone(half), half...)},
		"a plain payload over the limit":        {none(nil), make([]byte, MaxPayload+1)},
		"a compression nobody knows":            {func(h *EnvelopeHeader) { h.Compression = 9 }, twoRecords(t)},
		"the payload is no batch":               {none(nil), []byte{0xFF}},
		"an empty batch":                        {none(func(h *EnvelopeHeader) { h.Count, h.LastSeq = 0, 10 }), nil},
		"fewer records than counted":            {none(func(h *EnvelopeHeader) { h.Count, h.LastSeq = 3, 13 }), twoRecords(t)},
		"a range that does not fit":             {none(func(h *EnvelopeHeader) { h.LastSeq = 13 }), twoRecords(t)},
		"a range that begins at zero":           {none(func(h *EnvelopeHeader) { h.FirstSeq, h.LastSeq = 0, 1 }), twoRecords(t)},
		"a range that wraps round":              {none(func(h *EnvelopeHeader) { h.FirstSeq, h.LastSeq = math.MaxUint64, 0 }), twoRecords(t)},
		"a range that runs backwards":           {none(func(h *EnvelopeHeader) { h.FirstSeq, h.LastSeq = 12, 11 }), twoRecords(t)},
		"a chain hash of another record":        {none(func(h *EnvelopeHeader) { h.ChainHash[0] ^= 1 }), twoRecords(t)},
		"a count that only its low 32 bits fit": {none(func(h *EnvelopeHeader) { h.Count = math.MaxUint32 }), twoRecords(t)},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := OpenEnvelope(pub, signed(t, priv, c.change, c.payload))
			require.ErrorIs(t, err, ErrMalformed)
			require.Nil(t, o.Records)
			require.Equal(t, uint64(3), o.Header.GetBatch(), "the batch can be named in the receipt")
		})
	}

	_, err = OpenEnvelope(pub, signed(t, priv, none(nil), twoRecords(t)))
	require.NoError(t, err, "the table's base case must be good, or the table proves nothing")
}

func TestASignedHeaderThatCannotBeReadHasNone(t *testing.T) {
	priv, pub := key(1)
	sig, err := sign(priv, domainEnvelope, []byte{0xFF})
	require.NoError(t, err)
	raw, err := marshal.Marshal(&Envelope{Version: Version, Signed: []byte{0xFF}, Signature: sig})
	require.NoError(t, err)
	o, err := OpenEnvelope(pub, raw)
	require.ErrorIs(t, err, ErrMalformed)
	require.Nil(t, o.Header)
}

func TestHelloAndReceiptComeOutAsTheyWentIn(t *testing.T) {
	priv, pub := key(3)
	h := &Hello{Terminal: "gate-2", Epoch: 9, LastSeq: 40, AckedSeq: 20, ProfileVersion: 3, NowMs: 5, Backlog: 20, FirstSeq: 2}
	raw, err := SealHello(priv, h)
	require.NoError(t, err)
	gotH, err := OpenHello(pub, raw)
	require.NoError(t, err)
	require.True(t, proto.Equal(h, gotH))

	r := &Receipt{
		Terminal: "gate-2", Epoch: 9, ThroughSeq: 40, Batch: 8, ServerTimeMs: 6, RetryAfterMs: 7, ThroughHash: make([]byte, 32),
		Unreadable: []*Unreadable{{Seq: 3, Reason: "no record"}}, Wanted: []*Range{{First: 1, Last: 2}},
	}
	raw, err = SealReceipt(priv, r)
	require.NoError(t, err)
	gotR, err := OpenReceipt(pub, raw)
	require.NoError(t, err)
	require.True(t, proto.Equal(r, gotR))

	_, err = SealHello(nil, h)
	require.Error(t, err)
	_, err = SealReceipt(priv[:5], r)
	require.Error(t, err)
}

func TestAForgedHelloOrReceiptIsNobodysWord(t *testing.T) {
	priv, pub := key(3)
	_, other := key(4)
	sigH, err := sign(priv, domainHello, []byte{0xFF})
	require.NoError(t, err)
	sigR, err := sign(priv, domainReceipt, []byte{0xFF})
	require.NoError(t, err)
	hello, err := SealHello(priv, &Hello{Terminal: "gate-2"})
	require.NoError(t, err)
	receipt, err := SealReceipt(priv, &Receipt{Terminal: "gate-2"})
	require.NoError(t, err)
	shell := func(s *SignedHello) []byte {
		raw, err := marshal.Marshal(s)
		require.NoError(t, err)
		return raw
	}
	openH := func(k ed25519.PublicKey, raw []byte) error { _, err := OpenHello(k, raw); return err }
	openR := func(k ed25519.PublicKey, raw []byte) error { _, err := OpenReceipt(k, raw); return err }
	for name, c := range map[string]struct {
		open func(ed25519.PublicKey, []byte) error
		key  ed25519.PublicKey
		raw  []byte
		want error
	}{
		"a hello under another key":        {openH, other, hello, ErrSignature},
		"a receipt under another key":      {openR, other, receipt, ErrSignature},
		"a hello of noise":                 {openH, pub, []byte{1}, ErrSignature},
		"a receipt of noise":               {openR, pub, []byte{1}, ErrSignature},
		"a hello of tomorrow":              {openH, pub, shell(&SignedHello{Version: 2}), ErrVersion},
		"a receipt of tomorrow":            {openR, pub, shell(&SignedHello{Version: 2}), ErrVersion},
		"a signed hello that is no hello":  {openH, pub, shell(&SignedHello{Version: 1, Signed: []byte{0xFF}, Signature: sigH}), ErrMalformed},
		"a signed receipt that is no such": {openR, pub, shell(&SignedHello{Version: 1, Signed: []byte{0xFF}, Signature: sigR}), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, c.open(c.key, c.raw), c.want) })
	}
}

func TestTopicsAndSubjectsNameTheSamePlace(t *testing.T) {
	require.Equal(t, "pl/1/bus-1/up", Topic("bus-1", KindUp))
	require.Equal(t, "pl.1.bus-1.up", Subject("bus-1", KindUp))
}
