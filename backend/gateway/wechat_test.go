package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/order"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// TestARealAdapter goes the whole way with the adapter of WeChat Pay and a simulator that verifies its signatures: pay by QR code with a notification that is
// forged first and then sent twice, a refund that is paid out later, a notification that never comes, and an answer that is lost.
func TestARealAdapter(t *testing.T) {
	d := start(t, nil)
	s := wechat.New(wechat.Options{Clock: d.clock, Seed: 1, Mode: wechat.ByPublicKey})
	real, err := adapter.New(s.Settings())
	require.NoError(t, err)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel = real }
	d.restart()
	o := d.order("k", 1000)
	heard, forged := 0, 0
	s.Notices.Receive(func(ctx context.Context, url string, n channel.Notification) channel.Reply {
		require.Equal(t, "https://gateway.example/one", url)
		answer, err := d.Notified(ctx, "one", n)
		var bad *channel.ForgedError
		if errors.As(err, &bad) {
			forged++
			require.Equal(t, order.Open, d.now(o.ID).State)
			return answer
		}
		require.NoError(t, err)
		heard++
		return answer
	})

	p := d.pay(o.ID, "p")
	require.Equal(t, order.Waiting, p.State)
	require.Contains(t, p.Action.QR, "weixin://")
	s.Weather.Set(sim.Faults{NotifyForged: 1, NotifyDoubled: 1})
	require.NoError(t, s.Pay(p.Number, wechat.Payer{Bank: "CMB_DEBIT"}))
	s.Run(t.Context())
	s.Weather.Set(sim.Faults{})
	o = d.now(o.ID)
	require.Equal(t, order.Paid, o.State)
	require.Equal(t, "CMB_DEBIT", o.Payments[0].Bank)
	require.GreaterOrEqual(t, heard, 2)
	require.Positive(t, forged)

	r, err := d.refund(o.ID, "r", 400)
	require.NoError(t, err)
	require.Equal(t, order.OpWaiting, r.State)
	d.pass(5*time.Minute, 5*time.Second)
	require.Equal(t, order.PartRefunded, d.now(o.ID).State)
	charges, taken, back := s.Booked(p.Number)
	require.Equal(t, []int64{1, 1000, 400}, []int64{int64(charges), taken, back})
	d.agrees(o.ID)

	lost := d.order("lost", 500)
	p = d.pay(lost.ID, "p")
	s.Notices.Receive(func(context.Context, string, channel.Notification) channel.Reply { return channel.Reply{} })
	require.NoError(t, s.Pay(p.Number, wechat.Payer{}))
	d.pass(4*time.Second, time.Second)
	require.Equal(t, order.Paid, d.now(lost.ID).State, "known 4 s later, without a notification")

	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	gone := d.order("gone", 500)
	p = d.pay(gone.ID, "p")
	require.Equal(t, order.Unknown, p.State)
	require.NoError(t, s.Pay(p.Number, wechat.Payer{}))
	d.pass(2*time.Second, time.Second)
	require.Equal(t, order.Paid, d.now(gone.ID).State)
	charges, _, _ = s.Booked(p.Number)
	require.Equal(t, 1, charges)
}
