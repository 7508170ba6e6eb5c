package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/internal/money"
)

// TestACardIsBoundInServe: what a payer types comes to the vault's door, the card is bound over UnionPay as the scheme's files say, and pays; then nothing of it is found in what the
// process has written.
func TestACardIsBoundInServe(t *testing.T) {
	x := newEveryKind(t)
	raw, err := os.ReadFile(x.path(fileScheme))
	require.NoError(t, err)
	x.write(t, fileScheme, 0o644, strings.Replace(string(raw), "{product: quick, accounts: [stripe]}", "{product: quick, accounts: [stripe, union]}", 1))
	n := x.open(t)
	g := n.Gateway()

	door := httptest.NewServer(n.Vault())
	defer door.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL+"/v1/typed", strings.NewReader(fmt.Sprintf(`{"number":%q,"phone":"13800000001","cvn2":"731"}`, bankCard)))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+vaultBearer)
	answer, err := door.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var typed struct{ Token, Bank string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&typed))
	require.Equal(t, "cmb", typed.Bank)

	o, err := g.Create(t.Context(), "till", gateway.NewOrder{Key: "o", Type: code.TopUp, Product: 1, Merchant: "kiosk", Money: channel.Money{Amount: money.Minor(2000), Currency: "CNY"}, Subject: "load"})
	require.NoError(t, err)
	b, err := g.Bind(t.Context(), "till", gateway.NewBinding{Key: "b", Product: 1, Holder: "rider-7", Typed: typed.Token, Order: o.ID})
	require.NoError(t, err)
	require.Equal(t, order.CodeSent, b.State, "%s %s", b.Code, b.Message)
	require.Equal(t, "union", b.Account, "stripe binds nothing")
	b, err = g.ConfirmBinding(t.Context(), "till", b.Number, typed.Token, x.union.Text(b.Number+"01"))
	require.NoError(t, err)
	require.Equal(t, order.Bound, b.State, "%s %s", b.Code, b.Message)
	require.Equal(t, []string{"cmb", "debit", bankCard[12:]}, []string{b.Bank, b.Kind, b.Last})
	_, err = g.BindCode(t.Context(), "till", b.Number, typed.Token)
	require.ErrorIs(t, err, gateway.ErrNotTyped, "forgotten once the card was bound")
	require.Eventually(t, func() bool {
		x.union.Settle()
		x.union.Notifier().Run(t.Context())
		o, err = g.Order(t.Context(), "till", o.ID)
		require.NoError(t, err)
		return o.State == order.Paid
	}, time.Minute, 20*time.Millisecond)
	require.Len(t, o.Payments, 1)
	require.EqualValues(t, 980_00, x.union.Balance(bankCard))
	known := filepath.Join(t.TempDir(), "known")
	require.NoError(t, os.WriteFile(known, []byte("the card "+bankCard+"\nthe phone 13800000001\nUnionPay's tokens 62352400000\n"), 0o600))
	out, err := runScan(t, "--dir", x.Dir, "--known", known)
	require.NoError(t, err, out)

	ended, err := g.Unbind(t.Context(), "till", b.Number)
	require.NoError(t, err)
	require.Equal(t, order.Unbound, ended.State)
}
