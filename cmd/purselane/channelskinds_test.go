package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	acquirer "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	stripeadapter "github.com/purselane/purselane/backend/gateway/channel/stripe"
	unionadapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/stripe"
	"github.com/purselane/purselane/simulator/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// everyKind is a scheme with an account of each kind, whose channels answer by HTTP and TCP.
type everyKind struct {
	*payTown
	union  *unionpay.Sim
	stripe *stripe.Simulator
	bank   *cardacquirer.Sim
	log    *slog.Logger // of the node that is opened; nil: its own
}

const (
	bankCard     = "6226090000000048"
	vaultBearer  = "the-bearer-token-of-whoever-brings-cards"
	macKeyDigits = "0123456789abcdeffedcba9876543210"
	unionID      = "777290058110048"
)

const everySection = `
gateway:
  address: 127.0.0.1:0
  notify_url: %s/
  products: {1: kiosk}
  companies: {1: wechat, 2: alipay, 3: unionpay, 4: bank, 5: stripe, 6: own}
  accounts:
    - {id: wechat, kind: wechat, company: 1, number: 1, settings: channels/wechat.yaml}
    - {id: alipay, kind: alipay, company: 2, number: 2, settings: channels/alipay.yaml}
    - {id: union, kind: unionpay, company: 3, number: 3, settings: channels/unionpay.yaml}
    - {id: bank, kind: card, company: 4, number: 4, settings: channels/card.yaml}
    - {id: stripe, kind: stripe, company: 5, number: 5, settings: channels/stripe.yaml}
    - {id: own, kind: balance, company: 6, number: 6}
    - {id: mix, kind: combined, company: 6, number: 7}
  combined: {with: [bank/card, wechat/qr], refunds: pro-rata, points: {PTS: {units: 10, worth: 1}}}
  cards: {address: 127.0.0.1:0, token: channels/vault.token, bins: bins.txt, bins_key: %s}
  rules:
    - {product: qr, accounts: [wechat]}
    - {product: netbank, accounts: [union]}
    - {product: card, accounts: [bank]}
    - {product: quick, accounts: [stripe]}
    - {product: balance, accounts: [own]}
    - {product: combined, accounts: [mix]}
    - {accounts: [alipay]}
`

// unionKeys are shared: RSA keys are slow to make.
var unionKeys = sync.OnceValues(func() (*unionpay.PKI, error) { return unionpay.NewPKI(time.Now()) })

func newEveryKind(t *testing.T) *everyKind {
	x := &everyKind{payTown: newPayTown(t)}
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	head, _, found := strings.Cut(string(raw), "\ngateway:")
	require.True(t, found)
	bins := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	x.write(t, fileScheme, 0o644, head+fmt.Sprintf(everySection, x.outside.URL, hex.EncodeToString(bins.Public().(ed25519.PublicKey))))
	x.write(t, "bins.txt", 0o644, string(node.SignBins(bins, []byte("purselane-bin,1,20261125\n622609,cmb,debit,unionpay,16,luhn\nend,1\n"))))
	x.write(t, "channels/vault.token", 0o600, vaultBearer+"\n")

	pki, err := unionKeys()
	require.NoError(t, err)
	x.union = unionpay.New(unionpay.Config{PKI: pki, Merchant: unionID, TokenID: "62000000001", Clock: clock.System{}, Weather: sim.NewWeather(1)})
	x.union.AddCard(unionpay.Card{Number: bankCard, Bank: "0308", Phone: "13800000001", Balance: 1_000_00})
	x.union.Notifier().Receive(sim.HTTPReceiver(x.outside.Client()))
	web := httptest.NewServer(x.union)
	t.Cleanup(web.Close)
	x.write(t, "channels/union.key", 0o600, pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(pki.Merchant.Signer.(*rsa.PrivateKey))))
	for name, c := range map[string]*x509.Certificate{"merchant": pki.Merchant.Cert, "encrypt": pki.Encrypt, "root": pki.Root} {
		x.write(t, "channels/union-"+name+".pem", 0o644, pemOf("CERTIFICATE", c.Raw))
	}
	x.write(t, "channels/unionpay.yaml", 0o644, fmt.Sprintf("merchant: '%s'\ngateway: %s/gateway/api\nfiles: %[2]s\ntoken_id: '62000000001'\nkey: union.key\ncertificate: union-merchant.pem\nencrypt: union-encrypt.pem\nroots: [union-root.pem]\n", unionID, web.URL))

	const key, secret = "sk_test_simulated0001", "whsec_simulated0001"
	x.stripe = stripe.New(stripe.Settings{Key: key, Version: stripeadapter.Version, Endpoint: x.outside.URL + "/notify/stripe", Secret: secret}, clock.System{}, sim.NewWeather(1))
	x.stripe.Notifier.Receive(sim.HTTPReceiver(x.outside.Client()))
	api := httptest.NewServer(x.stripe)
	t.Cleanup(api.Close)
	t.Setenv("PURSELANE_STRIPE_KEY", key)
	x.write(t, "channels/stripe.hook", 0o600, secret+"\n")
	x.write(t, "channels/stripe.yaml", 0o644, fmt.Sprintf("key: env:PURSELANE_STRIPE_KEY\nwebhook_secrets: [stripe.hook]\ncurrencies: [CNY]\nurl: %s\n", api.URL))

	raw, err = hex.DecodeString(macKeyDigits)
	require.NoError(t, err)
	mac, err := acquirer.NewSoftMAC(raw)
	require.NoError(t, err)
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	x.bank = cardacquirer.New(cardacquirer.Config{Terminal: "PURSE001", Merchant: "898340183980105", Currency: "CNY", Number: "156", Zone: shanghai, MAC: mac, Framing: acquirer.ASCII4,
		Clock: clock.System{}, Weather: sim.NewWeather(1)})
	x.bank.AddCard(cardacquirer.Card{Number: bankCard, Expires: "3012", Bank: "cmb", Balance: 1_000_00})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go x.bank.Serve(l)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	x.write(t, "channels/bank.mac", 0o600, macKeyDigits+"\n")
	x.seal(t, "channels/bank.mac")
	x.write(t, "channels/card.yaml", 0o644, fmt.Sprintf("terminal: PURSE001\nmerchant: '898340183980105'\ncurrency: CNY\ncurrency_number: '156'\nzone: Asia/Shanghai\nends: ['%s', '%s']\nframing: ascii4\nmac_key: sealed:bank.mac.sealed\nfiles: settlement\n",
		dead.Addr(), l.Addr()))
	return x
}

// alipay has the account of that name reach a simulator of its own, by the hosts that are given first.
func (x *everyKind) alipay(t *testing.T, before ...string) *alipay.Simulator {
	t.Helper()
	a := alipay.New(alipay.Options{Clock: clock.System{}, Seed: 1})
	web := httptest.NewServer(a)
	t.Cleanup(web.Close)
	raw, err := os.ReadFile(x.path("channels/alipay.yaml"))
	require.NoError(t, err)
	head, _, found := strings.Cut(string(raw), "gateway: ")
	require.True(t, found)
	hosts := append(before, web.URL)
	x.write(t, "channels/alipay.yaml", 0o644, head+"gateway: '"+hosts[0]+"/gateway.do'\nhosts: ["+strings.Join(hosts[1:], ", ")+"]\n")
	return a
}

// seal seals a file with the tool, and deletes it.
func (x *everyKind) seal(t *testing.T, name string) {
	t.Helper()
	var out bytes.Buffer
	parser, err := kong.New(&ChannelsSealCmd{}, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse([]string{"--dir", x.Dir, x.path(name)})
	require.NoError(t, err)
	require.NoError(t, k.Run())
	require.NoError(t, os.Remove(x.path(name)))
}

// open opens the node and runs it until the test ends.
func (x *everyKind) open(t *testing.T) *node.Node {
	t.Helper()
	c, err := x.config(t)
	require.NoError(t, err)
	if x.log != nil {
		c.Log = x.log
	}
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	x.serve = n.GatewayAPI()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, n.Close())
	})
	return n
}

// brings brings a card to the vault by HTTP.
func (x *everyKind) brings(t *testing.T, n *node.Node, number string) (token string) {
	t.Helper()
	return x.bringsAs(t, n, number, "cmb", "debit")
}

// bringsAs brings a card that the BIN table calls so.
func (x *everyKind) bringsAs(t *testing.T, n *node.Node, number, bank, kind string) (token string) {
	t.Helper()
	return x.bringsUntil(t, n, number, "3012", bank, kind)
}

// bringsUntil brings a card that is good until the end of a month.
func (x *everyKind) bringsUntil(t *testing.T, n *node.Node, number, month, bank, kind string) (token string) {
	t.Helper()
	door := httptest.NewServer(n.Vault())
	defer door.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL+"/v1/cards", strings.NewReader(fmt.Sprintf(`{"number":%q,"expires":%q}`, number, month)))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+vaultBearer)
	answer, err := door.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var got struct{ Token, Bank, Type string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&got))
	require.Equal(t, []string{bank, kind}, []string{got.Bank, got.Type})
	return got.Token
}

// pays makes an order and pays it.
func pays(t *testing.T, g *gateway.Service, key string, minor int64, n gateway.NewPayment) gateway.Payment {
	t.Helper()
	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: key, Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Subject: "load"})
	require.NoError(t, err)
	n.Key = "1"
	p, err := g.Pay(t.Context(), "till", o.ID, n)
	require.NoError(t, err)
	return p
}

// TestEveryKindOfAccountIsServed pays over each channel as the scheme's files say.
func TestEveryKindOfAccountIsServed(t *testing.T) {
	x := newEveryKind(t)
	n := x.open(t)
	g := n.Gateway()
	state := func(p gateway.Payment) order.State {
		o, err := g.Order(t.Context(), "till", p.Order)
		require.NoError(t, err)
		return o.State
	}

	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: "expired", Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
	require.NoError(t, err)
	old := channel.Payer{Token: x.bringsUntil(t, n, bankCard, "2001", "cmb", "debit")}
	_, err = g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.Card, Payer: old})
	require.ErrorIs(t, err, gateway.ErrCardExpired)
	_, err = g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "2", Product: channel.Combined, Payer: channel.Payer{Parts: []channel.Part{
		{With: "balance", Account: "ann", Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}}, {With: "bank/card", Account: old.Token, Money: channel.Money{Amount: money.Minor(1000), Currency: "CNY"}}}}})
	require.ErrorIs(t, err, gateway.ErrCardExpired)
	require.EqualValues(t, 1000_00, x.bank.Card(bankCard).Balance)

	p := pays(t, g, "card", 2000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: x.brings(t, n, bankCard)}})
	require.Equal(t, "bank", p.Account)
	require.Equal(t, order.Paid, state(p), "%s %s %s", p.State, p.Code, p.Message)
	require.EqualValues(t, 980_00, x.bank.Card(bankCard).Balance)

	p = pays(t, g, "netbank", 3000, gateway.NewPayment{Product: channel.NetBank, ReturnURL: "https://shop.example/paid"})
	require.Equal(t, order.Open, state(p))
	require.NoError(t, x.union.Visit(unionadapter.Form(p.Action.Form), bankCard))
	require.Equal(t, order.Open, state(p), "only the back notification counts")
	require.Equal(t, 1, x.union.Notifier().Run(t.Context()))
	require.Equal(t, order.Paid, state(p))

	p = pays(t, g, "stripe", 4000, gateway.NewPayment{Product: channel.Quick, ReturnURL: "https://shop.example/paid", Payer: channel.Payer{Token: "pm_card_authenticationRequired"}})
	require.Equal(t, "stripe", p.Account)
	require.Equal(t, order.Open, state(p), "%s %s", p.Code, p.Message)
	require.NoError(t, x.stripe.Act(p.Number))
	require.Positive(t, x.stripe.Notifier.Run(t.Context()))
	require.Equal(t, order.Paid, state(p))

	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return balance.TopUp(t.Context(), tx, "first", "ann", time.Now().Format("20060102"), "gift", books.Funding, money.Minor(10_000))
	}))
	p = pays(t, g, "balance", 1000, gateway.NewPayment{Product: channel.Balance, Payer: channel.Payer{Account: "ann"}})
	require.Equal(t, order.Paid, state(p), "%s %s", p.Code, p.Message)

	// No number of a card lies in what was written.
	require.NoError(t, filepath.WalkDir(x.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		require.NotContains(t, string(raw), bankCard, path)
		return err
	}))
}

// TestTheBankOfACardIsRoutedBy: a rule of the plan asks for what the BIN table says of the card behind a token.
func TestTheBankOfACardIsRoutedBy(t *testing.T) {
	x := newEveryKind(t)
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	head, _, found := strings.Cut(string(raw), "  rules:\n    - {product: qr")
	require.True(t, found)
	x.write(t, fileScheme, 0o644, head+"  plan: routing.json\n")
	x.write(t, "routing.json", 0o644, `{"version": 1, "accounts": [{"name": "bank", "channel": "bank", "products": ["card"], "currencies": ["CNY"]}, {"name": "stripe", "channel": "stripe", "products": ["card"], "currencies": ["CNY"]}],
		"rules": [{"name": "ours", "when": "bank == \"cmb\" && card == \"debit\"", "accounts": ["bank"], "strategy": "in-order"}, {"name": "others", "accounts": ["stripe"], "strategy": "in-order"}]}`)
	n := x.open(t)
	p := pays(t, n.Gateway(), "ours", 2000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: x.brings(t, n, bankCard)}})
	require.Equal(t, []string{"bank", "cmb"}, []string{p.Account, p.Bank})
	p = pays(t, n.Gateway(), "another's", 2000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: "pm_card_visa"}})
	require.Equal(t, []string{"stripe", ""}, []string{p.Account, p.Bank})
}

// TestACombinedPayment: a balance, points and a channel pay one order, or none of them does; what is given back is split.
func TestACombinedPayment(t *testing.T) {
	x := newEveryKind(t)
	n := x.open(t)
	g := n.Gateway()
	day := time.Now().Format("20060102")
	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(balance.TopUp(t.Context(), tx, "first", "ann", day, "gift", books.Funding, money.Minor(5_000)),
			tx.MovePoints(t.Context(), "gift", "", "ann", "PTS", money.Minor(2_000), "gift", time.Now()))
	}))
	state := func(p gateway.Payment) order.State {
		o, err := g.Order(t.Context(), "till", p.Order)
		require.NoError(t, err)
		return o.State
	}
	held := func() (int64, int64) {
		var f, points money.Amount
		require.NoError(t, n.Store().View(t.Context(), func(tx *store.Tx) error {
			funds, err := tx.Funds(t.Context(), books.HolderBalance("ann"))
			if err != nil {
				return err
			}
			f = funds.Available
			points, _, err = tx.Points(t.Context(), "ann", "PTS")
			return err
		}))
		return f.Minor(), points.Minor()
	}
	cny := func(minor int64) channel.Money { return channel.Money{Amount: money.Minor(minor), Currency: "CNY"} }
	parts := func(with, account string, last int64) channel.Payer {
		return channel.Payer{Parts: []channel.Part{{With: "balance", Account: "ann", Money: cny(2_000)}, {With: "points", Account: "ann", Money: channel.Money{Amount: money.Minor(1_000), Currency: "PTS"}},
			{With: with, Account: account, Money: cny(last)}}}
	}

	// A call of a channel has its time, and on a machine that is busy with other things a combined payment's many steps may want more: then the node ends it.
	ends := func(what string, is func() bool) { require.Eventually(t, is, 2*time.Minute, 20*time.Millisecond, what) }

	// The card's part needs nobody.
	p := pays(t, g, "card", 5_100, gateway.NewPayment{Product: channel.Combined, Payer: parts("bank/card", x.brings(t, n, bankCard), 3_000)})
	ends("paid", func() bool { return state(p) == order.Paid })
	left, points := held()
	require.Equal(t, []int64{3_000, 1_000}, []int64{left, points})
	require.EqualValues(t, 970_00, x.bank.Card(bankCard).Balance)
	_, err := g.Refund(t.Context(), "till", p.Order, gateway.NewRefund{Key: "1", Amount: money.Minor(5_100), Reason: "all"})
	require.NoError(t, err)
	ends("given back", func() bool {
		left, points = held()
		return left == 5_000 && points == 2_000 && x.bank.Card(bankCard).Balance == 1_000_00
	})

	// The phone's part comes by notification, which carries the whole on.
	p = pays(t, g, "phone", 5_100, gateway.NewPayment{Product: channel.Combined, Payer: parts("wechat/qr", "", 3_000)})
	require.Equal(t, order.Open, state(p))
	require.NotEmpty(t, p.Action.QR)
	left, points = held()
	require.EqualValues(t, 3_000, left, "held")
	require.NoError(t, x.wechat.Pay(p.Number+"03P", wechat.Payer{}))
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	ends("paid", func() bool { return state(p) == order.Paid })

	// One part is refused: none pays.
	x.bank.AddCard(cardacquirer.Card{Number: bankCard, Expires: "3012", Bank: "cmb", Balance: 1_00})
	p = pays(t, g, "poor", 5_100, gateway.NewPayment{Product: channel.Combined, Payer: parts("bank/card", x.brings(t, n, bankCard), 3_000)})
	ends("refused", func() bool {
		o, err := g.Order(t.Context(), "till", p.Order)
		require.NoError(t, err)
		return o.State == order.Open && o.Payments[0].Code == "51"
	})
	left, points = held()
	require.Equal(t, []int64{3_000, 1_000}, []int64{left, points})
	require.EqualValues(t, 1_00, x.bank.Card(bankCard).Balance)

	for name, payer := range map[string]channel.Payer{"less": parts("bank/card", "x", 1), "nobody": parts("stripe/quick", "x", 3_000), "none": {}, "a card number": parts("bank/card", bankCard, 3_000)} {
		p = pays(t, g, name, 5_100, gateway.NewPayment{Product: channel.Combined, Payer: payer})
		require.Equal(t, "BAD_PARTS", p.Code, "%s: %s", name, p.Message)
	}
}

// TestAnAppPaysWithSeveralInstruments asks for a combined payment as a merchant's app does, and its holders are its own.
func TestAnAppPaysWithSeveralInstruments(t *testing.T) {
	x := newEveryKind(t)
	n := x.open(t)
	require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
		return balance.TopUp(t.Context(), tx, "first", "till.ann", time.Now().Format("20060102"), "gift", books.Funding, money.Minor(5_000))
	}))
	box, err := x.gatewayBox()
	require.NoError(t, err)
	apps, err := app.New(n.Store(), app.Config{Box: box})
	require.NoError(t, err)
	caller := func(id string) *http.Client {
		_, err := apps.Apply(t.Context(), id, app.Filing{Name: id}, app.Terms{Merchants: []ids.MerchantID{"kiosk"}}, "ann", "papers")
		require.NoError(t, err)
		var key app.NewKey
		for _, who := range []string{"ann", "bob"} {
			key, err = apps.AskKey(t.Context(), id, nil, who, "first")
			require.NoError(t, err)
		}
		for _, e := range []app.Event{app.Approve, app.Activate} {
			for _, who := range []string{"ann", "bob"} {
				_, err := apps.Ask(t.Context(), id, e, who, "seen")
				require.NoError(t, err)
			}
		}
		return &http.Client{Transport: &client.Signer{App: id, KeyID: key.Key.ID, Key: *key.Secret}}
	}
	asks := func(c *http.Client, path, body string) map[string]any {
		answer, err := c.Post(x.outside.URL+path, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer answer.Body.Close()
		var said map[string]any
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&said))
		return said
	}
	pay := func(c *http.Client, key string) (id string, said map[string]any) {
		o := asks(c, "/v1/orders", fmt.Sprintf(`{"key":%q,"type":"top-up","product":1,"merchant":"kiosk","amount":"50.00","currency":"CNY","subject":"load"}`, key))
		id, _ = o["id"].(string)
		require.NotEmpty(t, id, "%v", o)
		return id, asks(c, "/v1/orders/"+id+"/payments", fmt.Sprintf(`{"key":"1","product":"combined","parts":[{"with":"balance","account":"ann","amount":"20.00","currency":"CNY"},{"with":"bank/card","account":%q,"amount":"30.00","currency":"CNY"}]}`, x.brings(t, n, bankCard)))
	}
	till := caller("till")
	id, said := pay(till, "1")
	require.Equal(t, "paid", said["state"], "%v", said)
	o, err := n.Gateway().Order(t.Context(), "till", id)
	require.NoError(t, err)
	require.Equal(t, order.Paid, o.State)
	require.EqualValues(t, 970_00, x.bank.Card(bankCard).Balance)
	_, said = pay(caller("other"), "1")
	require.Equal(t, "NO_FUNDS", said["code"], "%v", said)
	require.EqualValues(t, 970_00, x.bank.Card(bankCard).Balance)
}

// TestRulesAndTableAreReadAnew: what is wrong, and what counts from the next start only, changes nothing.
func TestRulesAndTableAreReadAnew(t *testing.T) {
	x := newEveryKind(t)
	n := x.open(t)
	account := func(key string) string {
		return pays(t, n.Gateway(), key, 1_000, gateway.NewPayment{Product: channel.Card, Payer: channel.Payer{Token: "pm_card_visa"}}).Account
	}
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	table, err := os.ReadFile(x.path("bins.txt"))
	require.NoError(t, err)
	old := string(raw)
	other := strings.Replace(old, "{product: card, accounts: [bank]}", "{product: card, accounts: [stripe]}", 1)
	require.NotEqual(t, old, other)
	require.Equal(t, "bank", account("before"))
	bins := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	for i, bad := range []struct{ scheme, table, says string }{
		{strings.Replace(other, "accounts: [stripe]", "accounts: [nobody]", 1), string(table), "nobody"},
		{strings.Replace(other, "number: 5,", "number: 55,", 1), string(table), "gateway.accounts was changed: that counts from the next start"},
		{strings.Replace(other, "settings: channels/stripe.yaml", "settings: channels/nothing.yaml", 1), string(table), "nothing.yaml"},
		{other, string(table) + "x", "BIN table"},
		{other, string(node.SignBins(bins, []byte("purselane-bin,1,1\nend,0\n"))), "a newer BIN table is in use"},
	} {
		x.write(t, fileScheme, 0o644, bad.scheme)
		x.write(t, "bins.txt", 0o644, bad.table)
		require.ErrorContains(t, x.reload(n), bad.says)
		require.Equal(t, "bank", account(fmt.Sprint("bad ", i)))
	}
	x.write(t, fileScheme, 0o644, other)
	x.write(t, "bins.txt", 0o644, string(node.SignBins(bins, []byte("purselane-bin,1,20261126\n622609,other,credit,unionpay,16,luhn\nend,1\n"))))
	require.NoError(t, x.reload(n))
	require.Equal(t, "stripe", account("after"))
	x.bringsAs(t, n, bankCard, "other", "credit")

	const second = `{"version": 4, "accounts": [{"name": "%s", "channel": "%[1]s", "products": ["card"], "currencies": ["CNY"]}], "rules": [{"name": "all", "accounts": ["%[1]s"], "strategy": "best"}]}`
	tried := func(name, plan string) string {
		x.write(t, name+".json", 0o644, fmt.Sprintf(second, plan))
		return strings.Replace(other, "\n  rules:\n", "\n  experiment: {name: "+name+", plan: "+name+".json, part: 0.5, sample: 100, guardrail: 0.1}\n  rules:\n", 1)
	}
	to := func(accounts ...string) {
		t.Helper()
		seen := map[string]bool{}
		for i := range 100 {
			names, err := n.Channels().Route(t.Context(), gateway.Wanted{Product: channel.Card, Money: channel.Money{Amount: money.Minor(1_000), Currency: "CNY"}, Order: fmt.Sprint("O", i)})
			require.NoError(t, err)
			seen[strings.Join(names, " ")] = true
		}
		require.ElementsMatch(t, accounts, slices.Collect(maps.Keys(seen)))
	}
	x.write(t, fileScheme, 0o644, tried("one", "nobody"))
	require.ErrorContains(t, x.reload(n), "nobody")
	to("stripe")
	x.write(t, fileScheme, 0o644, tried("one", "bank"))
	require.NoError(t, x.reload(n))
	to("bank", "stripe")
	x.write(t, fileScheme, 0o644, tried("one", "stripe"))
	require.ErrorIs(t, x.reload(n), selfheal.ErrSameName)
	x.write(t, fileScheme, 0o644, other)
	require.NoError(t, x.reload(n))
	to("stripe")
}

// TestASecondHost: where the first host of a channel is dead, its second one is asked, and the payment is made once.
func TestASecondHost(t *testing.T) {
	x := newEveryKind(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	for file, field := range map[string]string{"stripe.yaml": "url: ", "unionpay.yaml": "gateway: "} {
		raw, err := os.ReadFile(x.path("channels/" + file))
		require.NoError(t, err)
		head, rest, found := strings.Cut(string(raw), field)
		require.True(t, found)
		address, rest, _ := strings.Cut(rest, "\n")
		live, err := url.Parse(address)
		require.NoError(t, err)
		x.write(t, "channels/"+file, 0o644, head+field+dead.URL+live.Path+"\n"+rest+fmt.Sprintf("hosts: ['%s://%s']\n", live.Scheme, live.Host))
	}
	a := x.alipay(t, dead.URL)
	raw, err := os.ReadFile(x.path("channels/wechat.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(raw), "hosts: ['")
	x.write(t, "channels/wechat.yaml", 0o644, strings.Replace(string(raw), "hosts: ['", "hosts: ['"+dead.URL+"', '", 1))
	n := x.open(t)
	p := pays(t, n.Gateway(), "alipay", 2_000, gateway.NewPayment{Product: channel.Code, Payer: channel.Payer{Code: a.Code(alipay.Payer{})}})
	require.Equal(t, []any{"alipay", order.PaymentPaid}, []any{p.Account, p.State}, "%s %s", p.Code, p.Message)
	taken, fen, _ := a.Booked(p.Number)
	require.Equal(t, []int64{1, 2_000}, []int64{int64(taken), fen})
	p = pays(t, n.Gateway(), "wechat", 2_500, gateway.NewPayment{Product: channel.QR})
	require.Equal(t, "wechat", p.Account, "%s %s", p.Code, p.Message)
	require.NotEmpty(t, p.Action.QR, "%s: %s %s", p.State, p.Code, p.Message)
	require.NoError(t, x.wechat.Pay(p.Number, wechat.Payer{}))
	p = pays(t, n.Gateway(), "stripe", 4_000, gateway.NewPayment{Product: channel.Quick, Payer: channel.Payer{Token: "pm_card_visa"}})
	require.Equal(t, order.PaymentPaid, p.State, "%s %s", p.Code, p.Message)
	charges, paid, _ := x.stripe.Count(p.Number)
	require.Equal(t, []int64{1, 4_000}, []int64{int64(charges), paid})
	p = pays(t, n.Gateway(), "union", 3_000, gateway.NewPayment{Product: channel.NetBank, ReturnURL: "https://shop.example/paid"})
	require.NoError(t, x.union.Visit(unionadapter.Form(p.Action.Form), bankCard))
	require.Equal(t, 1, x.union.Notifier().Run(t.Context()))
	o, err := n.Gateway().Order(t.Context(), "till", p.Order)
	require.NoError(t, err)
	require.Equal(t, order.Paid, o.State)
	r, err := n.Gateway().Refund(t.Context(), "till", p.Order, gateway.NewRefund{Key: "1", Amount: money.Minor(3_000), Reason: "all"})
	require.NoError(t, err)
	require.NotEqual(t, order.OpFailed, r.State, "%s %s", r.Code, r.Message)
}

// TestKindsThatDoNotFit: each fault names the account and the field.
func TestKindsThatDoNotFit(t *testing.T) {
	x := newEveryKind(t)
	for _, c := range []struct{ name, file, old, new, says string }{
		{"a MAC key of nobody", "card.yaml", "bank.mac.sealed", "nobody", "account bank"},
		{"a MAC key that is none", "card.yaml", "sealed:bank.mac.sealed", "stripe.hook", "mac_key: stripe.hook: holds no key of 32 hexadecimal digits"},
		{"a framing", "card.yaml", "ascii4", "ascii5", `framing: "ascii5"`},
		{"an end without a port", "card.yaml", "ends: ['", "ends: ['bank', '", `ends[0]: "bank": want host:port`},
		{"no zone", "card.yaml", "zone: Asia/Shanghai\n", "", `zone: ""`},
		{"no folder", "card.yaml", "files: settlement\n", "", "files: want the folder"},
		{"a terminal", "card.yaml", "PURSE001", "PURSE1", "account bank: cardacquirer: a terminal has 8 characters"},
		{"an unknown field", "unionpay.yaml", "merchant:", "merchnt:", "merchnt"},
		{"no root", "unionpay.yaml", "roots: [union-root.pem]\n", "", "account union: unionpay: the account has no certificate for encryption or roots"},
		{"another certificate", "unionpay.yaml", "certificate: union-merchant", "certificate: union-encrypt", "account union: unionpay: the certificate is not that of the signing key"},
		{"a variable of nobody", "stripe.yaml", "env:PURSELANE_STRIPE_KEY", "env:PURSELANE_NOTHING", "key: env:PURSELANE_NOTHING: the environment has no such variable"},
		{"a secret in the place of a key", "stripe.yaml", "env:PURSELANE_STRIPE_KEY", "stripe.hook", "this is a webhook's secret"},
		{"no currency", "stripe.yaml", "[CNY]", "[]", "name the currencies"},
		{"a table that was changed", "../bins.txt", "debit", "credit", "gateway.cards.bins"},
		{"a token of nobody", "../" + fileScheme, "vault.token", "nothing.token", "gateway.cards.token"},
		{"cards nowhere", "../" + fileScheme, "  cards:", "  # cards:", "gateway.accounts[3].kind: a card acquirer wants card numbers"},
		{"nothing of combined payments", "../" + fileScheme, "  combined:", "  # combined:", "gateway.combined: want it: accounts[6]"},
		{"a product that is none", "../" + fileScheme, "wechat/qr", "wechat/card", "combined.with[1]: account wechat has no product"},
		{"a rule of refunds", "../" + fileScheme, "pro-rata", "never", `gateway.combined.refunds: "never"`},
		{"points of nothing", "../" + fileScheme, "units: 10", "units: 0", "gateway.combined.points.PTS"},
		{"settings of a balance", "../" + fileScheme, "kind: balance,", "kind: balance, settings: x.yaml,", "gateway.accounts[5].settings: a balance has none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join("channels", c.file)
			raw, err := os.ReadFile(x.path(path))
			require.NoError(t, err)
			require.Contains(t, string(raw), c.old)
			defer x.write(t, path, 0o644, string(raw))
			x.write(t, path, 0o644, strings.Replace(string(raw), c.old, c.new, 1))
			cfg, err := x.config(t)
			if err == nil {
				var n *node.Node
				if n, err = node.Open(t.Context(), cfg); err == nil {
					require.NoError(t, n.Close())
				}
			}
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "whsec_simulated0001")
		})
	}
}

// FuzzChannelMakers: settings that cannot be read are an error, and what was read of key files is not in it.
func FuzzChannelMakers(f *testing.F) {
	f.Add("terminal: A\nzone: UTC\nmac_key: k\nends: ['a:1']\nfiles: x\n", false, []byte(macKeyDigits))
	f.Add("merchant: '1'\nkey: k\nroots: [c]\n", true, []byte("-----BEGIN X-----\n-----END X-----\n"))
	f.Fuzz(func(t *testing.T, settings string, union bool, key []byte) {
		kind := node.Card
		if union {
			kind = node.UnionPay
		}
		m, err := makerOf(kind, []byte(settings), func(string, bool) ([]byte, error) { return key, nil }, func(s string) string { return s })
		if (m == nil) == (err == nil) {
			t.Fatalf("maker %v, error %v", m != nil, err)
		}
		if err != nil && len(key) >= 16 && !strings.Contains(settings, string(key)) && strings.Contains(err.Error(), string(key)) {
			t.Fatal("the error holds the key")
		}
	})
}
