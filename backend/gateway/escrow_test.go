package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
)

// held is an escrow order that was paid over account one.
func (d *desk) held(key string, minor int64) gateway.Order {
	n := anOrder(key, minor)
	n.Merchant, n.Mode = d.shop, code.Escrow
	o, err := d.Create(d.ctx, app, n)
	require.NoError(d.t, err)
	p := d.pay(o.ID, "p")
	require.True(d.t, d.one.pays(p.Number, false))
	require.NoError(d.t, d.notify("one", "", p.Number))
	o = d.now(o.ID)
	require.Equal(d.t, order.Held, o.State)
	require.Equal(d.t, "00010201001001000001", o.Context)
	return o
}

func TestWhatIsHeldIsEarnedWhenItIsConfirmed(t *testing.T) {
	d := start(t, nil)
	o := d.held("k", 1000)
	require.Equal(t, "-10.00", d.balance(gateway.Held(d.shop)))
	require.Equal(t, "0.00 pending, 0.00 available", d.earnings())
	_, err := d.Confirm(d.ctx, "other", o.ID)
	require.ErrorIs(t, err, gateway.ErrUnknownOrder)
	for range 2 {
		o, err = d.Confirm(d.ctx, app, o.ID)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State)
	}
	require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
	require.Equal(t, "10.00 pending, 0.00 available", d.earnings())
	d.settled(o.ID)
	_, err = d.refund(o.ID, "part", 400)
	require.NoError(t, err)
	d.pass(25*time.Hour, time.Hour)
	require.Equal(t, "0.00 pending, 6.00 available", d.earnings())
	d.agrees(o.ID)
	d.proves(t)

	plain := d.paid("plain", 100)
	_, err = d.Confirm(d.ctx, app, plain.ID)
	require.ErrorIs(t, err, order.ErrState)
}

func TestWhatIsHeldGoesBackAsAWhole(t *testing.T) {
	d := start(t, nil)
	o := d.held("k", 1000)
	_, err := d.refund(o.ID, "part", 400)
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		return channel.Result{Outcome: channel.Pending, Number: r.Number}, nil
	}
	_, err = d.refund(o.ID, "all", 1000)
	require.NoError(t, err)
	_, err = d.Confirm(d.ctx, app, o.ID)
	require.ErrorIs(t, err, order.ErrState, "a refund is on its way")
	require.Equal(t, "0.00", d.balance(gateway.Held(d.shop)))
	d.one.after = nil
	d.pass(2*time.Minute, time.Second)
	require.Equal(t, order.Refunded, d.now(o.ID).State)
	d.settled(o.ID)
	_, err = d.Confirm(d.ctx, app, o.ID)
	require.NoError(t, err, "it stays as it is")
	require.Equal(t, order.Refunded, d.now(o.ID).State)
}

// TestWhatNobodyConfirmsIsTheMerchantsInTheEnd, also when the process dies at each point of it.
func TestWhatNobodyConfirmsIsTheMerchantsInTheEnd(t *testing.T) {
	d := start(t, nil)
	for point := 1; ; point++ {
		d.again(t, point)
		o := d.held(d.key, 1000)
		d.pass(14*24*time.Hour, 24*time.Hour)
		require.Equal(t, order.Held, d.now(o.ID).State)
		d.clock.Advance(24 * time.Hour)
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
		d.fault = nil
		if died == "" {
			require.NoError(t, err)
		} else {
			d.restart()
		}
		d.pass(26*time.Hour, time.Hour)
		require.Equal(t, order.Paid, d.now(o.ID).State, "point %d (%s)", point, died)
		require.Equal(t, "0.00 pending, 10.00 available", d.earnings(), "point %d (%s)", point, died)
		d.agrees(o.ID)
		if died == "" {
			require.Greater(t, point, 2, "the walk has lost the points")
			return
		}
	}
}
