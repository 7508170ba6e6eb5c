package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	alipayadapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	wechatadapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// payoutChannel is a real adapter before its simulator, as pay-outs see it.
type payoutChannel struct {
	adapter  channel.Channel
	weather  *sim.Weather
	notices  *sim.Notifier
	payee    string
	run      func()                    // what is due by the clock
	sent     func(number string) int64 // minor units that the payee has
	refuses  func()                    // the next payee does not get it
	confirms bool                      // the payee must
	comeback func(number string)       // nil: what has arrived does not come back, or nobody tells
}

var payoutChannels = map[string]func(t *testing.T, d *desk) payoutChannel{
	"WeChat Pay": func(t *testing.T, d *desk) payoutChannel {
		s := wechat.New(wechat.Options{Clock: d.clock, Seed: 1})
		a, err := wechatadapter.New(s.Settings())
		require.NoError(t, err)
		return payoutChannel{adapter: a, weather: s.Weather, notices: s.Notices, payee: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6p", confirms: true, run: func() { s.Run(t.Context()) },
			sent:    func(n string) int64 { _, fen := s.Transferred(n); return fen },
			refuses: func() { s.AddPayee("oUpF8uMuAJO_M2pxb1Q9zNjWeS6p", wechat.Payee{Takes: 2 * wechat.ConfirmWithin}) }}
	},
	"Alipay": func(t *testing.T, d *desk) payoutChannel {
		s := alipay.New(alipay.Options{Clock: d.clock, Seed: 1, Mode: alipay.ByCertificate, Messages: "https://gateway.example/one"})
		a, err := alipayadapter.New(s.Settings())
		require.NoError(t, err)
		return payoutChannel{adapter: a, weather: s.Weather, notices: s.Notices, payee: alipayadapter.UserNumber + "2088102122524333", run: func() { s.Run(t.Context()) },
			sent:     func(n string) int64 { _, fen := s.Transferred(n); return fen },
			refuses:  func() { s.AddPayee("2088102122524333", alipay.Payee{Gone: true}) },
			comeback: func(n string) { require.NoError(t, s.Return(n)) }}
	},
	"UnionPay": func(t *testing.T, d *desk) payoutChannel {
		s, a, w := unionPay(t, d)
		return payoutChannel{adapter: a, weather: w, notices: s.Notifier(), payee: "ref-payee", run: func() { s.Settle(); s.Notifier().Run(t.Context()) },
			sent:    func(n string) int64 { _, fen, _ := s.Count(n); return fen },
			refuses: func() { s.AddCard(unionpay.Card{Number: unionPayee, Bank: "0100", Stopped: true}) }}
	},
}

const unionPayer, unionPayee = "6226090000000048", "6216261000000000018"

// cardVault opens references of tests.
type cardVault map[string]string

func (v cardVault) Account(_ context.Context, ref string) (string, error) { return v[ref], nil }

func unionPay(t *testing.T, d *desk) (*unionpay.Sim, *unionadapter.Adapter, *sim.Weather) {
	t.Helper()
	pki, err := unionpay.NewPKI(d.clock.Now())
	require.NoError(t, err)
	w := sim.NewWeather(1)
	s := unionpay.New(unionpay.Config{PKI: pki, Merchant: "777290058110048", TokenID: "62000000001", Clock: d.clock, Weather: w})
	s.AddCard(unionpay.Card{Number: unionPayer, Bank: "0308", Phone: "13800000001", Balance: 1_000_00})
	s.AddCard(unionpay.Card{Number: unionPayee, Bank: "0100", Phone: "13800000004"})
	a, err := unionadapter.New(unionadapter.Settings{Merchant: "777290058110048", Gateway: "https://gateway.unionpay.example/gateway/api", Files: "https://files.unionpay.example/", TokenID: "62000000001",
		Key: pki.Merchant, Encrypt: pki.Encrypt, Roots: pki.Roots(), HTTP: sim.Doer(s, w), Clock: d.clock, Vault: cardVault{"ref-payer": unionPayer, "ref-payee": unionPayee}})
	require.NoError(t, err)
	return s, a, w
}

// paysOutOver is a desk whose shop has 100.00, and whose pay-outs go over a real adapter.
func paysOutOver(t *testing.T, make func(*testing.T, *desk) payoutChannel) (*desk, payoutChannel) {
	d := start(t, func(c *gateway.Config) { c.Router = gateway.FixedRouter{{Accounts: []string{"two"}}} })
	n := anOrder("fund", 10000)
	n.Type, n.Payee = code.Transfer, d.shop
	o, err := d.Create(d.ctx, app, n)
	require.NoError(t, err)
	p := d.pay(o.ID, "p")
	require.True(t, d.two.pays(p.Number, false))
	require.NoError(t, d.notify("two", "", p.Number))
	x := make(t, d)
	d.cfg = func(c *gateway.Config) {
		box, err := sealed.New(bytesOf(32))
		require.NoError(t, err)
		c.Box, c.Accounts[0].Channel = box, x.adapter
	}
	d.restart()
	x.notices.Receive(func(ctx context.Context, url string, n channel.Notification) channel.Reply {
		require.Equal(t, "https://gateway.example/one", url)
		answer, err := d.Notified(ctx, "one", n)
		require.NoError(t, err)
		return answer
	})
	return d, x
}

func bytesOf(n int) []byte { return make([]byte, n) }

func (d *desk) paysOutTo(key, payee string, minor int64) gateway.Order {
	o, err := d.Withdraw(d.ctx, app, gateway.NewWithdrawal{Key: key, Product: 1, Merchant: d.shop, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Subject: "takings",
		To: gateway.PayTo{Account: payee, Name: "张三"}})
	require.NoError(d.t, err)
	return o
}

// TestPayOutsOverRealAdapters goes the whole way at each channel that pays out: told of an end, an answer that is lost and a request that is, and a payee who does not
// get it. Nothing is sent twice, and the bill of the day agrees with what we hold.
func TestPayOutsOverRealAdapters(t *testing.T) {
	for name, make := range payoutChannels {
		t.Run(name, func(t *testing.T) {
			d, x := paysOutOver(t, make)
			day := d.clock.Now().In(x.adapter.Capabilities().DayZone).Format(time.DateOnly)

			told := d.paysOutTo("told", x.payee, 1000)
			require.Equal(t, x.confirms, told.Operations[0].Action.Params["package"] != "")
			d.clock.Advance(30 * time.Second)
			x.run()
			require.Equal(t, order.Paid, d.now(told.ID).State)
			require.EqualValues(t, 1000, x.sent(told.Operations[0].Number))
			require.Equal(t, "-90.00", d.available())

			x.weather.Next(sim.Payout, sim.Fate{Cut: sim.CutAfter})
			lost := d.paysOutTo("answer lost", x.payee, 1100)
			require.Equal(t, order.OpUnknown, lost.Operations[0].State)
			d.pass(2*time.Minute, 2*time.Second)
			require.Equal(t, order.Paid, d.now(lost.ID).State)
			require.Equal(t, order.Done, d.now(lost.ID).Operations[0].State)
			require.EqualValues(t, 1100, x.sent(lost.Operations[0].Number))

			x.weather.Next(sim.Payout, sim.Fate{Cut: sim.CutBefore})
			never := d.paysOutTo("request lost", x.payee, 1200)
			d.pass(20*time.Minute, 10*time.Second)
			require.Equal(t, order.Assumed, d.now(never.ID).Operations[0].State, "what nobody has is not sent again by itself")
			require.Zero(t, x.sent(never.Operations[0].Number))
			for _, by := range []string{"ann", "bob"} {
				_, _, err := d.Decide(d.ctx, never.Operations[0].Number, gateway.DecideReturned, by, "the channel does not have it")
				require.NoError(t, err)
			}
			require.Equal(t, order.Returned, d.now(never.ID).State)

			if x.comeback != nil {
				back := d.paysOutTo("comes back", x.payee, 1400)
				require.Equal(t, order.Paid, d.now(back.ID).State)
				d.clock.Advance(time.Minute)
				x.comeback(back.Operations[0].Number)
				x.run()
				require.Equal(t, order.Returned, d.now(back.ID).State)
			}

			require.Equal(t, "-79.00", d.available())
			d.clock.Advance(48 * time.Hour)
			r, err := bill.Day(t.Context(), d.store, "one", x.adapter, day)
			require.NoError(t, err)
			require.Empty(t, r.Differences)
			require.Equal(t, 2, r.Matched)

			x.refuses()
			refused := d.paysOutTo("refused", x.payee, 1300)
			for range 30 {
				d.pass(time.Hour, 10*time.Minute)
				x.run()
			}
			require.Contains(t, []order.State{order.Closed, order.Returned}, d.now(refused.ID).State)
			require.Zero(t, x.sent(refused.Operations[0].Number))
			require.Equal(t, "-79.00", d.available(), "it is booked back")
			d.agrees(refused.ID)
			d.proves(t)
		})
	}
}
