package api_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/kiosksale"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// pays is an online gateway over a WeChat Pay that verifies signatures, and sells at kiosks.
type pays struct {
	*kiosksale.Service
	gateway *gateway.Service
	wechat  *wechat.Simulator
}

func (c *city) pays() *pays {
	p := &pays{wechat: wechat.New(wechat.Options{Clock: c.clock, Seed: 1})}
	real, err := adapter.New(p.wechat.Settings())
	require.NoError(c.t, err)
	products, companies := map[code.Product]string{4: "shop", 7: kiosksale.ProductName}, map[code.Company]string{1: "wechat"}
	registry, err := code.NewRegistry(products, companies)
	require.NoError(c.t, err)
	p.gateway, err = gateway.New(c.store, c.clock, gateway.Config{Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"w"}}}, Log: slog.New(slog.DiscardHandler),
		Accounts: []gateway.Account{{ID: "w", Company: 1, Number: 1, Channel: real, NotifyURL: "https://gateway.example/w"}},
		OnPaid: func(ctx context.Context, tx *store.Tx, o gateway.Order) error {
			return c.topup.PaidOnline(ctx, tx, o.ID, o.Received)
		},
		OnRefund: func(ctx context.Context, tx *store.Tx, o gateway.Order, back money.Amount) error {
			return c.topup.GiveBackOnline(ctx, tx, o.ID, back)
		}})
	require.NoError(c.t, err)
	p.wechat.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		answer, err := p.gateway.Notified(ctx, "w", n)
		require.NoError(c.t, err)
		return answer
	})
	p.Service = kiosksale.New(kiosksale.Config{Gateway: p.gateway, Products: products, Companies: companies, Ways: []code.Company{1}, Online: "online", Currency: "CNY",
		MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(1000_00)})
	return p
}

var another = ids.CardNumber{0x31, 0x04, 0x77, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}

// pay is the rider with WeChat, and the channel's word of it.
func (p *pays) pay(t testing.TB, payment string) {
	o, err := p.gateway.Order(t.Context(), "", payment)
	require.NoError(t, err)
	require.NoError(t, p.wechat.Pay(o.Payments[0].Number, wechat.Payer{}))
	p.wechat.Run(t.Context())
}

// pass lets the channel and the gateway's questions go on for a while.
func (p *pays) pass(c *city, total time.Duration) {
	for range int(total / (5 * time.Second)) {
		c.clock.Advance(5 * time.Second)
		p.wechat.Run(c.t.Context())
		_, err := p.gateway.Scan(c.t.Context())
		require.NoError(c.t, err)
	}
}

func (c *city) buy(token, key, amount string) answer {
	return c.call(token, "POST", "/v1/online/loads", map[string]string{"amount": amount, "way": "wechat"}, "Idempotency-Key", key)
}

// online runs each operation on loads that are paid online.
func (c *city) online(t *testing.T) {
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }
	offer := ok(c.call(c.bus, "GET", "/v1/online/offer", nil))
	require.Equal(t, map[string]any{"currency": "CNY", "max_amount": "500.00", "max_balance": "1000.00", "ways": []any{"wechat"}}, offer.json)

	// Paid and loaded, as a load of the agent's own.
	sale := ok(c.buy(c.bus, "k1", "30.00"))
	require.Equal(t, "waiting", sale.text("state"))
	require.Contains(t, sale.text("qr"), "weixin://")
	require.Equal(t, sale.json, ok(c.buy(c.bus, "k1", "30.00")).json, "the same sale")
	payment := sale.text("payment")
	c.pay.pay(t, payment)
	sale = ok(c.call(c.bus, "GET", "/v1/online/loads/"+payment, nil))
	require.Equal(t, "paid", sale.text("state"))
	load := sale.text("load")
	require.Equal(t, "paid", ok(c.call(c.bus, "GET", "/v1/loads/"+load, nil)).text("state"))
	require.Equal(t, "unknown-order", c.call(c.metro, "GET", "/v1/loads/"+load, nil).code(), "another agent's")
	require.Equal(t, "unknown-order", c.call(c.metro, "GET", "/v1/online/loads/"+payment, nil).code())
	require.Equal(t, "unknown-order", c.call(c.bus, "POST", "/v1/loads/"+load+"/refund", nil).code(), "only the gateway gives it back")
	c.issue(another)
	f := c.present(c.newCard(another))
	auth := ok(c.call(c.bus, "POST", "/v1/loads/"+load+"/authorise", f.init("30.00", kiosk)))
	require.Equal(t, "state", c.call(c.bus, "POST", "/v1/online/loads/"+payment+"/refund", nil).code(), "on its way to the card")
	require.Equal(t, "loaded", ok(c.call(c.bus, "POST", "/v1/loads/"+load+"/confirm", map[string]string{"tac": f.credit(auth.json)})).text("state"))

	// Paid and given back.
	back := ok(c.buy(c.bus, "k2", "20.00")).text("payment")
	c.pay.pay(t, back)
	require.Equal(t, "refunding", ok(c.call(c.bus, "POST", "/v1/online/loads/"+back+"/refund", nil)).text("state"))
	require.Equal(t, "refunding", ok(c.call(c.bus, "POST", "/v1/online/loads/"+back+"/refund", nil)).text("state"))
	c.pay.pass(c, 2*time.Minute)
	require.Equal(t, "refunded", ok(c.call(c.bus, "GET", "/v1/online/loads/"+back, nil)).text("state"))

	// Not paid.
	none := ok(c.buy(c.bus, "k3", "10.00")).text("payment")
	require.Equal(t, "unknown", ok(c.call(c.bus, "POST", "/v1/online/loads/"+none+"/cancel", nil)).text("state"), "somebody may have been faster")
	c.pay.pass(c, time.Minute)
	require.Equal(t, "closed", ok(c.call(c.bus, "POST", "/v1/online/loads/"+none+"/cancel", nil)).text("state"))
	require.Equal(t, "state", c.call(c.bus, "POST", "/v1/online/loads/"+none+"/refund", nil).code(), "nothing was paid")
}

func TestAnOnlineLoadIsRefused(t *testing.T) {
	c := start(t)
	require.Equal(t, "amount", c.buy(c.bus, "a", "500.01").code())
	require.Equal(t, "no-channel", c.call(c.bus, "POST", "/v1/online/loads", map[string]string{"amount": "1.00", "way": "cowries"}, "Idempotency-Key", "w").code())
	require.Equal(t, 200, c.buy(c.bus, "k", "5.00").status)
	require.Equal(t, "idempotency-conflict", c.buy(c.bus, "k", "6.00").code())
	require.Equal(t, 200, c.buy(c.metro, "k", "6.00").status, "another agent's sale")

	c.pay.wechat.Weather.Next(sim.Pay, sim.Fate{Error: "ORDER_CLOSED"})
	require.Equal(t, "refused", c.buy(c.bus, "r", "5.00").text("state"))
	c.pay.wechat.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	lost := c.buy(c.bus, "u", "5.00")
	require.Equal(t, "unknown", lost.text("state"), "nobody knows whether the channel has it")
	require.Empty(t, lost.text("qr"))
}

// TestWithoutAGatewayItSaysSo: no operation of online loads works, and those of other loads do.
func TestWithoutAGatewayItSaysSo(t *testing.T) {
	c := start(t)
	c.serve(func(cfg *api.Config) { cfg.Online = nil })
	a := c.call(c.bus, "GET", "/v1/online/offer", nil)
	require.Equal(t, 409, a.status)
	require.Equal(t, "online-off", a.code())
	require.Contains(t, a.text("detail"), "not set up here")
	require.Equal(t, "online-off", c.buy(c.bus, "k", "5.00").code())
	require.Equal(t, "online-off", c.call(c.bus, "GET", "/v1/online/loads/P00000000000000000000000000", nil).code())
	c.load(c.bus, "sale", "5.00")
}
