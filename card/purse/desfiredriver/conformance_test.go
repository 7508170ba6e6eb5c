package desfiredriver_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/desfiredriver"
	"github.com/purselane/purselane/card/purse/pursetest"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/desfire"
	"github.com/purselane/purselane/simulator/image"
)

var (
	appKey = keys.Key{0xA0, 1, 2, 3}
	master = keys.Key{0xB0, 4, 5, 6}
	system = []byte("purselane")
	zone   = time.FixedZone("UTC+8", 8*3600)
	at     = time.Date(2026, 11, 25, 8, 0, 0, 0, zone)
	uids   = [2][7]byte{{0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6}, {0x04, 0x9A, 0x8B, 0x7C, 0x6D, 0x5E, 0x4F}}
)

var layout = desfire.Settings{
	AID: [3]byte{0x3F, 0x00, 0x01}, KeyNumber: 1, TMVersion: 1,
	ValueFile: 1, ValueMode: desfire.Full, RecordFile: 2, RecordMode: desfire.MAC, RecordSize: 32, MACFile: 3, MACMode: desfire.MAC,
}

// light is the layout of cards that know ISO chaining alone.
func light() desfire.Settings {
	s := layout
	s.ISOChaining, s.ValueMode, s.MACMode = true, desfire.MAC, desfire.Full
	return s
}

func seeded(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{n}) }

func blank(card int, s desfire.Settings) sim.Image {
	key, err := desfire.Diversify(master, uids[card], s.AID, system)
	if err != nil {
		panic(err)
	}
	m := sim.Image{
		UID: image.Bytes(uids[card][:]), Settings: s, Key: image.Key{Key: appKey}, TMKey: image.Key{Key: key},
		Upper: money.Minor(100_000), Value: money.Minor(20_000), TMC: 41, TMCLimit: 0xFFFFFFFF, TMV: image.Bytes(make([]byte, 8)),
	}
	m.Records[0] = image.Bytes(desfiredriver.FirstRecord())
	return m
}

// chip is the simulated card with the truth about it.
type chip struct {
	*sim.Card
	uid [7]byte
}

func newChip(m sim.Image) chip {
	c, err := sim.New(m, seeded(1))
	if err != nil {
		panic(err)
	}
	return chip{c, [7]byte([]byte(m.UID))}
}

func (c chip) Balance() money.Amount { return c.Image().Value }
func (c chip) Debits() uint64        { return uint64(c.Image().TMC) }
func (c chip) Number() []byte        { return c.uid[:] }

func (c chip) Memory() any { return c.Image() }

// sams lends software SAMs and counts them.
type sams struct {
	mu   sync.Mutex
	held int
	err  error // of Acquire
	sam  desfire.SAM
}

func (s *sams) Acquire(context.Context) (desfire.SAM, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, nil, s.err
	}
	s.held++
	return s.sam, sync.OnceFunc(func() { s.mu.Lock(); defer s.mu.Unlock(); s.held-- }), nil
}

// bench implements pursetest.Bench.
type bench struct {
	s     desfire.Settings
	cards [2]chip
	sams  *sams
	made  byte
}

func newBench(s desfire.Settings) *bench {
	return &bench{s: s, cards: [2]chip{newChip(blank(0, s)), newChip(blank(1, s))}, sams: &sams{sam: desfire.NewSoftSAM(appKey, seeded(2))}}
}

func (b *bench) Card(n int) pursetest.Chip { return b.cards[n] }
func (b *bench) Held() int                 { b.sams.mu.Lock(); defer b.sams.mu.Unlock(); return b.sams.held }

func (b *bench) settings(terminal int) desfiredriver.Settings {
	return desfiredriver.Settings{Card: b.s, Terminal: [6]byte{0, 0, 0, 0, 0x10, byte(terminal)}, Location: zone, ReadBack: true}
}

func (b *bench) Driver(terminal int) purse.Driver {
	b.made++
	d, err := desfiredriver.New(b.settings(terminal), b.sams, seeded(b.made))
	if err != nil {
		panic(err)
	}
	return d
}

func family(s desfire.Settings) pursetest.Family {
	return pursetest.Family{
		New:      func() pursetest.Bench { return newBench(s) },
		Kinds:    []purse.Kind{purse.Sale, purse.BusRide, purse.Enter, purse.Leave, purse.CloseTrip, purse.LeaveUnmet},
		At:       at,
		Refusals: []apdu.SW{0x91AE, 0x911E, 0x91BE, 0x910C, 0x91A0, 0x6985},
		Failures: []apdu.SW{0x91EE, 0x910C, 0x91AE, 0x6F00},
	}
}

func TestConformance(t *testing.T) {
	t.Run("DESFire EV2", func(t *testing.T) { pursetest.Run(t, family(layout)) })
	t.Run("DESFire Light", func(t *testing.T) { pursetest.Run(t, family(light())) })
}

// TestTheHostAcceptsEveryEvidence: what the driver gives is what a host rechecks.
func TestTheHostAcceptsEveryEvidence(t *testing.T) {
	b := newBench(layout)
	hsm, err := desfire.NewSoftHSM(map[byte]keys.Key{1: master}, system)
	require.NoError(t, err)
	c, err := b.Driver(0).Open(t.Context(), b.cards[0])
	require.NoError(t, err)
	defer c.Close()
	for range 3 {
		a, err := c.Begin(t.Context(), purse.Order{Kind: purse.Sale, Amount: money.Minor(125), At: at})
		require.NoError(t, err)
		require.NoError(t, c.Stage(t.Context()))
		require.NoError(t, c.Commit(t.Context()))
		e, err := c.Evidence(t.Context())
		require.NoError(t, err)
		require.Equal(t, "desfire-tmac/1", e.Kind)
		seen, err := desfire.ParseEvidence(e.Data)
		require.NoError(t, err)
		require.NoError(t, desfire.Recheck(t.Context(), hsm, seen))
		require.Equal(t, a.State, seen.Attempt.Bytes())
		require.Equal(t, a.Counter, seen.TMC)
	}
}
