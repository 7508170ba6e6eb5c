package watch_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

var (
	tokenKey = []byte("0123456789abcdef")
	issuer   = ep.Factor{1, 2, 3, 4, 5, 6, 7, 8}
	tacKey   = keys.ID{Purpose: keys.TAC, Version: 1}
	masters  = map[keys.ID]keys.Key{tacKey: {0: 0x11, 8: 0x22, 15: 0x33}}
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

	settings = watch.Settings{
		VelocityTaps: 3, MaxSpeed: 200, MaxAmount: money.Minor(50_00), SAMHole: 5,
		Places: []watch.Place{{Name: "east", Spot: "0001/0101", Latitude: 31, Longitude: 121}, {Name: "west", Latitude: 31, Longitude: 120}},
	}
)

func number(card byte) ids.CardNumber { return ids.CardNumber{0: 0x31, 4: 0xAB, 9: card} }
func token(card byte) string          { return store.Token(tokenKey, number(card)) }

// scheme is a store with terminals "gate-1" in the east and "bus-2" in the west, cards 1 to 3 with 100.00 on each, a pipeline and a watch.
type scheme struct {
	t     require.TestingT
	ctx   context.Context
	store *store.Store
	hsm   *keys.Soft
	clock *clock.Manual
	pipe  *intake.Pipeline
	watch *watch.Watch
}

// newScheme makes one; address names its database.
func newScheme(t require.TestingT, address string, opt store.Options) *scheme {
	s := &scheme{t: t, ctx: context.Background(), hsm: keys.NewSoft(masters), clock: clock.NewManual(noon)}
	opt.NoSync = true
	fresh := pgtest.Postgres || template == nil
	if !fresh {
		require.NoError(t, os.WriteFile(address, template, 0o600))
	}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	s.store, err = store.Open(s.ctx, address, opt)
	require.NoError(t, err)
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, intake.Options{TokenKey: tokenKey, Log: quiet})
	require.NoError(t, err)
	s.watch, err = watch.New(s.store, s.clock, settings, quiet)
	require.NoError(t, err)
	if fresh {
		require.NoError(t, s.store.Update(s.ctx, s.populate))
	}
	return s
}

// template is the file of the scheme before its first record: a database takes longer to make than most tests do.
var template []byte

func TestMain(m *testing.M) {
	if !pgtest.Postgres {
		dir, err := os.MkdirTemp("", "watch")
		if err != nil {
			panic(err)
		}
		path := filepath.Join(dir, "template.db")
		t := &mustTest{}
		if err := newScheme(t, path, store.Options{}).store.Close(); err != nil {
			panic(err)
		}
		if template, err = os.ReadFile(path); err != nil {
			panic(err)
		}
		os.RemoveAll(dir)
	}
	os.Exit(m.Run())
}

// mustTest is a test that ends the program when it fails.
type mustTest struct{}

func (*mustTest) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (*mustTest) FailNow()                          { panic("the template could not be made") }

func (s *scheme) populate(tx *store.Tx) error {
	require.NoError(s.t, tx.PutAcquirer(s.ctx, store.Acquirer{ID: "bus"}))
	require.NoError(s.t, tx.PutMerchant(s.ctx, store.Merchant{ID: "line", Acquirer: "bus"}))
	for id, place := range map[ids.TerminalID]string{"gate-1": "east", "bus-2": "west"} {
		require.NoError(s.t, tx.PutTerminal(s.ctx, store.Terminal{ID: id, Merchant: "line", PSAMs: [][6]byte{psam(id)},
			PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true, Place: place}))
	}
	for card := byte(1); card <= 3; card++ {
		require.NoError(s.t, tx.IssueCard(s.ctx, store.Card{Number: number(card), Token: token(card), Issuer: issuer, Levels: 2}))
		lines, err := books.Move(books.Trust, books.Float, money.Minor(100_00))
		require.NoError(s.t, err)
		id := fmt.Sprintf("load-%d", card)
		require.NoError(s.t, tx.Post(s.ctx, books.Entry{ID: id, Kind: "load", Day: "2026-11-24", Lines: lines}))
		require.NoError(s.t, tx.PutCardLoad(s.ctx, number(card), shadowaccount.Load{Amount: money.Minor(100_00), Loaded: true}, id))
	}
	return nil
}

func psam(t ids.TerminalID) [6]byte { return [6]byte{5: t[len(t)-1]} }

// tap is one record in short.
type tap struct {
	terminal ids.TerminalID
	seq      uint64 // also the tap and the PSAM's number, unless tap is given
	tap      uint64
	card     byte
	counter  uint32
	before   int64
	amount   int64
	second   int64 // after noon
	unknown  bool
	list     uint64
	spot     bool // it says that it is in the east
}

func (s *scheme) record(p tap) []byte {
	if p.tap == 0 {
		p.tap = p.seq
	}
	n, sam := number(p.card), psam(p.terminal)
	at, err := ep.DateTimeOf(noon.Add(time.Duration(p.second) * time.Second))
	require.NoError(s.t, err)
	r := &wire.Record{
		Version: 1, Terminal: string(p.terminal), Epoch: 0xF000000000000007, Seq: p.seq, PrevHash: make([]byte, 32), Tap: p.tap, Kind: wire.Kind_KIND_PURCHASE,
		State: wire.State_STATE_UNKNOWN, Family: "ep", CardNumber: n[:], Issuer: issuer[:], KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypePurchase),
		OfflineCounter: p.counter, Amount: p.amount, BalanceBefore: p.before, BalanceAfter: p.before - p.amount, PsamTerminal: sam[:], PsamSerial: uint32(p.tap),
		PurseTime: at[:], TerminalTimeMs: noon.UnixMilli() + p.second*1000, ClockErrorMs: 1000, ClockState: wire.ClockState_CLOCK_GOOD, DenyVersion: p.list,
	}
	if p.spot {
		r.Line, r.Station = []byte{0, 1}, []byte{1, 1}
	}
	if !p.unknown {
		r.State, r.Evidence = wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_REPLY
		tac, err := s.hsm.TAC(s.ctx, keys.Card{ID: tacKey, Factors: ep.Public{Issuer: issuer, CardNumber: n}.Factors(2)},
			ep.PurchaseTAC(money.Minor(r.Amount), ep.TypePurchase, ep.TerminalNumber(sam), r.PsamSerial, at))
		require.NoError(s.t, err)
		r.Tac = tac[:]
	}
	raw, err := proto.Marshal(r)
	require.NoError(s.t, err)
	return raw
}

// send has each record accepted in a batch of its own, and posted.
func (s *scheme) send(taps ...tap) {
	for _, p := range taps {
		raw := s.record(p)
		_, err := s.pipe.Accept(s.ctx, uplink.Accepted{Terminal: p.terminal, Epoch: 0xF000000000000007, FirstSeq: p.seq, LastSeq: p.seq, Records: [][]byte{raw},
			ReceivedAt: s.clock.Now(), Envelope: raw})
		require.NoError(s.t, err)
	}
	s.post()
}

func (s *scheme) post() {
	for {
		n, err := s.pipe.Step(s.ctx)
		require.NoError(s.t, err)
		if n == 0 {
			return
		}
	}
}

func (s *scheme) pass() watch.Report {
	r, err := s.watch.Pass(s.ctx)
	require.NoError(s.t, err)
	return r
}

// findings are all rows of a state.
func (s *scheme) findings(state string) []store.WatchedFinding {
	var out []store.WatchedFinding
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) (err error) {
		out, err = tx.WatchedFindings(s.ctx, store.WatchedFilter{State: state}, 1000)
		return err
	}))
	return out
}

// codes are the findings of a state in short: the subject's own name, code and item.
func (s *scheme) codes(state string) []string {
	names := map[string]string{token(1): "card 1", token(2): "card 2", token(3): "card 3"}
	out := []string{}
	for _, f := range s.findings(state) {
		name := names[f.Subject]
		if name == "" {
			name = f.Subject
		}
		out = append(out, fmt.Sprintf("%s %s %s", name, f.Code, f.Item))
	}
	return out
}

// databases gives each draw of a property a database of its own.
type databases struct {
	mu  sync.Mutex
	n   int
	dir string
}

func (d *databases) next() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	return filepath.Join(d.dir, fmt.Sprintf("%d.db", d.n))
}
