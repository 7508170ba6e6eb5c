package gateway_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	alipayadapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	stripeadapter "github.com/purselane/purselane/backend/gateway/channel/stripe"
	unionpayadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	wechatadapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/stripe"
	"github.com/purselane/purselane/simulator/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// counter is a channel's simulator as its payers meet it.
type counter struct {
	channel channel.Channel
	notices *sim.Notifier
	run     func(context.Context)
	payer   func(channel.Product) channel.Payer
	pays    func(gateway.Payment) error // the payer, with what his device was handed; nil: nobody need do anything
}

// counters makes each channel that has a simulator of its company, at a desk.
var counters = map[string]func(*testing.T, *desk) counter{
	"wechat": func(t *testing.T, d *desk) counter {
		s := wechat.New(wechat.Options{Clock: d.clock, Seed: 1, Mode: wechat.ByPublicKey})
		a, err := wechatadapter.New(s.Settings())
		require.NoError(t, err)
		return counter{channel: a, notices: s.Notices, run: func(ctx context.Context) { s.Run(ctx) },
			payer: func(p channel.Product) channel.Payer {
				switch p {
				case channel.Code:
					return channel.Payer{Code: s.Code(wechat.Payer{Password: true})}
				case channel.JSAPI:
					return channel.Payer{OpenID: "o-ann"}
				}
				return channel.Payer{}
			},
			pays: func(p gateway.Payment) error { return s.Pay(p.Number, wechat.Payer{}) }}
	},
	"alipay": func(t *testing.T, d *desk) counter {
		s := alipay.New(alipay.Options{Clock: d.clock, Seed: 1})
		a, err := alipayadapter.New(s.Settings())
		require.NoError(t, err)
		return counter{channel: a, notices: s.Notices, run: func(ctx context.Context) { s.Run(ctx) },
			payer: func(p channel.Product) channel.Payer {
				switch p {
				case channel.Code:
					return channel.Payer{Code: s.Code(alipay.Payer{Password: true})}
				case channel.JSAPI:
					return channel.Payer{OpenID: "2088102146225135"}
				}
				return channel.Payer{}
			},
			pays: func(p gateway.Payment) error {
				open := p.Action.URL
				if p.Product == channel.App {
					open = p.Action.Params["orderStr"]
				}
				if open != "" {
					if err := s.Open(open); err != nil {
						return err
					}
				}
				return s.Pay(p.Number, alipay.Payer{})
			}}
	},
	"unionpay": func(t *testing.T, d *desk) counter {
		keys, err := unionpay.NewPKI(noon)
		require.NoError(t, err)
		const merchant, card = "777290058110048", "6226090000000048"
		w := sim.NewWeather(1)
		s := unionpay.New(unionpay.Config{PKI: keys, Merchant: merchant, TokenID: "62000000001", Clock: d.clock, Weather: w})
		s.AddCard(unionpay.Card{Number: card, Bank: "0308", Phone: "13800000001", Balance: 1000_00})
		a, err := unionpayadapter.New(unionpayadapter.Settings{Merchant: merchant, Gateway: "https://gateway.unionpay.example/gateway/api", Files: "https://files.unionpay.example/", TokenID: "62000000001",
			Key: keys.Merchant, Encrypt: keys.Encrypt, Roots: keys.Roots(), HTTP: sim.Doer(s, w), Clock: d.clock, Vault: refs{"ref-ann": card}})
		require.NoError(t, err)
		return counter{channel: a, notices: s.Notifier(), run: func(ctx context.Context) { s.Settle(); s.Notifier().Run(ctx) },
			payer: func(p channel.Product) channel.Payer {
				if p != channel.Quick {
					return channel.Payer{}
				}
				bound, err := a.Open(t.Context(), channel.SignRequest{Number: "open0000000000000001"}, unionpayadapter.CardData{Number: card, Phone: "13800000001"})
				require.NoError(t, err)
				return channel.Payer{Token: bound.Agreement}
			},
			pays: func(p gateway.Payment) error {
				if p.Product == channel.Quick { // it is debited a moment after it was accepted
					return nil
				}
				return s.Visit(unionpayadapter.Form(p.Action.Form), card)
			}}
	},
	"stripe": func(t *testing.T, d *desk) counter {
		const key, secret = "sk_test_simulated0001", "whsec_simulated0001"
		w := sim.NewWeather(1)
		s := stripe.New(stripe.Settings{Key: key, Version: stripeadapter.Version, Endpoint: "https://gateway.example/one", Secret: secret, Currency: "cny"}, d.clock, w)
		a, err := stripeadapter.New(stripeadapter.Settings{Key: key, WebhookSecrets: []string{secret}, Currencies: []string{"CNY"}, Clock: d.clock, HTTP: sim.Client(s, w), URL: "https://api.stripe.example"})
		require.NoError(t, err)
		return counter{channel: a, notices: s.Notifier, run: func(ctx context.Context) { s.Notifier.Run(ctx) },
			payer: func(channel.Product) channel.Payer { return channel.Payer{Token: "pm_card_visa"} }}
	},
	"balance": func(t *testing.T, d *desk) counter {
		a, err := balance.New(balance.Settings{Store: d.store, ID: "one", Currency: "CNY", Clock: d.clock})
		require.NoError(t, err)
		require.NoError(t, d.store.Update(d.ctx, func(tx *store.Tx) error {
			return balance.TopUp(d.ctx, tx, "t", "app.ann", noon.Format(time.DateOnly), "test", books.Funding, money.Minor(100_00))
		}))
		return counter{channel: a, payer: func(channel.Product) channel.Payer { return channel.Payer{Account: "app.ann"} }}
	},
}

// refs opens references of cards.
type refs map[string]string

func (r refs) Account(_ context.Context, ref string) (string, error) { return r[ref], nil }

// wants is what a payer's device must be handed.
func wants(t *testing.T, p gateway.Payment) {
	has := []bool{p.Action.QR != "", p.Action.URL != "", p.Action.Params != nil}
	switch p.Product {
	case channel.QR:
		require.Equal(t, []bool{true, false, false}, has)
	case channel.H5, channel.NetBank:
		require.Equal(t, []bool{false, true, false}, has)
	case channel.JSAPI, channel.App:
		require.Equal(t, []bool{false, false, true}, has)
	default:
		require.Equal(t, []bool{false, false, false}, has)
	}
}

// TestEveryProductOfEveryChannelIsPaid, through the service, by what the payer is handed. Where somebody must do something, it is the channel's word that makes it paid.
func TestEveryProductOfEveryChannelIsPaid(t *testing.T) {
	for name, at := range counters {
		d := start(t, nil)
		c := at(t, d)
		d.cfg = func(g *gateway.Config) {
			g.Accounts = g.Accounts[:1]
			g.Accounts[0].Channel, g.Router = c.channel, gateway.FixedRouter{{Accounts: []string{"one"}}}
		}
		d.serve()
		if c.notices != nil {
			c.notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
				answer, err := d.Notified(ctx, "one", n)
				require.NoError(t, err)
				return answer
			})
		}
		for _, product := range c.channel.Capabilities().Products {
			if product == channel.Agreement || product == channel.Payout {
				continue // nobody is there to pay: the tests of agreements and of pay-outs have them
			}
			t.Run(name+" "+string(product), func(t *testing.T) {
				o := d.order(string(product), 10_00)
				p, err := d.Pay(d.ctx, app, o.ID, gateway.NewPayment{Key: "p", Product: product, Payer: c.payer(product), ReturnURL: "https://shop.example/back", IP: "203.0.113.7"})
				require.NoError(t, err)
				wants(t, p)
				if c.pays != nil {
					require.Equal(t, order.Waiting, p.State)
					require.NoError(t, c.pays(p))
					require.Equal(t, order.Open, d.now(o.ID).State, "that a browser comes back proves nothing")
					d.clock.Advance(3 * time.Second)
					c.run(d.ctx)
				}
				if product == channel.Code { // WeChat tells nobody of these: it is asked
					d.pass(5*time.Second, time.Second)
				}
				require.Equal(t, order.Paid, d.now(o.ID).State)
				d.agrees(o.ID)
			})
		}
	}
}

// TestThePageSaysWhatEachChannelHas holds the table of products and channels to the adapters.
func TestThePageSaysWhatEachChannelHas(t *testing.T) {
	page, err := os.ReadFile("../../docs/gateway.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "| product | what the payer's device is handed |")
	require.True(t, found)
	heads := strings.Split(strings.Trim(strings.SplitN(table, "\n", 2)[0], " |"), "|")
	says := map[string][]channel.Product{}
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| `") {
			break
		}
		for i, cell := range cells[2:] {
			if name := strings.TrimSpace(heads[i]); strings.TrimSpace(cell) == "yes" {
				says[name] = append(says[name], channel.Product(strings.Trim(cells[0], " `")))
			}
		}
	}
	d := start(t, nil)
	has := map[string][]channel.Product{"card": (&cardacquirer.Adapter{}).Capabilities().Products}
	for name, at := range counters {
		has[name] = at(t, d).channel.Capabilities().Products
	}
	for name, products := range has {
		products = slices.DeleteFunc(slices.Clone(products), func(p channel.Product) bool { return p == channel.Payout && name != "unionpay" }) // an agreed extra there
		require.ElementsMatch(t, products, says[name], name)
	}
}
