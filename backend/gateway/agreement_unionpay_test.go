package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
)

// TestAnAgreementOverUnionPay goes the whole way with the adapter and a simulator that verifies its signatures: the payer signs on UnionPay's page, is debited every
// month and by the app, and ends one agreement with us and another at the bank.
func TestAnAgreementOverUnionPay(t *testing.T) {
	d := start(t, nil)
	s, a, _ := unionPay(t, d)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel = a }
	d.restart()
	s.Notifier().Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		answer, err := d.Notified(ctx, "one", n)
		require.NoError(t, err)
		return answer
	})
	goes := func(total, step time.Duration) {
		for range int(total / step) {
			d.pass(step, step)
			s.Settle()
			s.Notifier().Run(t.Context())
		}
	}
	signs := func(n gateway.NewAgreement) gateway.Agreement {
		asked, err := d.Sign(d.ctx, app, n)
		require.NoError(t, err)
		require.Equal(t, order.Signing, asked.State)
		require.NoError(t, s.Visit(unionadapter.Form(asked.Action.Form), unionPayer))
		goes(30*time.Second, time.Second)
		signed := d.agreement(asked.Number)
		require.Equal(t, order.Active, signed.State)
		return signed
	}

	monthly := signs(monthly("monthly"))
	goes(5*time.Minute, 10*time.Second)
	require.EqualValues(t, 970_00, s.Balance(unionPayer), "the first month is due at once")
	goes(31*24*time.Hour, time.Hour)
	require.EqualValues(t, 940_00, s.Balance(unionPayer))
	require.Equal(t, recurring.Good, d.agreement(monthly.Number).Standing)
	require.Equal(t, order.Paid, d.now(d.agreement(monthly.Number).LastOrder).State)

	ended, err := d.EndAgreement(d.ctx, app, monthly.Number)
	require.NoError(t, err)
	require.Equal(t, order.EndedThen, ended.State)
	require.Equal(t, recurring.Ended, d.agreement(monthly.Number).Standing)

	n := gateway.NewAgreement{Key: "app", Product: 1, Merchant: shop, Payer: "rider-8", Currency: "CNY", Subject: "rides"}
	debited := signs(n)
	require.NotEqual(t, monthly.Number, debited.Number)
	debits := func(key string) gateway.Order {
		o := d.order(key, 500)
		_, err := d.Pay(d.ctx, app, o.ID, gateway.NewPayment{Key: "p", Product: channel.Agreement, Payer: channel.Payer{Agreement: debited.Number}})
		require.NoError(t, err)
		goes(time.Minute, time.Second)
		return d.now(o.ID)
	}
	paid := debits("debit")
	require.Equal(t, order.Paid, paid.State)
	require.EqualValues(t, 935_00, s.Balance(unionPayer))
	d.agrees(paid.ID)

	s.EndAtBank(debited.Number)
	late := debits("late")
	require.NotEqual(t, order.Paid, late.State, "ended at the bank, without us")
	require.EqualValues(t, 935_00, s.Balance(unionPayer))
	d.proves(t)
}
