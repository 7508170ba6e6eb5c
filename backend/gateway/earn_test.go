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
	"github.com/purselane/purselane/shadowaccount/books"
)

// worth is what the shop has, wherever it has it; a liability is negative.
func (d *desk) worth() string {
	e, err := d.Earnings(d.ctx, d.shop)
	require.NoError(d.t, err)
	sum, err := e.Pending.Add(e.Available)
	require.NoError(d.t, err)
	sum, err = sum.Neg()
	require.NoError(d.t, err)
	return sum.String()
}

func (d *desk) earnings() string {
	e, err := d.Earnings(d.ctx, d.shop)
	require.NoError(d.t, err)
	return fmt.Sprintf("%v pending, %v available", e.Pending, e.Available)
}

// rated takes 1 % of what is paid over account one.
func rated(c *gateway.Config) {
	c.Rate = func(_ context.Context, _ *store.Tx, of gateway.Rated) (gateway.Rate, error) {
		if of.App != "app" || of.Account != "one" || of.Product != channel.QR {
			return gateway.Rate{}, fmt.Errorf("%v: %w", of, gateway.ErrRate)
		}
		return gateway.Plain(10_000), nil
	}
}

func TestWhatIsPaidIsAvailableADayLater(t *testing.T) {
	d := start(t, rated)
	o := d.paid("k", 1000)
	require.Equal(t, "10.00 pending, 0.00 available", d.earnings())
	_, err := d.refund(o.ID, "early", 200)
	require.NoError(t, err)
	require.Equal(t, "8.00 pending, 0.00 available", d.earnings(), "from what is pending")
	d.pass(23*time.Hour, time.Hour)
	require.Equal(t, "8.00 pending, 0.00 available", d.earnings())
	d.pass(2*time.Hour, time.Hour)
	require.Equal(t, "0.00 pending, 7.92 available", d.earnings())
	require.Equal(t, "-0.08", d.balance(books.FeeMerchant))
	d.pass(48*time.Hour, time.Hour)
	require.Equal(t, "0.00 pending, 7.92 available", d.earnings(), "once")
	_, err = d.refund(o.ID, "late", 300)
	require.NoError(t, err)
	require.Equal(t, "0.00 pending, 4.92 available", d.earnings(), "from what is available")
	_, err = d.refund(o.ID, "too much", 500)
	require.ErrorIs(t, err, gateway.ErrFunds, "the fee is gone")
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	d.agrees(o.ID)
	d.proves(t)
}

// TestARefundThatIsOnItsWayIsWaitedFor, and one that is refused afterwards is back where the rest is.
func TestARefundThatIsOnItsWayIsWaitedFor(t *testing.T) {
	d := start(t, nil)
	o := d.paid("k", 1000)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "refund" || call == "query refund" {
			return channel.Result{Outcome: channel.Pending, Number: r.Number}, nil
		}
		return r, nil
	}
	r, err := d.refund(o.ID, "r", 400)
	require.NoError(t, err)
	d.pass(30*time.Hour, time.Hour)
	require.Equal(t, "6.00 pending, 0.00 available", d.earnings())
	d.one.after = func(_ string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: "NO"}, nil
	}
	d.pass(4*time.Hour, time.Hour)
	require.Equal(t, order.OpFailed, d.now(o.ID).Operations[0].State, r.Number)
	require.Equal(t, "0.00 pending, 10.00 available", d.earnings())
	d.proves(t)
}

func TestWithoutARateItStaysPending(t *testing.T) {
	d := start(t, func(c *gateway.Config) {
		rated(c)
		c.Router = gateway.FixedRouter{{Accounts: []string{"two"}}}
	})
	o := d.order("k", 1000)
	p := d.pay(o.ID, "p")
	require.True(t, d.two.pays(p.Number, false))
	require.NoError(t, d.notify("two", "", p.Number))
	d.pass(50*time.Hour, time.Hour)
	require.Equal(t, "10.00 pending, 0.00 available", d.earnings())
	require.Equal(t, []string{gateway.FindRate}, d.findings(o.ID))
}

// TestTheProcessDiesWhileSomethingIsEarned: it is earned once.
func TestTheProcessDiesWhileSomethingIsEarned(t *testing.T) {
	d := start(t, rated)
	for point := 1; ; point++ {
		d.again(t, point)
		o := d.paid(d.key, 1000)
		d.clock.Advance(25 * time.Hour)
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
		_, err := d.Scan(d.ctx)
		if died == "" {
			require.NoError(t, err)
			require.Greater(t, point, 2, "the walk has lost the points")
			return
		}
		d.restart()
		d.pass(2*time.Hour, time.Hour)
		require.Equal(t, "0.00 pending, 9.90 available", d.earnings(), "point %d (%s)", point, died)
		d.agrees(o.ID)
	}
}
