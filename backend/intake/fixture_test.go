package intake_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
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
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	masters  = map[keys.ID]keys.Key{tacKey: {0: 0x11, 8: 0x22, 15: 0x33}}
)

// scheme is a store with an acquirer, two merchants with terminals "bus-1", "bus-2" and "gate-3", cards 1 and 2 with 10.00
// on each, and a pipeline.
type scheme struct {
	t     require.TestingT
	ctx   context.Context
	path  string
	store *store.Store
	hsm   *keys.Soft
	clock *clock.Manual
	opt   intake.Options // beside what every scheme has
	pipe  *intake.Pipeline
	seq   map[ids.TerminalID]uint64
}

func psam(t ids.TerminalID) ep.TerminalNumber {
	return ep.TerminalNumber{5: t[len(t)-1]}
}

func number(card byte) ids.CardNumber { return ids.CardNumber{0: 0x31, 9: card} }

func newScheme(t require.TestingT, dir string, opt store.Options) *scheme {
	s := &scheme{t: t, ctx: context.Background(), path: filepath.Join(dir, "scheme.db"), hsm: keys.NewSoft(masters),
		clock: clock.NewManual(noon), seq: map[ids.TerminalID]uint64{}}
	pgtest.Copy(t, template(t, dir), s.path)
	s.open(opt)
	return s
}

// start is newScheme for a test of its own.
func start(t testing.TB, opt store.Options) *scheme {
	s := newScheme(t, t.TempDir(), opt)
	t.Cleanup(func() { s.store.Close() })
	return s
}

var (
	made         sync.Once
	templatePath string
)

// template is the path of the scheme's database before its first record; to make it takes longer than most tests do.
func template(t require.TestingT, dir string) string {
	made.Do(func() {
		s := &scheme{t: t, ctx: context.Background(), path: filepath.Join(dir, "template.db"), hsm: keys.NewSoft(masters), clock: clock.NewManual(noon)}
		s.open(store.Options{})
		s.populate()
		require.NoError(t, s.store.Close())
		templatePath = s.path
	})
	return templatePath
}

func (s *scheme) populate() {
	t := s.t
	s.update(func(tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(s.ctx, store.Acquirer{ID: "bus"}))
		require.NoError(t, tx.PutMerchant(s.ctx, store.Merchant{ID: "line1", Acquirer: "bus"}))
		require.NoError(t, tx.PutMerchant(s.ctx, store.Merchant{ID: "metro", Acquirer: "bus"}))
		for id, merchant := range map[ids.TerminalID]ids.MerchantID{"bus-1": "line1", "bus-2": "line1", "gate-3": "metro"} {
			require.NoError(t, tx.PutTerminal(s.ctx, store.Terminal{ID: id, Merchant: merchant, PSAMs: [][6]byte{psam(id), {4: 1, 5: id[len(id)-1]}},
				PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}))
		}
		for card := byte(1); card <= 2; card++ {
			require.NoError(t, tx.IssueCard(s.ctx, store.Card{Number: number(card), Token: store.Token(tokenKey, number(card)), Issuer: issuer, Levels: 2}))
			s.load(tx, card, 0, 10_00)
		}
		return nil
	})
}

func (s *scheme) open(opt store.Options) {
	var err error
	opt.NoSync = true
	s.store, err = store.Open(s.ctx, emptystore.At(s.t, s.path), opt)
	require.NoError(s.t, err)
	s.pipe, err = intake.New(s.store, s.hsm, s.clock, s.options())
	require.NoError(s.t, err)
}

func (s *scheme) options() intake.Options {
	o := s.opt
	o.TokenKey, o.Log = tokenKey, slog.New(slog.DiscardHandler)
	return o
}

func (s *scheme) update(f func(*store.Tx) error) {
	require.NoError(s.t, s.store.Update(s.ctx, f))
}

func (s *scheme) view(f func(*store.Tx) error) {
	require.NoError(s.t, s.store.View(s.ctx, f))
}

// load puts money on a card's shadow account, paid for in the books.
func (s *scheme) load(tx *store.Tx, card byte, counter uint16, minor int64) {
	s.loadOf(tx, number(card), counter, minor)
}

func (s *scheme) loadOf(tx *store.Tx, n ids.CardNumber, counter uint16, minor int64) {
	lines, err := books.Move(books.Trust, books.Float, money.Minor(minor))
	require.NoError(s.t, err)
	id := fmt.Sprintf("load-%x-%d", n[:], counter)
	require.NoError(s.t, tx.Post(s.ctx, books.Entry{ID: id, Kind: "load", Day: "2026-11-24", Lines: lines}))
	require.NoError(s.t, tx.PutCardLoad(s.ctx, n, shadowaccount.Load{Counter: counter, Amount: money.Minor(minor), Loaded: true}, id))
}

// tap is one record in short.
type tap struct {
	terminal ids.TerminalID
	tap      uint64
	card     byte
	counter  uint16
	before   int64
	amount   int64
	state    wire.State    // 0: completed
	evidence wire.Evidence // 0: reply, if completed
	at       int64         // seconds after noon
	forged   bool          // its TAC does not verify
	change   func(*wire.Record)
}

// record gives a tap the next number of its terminal and makes its bytes.
func (s *scheme) record(p tap) []byte {
	s.seq[p.terminal]++
	if p.state == 0 {
		p.state = wire.State_STATE_COMPLETED
		if p.evidence == 0 {
			p.evidence = wire.Evidence_EVIDENCE_REPLY
		}
	}
	n := number(p.card)
	at, err := ep.DateTimeOf(noon.Add(time.Duration(p.at) * time.Second))
	require.NoError(s.t, err)
	sam := psam(p.terminal)
	r := &wire.Record{
		Version: 1, Terminal: string(p.terminal), Epoch: 7, Seq: s.seq[p.terminal], PrevHash: make([]byte, 32), Tap: p.tap,
		Kind: wire.Kind_KIND_PURCHASE, State: p.state, Evidence: p.evidence, Family: "ep",
		CardNumber: n[:], Issuer: issuer[:], KeyLevels: 2, KeyVersion: 1, TxnType: uint32(ep.TypePurchase), OfflineCounter: uint32(p.counter),
		Amount: p.amount, BalanceBefore: p.before, BalanceAfter: p.before - p.amount, PsamTerminal: sam[:], PsamSerial: uint32(p.tap),
		PurseTime: at[:], Merchant: "line1", TerminalTimeMs: noon.UnixMilli() + p.at*1000,
	}
	if p.change != nil {
		p.change(r)
	}
	if r.Evidence == wire.Evidence_EVIDENCE_REPLY || r.Evidence == wire.Evidence_EVIDENCE_PROVE {
		tac, err := s.hsm.TAC(s.ctx, keys.Card{ID: tacKey, Factors: ep.Public{Issuer: issuer, CardNumber: n}.Factors(2)},
			ep.PurchaseTAC(money.Minor(r.Amount), ep.Type(r.TxnType), ep.TerminalNumber(r.PsamTerminal), r.PsamSerial, ep.DateTime(r.PurseTime)))
		require.NoError(s.t, err)
		if p.forged {
			tac[0]++
		}
		r.Tac = tac[:]
	}
	raw, err := proto.Marshal(r)
	require.NoError(s.t, err)
	return raw
}

// accept hands the pipeline a batch of one terminal's records that begins with a number.
func (s *scheme) accept(terminal ids.TerminalID, first uint64, records ...[]byte) (uplink.Committed, error) {
	a := uplink.Accepted{Terminal: terminal, Epoch: 7, FirstSeq: first, LastSeq: first + uint64(len(records)) - 1, Records: records, ReceivedAt: s.clock.Now()}
	a.Envelope = fmt.Append(nil, terminal, first, records)
	return s.pipe.Accept(s.ctx, a)
}

// send accepts records one terminal made just now.
func (s *scheme) send(terminal ids.TerminalID, taps ...tap) uplink.Committed {
	first := s.seq[terminal] + 1
	var records [][]byte
	for _, p := range taps {
		p.terminal = terminal
		records = append(records, s.record(p))
	}
	c, err := s.accept(terminal, first, records...)
	require.NoError(s.t, err)
	return c
}

// drain steps until all is posted.
func (s *scheme) drain() {
	for range 100 {
		n, err := s.pipe.Step(s.ctx)
		require.NoError(s.t, err)
		if n == 0 {
			return
		}
	}
	require.Fail(s.t, "the pipeline does not come to rest")
}

// proveBooks recomputes everything.
func (s *scheme) proveBooks() {
	s.view(func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(s.ctx)
		require.NoError(s.t, err)
		require.Empty(s.t, faults)
		return nil
	})
}

// balances are all accounts that are not zero.
func (s *scheme) balances() map[string]string {
	out := map[string]string{}
	s.view(func(tx *store.Tx) error {
		all, err := tx.TrialBalance(s.ctx)
		require.NoError(s.t, err)
		for _, b := range all {
			if !b.Amount.IsZero() {
				out[string(b.Account)] = b.Amount.String()
			}
		}
		return nil
	})
	return out
}

func (s *scheme) card(card byte) store.Card { return s.cardOf(number(card)) }

func (s *scheme) cardOf(n ids.CardNumber) store.Card {
	var c store.Card
	s.view(func(tx *store.Tx) error {
		var err error
		c, err = tx.CardByNumber(s.ctx, n)
		require.NoError(s.t, err)
		return nil
	})
	return c
}

// statuses are what the claims of a card are worth, by terminal, tap and counter.
func (s *scheme) statuses(card byte) map[string]string { return s.statusesOf(number(card)) }

func (s *scheme) statusesOf(n ids.CardNumber) map[string]string {
	out := map[string]string{}
	s.view(func(tx *store.Tx) error {
		taps, err := tx.CardTaps(s.ctx, n)
		require.NoError(s.t, err)
		for _, p := range taps {
			out[fmt.Sprintf("%s/%d@%d", p.Tap.Terminal, p.Tap.Tap, p.Counter)] = p.Status.String()
		}
		return nil
	})
	return out
}

// codes are the findings about all cards, as code@counter.
func (s *scheme) codes() []string {
	out := []string{}
	s.view(func(tx *store.Tx) error {
		all, err := tx.Findings(s.ctx, "", 1000)
		require.NoError(s.t, err)
		for _, f := range all {
			out = append(out, fmt.Sprintf("%s@%d", f.Code, f.Counter))
		}
		return nil
	})
	return out
}

func (s *scheme) label(terminal ids.TerminalID, seq uint64) string {
	var v store.Verdict
	s.view(func(tx *store.Tx) error {
		var err error
		v, err = tx.RecordVerdict(s.ctx, terminal, 7, seq)
		require.NoError(s.t, err)
		return nil
	})
	return string(v.Label) + "/" + v.Verdict
}
