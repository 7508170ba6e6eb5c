package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

var rider = ids.CardNumber{0x31, 0x04, 9: 7}

const riderToken = "0123456789abcdef0123456789abcde7"

// reloader is a gateway that signs agreements and sells loads, with one card that was issued.
func reloader(t *testing.T) (*desk, *signer, *topup.Service) {
	var s *topup.Service
	d, b := registry(t, func(c *gateway.Config) {
		c.OnPaid = func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return s.PaidOnline(ctx, tx, o.ID, o.Received)
		}
		c.MaxBalance = money.Minor(1000_00)
		c.OnRefund = func(ctx context.Context, tx *store.Tx, o gateway.Order, a money.Amount) error {
			return s.GiveBackOnline(ctx, tx, o.ID, a)
		}
	})
	var err error
	s, err = topup.New(d.store, keys.NewSoft(nil), d.clock, topup.Config{MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(1000_00), Online: "online"})
	require.NoError(t, err)
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		return tx.IssueCard(d.ctx, store.Card{Number: rider, Token: riderToken, Levels: 2})
	}))
	return d, b, s
}

func aReload(key string) gateway.NewAgreement {
	n := monthly(key)
	n.Recurs, n.Reload = nil, &gateway.NewReload{Card: riderToken, Below: money.Minor(20_00), Amount: money.Minor(50_00), Days: 3}
	return n
}

// taken has the card present itself and take the load that waits for it, of which it has so much left when its records are in.
func (d *desk) taken(t *testing.T, counter uint16, left int64) {
	require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
		o, err := tx.WaitingLoad(d.ctx, rider)
		require.NoError(t, err)
		o.State, o.Card, o.Counter = string(topup.Loaded), &rider, counter
		require.NoError(t, tx.SetLoadOrder(d.ctx, o))
		require.NoError(t, tx.MoveLoad(d.ctx, "test:"+o.ID, "load-loaded", d.clock.Now().Format(time.DateOnly), o.ID, books.Funding, books.Float, o.Amount))
		return tx.NoteLoad(d.ctx, rider, shadowaccount.Load{Counter: counter, Amount: money.Minor(left), Loaded: true}, o.ID)
	}))
}

func TestACardThatHoldsLittleIsReloaded(t *testing.T) {
	d, b, s := reloader(t)
	a := d.signed(b, aReload("a"))
	d.pass(time.Minute, time.Second)
	require.Equal(t, 1, b.count("debit"))
	a = d.agreement(a.Number)
	require.Equal(t, order.Watching, a.Reload.State)
	o := d.now(a.LastOrder)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "00010103001009000001", o.Context)
	l, err := s.Order(t.Context(), "metro", topup.OnlineOrder("online", o.ID))
	require.NoError(t, err, "whoever has the card in the field may bring it")
	require.Equal(t, topup.Paid, l.State)
	require.Equal(t, "-50.00", d.balance(books.Funding))

	d.pass(10*24*time.Hour, 6*time.Hour)
	require.Equal(t, 1, b.count("debit"), "it waits for the card, however long that is")
	d.taken(t, 0, 10_00)
	d.pass(time.Hour, 10*time.Minute)
	require.Equal(t, 2, b.count("debit"))
	d.taken(t, 1, 5_00)
	d.pass(2*24*time.Hour, time.Hour)
	require.Equal(t, 2, b.count("debit"), "once in three days")
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, 3, b.count("debit"))
	d.taken(t, 2, 10_00)
	d.pass(20*24*time.Hour, 6*time.Hour)
	require.Equal(t, 3, b.count("debit"), "it holds 25.00")
	require.Equal(t, 3, d.agreement(a.Number).Reload.Charges)
	lines, err := d.AgreementTimeline(d.ctx, app, a.Number)
	require.NoError(t, err)
	require.Equal(t, "charge-succeeded", lines[len(lines)-1].Event)
}

func TestAReloadThatIsRefusedIsTriedEverMoreSeldom(t *testing.T) {
	d, b, _ := reloader(t)
	b.broke = true
	a := d.signed(b, aReload("a"))
	d.pass(24*time.Hour, 10*time.Minute)
	require.Equal(t, 3, b.count("debit"), "at once, after 6 hours and after 12 more")
	require.Equal(t, 3, d.agreement(a.Number).Reload.Refusals)
	d.pass(60*24*time.Hour, 6*time.Hour)
	require.Less(t, b.count("debit"), 14)
	b.broke = false
	d.pass(8*24*time.Hour, time.Hour)
	require.Zero(t, d.agreement(a.Number).Reload.Refusals)
	n := b.count("debit")
	_, err := d.EndAgreement(d.ctx, app, a.Number)
	require.NoError(t, err)
	d.taken(t, 0, 1_00)
	d.pass(30*24*time.Hour, 6*time.Hour)
	require.Equal(t, n, b.count("debit"), "it has ended")
}

// TestAReloadIsRefusedBecauseThePayerHasEndedIt: nobody told of it, so the channel is asked after the refusal, and there is no other try.
func TestAReloadIsRefusedBecauseThePayerHasEndedIt(t *testing.T) {
	d, b, _ := reloader(t)
	a, err := d.Sign(d.ctx, app, aReload("a"))
	require.NoError(t, err)
	b.signs(a.Number, channel.Succeeded)
	b.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "query agreement" && d.agreement(a.Number).State == order.Signing {
			b.covenants[a.Number] = channel.Signed{Outcome: channel.Closed, Number: a.Number, Agreement: "at-bank-" + a.Number} // a moment after this answer
		}
		return r, nil
	}
	d.pass(time.Minute, time.Second)
	a = d.agreement(a.Number)
	require.Equal(t, order.EndedThen, a.State)
	require.Equal(t, 1, b.count("debit"))
	require.Equal(t, order.Closed, d.now(a.LastOrder).State)
	d.pass(10*24*time.Hour, time.Hour)
	require.Equal(t, 1, b.count("debit"))
}

func TestWhatAReloadMustBe(t *testing.T) {
	d, _, _ := reloader(t)
	for name, f := range map[string]func(*gateway.NewAgreement){
		"both":          func(n *gateway.NewAgreement) { n.Recurs = monthly("x").Recurs },
		"no such card":  func(n *gateway.NewAgreement) { n.Reload.Card = "0123" },
		"no days":       func(n *gateway.NewAgreement) { n.Reload.Days = 0 },
		"below nothing": func(n *gateway.NewAgreement) { n.Reload.Below = money.Amount{} },
	} {
		n := aReload("a")
		f(&n)
		_, err := d.Sign(d.ctx, app, n)
		require.ErrorIs(t, err, gateway.ErrRequest, name)
	}
	n := aReload("a")
	n.Reload.Card = "4111111111111111"
	_, err := d.Sign(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrCardNumber)
	n = aReload("a")
	n.Reload.Below = money.Minor(950_01)
	_, err = d.Sign(d.ctx, app, n)
	require.ErrorIs(t, err, gateway.ErrLoadAmount, "the card may hold 1000.00")
	n.Reload.Below = money.Minor(950_00)
	_, err = d.Sign(d.ctx, app, n)
	require.NoError(t, err)
}

// TestTheProcessDiesWhileACardIsReloaded: at each commit, before and after it, and before and after each call. The card is loaded once.
func TestTheProcessDiesWhileACardIsReloaded(t *testing.T) {
	for point := 1; ; point++ {
		d, b, s := reloader(t)
		a, err := d.Sign(d.ctx, app, aReload("a"))
		require.NoError(t, err)
		b.signs(a.Number, channel.Succeeded)
		left, died := point, ""
		d.fault = func(name string) error {
			if left--; left > 0 {
				return nil
			}
			if left == 0 {
				died = name
			}
			return fmt.Errorf("%s: %w", name, errDied)
		}
		for range 15 {
			d.clock.Advance(2 * time.Second)
			if _, err := d.Scan(d.ctx); err != nil {
				break
			}
		}
		if died == "" {
			require.Greater(t, point, 10, "the walk has lost the points")
			return
		}
		d.restart()
		s2, err := topup.New(d.store, keys.NewSoft(nil), d.clock, topup.Config{MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(1000_00), Online: "online"})
		require.NoError(t, err)
		*s = *s2
		d.pass(20*time.Minute, 5*time.Second)
		d.pass(8*time.Hour, 10*time.Minute)
		charges := 0
		for _, p := range b.payments {
			charges += p.charges
		}
		require.Equal(t, 1, charges, "point %d (%s)", point, died)
		require.Equal(t, "-50.00", d.balance(books.Funding), "point %d (%s)", point, died)
		require.Equal(t, order.Watching, d.agreement(a.Number).Reload.State, "point %d (%s)", point, died)
		require.NoError(t, d.store.View(d.ctx, func(tx *store.Tx) error {
			w, err := tx.WaitingLoad(d.ctx, rider)
			require.NoError(t, err, "point %d (%s)", point, died)
			require.Equal(t, "50.00", w.Amount.String())
			return nil
		}))
	}
}
