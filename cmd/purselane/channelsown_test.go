package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// TestAnAppHasAnAccountForItself: what two officers agree to in an app's terms is what payments of it and of others are routed by, at once.
func TestAnAppHasAnAccountForItself(t *testing.T) {
	x := newPayTown(t)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	goesOver := func(app, key string) string {
		o, err := n.Gateway().Create(t.Context(), app, gateway.NewOrder{Key: key, Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
		require.NoError(t, err)
		p, err := n.Gateway().Pay(t.Context(), app, o.ID, gateway.NewPayment{Key: "1", Product: channel.QR})
		require.NoError(t, err)
		return p.Account
	}
	require.Equal(t, "wechat", goesOver("till", "before"))

	box, err := x.gatewayBox()
	require.NoError(t, err)
	apps, err := app.New(n.Store(), app.Config{Box: box})
	require.NoError(t, err)
	terms := app.Terms{Channels: []app.ChannelTerms{{Channel: "wechat", Account: wechat.MerchantID}}}
	_, err = apps.Apply(t.Context(), "shop", app.Filing{Name: "The Shop", Registration: "91310000", Contact: "ops@shop.example"}, terms, "ann", "papers")
	require.NoError(t, err)
	require.Equal(t, "alipay", goesOver("till", "after"))
	require.Equal(t, "wechat", goesOver("shop", "its own"))
}

// TestAWithdrawalIsServed: what a merchant has available goes to his WeChat over the account of the scheme's files, and the notification says that he has it.
func TestAWithdrawalIsServed(t *testing.T) {
	x := newPayTown(t)
	scheme, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	x.write(t, fileScheme, 0o644, strings.Replace(string(scheme), "    - {accounts: [alipay]}", "    - {product: payout, accounts: [wechat]}", 1))
	x.append(t, "channels/wechat.yaml", "transfers: {scene: '"+wechat.Scene+"', reports: [{type: 采购商品名称, content: 充值服务}]}\n")
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	g := n.Gateway()
	cny := channel.Money{Amount: money.Minor(2000), Currency: "CNY"}
	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: "in", Type: code.Transfer, Product: 1, Merchant: "kiosk", Payee: "kiosk", Money: cny, Subject: "takings"})
	require.NoError(t, err)
	p, err := g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR})
	require.NoError(t, err)
	require.NoError(t, x.wechat.Pay(p.Number, wechat.Payer{}))
	require.Equal(t, 1, x.wechat.Run(t.Context()))

	x.wechat.AddPayee("oMerchant", wechat.Payee{Takes: time.Nanosecond})
	o, err = g.Withdraw(t.Context(), "till", gateway.NewWithdrawal{Key: "out", Product: 1, Merchant: "kiosk", Money: cny, Subject: "takings", To: gateway.PayTo{Account: "oMerchant", Name: "张三"}})
	require.NoError(t, err)
	require.Equal(t, "wechat", o.Operations[0].Account)
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	o, err = g.Order(t.Context(), "till", o.ID)
	require.NoError(t, err)
	require.Equal(t, order.Paid, o.State)
	_, fen := x.wechat.Transferred(o.Operations[0].Number)
	require.EqualValues(t, 2000, fen)
}
