package node_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/clock"
	simalipay "github.com/purselane/purselane/simulator/channel/alipay"
	simwechat "github.com/purselane/purselane/simulator/channel/wechat"
)

const withGateway = whole + `
gateway:
  address: "127.0.0.1:8082"
  notify_url: https://pay.example.org/in
  products: {1: kiosk}
  companies: {1: wechat, 2: alipay}
  accounts:
    - {id: w, kind: wechat, company: 1, number: 1, fee_ppm: 6000, settings: w.yaml}
    - {id: a, kind: alipay, company: 2, number: 2, settings: a.yaml}
  times: {claim_for: 48h, hold_for: 240h}
  rates:
    - id: city-1
      refunds: give-back
      terms:
        - {from: 2026-01-01, standards: [{name: usual, side: inside, charges: [{kind: service, model: rate, ppm: 6000, min: 0.01}]}]}
        - {from: 2026-12-01, standards: []}
  rules:
    - {product: qr, currency: CNY, accounts: [w, a]}
    - {accounts: [a]}
`

func TestAGatewaySectionIsReadStrictly(t *testing.T) {
	s, err := node.ParseScheme([]byte(withGateway))
	require.NoError(t, err)
	require.Equal(t, node.GatewayAccount{ID: "w", Kind: node.WeChat, Company: 1, Number: 1, FeePPM: 6000, Settings: "w.yaml"}, s.Gateway.Accounts[0])
	require.Equal(t, "127.0.0.1:8082", s.Gateway.Address)
	require.Equal(t, node.GatewayTimes{ClaimFor: 48 * time.Hour, HoldFor: 240 * time.Hour}, s.Gateway.Times)
	require.Equal(t, "city-1", s.Gateway.Rates[0].ID)
	require.Equal(t, "usual", s.Gateway.Rates[0].Terms[0].Standards[0].Name)
	none, err := node.ParseScheme([]byte(whole))
	require.NoError(t, err)
	require.Nil(t, none.Gateway)

	for _, c := range []struct{ name, old, new, says string }{
		{"unknown field", "fee_ppm", "fee_pmm", "fee_pmm"},
		{"no address", `address: "127.0.0.1:8082"`, `address: ""`, "gateway.address: want host:port"},
		{"in clear to the world", "127.0.0.1:8082", "0.0.0.0:8082", "TLS is needed"},
		{"told in clear", "https://pay", "http://pay", "by https only"},
		{"a query", "org/in", "org/in?a=1", "without user, query"},
		{"a password", "https://pay", "https://u:p@pay", "without user, query"},
		{"no products", "{1: kiosk}", "{}", "gateway.products"},
		{"a product of no number", "{1: kiosk}", "{10000: kiosk}", "product 10000"},
		{"a company of nobody", "companies: {1: wechat, 2: alipay}", "companies: {1: wechat}", "gateway.accounts[1].company: 2"},
		{"a kind of nobody", "kind: alipay", "kind: cheque", `gateway.accounts[1].kind: "cheque"`},
		{"twice", "id: a,", "id: w,", "gateway.accounts[1].id: w stands twice"},
		{"a number twice", "number: 2", "number: 1", "gateway.accounts[1].number: 1 stands twice"},
		{"a number of no account", "number: 2", "number: 0", "gateway.accounts[1].number: 0"},
		{"a fee of all", "fee_ppm: 6000", "fee_ppm: 1000000", "gateway.accounts[0].fee_ppm"},
		{"no settings", "settings: w.yaml", "settings: ''", "gateway.accounts[0].settings"},
		{"an id with a slash", "id: a,", "id: a/b,", "gateway.accounts[1].id"},
		{"a rule of nobody", "accounts: [a]", "accounts: [b]", `gateway.rules[1].accounts: "b"`},
		{"a rule for nobody", "accounts: [a]", "accounts: []", "gateway.rules[1].accounts"},
		{"a product of no way", "product: qr", "product: smoke", "gateway.rules[0].product"},
		{"a currency", "currency: CNY", "currency: yuan", "gateway.rules[0].currency"},
		{"rules and a plan", "  rules:", "  plan: p.json\n  rules:", "rules or a plan"},
		{"a red packet of no time", "48h", "-1h", "gateway.times.claim_for"},
		{"escrow for ever", "240h", "9000h", "gateway.times.hold_for"},
		{"a rate of no name", "id: city-1", "id: ''", "gateway.rates[0].id"},
		{"a rate that does what with refunds", "give-back", "lose", "gateway.rates[0].refunds"},
		{"a rate of no fee", "ppm: 6000, min", "ppm: -1, min", "gateway.rates[0]: fee schedule: terms[0].standards[0]"},
		{"a rate that payers bear", "usual, side: inside", "usual, side: outside", "the app adds what they bear"},
		{"a rate with a time for taps", "from: 2026-01-01,", "from: 2026-01-01, expire_after: 3,", "expire_after: is of taps"},
		{"an acquirer that has the gateway's name", "id: bus, name: Bus,", "id: online, name: Bus,", "give the acquirer another id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, withGateway, c.old)
			_, err := node.ParseScheme([]byte(strings.Replace(withGateway, c.old, c.new, 1)))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// offer is what kiosks may sell.
func offer(t *testing.T, n *node.Node, token string) string {
	r := httptest.NewRequest(http.MethodGet, "/v1/online/offer", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	n.API().ServeHTTP(w, r)
	return w.Body.String()
}

// TestANodeRunsItsGateway: it serves while it runs, stops with it, and is not there in a tool that has no channels.
func TestANodeRunsItsGateway(t *testing.T) {
	cfg := config(t)
	s, err := node.ParseScheme([]byte(withGateway))
	require.NoError(t, err)
	cfg.Scheme = s
	token, hash := api.NewToken(rand.Reader)
	cfg.Tokens, err = api.LoadTokens([]byte("version: 1\ntokens: [{name: a, role: agent, acquirer: bus, sha256: " + hash + "}]\n"))
	require.NoError(t, err)
	n, err := node.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.Contains(t, offer(t, n, token), "online-off")
	require.Nil(t, n.Gateway())
	require.Nil(t, n.GatewayAPI())
	require.NoError(t, n.Close())

	w, err := wechat.New(simwechat.New(simwechat.Options{Clock: clock.System{}, Seed: 1}).Settings())
	require.NoError(t, err)
	cfg.Channels = map[string]channel.Channel{"w": w}
	_, err = node.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "account a of the gateway has no channel")
	a, err := alipay.New(simalipay.New(simalipay.Options{Clock: clock.System{}, Seed: 1}).Settings())
	require.NoError(t, err)
	cfg.Channels["a"] = a
	n, err = node.Open(t.Context(), cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	_, err = n.BrokerURL(ctx)
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	n.GatewayAPI().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/openapi.yaml", nil))
	require.Equal(t, 200, rec.Code)
	require.Contains(t, offer(t, n, token), `"ways":["wechat","alipay"]`)
	stop()
	require.NoError(t, <-done)
	require.NoError(t, n.Close())

	// Kiosks sell the product that is called so, and no other.
	cfg.Scheme, err = node.ParseScheme([]byte(strings.Replace(withGateway, "1: kiosk", "1: shop", 1)))
	require.NoError(t, err)
	n, err = node.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.Contains(t, offer(t, n, token), "online-off")
	require.NoError(t, n.Close())

	cfg.Scheme, err = node.ParseScheme([]byte(whole))
	require.NoError(t, err)
	_, err = node.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "the scheme has no gateway")
}
