package api_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

const day = "2026-11-24"

// tapped posts two debits of the card at bus-1, and a clone of the second, so that there is something to read.
func (c *city) tapped() {
	ctx := c.t.Context()
	var all []store.Verified
	for i := range uint64(3) {
		counter := uint32(min(i, 1))
		before := money.Minor(50_00 - 2_00*int64(counter))
		after, err := before.Sub(money.Minor(2_00))
		require.NoError(c.t, err)
		all = append(all, store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: i + 1, Day: day, ReceivedMS: noon.UnixMilli() + int64(i)},
			Card: number, Issuer: issuer, Levels: 2, Counter: counter, Kind: 1,
			Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: i + 1}, Seq: i + 1, At: noon.UnixMilli() + int64(i), Merchant: "line1",
				Amount: money.Minor(2_00), Before: before, After: after, Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood}})
	}
	c.update(func(tx *store.Tx) error {
		require.NoError(c.t, tx.TerminalSeen(ctx, "bus-1", noon, 3))
		return tx.PostGroup(ctx, store.Group{Day: day, AtMS: noon.UnixMilli(), Token: func(n ids.CardNumber) string { return store.Token(tokenKey, n) }}, all)
	})
}

// TestEveryOperation runs every operation of the document, and holds each request and each answer against it.
func TestEveryOperation(t *testing.T) {
	c := start(t)
	w := c.watch()
	token := store.Token(tokenKey, number)
	ok := func(a answer) answer { t.Helper(); require.Equal(t, 200, a.status, "%s", a.raw); return a }

	ok(c.call("", "GET", "/v1/health", nil))
	served := ok(c.call("", "GET", "/v1/openapi.yaml", nil))
	file, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(file), string(served.raw))

	c.loadEC(t)

	// A load whose answer is doubted, then settled by another agent, with the card's own word.
	c.load(c.bus, "sale-1", "50.00")
	id := c.order(c.bus, "sale-2", "20.00")
	f := c.present(c.card)
	require.Equal(t, token, ok(c.call(c.metro, "POST", "/v1/cards/lookup", f.init("0.01", kiosk))).text("token"))
	auth := ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise", f.init("20.00", kiosk)))
	tac := f.credit(auth.json)
	require.Equal(t, "uncertain", ok(c.call(c.bus, "POST", "/v1/loads/"+id+"/uncertain", nil)).text("state"))
	looked := ok(c.call(c.metro, "POST", "/v1/cards/lookup", f.init("0.01", kiosk)))
	open := looked.json["open_load"].(map[string]any)
	require.Equal(t, map[string]any{"order": id, "amount": "20.00", "online_counter": 1.0, "challenge": auth.text("challenge")}, open)
	card := ok(c.call(c.operator, "GET", "/v1/cards/"+token, nil))
	require.Equal(t, map[string]any{"order": id, "state": "uncertain", "amount": "20.00"}, card.json["open_load"])
	resolved := ok(c.call(c.metro, "POST", "/v1/loads/"+id+"/resolve", map[string]string{"tac": tac}))
	require.Equal(t, map[string]any{"id": id, "state": "loaded"}, resolved.json)
	one := ok(c.call(c.operator, "GET", "/v1/loads/"+id, nil))
	require.Equal(t, "prove", one.text("proof"))
	require.Equal(t, "bus", one.text("agent"))
	require.Equal(t, token, one.text("card"))

	refunded := c.order(c.metro, "sale-3", "10.00")
	require.Equal(t, "refunded", ok(c.call(c.metro, "POST", "/v1/loads/"+refunded+"/refund", nil)).text("state"))
	list := ok(c.call(c.bus, "GET", "/v1/loads?state=loaded&limit=1", nil))
	require.Len(t, list.json["loads"], 1)

	c.tapped()
	taps := ok(c.call(c.operator, "GET", "/v1/cards/"+token+"/transactions?limit=2", nil)).json["transactions"].([]any)
	require.Len(t, taps, 2)
	require.Equal(t, 1.0, taps[0].(map[string]any)["offline_counter"], "newest first")
	require.Equal(t, "purchase", taps[0].(map[string]any)["kind"])
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/transactions", nil)).json["transactions"], 3)
	found := ok(c.call(c.operator, "GET", "/v1/cards/"+token+"/findings", nil)).json["findings"].([]any)
	require.NotEmpty(t, found)
	require.Equal(t, "CLONE", found[0].(map[string]any)["code"])
	require.Equal(t, 422, c.call(c.bus, "POST", "/v1/loads", map[string]string{"amount": "51.00"}, "Idempotency-Key", "sale-1").status)
	all := ok(c.call(c.operator, "GET", "/v1/findings", nil)).json["findings"].([]any)
	require.Len(t, all, len(found)+1)
	require.Equal(t, "LOAD_KEY_REUSED", all[0].(map[string]any)["code"])
	require.Equal(t, token, all[0].(map[string]any)["card"])
	require.NotEmpty(t, all[0].(map[string]any)["order"])
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/findings?limit=1", nil)).json["findings"], 1)
	terminals := ok(c.call(c.operator, "GET", "/v1/terminals", nil)).json["terminals"].([]any)
	require.Equal(t, map[string]any{"id": "bus-1", "merchant": "line1", "place": "front", "active": true, "online": true, "backlog": 3.0, "last_seen": "2026-11-24T12:00:00Z"}, terminals[0])

	merchants := ok(c.call(c.operator, "GET", "/v1/accounts?prefix=merchant:", nil)).json["accounts"].([]any)
	require.Len(t, merchants, 2, "pending and held")
	trial := ok(c.call(c.operator, "GET", "/v1/trial-balance", nil))
	require.Equal(t, "0.00", trial.text("total"))
	require.Equal(t, map[string]any{"sound": true, "faults": []any{}}, ok(c.call(c.operator, "GET", "/v1/books/verify", nil)).json)

	closed, err := settlement.Close(t.Context(), c.store, day, settlement.Options{Now: noon.Add(8 * time.Hour), Location: time.UTC})
	require.NoError(t, err)
	days := ok(c.call(c.operator, "GET", "/v1/settlement/days", nil)).json["days"].([]any)
	require.Equal(t, map[string]any{"day": day, "closed": true, "digest": closed.Digest}, days[0])
	report := ok(c.call(c.operator, "GET", "/v1/settlement/days/"+day+"/report", nil))
	require.Equal(t, string(closed.JSON.Body), string(report.raw), "byte for byte, or the digest is another's")
	csv := ok(c.call(c.operator, "GET", "/v1/settlement/days/"+day+"/report?format=csv", nil))
	require.Equal(t, string(closed.CSV[0].Body), string(csv.raw))

	c.fetch(t)
	c.statements(t, token)
	c.watched(token)
	require.Len(t, ok(c.call(c.operator, "GET", "/v1/findings/watched?state=all", nil)).json["findings"], 3)
	c.issue(stranger)
	c.ends(t, token, store.Token(tokenKey, stranger))
	c.atDesk(t)
	c.cases(t)
	c.online(t)

	doc, err := openapi3.NewLoader().LoadFromData(served.raw)
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.True(t, w.seen[op.OperationID][200], "%s %s was not run", method, path)
		}
	}
}

// TestRoles asks for every operation with every token, and compares who gets in with x-roles.
func TestRoles(t *testing.T) {
	c := start(t)
	doc, err := openapi3.NewLoader().LoadFromData(c.call("", "GET", "/v1/openapi.yaml", nil).raw)
	require.NoError(t, err)
	tokens := map[string]string{"operator": c.operator, "agent": c.bus, "nobody": "", "a stranger": "pl1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			roles := fmt.Sprint(op.Extensions["x-roles"])
			public := op.Security != nil && len(*op.Security) == 0
			for who, token := range tokens {
				var body any
				if op.RequestBody != nil {
					body = "{}" // not what the document wants: the token comes first
				}
				a := c.call(token, method, path, body) // braces and all: no form is read before the token
				switch {
				case public:
					require.Equal(t, 200, a.status, "%s %s", method, path)
				case who == "operator" || who == "agent":
					allowed := roles == "["+who+"]" || roles == "[agent operator]"
					require.Equal(t, !allowed, a.code() == "forbidden", "%s: %s %s: %s, x-roles %s", who, method, path, a.raw, roles)
					require.NotEqual(t, 401, a.status)
				default:
					require.Equal(t, "unauthorised", a.code(), "%s: %s %s", who, method, path)
					require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
				}
			}
		}
	}
}
