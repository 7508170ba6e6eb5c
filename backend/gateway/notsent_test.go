package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
)

// TestNotSentLaterSaysNothingOfTheFirstTime: the channel has a payment and its answer was lost. That later requests about the same number do not leave says nothing about it: it
// is not asked for elsewhere, not by the app's repeated request, not by a scan, not by the next process, and the payer pays once.
func TestNotSentLaterSaysNothingOfTheFirstTime(t *testing.T) {
	d := start(t, nil)
	d.one.after = func(call string, r channel.Result) (channel.Result, error) {
		if call == "pay" {
			return channel.Result{}, errLost
		}
		return r, nil
	}
	o := d.order("k", 2000)
	p := d.pay(o.ID, "p")
	require.Equal(t, order.Unknown, p.State)
	d.one.before = func(string) error { return channel.ErrNotSent } // no connection opens any more
	for i := range 8 {
		if i == 4 {
			d.restart()
		}
		again := d.pay(o.ID, "p")
		require.Equal(t, p.Number, again.Number)
		require.Equal(t, order.Unknown, again.State)
		d.clock.Advance(2 * time.Minute)
		_, err := d.Scan(d.ctx)
		require.NoError(t, err)
	}
	require.Equal(t, 1, d.one.count("pay"), "what may be there is not asked for again")
	require.Positive(t, d.one.count("query"))
	require.Empty(t, d.two.calls)
	require.True(t, d.one.pays(p.Number, false))
	require.NoError(t, d.notify("one", "", p.Number))
	now := d.now(o.ID)
	require.Equal(t, order.Paid, now.State)
	require.Len(t, now.Payments, 1)
}

// TestNotSentTheFirstTimeIsTriedElsewhere: the other side of it.
func TestNotSentTheFirstTimeIsTriedElsewhere(t *testing.T) {
	d := start(t, nil)
	d.one.before = func(string) error { return channel.ErrNotSent }
	o := d.order("k", 2000)
	p := d.pay(o.ID, "p")
	require.Equal(t, "two", p.Account)
	require.Equal(t, order.Waiting, p.State)
	require.Equal(t, []string{"pay"}, d.one.calls)
}
