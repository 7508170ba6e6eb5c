package edge_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

const issuer = "01011000FFFFFFFF"

// noon is a moment in the life of the test's cards and profile.
var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// The lanes of the test's terminal.
const (
	bus = iota
	bus2
	entry
	exit
	till
)

func lanes() []edge.Lane {
	line := fare.Code{0x00, 0x07}
	return []edge.Lane{
		{Mode: tap.BusFlat, Line: line}, {Mode: tap.BusFlat, Line: line},
		{Mode: tap.MetroEntry, Line: fare.Code{0x01, 0x01}, Station: fare.Code{0x01, 0x01}},
		{Mode: tap.MetroExit, Line: fare.Code{0x01, 0x01}, Station: fare.Code{0x01, 0x05}},
		{Mode: tap.Sale},
	}
}

func masters() personalise.Masters {
	out := personalise.Masters{}
	for purpose, first := range map[keys.Purpose]byte{keys.Purchase: 0x40, keys.Load: 0x50, keys.TAC: 0x60} {
		for version := byte(1); version <= 2; version++ {
			var k keys.Key
			for i := range k {
				k[i] = first + version<<4 + byte(i)
			}
			out[keys.ID{Purpose: purpose, Version: version}] = k
		}
	}
	return out
}

func factor(t testing.TB) ep.Factor {
	raw, err := hex.DecodeString(issuer)
	require.NoError(t, err)
	return ep.Factor(raw)
}

// newCard makes a card; change may be nil.
func newCard(t testing.TB, n byte, balance int64, change func(*personalise.CardSpec)) *epcard.Card {
	spec := personalise.CardSpec{
		Number: ids.CardNumber{0x31, 0x05, 0, 0, 0, 0, 0, 0, 0, n}, Issuer: factor(t), Balance: money.Minor(balance),
	}
	if change != nil {
		change(&spec)
	}
	img, err := personalise.Card(masters(), spec)
	require.NoError(t, err)
	c, err := epcard.New(img, &counting{n: uint32(n)})
	require.NoError(t, err)
	return c
}

// counting is a source of numbers that never repeat.
type counting struct {
	mu sync.Mutex
	n  uint32
}

func (c *counting) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range p {
		if i%4 == 0 {
			c.n++
		}
		p[i] = binary.BigEndian.AppendUint32(nil, c.n)[i%4]
	}
	return len(p), nil
}

// newPSAM makes a PSAM with the first version of the keys, and the door to it.
func newPSAM(t testing.TB) (*psam.PSAM, keys.SAM) {
	first := personalise.Masters{}
	for id, k := range masters() {
		if id.Version == 1 {
			first[id] = k
		}
	}
	img, err := personalise.PSAM(first, personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, Issuer: factor(t), NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.New(img)
	require.NoError(t, err)
	door, err := ep.OpenPSAM(context.Background(), chip, ep.PSAMTUnion)
	require.NoError(t, err)
	return chip, door
}

// world is a terminal and what it lives in. The terminal can be killed and opened again on the same journal.
type world struct {
	t      testing.TB
	clock  *clock.Manual
	cfg    edge.Config
	device ed25519.PrivateKey

	*edge.Terminal
	mu     sync.Mutex
	events []edge.Event
	cards  []edge.Event    // that a card is there
	shown  chan edge.Event // the same, for those who wait
	plain  int             // a metro entry without a reader, of those whose lanes are their own
}

func newWorld(t testing.TB, change func(*edge.Config)) *world {
	w := &world{t: t, clock: clock.NewManual(noon), shown: make(chan edge.Event, 5000)}
	_, sam := newPSAM(t)
	w.cfg = edge.Config{
		Terminal: "bus-1", Merchant: "m-1", Profile: firmwareconfig.Sample(), SAM: sam,
		JournalPath: filepath.Join(t.TempDir(), "journal.db"), Lanes: lanes(), Clock: w.clock,
		Rand: rand.New(rand.NewPCG(1, 2)), Show: w.see,
	}
	w.cfg.Journal.NoSync = true
	if change != nil {
		change(&w.cfg)
	}
	w.open()
	return w
}

func (w *world) open() {
	var err error
	w.Terminal, err = edge.Open(w.cfg)
	require.NoError(w.t, err)
	running := w.Terminal
	w.t.Cleanup(func() { _ = running.Close() })
}

// kill ends the terminal as a power cut does, as far as its files know, and starts it again.
func (w *world) kill() {
	require.NoError(w.t, w.Close())
	w.open()
}

func (w *world) see(e edge.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Card { // what came of it follows
		w.cards = append(w.cards, e)
		return
	}
	w.events = append(w.events, e)
	w.shown <- e
}

// tapOn presents a card at a lane, at once and whole.
func (w *world) tapOn(lane int, c *epcard.Card) tap.Result {
	w.t.Helper()
	r, err := w.Present(context.Background(), lane, epcard.Present(c, epcard.Tear{}))
	require.NoError(w.t, err)
	return r
}

// records reads the journal.
func (w *world) records() (out []*wire.Record) {
	w.t.Helper()
	raw, err := w.Journal().Read(1, 1000, 1<<20)
	require.NoError(w.t, err)
	for _, b := range raw {
		r := &wire.Record{}
		require.NoError(w.t, proto.Unmarshal(b, r))
		out = append(out, r)
	}
	return out
}

func (w *world) states() (out []wire.State) {
	w.t.Helper()
	for _, r := range w.records() {
		out = append(out, r.GetState())
	}
	return out
}

// run runs the terminal until the test ends or stop is called; stop returns what Run did.
func (w *world) run() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	w.t.Cleanup(func() { _ = stop() })
	return stop
}

// next waits for the next outcome that is shown.
func (w *world) next() edge.Event { return <-w.shown }
