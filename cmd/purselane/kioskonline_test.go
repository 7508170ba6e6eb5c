package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/wechat"
	"github.com/purselane/purselane/terminal/kiosk"
)

// TestALoadThatWasPaidOnline goes through a scheme's folder as an operator makes it: a kiosk with the agent's token asks for a payment, the rider pays it over a channel that
// is reached by HTTP, and the load goes onto a card as any other that is paid.
func TestALoadThatWasPaidOnline(t *testing.T) {
	x := newPayTown(t)
	card := filepath.Join(x.Dir, "card.json")
	must(t, "card", "issue", "--dir", x.Dir, "--number", "00010203040506070809", "--file", card)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	x.serve = n.GatewayAPI()
	backend := httptest.NewServer(n.API())
	defer backend.Close()
	token, err := os.ReadFile(x.path("agent.token"))
	require.NoError(t, err)
	host, err := kiosk.NewHTTPHost(backend.URL, strings.TrimSpace(string(token)))
	require.NoError(t, err)

	offer, err := host.Offer(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"wechat", "alipay"}, offer.Ways)
	buy := func(key string) kiosk.Sale {
		sale, err := host.Buy(t.Context(), key, money.Minor(20_00), "wechat")
		require.NoError(t, err)
		require.Equal(t, kiosk.SaleWaiting, sale.State)
		require.Contains(t, sale.QR, "weixin://")
		o, err := n.Gateway().Order(t.Context(), "", sale.Payment)
		require.NoError(t, err)
		require.NoError(t, x.wechat.Pay(o.Payments[0].Number, wechat.Payer{}))
		x.wechat.Run(t.Context())
		sale, err = host.Sale(t.Context(), sale.Payment)
		require.NoError(t, err)
		require.Equal(t, kiosk.SalePaid, sale.State)
		return sale
	}
	sale := buy("one")
	out := must(t, "kiosk", "load", "--backend", backend.URL, "--token-file", x.path("agent.token"), "--card", card, "--order", sale.Load)
	require.Contains(t, out, "loaded: 20.00")
	_, err = host.RefundSale(t.Context(), sale.Payment)
	require.ErrorIs(t, err, kiosk.ErrState, "it is on the card")

	sale = buy("two")
	back, err := host.RefundSale(t.Context(), sale.Payment)
	require.NoError(t, err)
	require.Equal(t, kiosk.SaleRefunding, back.State)
	_, err = run(t, "kiosk", "load", "--backend", backend.URL, "--token-file", x.path("agent.token"), "--card", card, "--order", sale.Load)
	require.ErrorContains(t, err, "given back")
}
