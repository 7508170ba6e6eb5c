package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// loads is a gateway whose top-up orders become load orders.
func loads(t *testing.T) (*desk, *topup.Service) {
	var s *topup.Service
	d := start(t, func(c *gateway.Config) {
		c.OnPaid = func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return s.PaidOnline(ctx, tx, o.ID, o.Received)
		}
		c.OnRefund = func(ctx context.Context, tx *store.Tx, o gateway.Order, a money.Amount) error {
			return s.GiveBackOnline(ctx, tx, o.ID, a)
		}
	})
	var err error
	s, err = topup.New(d.store, keys.NewSoft(nil), d.clock, topup.Config{MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(1000_00), Online: "online"})
	require.NoError(t, err)
	return d, s
}

// proves has the nightly proof of the books run.
func (d *desk) proves(t *testing.T) {
	p, err := ledger.ProveDay(d.ctx, d.store, d.clock.Now().Format(time.DateOnly), d.clock.Now().AddDate(0, 0, 1))
	require.NoError(t, err)
	require.True(t, p.Passed, string(p.Text()))
	d.clock.Advance(24 * time.Hour) // the proof of a day is made once
}

func (d *desk) topUp(t *testing.T, key string) (gateway.Order, gateway.Payment) {
	n := anOrder(key, 2000)
	n.Type, n.Expires = code.TopUp, 24*time.Hour
	o, err := d.Create(d.ctx, app, n)
	require.NoError(t, err)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "", p.Number))
	return d.now(o.ID), p
}

func TestATopUpThatIsPaidIsALoadOrder(t *testing.T) {
	d, s := loads(t)
	o, _ := d.topUp(t, "k")
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "00010103001001000001", o.Context)
	l, err := s.Order(t.Context(), "", topup.OnlineOrder("online", o.ID))
	require.NoError(t, err)
	require.Equal(t, topup.Paid, l.State)
	require.Equal(t, "20.00", l.Amount.String())
	require.Equal(t, "-20.00", d.balance(books.Funding))
	d.proves(t)

	_, err = d.refund(o.ID, "part", 500)
	require.ErrorIs(t, err, topup.ErrAmount)
	require.Empty(t, d.now(o.ID).Operations)
	r, err := d.refund(o.ID, "all", 2000)
	require.NoError(t, err)
	require.Equal(t, order.Done, r.State)
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	require.Equal(t, "0.00", d.balance(books.Funding))
	d.agrees(o.ID)
	d.proves(t)
}

// TestATopUpThatCannotGoBackWaitsForAPerson: no card can be loaded with it meanwhile, and the books know where it is.
func TestATopUpThatCannotGoBackWaitsForAPerson(t *testing.T) {
	d, _ := loads(t)
	o, p := d.topUp(t, "k")
	d.one.payments[p.Number].back = 2000
	r, err := d.refund(o.ID, "all", 2000)
	require.NoError(t, err)
	require.Equal(t, order.OpFailed, r.State)
	require.Equal(t, []string{gateway.FindStuck}, d.findings(o.ID))
	require.Equal(t, "0.00", d.balance(books.Funding))
	require.Equal(t, "-20.00", d.balance("suspense:surplus"))
	d.proves(t)
	d.one.payments[p.Number].back = 0
	r, err = d.refund(o.ID, "again", 2000)
	require.NoError(t, err)
	require.Equal(t, order.Done, r.State)
	require.Equal(t, "0.00", d.balance("suspense:surplus"))
	d.proves(t)
}

// TestAHookThatFailsLosesNothing: the payment stays in doubt, and is asked about again.
func TestAHookThatFailsLosesNothing(t *testing.T) {
	fails := true
	d := start(t, func(c *gateway.Config) {
		c.OnPaid = func(context.Context, *store.Tx, gateway.Order) error {
			if fails {
				return errLost
			}
			return nil
		}
		c.OnRefund = func(context.Context, *store.Tx, gateway.Order, money.Amount) error { return nil }
	})
	n := anOrder("k", 2000)
	n.Type = code.TopUp
	o, err := d.Create(d.ctx, app, n)
	require.NoError(t, err)
	p := d.pay(o.ID, "p")
	require.True(t, d.one.pays(p.Number, false))
	answer, err := d.Notified(t.Context(), "one", channel.Notification{Body: []byte(p.Number)})
	require.ErrorIs(t, err, errLost)
	require.Equal(t, 500, answer.Status, "it is to come again")
	require.Equal(t, order.Open, d.now(o.ID).State)
	require.Equal(t, "0.00", d.balance(books.Funding))

	// One order that cannot be moved keeps no other waiting.
	other := d.order("other", 1000)
	q := d.pay(other.ID, "p")
	require.True(t, d.one.pays(q.Number, false))
	d.clock.Advance(5 * time.Second)
	_, err = d.Scan(t.Context())
	require.ErrorIs(t, err, errLost)
	require.Equal(t, order.Paid, d.now(other.ID).State)

	require.Equal(t, []string{gateway.FindHook}, d.findings(o.ID))

	// It is asked about ever more seldom, and told once.
	asked := d.one.count("query")
	for range 24 * 60 {
		d.clock.Advance(time.Minute)
		_, err = d.Scan(t.Context())
		require.True(t, err == nil || errors.Is(err, errLost))
	}
	require.Less(t, d.one.count("query")-asked, 40)
	require.Len(t, d.findings(o.ID), 1)

	fails = false
	require.NoError(t, d.notify("one", "", p.Number))
	require.Equal(t, order.Paid, d.now(o.ID).State)
}
