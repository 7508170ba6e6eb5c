package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/internal/money"
)

// TestATerminalThatIsForCreditCards: its settings say so, and no debit card is sent there, whatever the routing plan says.
func TestATerminalThatIsForCreditCards(t *testing.T) {
	x := newEveryKind(t)
	x.append(t, "channels/card.yaml", "cards: [credit]\n")
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	for kind, want := range map[string][]string{"debit": nil, "credit": {"bank"}, "": {"bank"}} {
		got, err := n.Channels().Route(t.Context(), gateway.Wanted{Product: channel.Card, Money: channel.Money{Amount: money.Minor(100), Currency: "CNY"}, Card: kind, Order: "1"})
		require.NoError(t, err)
		require.Equal(t, want, got, kind)
	}

	again, err := x.config(t)
	require.NoError(t, err)
	again.Plan = &route.Plan{Version: 2, Accounts: []route.Account{{Name: "bank", Channel: "bank", Products: []channel.Product{channel.Card}, Currencies: []string{"CNY"}, Cards: []string{"debit"}}},
		Rules: []route.Rule{{Name: "all", Accounts: []string{"bank"}, Strategy: route.InOrder}}}
	require.ErrorContains(t, n.Reload(again), "its credential is for credit")

	raw, err := os.ReadFile(x.path("channels/card.yaml"))
	require.NoError(t, err)
	x.write(t, "channels/card.yaml", 0o644, strings.Replace(string(raw), "cards: [credit]", "cards: [visa]", 1))
	again, err = x.config(t)
	require.NoError(t, err)
	_, err = node.Open(t.Context(), again)
	require.ErrorContains(t, err, `cards: "visa": want debit, credit, prepaid`)
}
