package tcc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/tcc"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

var errDead = errors.New("the process died here")

// stand is a coordinator with its participants on a store of its own. The channel is a bank of ours: a balance of somebody else.
type stand struct {
	t     *testing.T
	store *store.Store
	clock *clock.Manual
	bank  *bank
	ended map[string]tcc.State
	runs  int

	at   int // points where the process can die, from the last start on
	dies int // at which one; 0: it lives
}

// point is one of those points.
func (s *stand) point() error {
	s.at++
	if s.dies > 0 && s.at >= s.dies {
		return errDead
	}
	return nil
}

// bank is a channel on the other side of a wire that breaks where the process dies.
type bank struct {
	*balance.Channel
	s        *stand
	reserves bool
	away     bool   // it does not answer
	forgets  bool   // it denies what it has promised
	refuses  bool   // it gives nothing back
	during   func() // what happens while a request is on its way
}

func (b *bank) Capabilities() channel.Capabilities {
	c := b.Channel.Capabilities()
	c.Authorise = b.reserves
	return c
}

func call[Q any](ctx context.Context, b *bank, q Q, do func(context.Context, Q) (channel.Result, error)) (channel.Result, error) {
	if b.away {
		return channel.Result{}, errors.New("no answer")
	}
	if err := b.s.point(); err != nil {
		return channel.Result{}, err
	}
	// What the bank does with its own store is not the process that dies.
	at, dies := b.s.at, b.s.dies
	b.s.dies = 0
	res, err := do(ctx, q)
	b.s.at, b.s.dies = at, dies
	if dead := b.s.point(); dead != nil {
		return channel.Result{}, dead
	}
	return res, err
}

func (b *bank) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	if b.during != nil {
		b.during()
	}
	return call(ctx, b, r, b.Channel.Pay)
}
func (b *bank) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	if b.forgets {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	return call(ctx, b, r, b.Channel.Query)
}
func (b *bank) Authorise(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	if b.during != nil {
		b.during()
	}
	return call(ctx, b, r, b.Channel.Authorise)
}
func (b *bank) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	if b.during != nil {
		b.during()
	}
	return call(ctx, b, r, b.Channel.Capture)
}
func (b *bank) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return call(ctx, b, r, b.Channel.Release)
}
func (b *bank) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	if b.during != nil {
		b.during()
	}
	if b.refuses {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO"}, nil
	}
	return call(ctx, b, r, b.Channel.Refund)
}

func newStand(t *testing.T) *stand {
	s := &stand{t: t, clock: clock.NewManual(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)), ended: map[string]tcc.State{}}
	var err error
	s.store, err = store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true, Fault: func(string) error { return s.point() }})
	require.NoError(t, err)
	t.Cleanup(func() { s.store.Close() })
	ch, err := balance.New(balance.Settings{Store: s.store, ID: "bank-inner", Currency: "CNY", Clock: s.clock})
	require.NoError(t, err)
	s.bank = &bank{Channel: ch, s: s, reserves: true}
	return s
}

func (s *stand) coordinator() *tcc.Coordinator {
	c, err := tcc.New(tcc.Settings{Store: s.store, Clock: s.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Participants: map[string]tcc.Participant{
		"balance": tcc.Balance{Store: s.store, Clock: s.clock, Location: time.UTC},
		"points":  tcc.Points{Store: s.store, Clock: s.clock},
		"card": tcc.Remote{Store: s.store, Channel: s.bank, ID: "card", Clock: s.clock, Location: time.UTC, OnTheWay: 30 * time.Second,
			Request: func(_ context.Context, l tcc.Leg) (channel.PayRequest, error) {
				return channel.PayRequest{Product: channel.Balance, Payer: channel.Payer{Account: l.Account}}, nil
			}},
	}, OnEnd: func(_ context.Context, _ *store.Tx, st tcc.Status) error { s.ended[st.XID] = st.State; return nil }})
	require.NoError(s.t, err)
	return c
}

// payer has 100.00 of everything, in holders of his own for each run: ann pays, her bank has the card's money, the shop gets it.
type payer struct{ ann, card, shop, xid string }

func (s *stand) payer() payer {
	s.t.Helper()
	s.runs++
	p := payer{ann: fmt.Sprint("ann", s.runs), card: fmt.Sprint("card", s.runs), shop: fmt.Sprintf("merchant:online.shop%d:pending", s.runs), xid: fmt.Sprintf("X%019d", s.runs)}
	dies := s.dies
	s.dies = 0
	require.NoError(s.t, s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		return errors.Join(balance.TopUp(s.t.Context(), tx, p.ann, p.ann, "2026-03-02", "", books.Funding, money.Minor(100_00)),
			balance.TopUp(s.t.Context(), tx, p.card, p.card, "2026-03-02", "", books.Funding, money.Minor(100_00)),
			tx.MovePoints(s.t.Context(), "issue:"+p.ann, "", p.ann, "PTS", money.Minor(1000), "", s.clock.Now()))
	}))
	s.dies = dies
	return p
}

// payment is of the balance, of points worth a tenth of their number, and of the card.
func (s *stand) payment(p payer, fromBalance, points, card int64) tcc.Payment {
	out := tcc.Payment{XID: p.xid, Until: s.clock.Now().Add(5 * time.Minute)}
	if fromBalance > 0 {
		out.Legs = append(out.Legs, tcc.Leg{Participant: "balance", Account: p.ann, Money: channel.Money{Amount: money.Minor(fromBalance), Currency: "CNY"}, Payee: p.shop})
	}
	if points > 0 {
		out.Legs = append(out.Legs, tcc.Leg{Participant: "points", Account: p.ann, Money: channel.Money{Amount: money.Minor(points), Currency: "PTS"}, Worth: money.Minor(points * 10), Payee: p.shop})
	}
	if card > 0 {
		out.Legs = append(out.Legs, tcc.Leg{Participant: "card", Account: p.card, Money: channel.Money{Amount: money.Minor(card), Currency: "CNY"}, Payee: p.shop})
	}
	return out
}

// has is what everybody has: balance, held of it, points, held of them, card, held of it, what the shop is owed and its points.
type has struct{ balance, balanceHeld, points, pointsHeld, card, cardHeld, shop, shopPoints int64 }

func (s *stand) has(p payer) (h has) {
	s.t.Helper()
	require.NoError(s.t, s.store.View(s.t.Context(), func(tx *store.Tx) error {
		ctx := s.t.Context()
		a, ah, err1 := balance.Has(ctx, tx, p.ann)
		c, ch, err2 := balance.Has(ctx, tx, p.card)
		pts, ph, err3 := tx.Points(ctx, p.ann, "PTS")
		shop, err4 := tx.Balance(ctx, books.Account(p.shop))
		sp, _, err5 := tx.Points(ctx, p.shop, "PTS")
		h = has{a.Minor(), ah.Minor(), pts.Minor(), ph.Minor(), c.Minor(), ch.Minor(), -shop.Minor(), sp.Minor()}
		return errors.Join(err1, err2, err3, err4, err5)
	}))
	return h
}

var untouched = has{balance: 100_00, points: 1000, card: 100_00}

// finish is another process that carries on what the dead one has left.
func (s *stand) finish(xid string) tcc.Status {
	s.t.Helper()
	s.dies = 0
	c := s.coordinator()
	for range 40 {
		require.NoError(s.t, c.Sweep(s.t.Context(), 100))
		st, err := c.Status(s.t.Context(), xid)
		require.NoError(s.t, err)
		if st.State.Final() {
			return st
		}
		s.clock.Advance(20 * time.Second)
	}
	require.Fail(s.t, "it has not ended")
	return tcc.Status{}
}

// proved: the books sum to nothing, points are what their entries say, and the card's channel owes what it took.
func (s *stand) proved() {
	s.t.Helper()
	require.NoError(s.t, s.store.View(s.t.Context(), func(tx *store.Tx) error {
		bad, err := tx.VerifyPoints(s.t.Context())
		require.Empty(s.t, bad)
		ours, err1 := tx.Balance(s.t.Context(), books.Channel("card"))
		theirs, err2 := tx.Balance(s.t.Context(), books.Channel("bank-inner"))
		trust, err3 := tx.Balance(s.t.Context(), books.Trust)
		require.Equal(s.t, ours.Minor(), -theirs.Minor(), "what the card's channel owes us is what it took")
		require.Zero(s.t, trust.Minor())
		return errors.Join(err, err1, err2, err3)
	}))
}

func TestAllThreePay(t *testing.T) {
	s := newStand(t)
	for _, reserves := range []bool{true, false} {
		s.bank.reserves = reserves
		p := s.payer()
		for range 2 {
			st, err := s.coordinator().Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
			require.NoError(t, err)
			require.Equal(t, tcc.Paid, st.State)
		}
		require.Equal(t, has{balance: 70_00, points: 500, card: 80_00, shop: 50_00, shopPoints: 500}, s.has(p))
		require.Equal(t, tcc.Paid, s.ended[p.xid])
		s.proved()

		other := s.payment(p, 30_01, 500, 20_00)
		_, err := s.coordinator().Pay(t.Context(), other)
		require.ErrorIs(t, err, books.ErrConflict)
	}
}

// TestOneFailsAndAllAreCancelled: whichever it is, everybody has what he had.
func TestOneFailsAndAllAreCancelled(t *testing.T) {
	s := newStand(t)
	for name, amounts := range map[string][3]int64{"first": {100_01, 500, 20_00}, "middle": {30_00, 1001, 20_00}, "last": {30_00, 500, 100_01}} {
		for _, reserves := range []bool{true, false} {
			s.bank.reserves = reserves
			p := s.payer()
			st, err := s.coordinator().Pay(t.Context(), s.payment(p, amounts[0], amounts[1], amounts[2]))
			require.NoError(t, err, name)
			if !st.State.Final() {
				st = s.finish(p.xid) // a channel that was never called does not know it, and that is not believed at once
			}
			require.Equal(t, tcc.CalledOff, st.State, name)
			require.NotEmpty(t, st.Why)
			require.Equal(t, untouched, s.has(p), name)
			s.proved()
		}
	}
}

// TestDeathAnywhere lets the process die at each commit and each call of the channel, before it and after it.
func TestDeathAnywhere(t *testing.T) {
	for name, c := range map[string]struct {
		balance, points, card int64
		reserves              bool
	}{
		"reserved":             {30_00, 500, 20_00, true},
		"paid and refunded":    {30_00, 500, 20_00, false},
		"points are missing":   {30_00, 1001, 20_00, true},
		"card refuses":         {30_00, 500, 100_01, true},
		"card refuses to pay":  {30_00, 500, 100_01, false},
		"card alone":           {0, 0, 20_00, true},
		"balance alone":        {20_00, 0, 0, true},
		"points alone, enough": {0, 300, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.bank.reserves = c.reserves
			enough := c.balance <= 100_00 && c.points <= 1000 && c.card <= 100_00
			paid := has{balance: 100_00 - c.balance, points: 1000 - c.points, card: 100_00 - c.card, shop: c.balance + c.card, shopPoints: c.points}
			for die := 1; ; die++ {
				p := s.payer()
				s.at, s.dies = 0, die
				_, err := s.coordinator().Pay(t.Context(), s.payment(p, c.balance, c.points, c.card))
				lived := s.at < die
				s.dies = 0
				if _, errStatus := s.coordinator().Status(t.Context(), p.xid); errors.Is(errStatus, store.ErrNotFound) {
					require.ErrorIs(t, err, errDead)
					require.Equal(t, untouched, s.has(p), "it died before anything was asked for")
					continue
				}
				st := s.finish(p.xid)
				if st.State == tcc.Paid {
					require.True(t, enough)
					require.Equal(t, paid, s.has(p), "died at %d", die)
				} else {
					require.Equal(t, untouched, s.has(p), "died at %d", die)
				}
				require.Equal(t, st.State, s.ended[p.xid])
				s.proved()
				if lived {
					require.NoError(t, err)
					require.Equal(t, enough, st.State == tcc.Paid)
					require.Greater(t, die, 8, "it has more points to die at")
					return
				}
			}
		})
	}
}

// TestAnAwayChannelIsNotPaidLater: the time is up while nobody knows; when the channel is back, nothing of it stands.
func TestAnAwayChannelIsNotPaidLater(t *testing.T) {
	s := newStand(t)
	for _, reserves := range []bool{true, false} {
		s.bank.reserves = reserves
		p := s.payer()
		c := s.coordinator()
		s.bank.away = true
		st, err := c.Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
		require.NoError(t, err)
		require.Equal(t, tcc.Reserving, st.State)
		require.Equal(t, has{balance: 70_00, balanceHeld: 30_00, points: 1000, pointsHeld: 500, card: 100_00}, s.has(p))
		s.clock.Advance(5 * time.Minute)
		require.NoError(t, c.Sweep(t.Context(), 10))
		st, err = c.Status(t.Context(), p.xid)
		require.NoError(t, err)
		require.Equal(t, tcc.GivingUp, st.State)
		require.Equal(t, untouched, s.has(p), "what is held here need not wait for the channel")
		s.bank.away = false
		require.Equal(t, tcc.CalledOff, s.finish(p.xid).State)
		require.Equal(t, untouched, s.has(p))
		s.proved()
	}
}

// TestTheTimeIsNotSleptOver: however far apart it is looked at, the last look is when its time is up.
func TestTheTimeIsNotSleptOver(t *testing.T) {
	s := newStand(t)
	p := s.payer()
	c := s.coordinator()
	s.bank.away = true
	_, err := c.Pay(t.Context(), s.payment(p, 30_00, 0, 20_00))
	require.NoError(t, err)
	for range 300 {
		s.clock.Advance(time.Second)
		require.NoError(t, c.Sweep(t.Context(), 10))
	}
	st, err := c.Status(t.Context(), p.xid)
	require.NoError(t, err)
	require.Equal(t, tcc.GivingUp, st.State)
}

// TestAChannelThatDeniesItsPromise: it took the money and does not know it any more. That is not the end of it.
func TestAChannelThatDeniesItsPromise(t *testing.T) {
	s := newStand(t)
	s.bank.reserves = false
	p := s.payer()
	pay := s.payment(p, 0, 0, 20_00)
	pay.Legs = append(pay.Legs, s.payment(p, 100_01, 0, 0).Legs...)
	s.bank.forgets = true
	st, err := s.coordinator().Pay(t.Context(), pay)
	require.NoError(t, err)
	require.Equal(t, tcc.GivingUp, st.State)
	for range 40 {
		s.clock.Advance(time.Minute)
		require.NoError(t, s.coordinator().Sweep(t.Context(), 10))
	}
	st, err = s.coordinator().Status(t.Context(), p.xid)
	require.NoError(t, err)
	require.Equal(t, tcc.GivingUp, st.State)
	s.bank.forgets = false
	require.Equal(t, tcc.CalledOff, s.finish(p.xid).State)
	require.Equal(t, untouched, s.has(p))
}

// TestCancelledWhileTheRequestIsOut: another worker cancels it, and then the request arrives.
func TestCancelledWhileTheRequestIsOut(t *testing.T) {
	s := newStand(t)
	s.bank.reserves = false
	p := s.payer()
	c := s.coordinator()
	s.bank.during = func() {
		s.bank.during = nil
		st, err := c.CallOff(t.Context(), p.xid, "the payer has left")
		require.NoError(t, err)
		require.Equal(t, tcc.GivingUp, st.State, "a channel that does not know it yet proves nothing")
	}
	st, err := c.Pay(t.Context(), s.payment(p, 30_00, 0, 20_00))
	require.NoError(t, err)
	require.Equal(t, tcc.CalledOff, st.State, "now it knows it, and has given it back")
	require.Equal(t, untouched, s.has(p))
	s.proved()
}

// TestASweepLeavesACallItsTime: a sweep in the midst of each step asks the channel for nothing, and what was asked for ends in the call that asked.
func TestASweepLeavesACallItsTime(t *testing.T) {
	s := newStand(t)
	for _, reserves := range []bool{true, false} {
		s.bank.reserves = reserves
		p := s.payer()
		c := s.coordinator()
		asked, sweeps := 0, false
		s.bank.during = func() {
			asked++
			require.False(t, sweeps, "the sweep asks, too")
			sweeps = true
			require.NoError(t, s.coordinator().Sweep(t.Context(), 10))
			sweeps = false
		}
		st, err := c.Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
		require.NoError(t, err)
		require.Equal(t, tcc.Paid, st.State)
		parts, err := c.Refund(t.Context(), p.xid, "B"+p.xid, money.Minor(100_00), tcc.ByOrder)
		require.NoError(t, err)
		for _, part := range parts {
			require.Equal(t, tcc.RefundDone, part.State)
		}
		require.Equal(t, untouched, s.has(p))
		require.Equal(t, map[bool]int{true: 3, false: 2}[reserves], asked)
		s.bank.during = nil
	}
}

// TestASuccessAfterTheEnd: a request arrives after it was given up for lost, and what it did is undone.
func TestASuccessAfterTheEnd(t *testing.T) {
	s := newStand(t)
	for name, heard := range map[string]bool{"by the answer": false, "by a notification": true} {
		for _, reserves := range []bool{true, false} {
			s.bank.reserves = reserves
			p := s.payer()
			c := s.coordinator()
			s.bank.during = func() {
				s.bank.during = nil
				_, err := c.CallOff(t.Context(), p.xid, "the payer has left")
				require.NoError(t, err)
				require.Equal(t, tcc.CalledOff, s.finish(p.xid).State)
				if heard {
					s.dies = s.at + 3 // after the bank has done it
				}
			}
			st, err := c.Pay(t.Context(), s.payment(p, 30_00, 0, 20_00))
			if !heard {
				require.NoError(t, err)
				require.Equal(t, tcc.CalledOff, st.State)
			}
			s.dies = 0
			require.NotEqual(t, untouched, s.has(p), "the bank has done it")
			if heard {
				require.NoError(t, c.Sweep(t.Context(), 10))
				require.NotEqual(t, untouched, s.has(p), "nobody knows")
				for range 2 {
					require.NoError(t, c.Late(t.Context(), p.xid+"02P"))
				}
			}
			s.bank.away = true
			require.NoError(t, c.Sweep(t.Context(), 10))
			s.bank.away = false
			require.NoError(t, c.Sweep(t.Context(), 10))
			require.Equal(t, untouched, s.has(p), name)
			s.proved()
		}
	}
	p := s.payer()
	c := s.coordinator()
	_, err := c.Pay(t.Context(), s.payment(p, 30_00, 0, 20_00))
	require.NoError(t, err)
	before := s.has(p)
	require.NoError(t, c.Late(t.Context(), p.xid+"02P"), "of a payment that was made it is no news")
	require.NoError(t, c.Sweep(t.Context(), 10))
	require.Equal(t, before, s.has(p))
	require.ErrorIs(t, c.Late(t.Context(), "20260302000000000001"), store.ErrNotFound)
}

func TestCalledOffInTimeOrNot(t *testing.T) {
	s := newStand(t)
	p := s.payer()
	c := s.coordinator()
	s.bank.away = true
	_, err := c.Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
	require.NoError(t, err)
	s.bank.away = false
	st, err := c.CallOff(t.Context(), p.xid, "the payer has left")
	require.NoError(t, err)
	require.Equal(t, tcc.GivingUp, st.State)
	st = s.finish(p.xid)
	require.Equal(t, "the payer has left", st.Why)
	require.Equal(t, untouched, s.has(p))

	p = s.payer()
	_, err = c.Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
	require.NoError(t, err)
	st, err = c.CallOff(t.Context(), p.xid, "too late")
	require.NoError(t, err)
	require.Equal(t, tcc.Paid, st.State)
}

// TestMessagesOutOfOrder speaks to each participant as a bad network would.
func TestMessagesOutOfOrder(t *testing.T) {
	s := newStand(t)
	ps := map[string]tcc.Participant{"balance": tcc.Balance{Store: s.store, Clock: s.clock, Location: time.UTC}, "points": tcc.Points{Store: s.store, Clock: s.clock}}
	ps["card"] = tcc.Remote{Store: s.store, Channel: s.bank, ID: "card", Clock: s.clock, Location: time.UTC,
		Request: func(_ context.Context, l tcc.Leg) (channel.PayRequest, error) {
			return channel.PayRequest{Payer: channel.Payer{Account: l.Account}}, nil
		}}
	for name, part := range ps {
		t.Run(name, func(t *testing.T) {
			leg := func(p payer) tcc.Leg {
				pay := s.payment(p, 10_00, 100, 10_00)
				for i, l := range pay.Legs {
					if l.Participant == name {
						l.XID, l.N, l.Until = p.xid, i+1, pay.Until
						return l
					}
				}
				return tcc.Leg{}
			}
			ctx := t.Context()
			p := s.payer()
			l := leg(p)
			for range 2 { // empty roll-back, and again
				a, err := part.Cancel(ctx, l)
				require.NoError(t, err)
				require.Equal(t, tcc.Done, a.Word)
			}
			a, err := part.Try(ctx, l) // suspension
			require.NoError(t, err)
			require.Equal(t, tcc.No, a.Word)
			_, err = part.Confirm(ctx, l)
			require.ErrorIs(t, err, tcc.ErrAbsurd)
			require.Equal(t, untouched, s.has(p))

			p = s.payer()
			l = leg(p)
			_, err = part.Confirm(ctx, l)
			require.ErrorIs(t, err, tcc.ErrAbsurd)
			for range 2 {
				a, err = part.Try(ctx, l)
				require.NoError(t, err)
				require.Equal(t, tcc.Done, a.Word)
			}
			for range 2 {
				a, err = part.Confirm(ctx, l)
				require.NoError(t, err)
				require.Equal(t, tcc.Done, a.Word)
			}
			before := s.has(p)
			_, err = part.Cancel(ctx, l)
			require.ErrorIs(t, err, tcc.ErrAbsurd)
			_, err = part.Try(ctx, l)
			require.NoError(t, err)
			require.Equal(t, before, s.has(p))
			l.Money.Amount = money.Minor(1)
			_, err = part.Try(ctx, l)
			require.ErrorIs(t, err, books.ErrConflict)
		})
	}
}

func TestRefundsGoBackToTheirInstruments(t *testing.T) {
	s := newStand(t)
	c := s.coordinator()
	for _, rule := range []tcc.Rule{tcc.ByOrder, tcc.ProRata} {
		p := s.payer()
		st, err := c.Pay(t.Context(), s.payment(p, 100_00, 0, 100_00))
		require.NoError(t, err)
		require.Equal(t, tcc.Paid, st.State)
		number := "R" + p.xid
		for range 2 {
			parts, err := c.Refund(t.Context(), p.xid, number+"1", money.Minor(150_00), rule)
			require.NoError(t, err)
			require.Len(t, parts, 2)
			require.Equal(t, tcc.RefundDone, parts[0].State)
		}
		want := has{balance: 100_00, points: 1000, card: 50_00, shop: 50_00}
		if rule == tcc.ProRata {
			want.balance, want.card = 75_00, 75_00
		}
		require.Equal(t, want, s.has(p))
		_, err = c.Refund(t.Context(), p.xid, number+"1", money.Minor(140_00), rule)
		require.ErrorIs(t, err, books.ErrConflict)
		_, err = c.Refund(t.Context(), p.xid, number+"2", money.Minor(50_01), rule)
		require.ErrorIs(t, err, tcc.ErrTooMuch)

		s.bank.away = true
		parts, err := c.Refund(t.Context(), p.xid, number+"3", money.Minor(50_00), rule)
		require.NoError(t, err)
		require.Equal(t, tcc.RefundOrdered, parts[len(parts)-1].State)
		_, err = c.Refund(t.Context(), p.xid, number+"4", money.Minor(1), rule)
		require.ErrorIs(t, err, tcc.ErrTooMuch, "what is ordered is as good as gone")
		s.bank.away = false
		s.clock.Advance(24 * time.Hour) // the next day: what stands in the books already stands on the day before
		require.NoError(t, c.Sweep(t.Context(), 10))
		require.Equal(t, untouched, s.has(p))
		s.proved()
	}
}

// TestARefusedRefundCanBeOrderedAgain: under another number, and for no more than is left.
func TestARefusedRefundCanBeOrderedAgain(t *testing.T) {
	s := newStand(t)
	c := s.coordinator()
	p := s.payer()
	_, err := c.Pay(t.Context(), s.payment(p, 0, 0, 20_00))
	require.NoError(t, err)
	s.bank.refuses = true
	parts, err := c.Refund(t.Context(), p.xid, "R1"+p.xid, money.Minor(20_00), tcc.ByOrder)
	require.NoError(t, err)
	require.Equal(t, tcc.RefundFailed, parts[0].State)
	s.bank.refuses = false
	parts, err = c.Refund(t.Context(), p.xid, "R2"+p.xid, money.Minor(20_00), tcc.ByOrder)
	require.NoError(t, err)
	require.Equal(t, tcc.RefundDone, parts[0].State)
	require.Equal(t, untouched, s.has(p))
	s.proved()
}

// TestDeathInARefund: at each point, and the next process comes on the next day.
func TestDeathInARefund(t *testing.T) {
	s := newStand(t)
	for die := 1; ; die++ {
		p := s.payer()
		_, err := s.coordinator().Pay(t.Context(), s.payment(p, 30_00, 500, 20_00))
		require.NoError(t, err)
		s.at, s.dies = 0, die
		refund := func() error {
			_, err := s.coordinator().Refund(t.Context(), p.xid, "R"+p.xid, money.Minor(100_00), tcc.ProRata)
			return err
		}
		err = refund()
		lived := s.at < die
		s.dies = 0
		s.clock.Advance(24 * time.Hour)
		require.NoError(t, s.coordinator().Sweep(t.Context(), 10))
		require.NoError(t, refund(), "who does not know asks again")
		parts, err2 := s.coordinator().Refund(t.Context(), p.xid, "R"+p.xid, money.Minor(100_00), tcc.ProRata)
		require.NoError(t, err2)
		for _, part := range parts {
			require.Equal(t, tcc.RefundDone, part.State, "died at %d", die)
		}
		require.Equal(t, untouched, s.has(p), "died at %d", die)
		s.proved()
		if lived {
			require.NoError(t, err)
			require.Greater(t, die, 8)
			return
		}
	}
}

// TestPointsAreNoMoney: a payment with points alone leaves the books as they are.
func TestPointsAreNoMoney(t *testing.T) {
	s := newStand(t)
	p := s.payer()
	trial := func() (all []books.Balance) {
		require.NoError(t, s.store.View(t.Context(), func(tx *store.Tx) (err error) {
			all, err = tx.TrialBalance(t.Context())
			return err
		}))
		return all
	}
	before := trial()
	c := s.coordinator()
	st, err := c.Pay(t.Context(), s.payment(p, 0, 300, 0))
	require.NoError(t, err)
	require.Equal(t, tcc.Paid, st.State)
	parts, err := c.Refund(t.Context(), p.xid, "R"+p.xid, money.Minor(5), tcc.ByOrder)
	require.NoError(t, err)
	require.Len(t, parts, 1)
	require.Equal(t, before, trial())
	require.Equal(t, has{balance: 100_00, card: 100_00, points: 701, shopPoints: 299}, s.has(p), "half a point is rounded up")
}

func TestWhatIsNoPayment(t *testing.T) {
	s := newStand(t)
	c := s.coordinator()
	p := s.payer()
	for name, change := range map[string]func(*tcc.Payment){
		"short number":   func(q *tcc.Payment) { q.XID = "1" },
		"no legs":        func(q *tcc.Payment) { q.Legs = nil },
		"nobody":         func(q *tcc.Payment) { q.Legs[0].Participant = "cash" },
		"nothing":        func(q *tcc.Payment) { q.Legs[0].Money.Amount = money.Amount{} },
		"no payee":       func(q *tcc.Payment) { q.Legs[0].Payee = "" },
		"time is up":     func(q *tcc.Payment) { q.Until = s.clock.Now() },
		"other letters":  func(q *tcc.Payment) { q.XID = "X-000000000000000001" },
		"too many parts": func(q *tcc.Payment) { q.Legs = make([]tcc.Leg, 10) },
	} {
		q := s.payment(p, 1, 1, 1)
		change(&q)
		_, err := c.Pay(t.Context(), q)
		require.Error(t, err, name)
	}
	require.Equal(t, untouched, s.has(p))
	_, err := c.Refund(t.Context(), p.xid, "R"+p.xid, money.Minor(5), tcc.ByOrder)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = tcc.New(tcc.Settings{})
	require.Error(t, err)
}
