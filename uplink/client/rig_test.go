package client_test

import (
	"context"
	"crypto/ed25519"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/internal/uplinktest"
	"github.com/purselane/purselane/uplink/wire"
)

const (
	bus1  ids.TerminalID = "bus-1"
	epoch                = 0xE70C4
)

var (
	noon       = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	deviceKey  = ed25519.NewKeyFromSeed([]byte("the seed of a device, 32 bytes.."))
	backendKey = ed25519.NewKeyFromSeed([]byte("the seed of a backend, 32 bytes."))
	otherKey   = ed25519.NewKeyFromSeed([]byte("the seed of a stranger, 32 bytes"))
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// rig is a sender with both ends in memory, and a clock that moves when told.
type rig struct {
	t       require.TestingT
	now     time.Time
	journal *uplinktest.Journal
	ledger  *uplinktest.Ledger
	backend *intake.Processor
	sender  *client.Sender
}

// newRig is not connected yet. change may be nil.
func newRig(t require.TestingT, records int, change func(*client.SenderConfig)) *rig {
	r := &rig{t: t, now: noon, journal: uplinktest.NewJournal(bus1, epoch), ledger: uplinktest.NewLedger()}
	r.journal.Add(records)
	r.backend = &intake.Processor{Handler: r.ledger, Key: backendKey,
		Device: func(_ context.Context, id ids.TerminalID) (ed25519.PublicKey, bool, error) {
			return public(deviceKey), id == bus1, nil
		},
	}
	cfg := client.SenderConfig{Terminal: bus1, Key: deviceKey, Backend: public(backendKey), Source: r.journal, BatchRecords: 10, Rand: rand.New(rand.NewPCG(1, 2))}
	if change != nil {
		change(&cfg)
	}
	var err error
	r.sender, err = client.NewSender(cfg)
	require.NoError(t, err)
	return r
}

// due is what the sender wants to publish now.
func (r *rig) due() []client.Message {
	out, _, err := r.sender.Due(r.now)
	require.NoError(r.t, err)
	return out
}

// reply is the receipt of the backend for a message.
func (r *rig) reply(m client.Message) []byte {
	raw, err := r.backend.Process(context.Background(), bus1, m.Kind, m.Raw, r.now)
	require.NoError(r.t, err)
	return raw
}

func (r *rig) hear(receipt []byte) { require.NoError(r.t, r.sender.OnReceipt(r.now, receipt)) }

// greet connects and exchanges hello and answer.
func (r *rig) greet() {
	r.sender.OnConnect(r.now)
	out := r.due()
	require.Len(r.t, out, 1)
	require.Equal(r.t, wire.KindHello, out[0].Kind)
	r.hear(r.reply(out[0]))
	require.Equal(r.t, client.Sending, r.sender.Stats().State)
}

// settle exchanges without faults until nothing has to be sent, moving the clock where the sender waits.
func (r *rig) settle() {
	for range 10_000 {
		out, next, err := r.sender.Due(r.now)
		require.NoError(r.t, err)
		for _, m := range out {
			r.hear(r.reply(m))
		}
		switch {
		case len(out) > 0:
		case next.IsZero():
			return
		default:
			r.now = next
		}
	}
	require.Fail(r.t, "the sender does not come to rest")
}

// receipt is one of the backend's, with whatever content.
func (r *rig) receipt(c *wire.Receipt) []byte {
	c.Terminal, c.Epoch = string(bus1), epoch
	return r.signed(backendKey, c)
}

func (r *rig) signed(key ed25519.PrivateKey, c *wire.Receipt) []byte {
	raw, err := wire.SealReceipt(key, c)
	require.NoError(r.t, err)
	return raw
}

// ranges are the records that batches carry.
func (r *rig) ranges(out []client.Message) (all [][2]uint64) {
	for _, m := range out {
		if m.Kind == wire.KindUp {
			h := r.opened(m).Header
			all = append(all, [2]uint64{h.GetFirstSeq(), h.GetLastSeq()})
		}
	}
	return all
}

func (r *rig) opened(m client.Message) wire.Opened {
	o, err := wire.OpenEnvelope(public(deviceKey), m.Raw)
	require.NoError(r.t, err)
	return o
}

// has checks that the backend has exactly the journal's records first to last.
func (r *rig) has(first, last uint64) {
	for seq := first; seq <= last; seq++ {
		require.True(r.t, r.ledger.Holds(bus1, epoch, seq, r.journal.Record(seq)), "record %d", seq)
	}
	require.Empty(r.t, r.ledger.Conflicts())
}
