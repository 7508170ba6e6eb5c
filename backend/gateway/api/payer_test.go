package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// TestAHolderIsItsAppsOwn: another app that names the same holder names another one, and nobody names one of another app.
func TestAHolderIsItsAppsOwn(t *testing.T) {
	ann, token := "ann", "card_abc"
	parts := []Part{{With: "balance", Account: &ann, Amount: money.Minor(1), Currency: "CNY"}, {With: "points", Account: &ann, Amount: money.Minor(2), Currency: "PTS"},
		{With: "bank/card", Account: &token, Amount: money.Minor(3), Currency: "CNY"}, {With: "wechat/qr", Amount: money.Minor(4), Currency: "CNY"}}
	p, err := payerOf("till", NewPayment{Account: &ann, Parts: &parts})
	require.NoError(t, err)
	require.Equal(t, "till.ann", p.Account)
	require.Equal(t, []channel.Part{
		{With: "balance", Account: "till.ann", Money: channel.Money{Amount: money.Minor(1), Currency: "CNY"}}, {With: "points", Account: "till.ann", Money: channel.Money{Amount: money.Minor(2), Currency: "PTS"}},
		{With: "bank/card", Account: "card_abc", Money: channel.Money{Amount: money.Minor(3), Currency: "CNY"}}, {With: "wechat/qr", Money: channel.Money{Amount: money.Minor(4), Currency: "CNY"}}}, p.Parts)
	for _, bad := range []struct{ app, name string }{{"till", ""}, {"till", "Ann"}, {"till", "a/b"}, {"till", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"Till", "ann"}, {"till_2", "ann"}} {
		_, err := payerOf(bad.app, NewPayment{Account: &bad.name})
		require.ErrorIs(t, err, gateway.ErrRequest, "%v", bad)
		_, err = payerOf(bad.app, NewPayment{Parts: &[]Part{{With: "points", Account: &bad.name, Amount: money.Minor(1), Currency: "PTS"}}})
		require.ErrorIs(t, err, gateway.ErrRequest, "%v", bad)
	}
}
