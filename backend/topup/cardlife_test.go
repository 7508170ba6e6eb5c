package topup_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// life ends the lives of the desk's cards.
func (d *desk) life() *cardlife.Service {
	s, err := cardlife.New(d.store, d.clock, cardlife.Config{})
	require.NoError(d.t, err)
	return s
}

const day = 24 * time.Hour

// lost asks that the value of card 1 goes to card 2, at the bus's desk.
func lost() cardlife.Request {
	two := number(2)
	return cardlife.Request{Kind: cardlife.Transfer, Card: number(1), Target: &two, Agent: bus, Reason: "lost on line 7", By: "ann"}
}

func (d *desk) ask(l *cardlife.Service, r cardlife.Request) cardlife.Order {
	o, err := l.Request(d.ctx, r)
	require.NoError(d.t, err)
	return o
}

// settled approves an order, and lets it settle on the day it is due.
func (d *desk) settled(l *cardlife.Service, o cardlife.Order) cardlife.Order {
	_, err := l.Approve(d.ctx, o.ID, "bob")
	require.NoError(d.t, err)
	n, err := l.Sweep(d.ctx)
	require.NoError(d.t, err)
	require.Zero(d.t, n, "it is not due")
	d.clock.Advance(7 * day)
	n, err = l.Sweep(d.ctx)
	require.NoError(d.t, err)
	require.Equal(d.t, 1, n)
	return d.lifeOrder(l, o.ID)
}

func (d *desk) lifeOrder(l *cardlife.Service, id string) cardlife.Order {
	all, err := l.Orders(d.ctx, "", 100)
	require.NoError(d.t, err)
	for _, o := range all {
		if o.ID == id {
			return o
		}
	}
	require.Fail(d.t, "no order "+id)
	return cardlife.Order{}
}

func TestTheValueOfALostCardReachesTheNewOneOnce(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	d.debited(0, 50_00, 2_00)
	o := d.ask(l, lost())
	require.Equal(t, cardlife.Requested, o.State)
	require.Equal(t, o, d.ask(l, lost()), "told twice")

	// Whoever finds it cannot load it.
	_, err := d.topup.Authorise(d.ctx, bus, d.order(bus, "thief", 10_00), d.present(1).init(10_00, kiosk))
	require.ErrorIs(t, err, topup.ErrCardBlocked)

	_, err = l.Approve(d.ctx, o.ID, "Ann")
	require.ErrorIs(t, err, cardlife.ErrSamePerson)
	d.clock.Advance(30 * day)
	n, err := l.Sweep(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n, "nobody has approved it")

	d.debited(1, 48_00, 3_00) // of a bus that had no link
	o = d.settledNow(l, o)
	require.Equal(t, cardlife.Released, o.State)
	require.Equal(t, "45.00", o.Amount.String())
	require.Zero(t, d.shadow(1))
	require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "60.00", "funding": "-55.00", "merchant:line1:pending": "-5.00"}, d.accounts())

	f := d.present(2)
	got, err := d.topup.Confirm(d.ctx, bus, o.LoadOrder, f.credit(d.authorise(bus, o.LoadOrder, f.init(45_00, kiosk))))
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, got.State)
	require.EqualValues(t, 45_00, d.balance(2))
	require.EqualValues(t, 45_00, d.shadow(2))

	// A record that comes later still is owed to the merchant: the old card's shadow account says whose loss it is.
	d.debited(2, 45_00, 1_00)
	require.EqualValues(t, -1_00, d.shadow(1))
	require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "60.00", "funding": "-10.00", "float": "-44.00", "merchant:line1:pending": "-6.00"}, d.accounts())
	n, err = l.Sweep(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
}

// settledNow approves an order whose time has come, and sweeps.
func (d *desk) settledNow(l *cardlife.Service, o cardlife.Order) cardlife.Order {
	_, err := l.Approve(d.ctx, o.ID, "bob")
	require.NoError(d.t, err)
	n, err := l.Sweep(d.ctx)
	require.NoError(d.t, err)
	require.Equal(d.t, 1, n)
	return d.lifeOrder(l, o.ID)
}

func TestAReservedOrderIsForNoOtherCard(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	// Card 3 is the new one, card 2 somebody else's.
	three := ids.CardNumber{0: 0x31, 1: 0x04, 9: 3}
	d.update(func(tx *store.Tx) error {
		return tx.IssueCard(d.ctx, store.Card{Number: three, Token: "three", Issuer: issuer, Levels: 2})
	})
	r := lost()
	r.Target = &three
	o := d.settled(l, d.ask(l, r))
	_, err := d.topup.Authorise(d.ctx, bus, o.LoadOrder, d.present(2).init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOtherCard)
	require.Equal(t, topup.Paid, d.state(o.LoadOrder))
}

func TestACardGivenBackIsPaidOutInCash(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	o := d.settled(l, d.ask(l, cardlife.Request{Kind: cardlife.Cash, Card: number(1), Agent: metro, Reason: "moves away", By: "ann"}))
	require.Equal(t, cardlife.Released, o.State)
	_, err := d.topup.Authorise(d.ctx, metro, o.LoadOrder, d.present(2).init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOtherCard, "it is for no card")
	_, err = d.topup.Refund(d.ctx, bus, o.LoadOrder)
	require.ErrorIs(t, err, topup.ErrUnknownOrder, "of another desk")
	for range 2 {
		_, err = d.topup.Refund(d.ctx, metro, o.LoadOrder)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "50.00", "acquirer:metro:sold-loads": "-50.00"}, d.accounts(), "the desk that paid is owed")
}

// TestADeskPaysOutSoMuchADay: what would be more is noted nowhere and waits for another day; what was sold at the desk is given back all the same.
func TestADeskPaysOutSoMuchADay(t *testing.T) {
	d := start(t)
	l := d.life()
	cfg := d.config()
	cfg.MaxPaidOut = money.Minor(maxBalance - 1)
	_, err := topup.New(d.store, d.hsm, d.clock, cfg)
	require.ErrorContains(t, err, "MaxPaidOut")
	cfg.MaxPaidOut = money.Minor(maxBalance)
	cfg.Location = time.FixedZone("", 8*60*60)
	d.topup, err = topup.New(d.store, d.hsm, d.clock, cfg)
	require.NoError(t, err)
	d.load("k", 50_00)
	o := d.settled(l, d.ask(l, cardlife.Request{Kind: cardlife.Cash, Card: number(1), Agent: metro, Reason: "moves away", By: "ann"}))
	goodwill := func(agent ids.AcquirerID, id string, minor int64) string {
		at := d.clock.Now()
		d.update(func(tx *store.Tx) error {
			return tx.AddLoadOrder(d.ctx, store.LoadOrder{ID: id, Agent: agent, IdempotencyKey: store.LoadOfCase + id, Amount: money.Minor(minor), State: string(topup.Paid), Created: at, Changed: at})
		})
		return id
	}
	for range 2 { // told twice it counts once
		_, err = d.topup.Refund(d.ctx, metro, o.LoadOrder)
		require.NoError(t, err)
	}
	all := goodwill(metro, "all", maxBalance-50_00)
	more := goodwill(metro, "more", 1)
	_, err = d.topup.Refund(d.ctx, metro, all)
	require.NoError(t, err, "to the last cent")
	before := d.accounts()
	_, err = d.topup.Refund(d.ctx, metro, more)
	require.ErrorIs(t, err, topup.ErrMaxPaidOut)
	require.Equal(t, topup.Paid, d.state(more))
	require.Equal(t, before, d.accounts())
	_, err = d.topup.Refund(d.ctx, metro, d.order(metro, "sold here", 50_00))
	require.NoError(t, err, "its buyer had paid it here")
	_, err = d.topup.Refund(d.ctx, bus, goodwill(bus, "another's", maxBalance))
	require.NoError(t, err)
	local := d.clock.Now().In(cfg.Location)
	d.clock.Advance(time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, cfg.Location).Sub(local))
	_, err = d.topup.Refund(d.ctx, metro, more)
	require.NoError(t, err, "another day of the scheme's")
}

func TestValueThatNobodyAsksForIsWrittenOff(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	r := cardlife.Request{Kind: cardlife.Breakage, Card: number(1), Reason: "rules, 12.3", By: "ann"}
	_, err := l.Request(d.ctx, r)
	require.ErrorIs(t, err, cardlife.ErrNotIdle, "nothing was ever on it")
	d.load("k", 50_00)
	d.clock.Advance(3*365*day - time.Hour)
	_, err = l.Request(d.ctx, r)
	require.ErrorIs(t, err, cardlife.ErrNotIdle)
	d.clock.Advance(time.Hour)
	o := d.settled(l, d.ask(l, r))
	require.Equal(t, cardlife.WrittenOff, o.State)
	require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "50.00", "fee:breakage": "-50.00"}, d.accounts())
}

func TestALateRecordStopsAWriteOff(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	d.clock.Advance(3 * 365 * day)
	o := d.ask(l, cardlife.Request{Kind: cardlife.Breakage, Card: number(1), Reason: "rules, 12.3", By: "ann"})
	at := d.clock.Now().UnixMilli()
	d.update(func(tx *store.Tx) error {
		return tx.PostGroup(d.ctx, store.Group{Day: "2029-11-24", AtMS: at}, []store.Verified{debit(0, 50_00, 2_00, at)})
	})
	o = d.settled(l, o)
	require.Equal(t, cardlife.Cancelled, o.State)
	require.EqualValues(t, 48_00, d.shadow(1))
}

func TestValueWaitsForWhatIsOpen(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	d.debited(1, 48_00, 3_00) // the debit before it has not come
	o := d.ask(l, lost())
	_, err := l.Approve(d.ctx, o.ID, "bob")
	require.NoError(t, err)
	sweep := func(want int) {
		t.Helper()
		n, err := l.Sweep(d.ctx)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	d.clock.Advance(7 * day)
	sweep(0)
	d.clock.Advance(23*day - time.Second)
	sweep(0)
	d.clock.Advance(time.Second)
	sweep(1)
	require.Equal(t, "47.00", d.lifeOrder(l, o.ID).Amount.String(), "patience is over: what the shadow account says")

	d = newDesk(t, t.TempDir())
	l = d.life()
	d.load("k", 50_00)
	d.authorise(bus, d.order(bus, "open", 10_00), d.present(1).init(10_00, kiosk)) // and its answer never comes
	o = d.ask(l, lost())
	_, err = l.Approve(d.ctx, o.ID, "bob")
	require.NoError(t, err)
	d.clock.Advance(365 * day)
	sweep(0)
}

func TestACardWithNothingLeftEndsEmpty(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	require.Equal(t, cardlife.Empty, d.settled(l, d.ask(l, lost())).State)
	require.Empty(t, d.accounts())
}

func TestACancelledOrderMovesNothing(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	o := d.ask(l, lost())
	r := lost()
	r.By = "cid"
	_, err := l.Request(d.ctx, r)
	require.ErrorIs(t, err, cardlife.ErrOpen)
	_, err = l.Approve(d.ctx, o.ID, "bob")
	require.NoError(t, err)
	for range 2 {
		_, err = l.Cancel(d.ctx, o.ID)
		require.NoError(t, err)
	}
	_, err = l.Approve(d.ctx, o.ID, "dan")
	require.ErrorIs(t, err, cardlife.ErrState)
	d.clock.Advance(365 * day)
	n, err := l.Sweep(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	require.EqualValues(t, 50_00, d.shadow(1))
	d.clock.Advance(day)
	require.NotEqual(t, o.ID, d.ask(l, lost()).ID, "it may be asked for again")
}

func TestRequestsThatDoNotFit(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	for name, c := range map[string]struct {
		change func(*cardlife.Request)
		want   error
	}{
		"nobody asks":             {func(r *cardlife.Request) { r.By = " " }, cardlife.ErrRequest},
		"no reason":               {func(r *cardlife.Request) { r.Reason = "" }, cardlife.ErrRequest},
		"no kind":                 {func(r *cardlife.Request) { r.Kind = "gift" }, cardlife.ErrRequest},
		"no target":               {func(r *cardlife.Request) { r.Target = nil }, cardlife.ErrRequest},
		"cash to a card":          {func(r *cardlife.Request) { r.Kind = cardlife.Cash }, cardlife.ErrRequest},
		"no desk":                 {func(r *cardlife.Request) { r.Agent = "" }, cardlife.ErrRequest},
		"breakage at a desk":      {func(r *cardlife.Request) { r.Kind, r.Target = cardlife.Breakage, nil }, cardlife.ErrRequest},
		"to itself":               {func(r *cardlife.Request) { n := number(1); r.Target = &n }, cardlife.ErrTarget},
		"a card nobody issued":    {func(r *cardlife.Request) { r.Card = number(9) }, cardlife.ErrUnknownCard},
		"to a card nobody issued": {func(r *cardlife.Request) { n := number(9); r.Target = &n }, cardlife.ErrUnknownCard},
		"a desk nobody knows":     {func(r *cardlife.Request) { r.Agent = "nobody" }, cardlife.ErrUnknownAgent},
	} {
		t.Run(name, func(t *testing.T) {
			r := lost()
			c.change(&r)
			_, err := l.Request(d.ctx, r)
			require.ErrorIs(t, err, c.want)
		})
	}
	d.update(func(tx *store.Tx) error { return tx.BlockCard(d.ctx, number(2), noon) })
	_, err := l.Request(d.ctx, lost())
	require.ErrorIs(t, err, cardlife.ErrTarget)
	_, err = l.Approve(d.ctx, "E0", "bob")
	require.ErrorIs(t, err, cardlife.ErrUnknownOrder)
	_, err = cardlife.New(d.store, d.clock, cardlife.Config{Idle: -1, Settling: -1})
	require.ErrorContains(t, err, "Settling")
	require.ErrorContains(t, err, "Idle")
}

// TestADeathWhileValueMoves lets the backend die at each commit of an order's life: in the end the value has moved once.
func TestADeathWhileValueMoves(t *testing.T) {
	for point := range 8 {
		d := newDesk(t, t.TempDir())
		d.load("k", 50_00)
		commits := 0
		d.fault = func(string) error {
			commits++
			if commits == point+1 {
				return errDied
			}
			return nil
		}
		again := func(do func(l *cardlife.Service) error) {
			for range 3 {
				if do(d.life()) == nil {
					return
				}
				d.restart()
			}
			require.Fail(t, "it does not come to an end")
		}
		var o cardlife.Order
		again(func(l *cardlife.Service) (err error) { o, err = l.Request(d.ctx, lost()); return err })
		again(func(l *cardlife.Service) error { _, err := l.Approve(d.ctx, o.ID, "bob"); return err })
		d.clock.Advance(8 * day)
		again(func(l *cardlife.Service) error { _, err := l.Sweep(d.ctx); return err })
		d.fault = nil
		o = d.lifeOrder(d.life(), o.ID)
		require.Equal(t, cardlife.Released, o.State, "death at commit %d", point)
		require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "50.00", "funding": "-50.00"}, d.accounts())
		f := d.present(2)
		d.authorise(bus, o.LoadOrder, f.init(50_00, kiosk))
	}
}

func debit(counter uint32, before, amount, at int64) store.Verified {
	v := record(counter, before, amount)
	v.Claim.At = at
	return v
}

// TestRunMovesWhatIsDue runs the sweep as the backend does.
func TestRunMovesWhatIsDue(t *testing.T) {
	d := newDesk(t, t.TempDir())
	l := d.life()
	d.load("k", 50_00)
	o := d.ask(l, lost())
	_, err := l.Approve(d.ctx, o.ID, "bob")
	require.NoError(t, err)
	d.clock.Advance(7 * day)
	ctx, stop := context.WithCancel(d.ctx)
	ended := make(chan error)
	go func() { ended <- l.Run(ctx, time.Hour) }()
	require.Eventually(t, func() bool { return d.lifeOrder(l, o.ID).State == cardlife.Released }, time.Minute, time.Millisecond)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// What a case gives back goes to the card that paid, or is paid out at the desk.
func TestWhatACaseGivesBackIsForItsCard(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.load("k", 50_00)
	d.debited(0, 50_00, 2_00)
	s, err := cases.New(d.store, d.clock, cases.Config{})
	require.NoError(t, err)
	var tap ids.TapID
	require.NoError(t, d.store.View(d.ctx, func(tx *store.Tx) error {
		taps, err := tx.CardTaps(d.ctx, number(1))
		require.Len(t, taps, 1)
		tap = taps[0].Tap
		return err
	}))
	c, err := s.Complain(d.ctx, tap, "ann", "the gate stayed shut")
	require.NoError(t, err)
	_, err = s.ProposeRepay(d.ctx, c.ID, cases.Repayment{Agent: bus}, "ann", "camera")
	require.NoError(t, err)
	c, err = s.Approve(d.ctx, c.ID, "bob", "seen")
	require.NoError(t, err)
	o, err := d.topup.Order(d.ctx, bus, c.Repay.LoadOrder)
	require.NoError(t, err)
	_, err = d.topup.Authorise(d.ctx, bus, o.ID, d.present(2).init(2_00, kiosk))
	require.ErrorIs(t, err, topup.ErrOtherCard)
	f := d.present(1)
	_, err = d.topup.Authorise(d.ctx, bus, o.ID, f.init(2_00, kiosk))
	require.NoError(t, err)
	require.Equal(t, "-2.00", d.accounts()["load-in-progress"])
	require.Equal(t, "2.00", d.accounts()["loss:goodwill"])
}
