package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/order"
	alipaysim "github.com/purselane/purselane/simulator/channel/alipay"
	wechatsim "github.com/purselane/purselane/simulator/channel/wechat"
)

// TestWhoseCode: a till that scans a payment code need not know whose it is.
func TestWhoseCode(t *testing.T) {
	for code, want := range map[string][2]bool{
		"134567890123456789": {true, false}, "100000000000000000": {true, false}, "159999999999999999": {true, false},
		"160000000000000000": {}, "099999999999999999": {}, "13456789012345678": {}, "1345678901234567890": {}, "13456789012345678x": {},
		"2512345678901234": {false, true}, "300000000000000000": {false, true}, "309999999999999999999999": {false, true},
		"310000000000000000": {}, "249999999999999999": {}, "251234567890123": {}, "2512345678901234567890123": {}, "25123456789012é": {}, "": {},
		"6200000000000000000": {}, // UnionPay's
	} {
		var w channel.CodeReader = (*wechat.Channel)(nil)
		var a channel.CodeReader = (*alipay.Channel)(nil)
		require.Equal(t, want, [2]bool{w.OwnCode(code), a.OwnCode(code)}, code)
	}
}

// TestATillScansAnyCode: the rules name both channels, and each code goes to the one whose it is.
func TestATillScansAnyCode(t *testing.T) {
	d := start(t, nil)
	w, a := wechatsim.New(wechatsim.Options{Clock: d.clock, Seed: 1}), alipaysim.New(alipaysim.Options{Clock: d.clock, Seed: 1})
	one, err := wechat.New(w.Settings())
	require.NoError(t, err)
	two, err := alipay.New(a.Settings())
	require.NoError(t, err)
	d.cfg = func(c *gateway.Config) { c.Accounts[0].Channel, c.Accounts[1].Channel = one, two }
	d.restart()
	for account, code := range map[string]string{"one": w.Code(wechatsim.Payer{}), "two": a.Code(alipaysim.Payer{})} {
		o := d.order("of "+account, 1000)
		p, err := d.Pay(t.Context(), "app", o.ID, gateway.NewPayment{Key: "p", Product: channel.Code, Payer: channel.Payer{Code: code}})
		require.NoError(t, err)
		require.Equal(t, account, p.Account)
		require.Equal(t, order.PaymentPaid, p.State, "%s %s", p.Code, p.Message)
	}
	o := d.order("of nobody", 1000)
	_, err = d.Pay(t.Context(), "app", o.ID, gateway.NewPayment{Key: "p", Product: channel.Code, Payer: channel.Payer{Code: "6200000000000000000"}})
	require.ErrorIs(t, err, gateway.ErrNoChannel)
	require.NotContains(t, err.Error(), "6200000000000000000", "a payment code is as good as money for a minute")
}
