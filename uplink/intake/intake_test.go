package intake_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

const epoch = 7

var (
	ctx        = context.Background()
	noon       = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	deviceKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	backendKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	otherKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	errDisk    = errors.New("disk full")
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// processor answers for terminals "bus-1" and, with another key, "bus-2"; "sick" cannot be looked up.
func processor(h intake.Handler) *intake.Processor {
	return &intake.Processor{Handler: h, Key: backendKey, Device: func(_ context.Context, t ids.TerminalID) (ed25519.PublicKey, bool, error) {
		switch t {
		case "bus-1":
			return public(deviceKey), true, nil
		case "bus-2":
			return public(otherKey), true, nil
		case "stopped":
			return public(deviceKey), false, nil
		case "sick":
			return nil, false, errDisk
		}
		return nil, false, nil
	}}
}

func envelope(t require.TestingT, key ed25519.PrivateKey, terminal string, batch, first uint64, records ...string) []byte {
	var raw [][]byte
	for _, r := range records {
		raw = append(raw, []byte(r))
	}
	e, err := wire.SealEnvelope(key, &wire.EnvelopeHeader{Terminal: terminal, Epoch: epoch, Batch: batch, FirstSeq: first}, raw)
	require.NoError(t, err)
	return e
}

func hello(t require.TestingT, key ed25519.PrivateKey, terminal string) []byte {
	raw, err := wire.SealHello(key, &wire.Hello{Terminal: terminal, Epoch: epoch, LastSeq: 9, AckedSeq: 4, Nonce: 77})
	require.NoError(t, err)
	return raw
}

// garbled is an envelope that its terminal signed and that cannot be read.
func garbled(t require.TestingT, key ed25519.PrivateKey, first, last uint64) []byte {
	payload := []byte("neither zstd nor a batch")
	hash := sha256.Sum256(payload)
	body, err := proto.Marshal(&wire.EnvelopeHeader{Terminal: "bus-1", Epoch: epoch, Batch: 5, FirstSeq: first, LastSeq: last, Count: uint32(last - first + 1),
		PayloadSha256: hash[:], Compression: wire.Compression_COMPRESSION_ZSTD})
	require.NoError(t, err)
	sig := ed25519.Sign(key, append([]byte("purselane-envelope-1\x00"), body...))
	raw, err := proto.Marshal(&wire.Envelope{Version: wire.Version, Signed: body, Signature: sig, Payload: payload})
	require.NoError(t, err)
	return raw
}

func opened(t require.TestingT, raw []byte) *wire.Receipt {
	r, err := wire.OpenReceipt(public(backendKey), raw)
	require.NoError(t, err)
	return r
}

func TestABatchIsCommittedBeforeItsReceiptIsMade(t *testing.T) {
	l := uplinktest.NewLedger()
	p := processor(l)
	raw, err := p.Process(ctx, "bus-1", wire.KindUp, envelope(t, deviceKey, "bus-1", 3, 1, "one", "two"), noon)
	require.NoError(t, err)
	hash := wire.RecordHash([]byte("two"))
	require.True(t, proto.Equal(&wire.Receipt{Terminal: "bus-1", Epoch: epoch, Batch: 3, ThroughSeq: 2, ThroughHash: hash[:], ServerTimeMs: noon.UnixMilli()}, opened(t, raw)))
	require.True(t, l.Holds("bus-1", epoch, 1, []byte("one")))

	raw, err = p.Process(ctx, "bus-1", wire.KindHello, hello(t, deviceKey, "bus-1"), noon)
	require.NoError(t, err)
	r := opened(t, raw)
	require.Zero(t, r.GetBatch(), "this is how an answer to hello is known")
	require.EqualValues(t, 77, r.GetHelloNonce(), "and this is which hello")
	require.Equal(t, noon.UnixMilli(), r.GetServerTimeMs())
	require.EqualValues(t, 2, r.GetThroughSeq())
	require.Len(t, r.GetWanted(), 1)
	require.EqualValues(t, 3, r.GetWanted()[0].GetFirst())
	require.EqualValues(t, 4, r.GetWanted()[0].GetLast())
}

func TestADuplicateBatchGetsItsReceiptAgainAndChangesNothing(t *testing.T) {
	l := uplinktest.NewLedger()
	p := processor(l)
	e := envelope(t, deviceKey, "bus-1", 3, 1, "one", "two")
	first, err := p.Process(ctx, "bus-1", wire.KindUp, e, noon)
	require.NoError(t, err)
	again, err := p.Process(ctx, "bus-1", wire.KindUp, e, noon)
	require.NoError(t, err)
	require.Equal(t, first, again)
	news, dups, _, _ := l.Counts()
	require.Equal(t, []int{2, 2}, []int{news, dups})
	require.Empty(t, l.Conflicts())
}

func TestWhatIsNobodysWordIsDroppedAndNeitherKeptNorAnswered(t *testing.T) {
	good := envelope(t, deviceKey, "bus-1", 3, 1, "one")
	tampered := func(change func(*wire.Envelope)) []byte {
		var e wire.Envelope
		require.NoError(t, proto.Unmarshal(good, &e))
		change(&e)
		raw, err := proto.Marshal(&e)
		require.NoError(t, err)
		return raw
	}
	for name, c := range map[string]struct {
		terminal ids.TerminalID
		kind     string
		raw      []byte
	}{
		"an unknown terminal":             {"nobody", wire.KindUp, envelope(t, deviceKey, "nobody", 1, 1, "x")},
		"a stopped terminal":              {"stopped", wire.KindUp, envelope(t, deviceKey, "stopped", 1, 1, "x")},
		"a stopped terminal's hello":      {"stopped", wire.KindHello, hello(t, deviceKey, "stopped")},
		"a forged envelope":               {"bus-1", wire.KindUp, envelope(t, otherKey, "bus-1", 1, 1, "x")},
		"another terminal's envelope":     {"bus-2", wire.KindUp, good},
		"signed here, named there":        {"bus-1", wire.KindUp, envelope(t, deviceKey, "bus-2", 1, 1, "x")},
		"a forged hello":                  {"bus-1", wire.KindHello, hello(t, otherKey, "bus-1")},
		"a hello of another terminal":     {"bus-1", wire.KindHello, hello(t, deviceKey, "bus-2")},
		"a hello as an envelope":          {"bus-1", wire.KindUp, hello(t, deviceKey, "bus-1")},
		"an envelope as a hello":          {"bus-1", wire.KindHello, good},
		"a kind that there is not":        {"bus-1", "log", good},
		"a payload that was exchanged":    {"bus-1", wire.KindUp, tampered(func(e *wire.Envelope) { e.Payload = []byte("other") })},
		"a version of the future":         {"bus-1", wire.KindUp, tampered(func(e *wire.Envelope) { e.Version = 2 })},
		"a signature of the wrong length": {"bus-1", wire.KindUp, tampered(func(e *wire.Envelope) { e.Signature = e.Signature[1:] })},
		"garbled, signed by another":      {"bus-1", wire.KindUp, garbled(t, otherKey, 1, 3)},
		"noise":                           {"bus-1", wire.KindUp, []byte{0xFF, 0x01}},
		"nothing":                         {"bus-1", wire.KindUp, nil},
	} {
		l := uplinktest.NewLedger()
		receipt, err := processor(l).Process(ctx, c.terminal, c.kind, c.raw, noon)
		require.ErrorIs(t, err, intake.ErrDropped, name)
		require.Nil(t, receipt, name)
		news, _, batches, hellos := l.Counts()
		require.Equal(t, []int{0, 0, 0}, []int{news, batches, hellos}, name)
		require.False(t, l.Has(c.terminal, epoch, 1), name)
	}
}

func TestWhatCannotBeCommittedNowHasNoReceiptAndIsNotDropped(t *testing.T) {
	l := uplinktest.NewLedger()
	l.Fail = func(intake.Accepted) error { return errDisk }
	for name, c := range map[string]struct {
		terminal ids.TerminalID
		handler  intake.Handler
		kind     string
		raw      []byte
	}{
		"the handler fails":            {"bus-1", l, wire.KindUp, envelope(t, deviceKey, "bus-1", 1, 1, "x")},
		"the handler fails at a hello": {"bus-1", failing{}, wire.KindHello, hello(t, deviceKey, "bus-1")},
		"it cannot be quarantined":     {"bus-1", failing{}, wire.KindUp, garbled(t, deviceKey, 1, 3)},
		"the device cannot be read":    {"sick", l, wire.KindUp, nil},
	} {
		receipt, err := processor(c.handler).Process(ctx, c.terminal, c.kind, c.raw, noon)
		require.ErrorIs(t, err, errDisk, name)
		require.NotErrorIs(t, err, intake.ErrDropped, name)
		require.Nil(t, receipt, name)
	}
}

// failing commits nothing.
type failing struct{}

func (failing) Accept(context.Context, intake.Accepted) (intake.Committed, error) {
	return intake.Committed{}, errDisk
}

func (failing) Quarantine(context.Context, intake.Accepted, string) (intake.Committed, error) {
	return intake.Committed{}, errDisk
}

func (failing) Hello(context.Context, *wire.Hello, time.Time) (intake.Committed, error) {
	return intake.Committed{}, errDisk
}

// A poison batch must not block the queue: it is kept as evidence, and the terminal prunes it.
func TestABatchThatIsSignedAndCannotBeReadIsQuarantinedAndPruned(t *testing.T) {
	j := uplinktest.NewJournal("bus-1", epoch)
	j.Add(9)
	s, err := client.NewSender(client.SenderConfig{Terminal: "bus-1", Key: deviceKey, Backend: public(backendKey), Source: j, BatchRecords: 3, InFlight: 1, Rand: rand.New(rand.NewPCG(1, 1))})
	require.NoError(t, err)
	p := processor(uplinktest.NewLedger())
	s.OnConnect(noon)
	poison := true
	for range 20 {
		out, _, err := s.Due(noon)
		require.NoError(t, err)
		for _, m := range out {
			raw := m.Raw
			if m.Kind == wire.KindUp && poison {
				raw, poison = garbled(t, deviceKey, 1, 3), false
			}
			receipt, err := p.Process(ctx, "bus-1", m.Kind, raw, noon)
			require.NoError(t, err)
			require.NoError(t, s.OnReceipt(noon, receipt))
		}
	}
	require.EqualValues(t, 9, j.AckedSeq())
	require.Equal(t, 1, s.Stats().Quarantined)
}

func TestAReceiptStaysSmallWhateverTheBatchWas(t *testing.T) {
	raw, err := processor(verbose{}).Process(ctx, "bus-1", wire.KindUp, envelope(t, deviceKey, "bus-1", 1, 1, "x"), noon)
	require.NoError(t, err)
	require.Less(t, len(raw), 64<<10)
	r := opened(t, raw)
	require.Len(t, r.GetUnreadable(), 200)
	require.EqualValues(t, 1, r.GetUnreadable()[0].GetSeq())
	require.Contains(t, r.GetUnreadable()[0].GetReason(), "ÿ")
	require.EqualValues(t, 250, r.GetRetryAfterMs())
}

// verbose finds fault with everything, in words that are cut in the middle of a letter.
type verbose struct{ failing }

func (verbose) Accept(context.Context, intake.Accepted) (c intake.Committed, err error) {
	for seq := range uint64(wire.MaxRecords) {
		c.Unreadable = append(c.Unreadable, intake.Unreadable{Seq: seq + 1, Reason: "a" + string(bytes.Repeat([]byte("ÿ"), 200))})
	}
	c.RetryAfter = 250 * time.Millisecond
	return c, nil
}

func TestAStateIsPassedOnAndHasNoReceipt(t *testing.T) {
	state := func(terminal string) []byte {
		raw, err := proto.Marshal(&wire.DeviceState{Terminal: terminal, Online: true, Backlog: 3})
		require.NoError(t, err)
		return raw
	}
	var heard []string
	p := processor(uplinktest.NewLedger())
	receipt, err := p.Process(ctx, "bus-1", wire.KindState, state("bus-1"), noon)
	require.NoError(t, err, "nobody listens")
	require.Nil(t, receipt)

	p.State = func(_ context.Context, t ids.TerminalID, s *wire.DeviceState, _ time.Time) error {
		heard = append(heard, fmt.Sprintf("%s %t %d", t, s.GetOnline(), s.GetBacklog()))
		return errDisk
	}
	_, err = p.Process(ctx, "bus-1", wire.KindState, state("bus-1"), noon)
	require.ErrorIs(t, err, errDisk)
	require.Equal(t, []string{"bus-1 true 3"}, heard)
	for name, c := range map[string]struct {
		terminal ids.TerminalID
		raw      []byte
	}{
		"another terminal's":   {"bus-1", state("bus-2")},
		"an unknown terminal":  {"nobody", state("nobody")},
		"a stopped terminal":   {"stopped", state("stopped")},
		"what is not a state":  {"bus-1", []byte{0xFF}},
		"a state without name": {"bus-1", nil},
	} {
		_, err = p.Process(ctx, c.terminal, wire.KindState, c.raw, noon)
		require.ErrorIs(t, err, intake.ErrDropped, name)
	}
	require.Len(t, heard, 1)
}
