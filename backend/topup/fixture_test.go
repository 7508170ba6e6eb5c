package topup_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {0: 0x11, 15: 0x1F},
		{Purpose: keys.Load, Version: 1}:     {0: 0x21, 15: 0x2F},
		{Purpose: keys.TAC, Version: 1}:      {0: 0x31, 15: 0x3F},
	}
	issuer = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	kiosk  = ep.TerminalNumber{5: 7}
)

const (
	bus, metro = ids.AcquirerID("bus"), ids.AcquirerID("metro")
	maxAmount  = 500_00
	maxBalance = 1000_00
)

func number(n byte) ids.CardNumber { return ids.CardNumber{0: 0x31, 1: 0x04, 9: n} }

func token(n byte) string { return store.Token([]byte("a key for tokens"), number(n)) }

// errDied is what a call returns when the backend died in it.
var errDied = errors.New("the backend died")

// desk is a service over a real store, with agents bus and metro and the cards 1 and 2.
type desk struct {
	t     require.TestingT
	ctx   context.Context
	path  string
	store *store.Store
	topup *topup.Service
	clock *clock.Manual
	hsm   *hsm
	ec    ec.Issuer                // of electronic cash cards, nil for none
	fault func(point string) error // at each commit
	cards map[byte]*epcard.Card
}

// hsm is the soft one, which can fail.
type hsm struct {
	*keys.Soft
	err error
}

func (h *hsm) SessionMAC(ctx context.Context, c keys.Card, session [8]byte, message []byte) ([4]byte, error) {
	if h.err != nil {
		return [4]byte{}, h.err
	}
	return h.Soft.SessionMAC(ctx, c, session, message)
}

func (h *hsm) TAC(ctx context.Context, c keys.Card, message []byte) ([4]byte, error) {
	if h.err != nil {
		return [4]byte{}, h.err
	}
	return h.Soft.TAC(ctx, c, message)
}

var (
	made     sync.Once
	template string
)

func newDesk(t require.TestingT, dir string) *desk {
	d := &desk{t: t, ctx: context.Background(), path: filepath.Join(dir, "scheme.db"), clock: clock.NewManual(noon),
		hsm: &hsm{Soft: keys.NewSoft(masters)}, cards: map[byte]*epcard.Card{}}
	made.Do(func() { // to make the schema takes longer than most tests do
		template = filepath.Join(dir, "template.db")
		s, err := store.Open(d.ctx, emptystore.At(t, template), store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, s.Update(d.ctx, func(tx *store.Tx) error {
			for _, a := range []ids.AcquirerID{bus, metro} {
				require.NoError(t, tx.PutAcquirer(d.ctx, store.Acquirer{ID: a}))
			}
			for n := byte(1); n <= 2; n++ {
				require.NoError(t, tx.IssueCard(d.ctx, store.Card{Number: number(n), Token: token(n), Issuer: issuer, Levels: 2}))
			}
			return nil
		}))
		require.NoError(t, s.Close())
	})
	pgtest.Copy(t, template, d.path)
	d.open()
	for n := byte(1); n <= 2; n++ {
		img, err := personalise.Card(masters, personalise.CardSpec{Number: number(n), Issuer: issuer})
		require.NoError(t, err)
		d.cards[n], err = epcard.New(img, rand.Reader)
		require.NoError(t, err)
	}
	return d
}

// start is newDesk for a test of its own.
func start(t *testing.T) *desk {
	d := newDesk(t, t.TempDir())
	t.Cleanup(func() { d.store.Close() })
	return d
}

// open opens store and service, as a backend does that has just started.
func (d *desk) open() {
	var err error
	d.store, err = store.Open(d.ctx, emptystore.At(d.t, d.path), store.Options{NoSync: true, Fault: func(point string) error {
		if d.fault == nil {
			return nil
		}
		return d.fault(point)
	}})
	require.NoError(d.t, err)
	d.topup, err = topup.New(d.store, d.hsm, d.clock, d.config())
	require.NoError(d.t, err)
}

func (d *desk) config() topup.Config {
	return topup.Config{MaxAmount: money.Minor(maxAmount), MaxBalance: money.Minor(maxBalance), EC: d.ec, ECLogRecords: 10, Log: slog.New(slog.DiscardHandler)}
}

// restart is a backend that died and came up again.
func (d *desk) restart() {
	require.NoError(d.t, d.store.Close())
	d.open()
}

func (d *desk) update(f func(*store.Tx) error) { require.NoError(d.t, d.store.Update(d.ctx, f)) }

func (d *desk) view(f func(*store.Tx) error) { require.NoError(d.t, d.store.View(d.ctx, f)) }

// order books a load of an agent's.
func (d *desk) order(agent ids.AcquirerID, key string, minor int64) string {
	o, err := d.topup.CreateOrder(d.ctx, agent, topup.CreateOrder{IdempotencyKey: key, Amount: money.Minor(minor)})
	require.NoError(d.t, err)
	return o.ID
}

// field is one presentation of a card.
type field struct {
	d      *desk
	t      *epcard.Field
	card   *ep.Card
	public ep.Public
}

func (d *desk) present(n byte) *field {
	f := &field{d: d, t: epcard.Present(d.cards[n], epcard.Tear{})}
	var err error
	f.card, _, err = ep.Select(d.ctx, f.t, ep.AIDTUnion)
	require.NoError(d.t, err)
	f.public, err = f.card.ReadPublic(d.ctx)
	require.NoError(d.t, err)
	return f
}

// init asks the card for its INITIALIZE FOR LOAD answer.
func (f *field) init(minor int64, terminal ep.TerminalNumber) topup.CardInit {
	a, err := f.card.InitLoad(f.d.ctx, 1, money.Minor(minor), terminal)
	require.NoError(f.d.t, err)
	return topup.CardInit{Card: f.public.CardNumber, Issuer: f.public.Issuer, Levels: 2, Version: a.Version, Algorithm: a.Algorithm,
		Balance: a.Balance, Counter: a.Counter, Random: a.Random, MAC1: a.MAC1, Amount: money.Minor(minor), Terminal: terminal}
}

// credit sends CREDIT FOR LOAD.
func (f *field) credit(a topup.Authorisation) ep.MAC {
	tac, err := f.card.CreditLoad(f.d.ctx, a.DateTime, a.MAC2)
	require.NoError(f.d.t, err)
	return tac
}

// prove is the TAC half of GET TRANSACTION PROVE for the load that made the online counter what it is.
func (f *field) prove(counter uint16) ep.MAC {
	p, err := f.card.Prove(f.d.ctx, ep.TypeLoad, counter)
	require.NoError(f.d.t, err)
	return p.TAC
}

func (d *desk) authorise(agent ids.AcquirerID, id string, c topup.CardInit) topup.Authorisation {
	a, err := d.topup.Authorise(d.ctx, agent, id, c)
	require.NoError(d.t, err)
	return a
}

// load sells a load of the bus's and brings it onto card 1.
func (d *desk) load(key string, minor int64) string {
	id := d.order(bus, key, minor)
	f := d.present(1)
	o, err := d.topup.Confirm(d.ctx, bus, id, f.credit(d.authorise(bus, id, f.init(minor, kiosk))))
	require.NoError(d.t, err)
	require.Equal(d.t, topup.Loaded, o.State)
	return id
}

func (d *desk) state(id string) topup.State {
	o, err := d.topup.Order(d.ctx, "", id)
	require.NoError(d.t, err)
	return o.State
}

func (d *desk) proof(id string) topup.Proof {
	o, err := d.topup.Order(d.ctx, "", id)
	require.NoError(d.t, err)
	return o.Proof
}

// shadow is the shadow balance of a card in minor units.
func (d *desk) shadow(n byte) int64 {
	var c store.Card
	d.view(func(tx *store.Tx) error {
		var err error
		c, err = tx.CardByNumber(d.ctx, number(n))
		return err
	})
	return c.Shadow.Minor()
}

// balance is what the card itself holds, in minor units.
func (d *desk) balance(n byte) int64 { return d.cards[n].Balance().Minor() }

// codes are the findings about orders.
func (d *desk) codes() []string {
	out := []string{}
	d.view(func(tx *store.Tx) error {
		all, err := tx.LoadFindings(d.ctx, "", 1000)
		for _, f := range all {
			out = append(out, f.Code)
		}
		return err
	})
	return out
}

// accounts are the balances that are not zero, after proving the books: every entry and the trial balance sum to zero, every
// balance follows from the journal, and the float is what the shadow accounts hold.
func (d *desk) accounts() map[string]string {
	out := map[string]string{}
	d.view(func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(d.ctx)
		require.NoError(d.t, err)
		require.Empty(d.t, faults)
		all, err := tx.TrialBalance(d.ctx)
		var total money.Amount
		for _, b := range all {
			total, err = total.Add(b.Amount)
			require.NoError(d.t, err)
			if !b.Amount.IsZero() {
				out[string(b.Account)] = b.Amount.String()
			}
		}
		require.True(d.t, total.IsZero())
		return err
	})
	return out
}

// books says where money of the bus's loads should be, in whole units; zero accounts are left out.
func booked(sold, funding, inProgress, float int64) map[string]string {
	out := map[string]string{}
	for name, units := range map[string]int64{"acquirer:bus:sold-loads": sold, "funding": -funding, "load-in-progress": -inProgress, "float": -float} {
		if units != 0 {
			out[name] = fmt.Sprintf("%d.00", units)
		}
	}
	return out
}

// debited posts a debit of card 1 whose TAC was good: what the intake does with a terminal's record.
func (d *desk) debited(counter uint32, before, amount int64) {
	d.update(func(tx *store.Tx) error {
		return tx.PostGroup(d.ctx, store.Group{Day: "2026-11-24", AtMS: d.clock.Now().UnixMilli(), Token: func(ids.CardNumber) string { return "stranger" }},
			[]store.Verified{record(counter, before, amount)})
	})
}

// record is a debit of card 1 whose TAC was good.
func record(counter uint32, before, amount int64) store.Verified {
	return store.Verified{
		Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: uint64(counter) + 1, Day: "2026-11-24", ReceivedMS: int64(counter)},
		Card:    number(1), Issuer: issuer, Levels: 2, Counter: counter, Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: uint64(counter) + 1}, Seq: uint64(counter) + 1, At: noon.UnixMilli() + int64(counter),
			Merchant: "line1", Amount: money.Minor(amount), Before: money.Minor(before), After: money.Minor(before - amount),
			Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood},
	}
}

var fifty = money.Minor(50_00)

// clone copies a card, memory and keys.
func clone(d *desk, c *epcard.Card) *epcard.Card {
	img := c.Image()
	out, err := epcard.New(img, rand.Reader)
	require.NoError(d.t, err)
	return out
}

func amount(minor int64) money.Amount { return money.Minor(minor) }
