package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

// payTown is a scheme's folder with a gateway over a WeChat Pay and an Alipay that answer by HTTP.
type payTown struct {
	schemeFolder
	wechat  *wechat.Simulator
	outside *httptest.Server // what channels reach of us
	serve   http.Handler     // behind it
}

const gatewaySection = `
gateway:
  address: 127.0.0.1:0
  notify_url: %s/
  products: {1: kiosk}
  companies: {1: wechat, 2: alipay}
  accounts:
    - {id: wechat, kind: wechat, company: 1, number: 1, fee_ppm: 6000, settings: channels/wechat.yaml}
    - {id: alipay, kind: alipay, company: 2, number: 2, fee_ppm: 6000, settings: channels/alipay.yaml}
  rules:
    - {product: qr, currency: CNY, accounts: [wechat, alipay]}
    - {accounts: [alipay]}
`

func newPayTown(t *testing.T) *payTown {
	dir := filepath.Join(t.TempDir(), "scheme")
	var out bytes.Buffer
	parser, err := kong.New(&InitCmd{}, kong.Writers(&out, &out))
	require.NoError(t, err)
	k, err := parser.Parse([]string{"--dir", dir})
	require.NoError(t, err)
	require.NoError(t, k.Run())
	freePorts(t, dir)
	x := &payTown{schemeFolder: schemeFolder{Dir: dir}, wechat: wechat.New(wechat.Options{Clock: clock.System{}, Seed: 1})}
	x.outside = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { x.serve.ServeHTTP(w, r) }))
	t.Cleanup(x.outside.Close)
	pay := httptest.NewServer(x.wechat)
	t.Cleanup(pay.Close)
	x.wechat.Notices.Receive(sim.HTTPReceiver(x.outside.Client()))

	x.append(t, fileScheme, fmt.Sprintf(gatewaySection, x.outside.URL))
	require.NoError(t, os.Mkdir(x.path("channels"), 0o700))
	w := x.wechat.Settings()
	x.write(t, "channels/wechat.key", 0o600, pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(w.Key)))
	x.write(t, "channels/wechat.v3key", 0o600, w.V3Key+"\n")
	public, err := x509.MarshalPKIXPublicKey(w.PublicKey)
	require.NoError(t, err)
	x.write(t, "channels/wechat.pub", 0o644, pemOf("PUBLIC KEY", public))
	x.write(t, "channels/wechat.yaml", 0o644, fmt.Sprintf("merchant_id: '%s'\napp_id: %s\nserial: '%s'\nkey: wechat.key\nv3_key: wechat.v3key\npublic_key_id: %s\npublic_key: wechat.pub\nhosts: ['%s']\n",
		w.MerchantID, w.AppID, w.Serial, w.PublicKeyID, pay.URL))
	a := alipay.New(alipay.Options{Clock: clock.System{}, Seed: 1}).Settings()
	private, err := x509.MarshalPKCS8PrivateKey(a.Key)
	require.NoError(t, err)
	x.write(t, "channels/alipay.key", 0o600, pemOf("PRIVATE KEY", private))
	public, err = x509.MarshalPKIXPublicKey(a.PublicKey)
	require.NoError(t, err)
	x.write(t, "channels/alipay.pub", 0o644, pemOf("PUBLIC KEY", public))
	x.write(t, "channels/alipay.yaml", 0o644, fmt.Sprintf("app_id: '%s'\nseller_id: '%s'\nkey: alipay.key\npublic_key: alipay.pub\ngateway: '%s'\n", a.AppID, a.SellerID, pay.URL+"/nobody"))
	return x
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (x *payTown) write(t *testing.T, name string, mode os.FileMode, body string) {
	t.Helper()
	require.NoError(t, os.WriteFile(x.path(name), []byte(body), mode))
	require.NoError(t, os.Chmod(x.path(name), mode))
}

func (x *payTown) append(t *testing.T, name, text string) {
	t.Helper()
	raw, err := os.ReadFile(x.path(name))
	require.NoError(t, err)
	x.write(t, name, 0o644, string(raw)+text)
}

func (x *payTown) config(t *testing.T) (node.Config, error) {
	t.Helper()
	c, err := x.schemeFolder.config(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		return c, err
	}
	c.Store = store.Options{NoSync: true}
	return c, x.gateway(&c)
}

func (x *payTown) posts(t *testing.T, account, body string, h http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.outside.URL+"/notify/"+account, strings.NewReader(body))
	require.NoError(t, err)
	if h != nil {
		r.Header = h
	}
	answer, err := x.outside.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	said, err := channel.ReadAnswer(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(said)
}

// TestAPaymentComesByNotification: an account's keys are files, its channel is asked by HTTP and tells by HTTP, and the load order is there when it has been answered.
func TestAPaymentComesByNotification(t *testing.T) {
	x := newPayTown(t)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	g := n.Gateway()

	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: "1", Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
	require.NoError(t, err)
	p, err := g.Pay(t.Context(), "till", o.ID, gateway.NewPayment{Key: "1", Product: channel.QR})
	require.NoError(t, err)
	require.Equal(t, "wechat", p.Account)
	require.NotEmpty(t, p.Action.QR, "%s %s", p.Code, p.Message)
	require.NoError(t, x.wechat.Pay(p.Number, wechat.Payer{}))

	// The true notification is caught: first what a stranger makes of it arrives.
	var caught struct {
		header http.Header
		body   string
	}
	x.wechat.Notices.Receive(func(_ context.Context, to string, m channel.Notification) channel.Reply {
		require.Equal(t, x.outside.URL+"/notify/wechat", to)
		caught.header, caught.body = m.Header, string(m.Body)
		return channel.Reply{Status: 204}
	})
	require.Equal(t, 1, x.wechat.Run(t.Context()))
	status, _ := x.posts(t, "wechat", caught.body+" ", caught.header)
	require.GreaterOrEqual(t, status, 400)
	status, _ = x.posts(t, "alipay", caught.body, caught.header)
	require.NotEqual(t, 204, status)
	status, _ = x.posts(t, "stripe", caught.body, caught.header)
	require.Equal(t, 404, status)
	status, _ = x.posts(t, "wechat", strings.Repeat("x", 1<<20+1), caught.header)
	require.Equal(t, 413, status)
	loads := n.TopUp()
	o, err = g.Order(t.Context(), "till", o.ID)
	require.NoError(t, err)
	require.Equal(t, order.Open, o.State)
	_, err = loads.Order(t.Context(), "", topup.OnlineOrder(node.OnlineAgent, o.ID))
	require.ErrorIs(t, err, topup.ErrUnknownOrder)

	for range 2 { // it comes twice
		status, said := x.posts(t, "wechat", caught.body, caught.header)
		require.Equal(t, 204, status, said)
		o, err = g.Order(t.Context(), "till", o.ID)
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State)
		l, err := loads.Order(t.Context(), "", topup.OnlineOrder(node.OnlineAgent, o.ID))
		require.NoError(t, err)
		require.Equal(t, topup.Paid, l.State)
		require.Equal(t, "20.00", l.Amount.String())
	}
	charges, paid, _ := x.wechat.Booked(p.Number)
	require.Equal(t, []int64{1, 2000}, []int64{int64(charges), paid})
}

// TestChannelFilesThatDoNotFit: each fault names the account, the field and the file, and never what is in it.
func TestChannelFilesThatDoNotFit(t *testing.T) {
	x := newPayTown(t)
	secret, err := os.ReadFile(x.path("channels/wechat.key"))
	require.NoError(t, err)
	settings, err := os.ReadFile(x.path("channels/wechat.yaml"))
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		spoil func()
		says  string
	}{
		{"a key that others may read", func() { require.NoError(t, os.Chmod(x.path("channels/wechat.key"), 0o640)) }, "account wechat"},
		{"no key", func() { require.NoError(t, os.Remove(x.path("channels/wechat.key"))) }, "wechat.key"},
		{"a key that is none", func() { x.write(t, "channels/wechat.key", 0o600, "K7secret") }, "key: wechat.key: holds no PEM"},
		{"a public key in its place", func() { x.write(t, "channels/wechat.key", 0o600, pemOf("PUBLIC KEY", []byte("K7secret"))) }, "no RSA private key"},
		{"an unknown field", func() { x.write(t, "channels/wechat.yaml", 0o644, string(settings)+"sandbox: true\n") }, "sandbox"},
		{"a v3 key that is cut off", func() { x.write(t, "channels/wechat.v3key", 0o600, "K7secret") }, "the API v3 key has 8 bytes"},
		{"no file", func() { require.NoError(t, os.Remove(x.path("channels/wechat.yaml"))) }, "wechat.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x.write(t, "channels/wechat.key", 0o600, string(secret))
			x.write(t, "channels/wechat.yaml", 0o644, string(settings))
			x.write(t, "channels/wechat.v3key", 0o600, x.wechat.Settings().V3Key)
			_, err := x.config(t)
			require.NoError(t, err)
			c.spoil()
			_, err = x.config(t)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "K7secret")
		})
	}
}

// TestAGatewayByAPlan reads the plan from its file, and refuses one of accounts that there are not.
func TestAGatewayByAPlan(t *testing.T) {
	x := newPayTown(t)
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	head, _, found := strings.Cut(string(raw), "  rules:\n    - {product: qr")
	require.True(t, found)
	x.write(t, fileScheme, 0o644, head+"  plan: routing.json\n")
	const plan = `{"version": 3, "accounts": [{"name": "%s", "channel": "wallet", "products": ["qr"], "currencies": ["CNY"]}], "rules": [{"name": "all", "accounts": ["%[1]s"], "strategy": "best"}]}`
	page, err := os.ReadFile("../../docs/gateway-serve.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(page), "```json\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "```")
	for _, c := range []struct{ plan, says string }{
		{fmt.Sprintf(plan, "alipay"), ""},
		{example, ""},
		{fmt.Sprintf(plan, "stripe"), `account "stripe" of the plan is not among gateway.accounts`},
		{`{"version": 3, "acounts": []}`, "acounts"},
		{`{} {}`, "more than one"},
		{strings.Replace(fmt.Sprintf(plan, "alipay"), "best", "worst", 1), "strategy"},
	} {
		x.write(t, "routing.json", 0o644, c.plan)
		cfg, err := x.config(t)
		if err == nil {
			var n *node.Node
			if n, err = node.Open(t.Context(), cfg); err == nil {
				require.NoError(t, n.Close())
			}
		}
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says)
	}
}

// FuzzChannelSettings: settings that cannot be read are an error, and what was read of key files is not in it.
func FuzzChannelSettings(f *testing.F) {
	f.Add("merchant_id: '1'\nkey: k\n", false, []byte("K7secretK7secret"))
	f.Add("app_id: '1'\nkey: k\ncertificates: [c]\n", true, []byte("-----BEGIN X-----\n-----END X-----\n"))
	f.Fuzz(func(t *testing.T, settings string, second bool, key []byte) {
		kind := node.WeChat
		if second {
			kind = node.Alipay
		}
		ch, err := channelOf(kind, []byte(settings), func(string, bool) ([]byte, error) {
			if len(key) == 0 {
				return nil, errors.New("empty")
			}
			return key, nil
		})
		if (ch == nil) == (err == nil) {
			t.Fatalf("channel %v, error %v", ch, err)
		}
		if err != nil && len(key) >= 16 && !strings.Contains(settings, string(key)) && strings.Contains(err.Error(), string(key)) {
			t.Fatal("the error holds the key")
		}
	})
}
