package city

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	alipayadapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	acquirer "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	wechatadapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/wechat"
	"github.com/purselane/purselane/terminal/kiosk"
)

// online is how riders pay at the kiosk without cash: the gateway, and the channels that the city's riders have, each with a simulator that verifies what we
// send and proves what it says.
type online struct {
	gateway  *gateway.Service
	channels []*way
	next     *way            // that the next rider pays over
	host     *kiosk.HTTPHost // as the agent that stands for the gateway
	asked    int             // orders whose payment was learned by asking, as no notification came, or no answer
	bank     *acquirer.Adapter
}

// way is a channel as the rider has it.
type way struct {
	account string
	product channel.Product
	payer   func(context.Context, *rider) (channel.Payer, error)
	pays    func(number string) error // nil: it is asked at once
	run     func(context.Context) int // sends what it has to tell; nil: nothing
	booked  func(number string) (charges int, taken, back int64)

	numbers            []string     // of payments
	paid, fees, loaded money.Amount // by the gateway's orders; kept by the channel; on cards
}

// The weather of notifications and answers in the city.
const (
	notifyLost    = 0.10
	notifyDoubled = 0.10
	notifyForged  = 0.05
	answerLost    = 0.10 // of the bank: its payment is asked about
)

const (
	kioskProduct  code.Product = 1
	wechatCompany code.Company = 1
	alipayCompany code.Company = 2
	bankCompany   code.Company = 3
	channelFeePPM              = 6000
)

// openOnline joins gateway and channels to the city's backend.
func (c *City) openOnline(token string, tokenKey []byte, chance *rand.ChaCha8) (err error) {
	o := &online{}
	if o.host, err = kiosk.NewHTTPHost(c.url, token); err != nil {
		return err
	}
	registry, err := code.NewRegistry(map[code.Product]string{kioskProduct: "kiosk"}, map[code.Company]string{wechatCompany: "wechat", alipayCompany: "alipay", bankCompany: "bank"})
	if err != nil {
		return err
	}
	w := wechat.New(wechat.Options{Clock: c.clock, Seed: c.cfg.Seed, Mode: wechat.ByPublicKey})
	a := alipay.New(alipay.Options{Clock: c.clock, Seed: c.cfg.Seed})
	wechatChannel, err1 := wechatadapter.New(w.Settings())
	alipayChannel, err2 := alipayadapter.New(a.Settings())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	card, err := c.openBank(o, tokenKey)
	if err != nil {
		return err
	}
	weather := sim.Faults{NotifyLost: notifyLost, NotifyDoubled: notifyDoubled, NotifyForged: notifyForged}
	w.Weather.Set(weather)
	a.Weather.Set(weather)
	phone := func(context.Context, *rider) (channel.Payer, error) { return channel.Payer{}, nil }
	o.channels = []*way{
		{account: "wechat", product: channel.QR, payer: phone, pays: func(n string) error { return w.Pay(n, wechat.Payer{}) }, run: w.Run, booked: w.Booked},
		{account: "alipay", product: channel.QR, payer: phone, pays: func(n string) error { return a.Pay(n, alipay.Payer{}) }, run: a.Run, booked: a.Booked},
		card,
	}
	loads := c.node.TopUp()
	o.gateway, err = gateway.New(c.node.Store(), c.clock, gateway.Config{
		Registry: registry, Router: o, Rand: chance, Log: slog.New(slog.DiscardHandler), Location: sampleScheme().Location(),
		Accounts: []gateway.Account{
			{ID: "wechat", Company: wechatCompany, Number: 1, Channel: wechatChannel, NotifyURL: "https://city.example/notify/wechat", FeePPM: channelFeePPM},
			{ID: "alipay", Company: alipayCompany, Number: 1, Channel: alipayChannel, NotifyURL: "https://city.example/notify/alipay", FeePPM: channelFeePPM},
			{ID: "bank", Company: bankCompany, Number: 1, Channel: o.bank, FeePPM: channelFeePPM},
		},
		OnPaid: func(ctx context.Context, tx *store.Tx, x gateway.Order) error {
			return loads.PaidOnline(ctx, tx, x.ID, x.Received)
		},
		OnRefund: func(ctx context.Context, tx *store.Tx, x gateway.Order, back money.Amount) error {
			return loads.GiveBackOnline(ctx, tx, x.ID, back)
		},
	})
	if err != nil {
		return err
	}
	notices := func(account string) func(context.Context, string, channel.Notification) channel.Reply {
		return func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
			reply, err := o.gateway.Notified(ctx, account, n)
			var forged *channel.ForgedError
			if errors.As(err, &forged) {
				c.tally.forged++
			}
			return reply
		}
	}
	w.Notices.Receive(notices("wechat"))
	a.Notices.Receive(notices("alipay"))
	c.online = o
	return nil
}

// Route implements [gateway.Router]: riders choose.
func (o *online) Route(context.Context, gateway.Wanted) ([]string, error) {
	return []string{o.next.account}, nil
}

// pay takes the rider through a payment: order, QR code or card, paid. It returns once the gateway knows, and says which load order that made.
func (c *City) pay(ctx context.Context, r *rider, on *way, key string, amount money.Amount) (load string, err error) {
	g := c.online
	g.next = on
	o, err := g.gateway.Create(ctx, "kiosk", gateway.NewOrder{Key: key, Type: code.TopUp, Product: kioskProduct, Merchant: "kiosk",
		Money: channel.Money{Amount: amount, Currency: "CNY"}, Subject: "load of a card"})
	if err != nil {
		return "", err
	}
	payer, err := on.payer(ctx, r)
	if err != nil {
		return "", err
	}
	p, err := g.gateway.Pay(ctx, "kiosk", o.ID, gateway.NewPayment{Key: "1", Product: on.product, Payer: payer})
	if err != nil {
		return "", err
	}
	on.numbers = append(on.numbers, p.Number)
	if on.pays != nil {
		if p.Action.QR == "" {
			return "", fmt.Errorf("payment %s has no code to scan: %s", p.Number, p.Code)
		}
		c.clock.Advance(2 * time.Second) // the rider takes the phone out
		if err := on.pays(p.Number); err != nil {
			return "", err
		}
		on.run(ctx)
	}
	for wait := 0; ; wait++ {
		if o, err = g.gateway.Order(ctx, "kiosk", o.ID); err != nil {
			return "", err
		}
		if o.State == order.Paid {
			if wait > 0 {
				g.asked++
			}
			return topup.OnlineOrder(node.OnlineAgent, o.ID), on.took(o.Received)
		}
		if wait == 60 {
			return "", fmt.Errorf("payment %s: paid, and the gateway does not know it a minute later", p.Number)
		}
		c.clock.Advance(time.Second)
		if _, err := g.gateway.Scan(ctx); err != nil {
			return "", err
		}
	}
}

// took counts what a paid order has brought, and what the channel keeps of it.
func (w *way) took(received money.Amount) (err error) {
	if w.paid, err = w.paid.Add(received); err != nil {
		return err
	}
	w.fees, err = w.fees.Add(money.Minor((received.Minor()*channelFeePPM + 500_000) / 1_000_000))
	return err
}

// paidHost is the backend to a kiosk whose customer has paid already: the order is there.
type paidHost struct {
	*kiosk.HTTPHost
	order string
}

// CreateOrder finds the order that the payment made.
func (h paidHost) CreateOrder(ctx context.Context, _ string, _ money.Amount) (kiosk.Order, error) {
	return h.Order(ctx, h.order)
}
