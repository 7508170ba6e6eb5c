package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/simulator/channel/alipay"
)

// TestAQRCodeThatNobodyHasScannedYetHasNotFailed: Alipay does not know a payment before its QR code is scanned, and that may be as late as
// the code lives.
func TestAQRCodeThatNobodyHasScannedYetHasNotFailed(t *testing.T) {
	d := start(t, nil)
	s := alipay.New(alipay.Options{Clock: d.clock, Seed: 1})
	real, err := adapter.New(s.Settings())
	require.NoError(t, err)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel = real }
	d.restart()
	s.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		answer, err := d.Notified(ctx, "one", n)
		require.NoError(t, err)
		return answer
	})

	o := d.order("late", 1000)
	p := d.pay(o.ID, "p")
	require.Contains(t, p.Action.QR, "https://qr.alipay.com/")
	d.pass(20*time.Minute, 10*time.Second)
	require.Equal(t, order.Waiting, d.now(o.ID).Payments[0].State, "it can be paid for ten minutes more")
	require.NoError(t, s.Pay(p.Number, alipay.Payer{}))
	s.Run(t.Context())
	require.Equal(t, order.Paid, d.now(o.ID).State)
	d.agrees(o.ID)

	o = d.order("never", 1000)
	p = d.pay(o.ID, "p")
	d.pass(40*time.Minute, 10*time.Second)
	require.True(t, d.now(o.ID).Payments[0].State.Ended(), "its time is over")
	require.Error(t, s.Pay(p.Number, alipay.Payer{}))
	d.agrees(o.ID)
}
