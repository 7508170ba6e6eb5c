package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const span = "?from=2026-11-24&to=2026-11-24"

// statements runs every operation on statements and balances.
func (c *city) statements(t *testing.T, token string) {
	t.Helper()
	c.banked()
	for path, who := range map[string]string{
		"/v1/cards/" + token + "/statement" + span: c.operator, "/v1/merchants/line1/statement" + span: c.bus, "/v1/merchants/line1/balance": c.bus,
		"/v1/accounts/float/balance": c.operator, "/v1/accounts/trust/turnover": c.operator, "/v1/cards/" + token + "/statement" + span + "&format=csv": c.operator,
	} {
		a := c.call(who, "GET", path, nil)
		require.Equal(t, 200, a.status, "%s: %s", path, a.raw)
	}
}

// TestAMerchantsBalanceIsTheLedgers compares what an acquirer is told with the books, before and after the day is closed.
func TestAMerchantsBalanceIsTheLedgers(t *testing.T) {
	c := start(t)
	c.watch()
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	told := func(token, query string) map[string]any {
		t.Helper()
		a := c.call(token, "GET", "/v1/merchants/line1/balance"+query, nil)
		require.Equal(t, 200, a.status, "%s", a.raw)
		return a.json
	}
	ledgers := func() map[string]any {
		out := map[string]any{"merchant": "line1", "pending": "0.00", "available": "0.00", "held": "0.00"}
		for _, a := range c.call(c.operator, "GET", "/v1/accounts?prefix=merchant:line1:", nil).json["accounts"].([]any) {
			a := a.(map[string]any)
			name := a["name"].(string)
			balance, isCredit := strings.CutPrefix(a["balance"].(string), "-")
			require.True(t, isCredit || balance == "0.00", "%s is owed", name)
			out[strings.TrimPrefix(name, "merchant:line1:")] = balance
		}
		return out
	}
	before := told(c.bus, "")
	require.Equal(t, map[string]any{"merchant": "line1", "pending": "4.00", "available": "0.00", "held": "2.00"}, before)
	require.Equal(t, ledgers(), before)
	require.Equal(t, before, told(c.operator, ""))
	require.Equal(t, map[string]any{"merchant": "line1", "day": "2026-11-23", "pending": "0.00", "available": "0.00", "held": "0.00"}, told(c.bus, "?day=2026-11-23"), "before its first tap")
	_, err := settlement.Close(t.Context(), c.store, day, settlement.Options{Now: noon.Add(8 * time.Hour), Location: time.UTC})
	require.NoError(t, err)
	after := told(c.bus, "")
	require.Equal(t, ledgers(), after)
	require.NotEqual(t, before, after)
	requireProblem(t, c.call(c.metro, "GET", "/v1/merchants/line1/balance", nil), 404, "unknown-merchant")
}

func TestStatements(t *testing.T) {
	c := start(t)
	c.watch()
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	token := store.Token(tokenKey, number)
	var card, merchant ledger.Statement
	require.NoError(t, c.store.View(t.Context(), func(tx *store.Tx) (err error) {
		if card, err = ledger.CardStatement(t.Context(), tx, token, day, day); err != nil {
			return err
		}
		merchant, err = ledger.MerchantStatement(t.Context(), tx, "line1", day, day)
		return err
	}))
	require.Equal(t, "46.00", card.Sections[0].Closing.String())
	for path, of := range map[string]ledger.Statement{"/v1/cards/" + token + "/statement" + span: card, "/v1/merchants/line1/statement" + span: merchant} {
		asJSON, err := of.JSON()
		require.NoError(t, err)
		require.Equal(t, string(asJSON), string(c.call(c.operator, "GET", path, nil).raw))
		asCSV, err := of.CSV()
		require.NoError(t, err)
		got := c.call(c.operator, "GET", path+"&format=csv", nil)
		require.Equal(t, string(asCSV), string(got.raw))
		require.NotContains(t, string(got.raw), number.Reveal())
		require.Equal(t, "text/csv", got.header.Get("Content-Type"))
	}
	require.Equal(t, string(c.call(c.operator, "GET", "/v1/merchants/line1/statement"+span, nil).raw), string(c.call(c.bus, "GET", "/v1/merchants/line1/statement"+span, nil).raw))
	requireProblem(t, c.call(c.metro, "GET", "/v1/merchants/line1/statement"+span, nil), 404, "unknown-merchant")
}

func TestAccountsOfADay(t *testing.T) {
	c := start(t)
	c.watch()
	c.load(c.bus, "sale-1", "50.00")
	c.tapped()
	get := func(path string) answer { return c.call(c.operator, "GET", "/v1/accounts/"+path, nil) }
	require.Equal(t, map[string]any{"account": "float", "class": "liability", "balance": "-46.00"}, get("float/balance").json)
	require.Equal(t, map[string]any{"account": "float", "class": "liability", "day": "2026-11-23", "balance": "0.00"}, get("float/balance?day=2026-11-23").json)
	require.Equal(t, map[string]any{"account": "merchant:line1:pending", "class": "liability", "balance": "-4.00"}, get("merchant:line1:pending/balance").json)
	require.Equal(t, "0.00", get("float/turnover?day=2026-11-23").text("debits"))
	c.banked()
	requireProblem(t, get("trust/balance"), 422, "external-account")
	require.Equal(t, map[string]any{"account": "trust", "class": "asset", "day": "2026-11-25", "external": true, "debits": "10.00", "credits": "3.00"}, get("trust/turnover?day=2026-11-25").json)
	require.Equal(t, map[string]any{"account": "funding", "class": "liability", "external": false, "debits": "53.00", "credits": "60.00"}, get("funding/turnover").json)
	var byNumber store.BooksAccount
	require.NoError(t, c.store.View(t.Context(), func(tx *store.Tx) (err error) { byNumber, err = tx.FindAccount(t.Context(), "float"); return err }))
	require.Equal(t, get("float/balance").json, get(byNumber.Number+"/balance").json)
}

// banked posts two movements of the bank on the next day.
func (c *city) banked() {
	post := func(id string, debit, credit books.Account, minor int64) {
		lines, err := books.Move(debit, credit, money.Minor(minor))
		require.NoError(c.t, err)
		c.update(func(tx *store.Tx) error {
			return tx.Post(c.t.Context(), books.Entry{ID: id, Kind: "test", Day: "2026-11-25", Ref: "bank", Lines: lines})
		})
	}
	post("in", books.Trust, books.Funding, 10_00)
	post("out", books.Funding, books.Trust, 3_00)
}

func TestBalancesAndStatementsThatAreRefused(t *testing.T) {
	c := start(t)
	c.load(c.bus, "sale-1", "50.00")
	token, nobody := store.Token(tokenKey, number), strings.Repeat("0", 32)
	for path, k := range map[string]struct {
		status int
		code   string
	}{
		"/v1/cards/" + nobody + "/statement" + span:                       {404, "unknown-card"},
		"/v1/cards/" + token + "/statement":                               {400, "request"},
		"/v1/cards/" + token + "/statement?from=2026-11-24":               {400, "request"},
		"/v1/cards/" + token + "/statement?from=2026-11-25&to=2026-11-24": {400, "request"},
		"/v1/cards/" + token + "/statement?from=2026-02-30&to=2026-11-24": {400, "request"},
		"/v1/cards/" + token + "/statement?from=2026-02-01&to=2026-02-30": {400, "request"},
		"/v1/cards/" + token + "/statement" + span + "&format=pdf":        {400, "request"},
		"/v1/merchants/none/statement" + span:                             {404, "unknown-merchant"},
		"/v1/merchants/line1/statement?from=2026-11-25&to=2026-11-24":     {400, "request"},
		"/v1/merchants/none/balance":                                      {404, "unknown-merchant"},
		"/v1/merchants/line%201/balance":                                  {400, "request"},
		"/v1/merchants/line1/balance?day=2026-02-30":                      {400, "request"},
		"/v1/accounts/flaot/balance":                                      {404, "unknown-account"},
		"/v1/accounts/flaot/turnover":                                     {404, "unknown-account"},
		"/v1/accounts/" + number.Reveal() + "/balance":                    {404, "unknown-account"},
		"/v1/accounts/float/balance?day=24":                               {400, "request"},
		"/v1/accounts/float/balance?day=2026-02-30":                       {400, "request"},
		"/v1/accounts/float/turnover?day=2026-02-30":                      {400, "request"},
	} {
		a := c.call(c.operator, "GET", path, nil)
		requireProblem(t, a, k.status, k.code)
		require.NotContains(t, string(a.raw), number.Reveal())
	}
	for _, path := range []string{"/v1/cards/" + token + "/statement" + span, "/v1/accounts/float/balance", "/v1/accounts/float/turnover"} {
		requireProblem(t, c.call(c.bus, "GET", path, nil), 403, "forbidden")
		requireProblem(t, c.call("", "GET", path, nil), 401, "unauthorised")
	}
	for _, path := range []string{"/v1/merchants/line1/statement" + span, "/v1/merchants/line1/balance"} {
		requireProblem(t, c.call(c.metro, "GET", path, nil), 404, "unknown-merchant")
		requireProblem(t, c.call("", "GET", path, nil), 401, "unauthorised")
	}
}
