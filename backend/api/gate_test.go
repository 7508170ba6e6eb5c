package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/simulator/epcard"
)

// requireProblem asserts that an answer is a problem document that says what to do.
func requireProblem(t *testing.T, a answer, status int, code string) {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.raw)
	require.Equal(t, code, a.code(), "%s", a.raw)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	require.Equal(t, "urn:purselane:problem:"+code, a.text("type"))
	require.Equal(t, float64(status), a.json["status"])
	for _, field := range []string{"title", "detail", "remedy"} {
		require.NotEmpty(t, a.text(field), field)
	}
}

func TestRequestsThatLeaveTheDocument(t *testing.T) {
	c := start(t)
	w := c.watch()
	w.loose = true // the answers must follow the document also then
	id := c.order(c.bus, "sale-1", "50.00")
	good := c.present(c.card).init("50.00", kiosk)
	with := func(k string, v any) map[string]any {
		m := maps.Clone(good)
		if m[k] = v; v == nil {
			delete(m, k)
		}
		return m
	}
	cases := []struct {
		name, path string
		body       any
		header     []string
		code       string
		detail     string
	}{
		{"no body", "/v1/loads", "", []string{"Idempotency-Key", "k"}, "request", "body"},
		{"not JSON", "/v1/loads", "{", []string{"Idempotency-Key", "k"}, "request", "not one JSON value"},
		{"two values", "/v1/loads", `{"amount":"1.00"}{"amount":"2.00"}`, []string{"Idempotency-Key", "k"}, "request", "not one JSON value"},
		{"not an object", "/v1/loads", `["1.00"]`, []string{"Idempotency-Key", "k"}, "request", "must be an object"},
		{"null", "/v1/loads", `null`, []string{"Idempotency-Key", "k"}, "request", "body"},
		{"no amount", "/v1/loads", `{}`, []string{"Idempotency-Key", "k"}, "request", `"amount" is missing`},
		{"a number for an amount", "/v1/loads", `{"amount":50}`, []string{"Idempotency-Key", "k"}, "request", "/amount"},
		{"an amount with one decimal", "/v1/loads", `{"amount":"50.0"}`, []string{"Idempotency-Key", "k"}, "request", "/amount"},
		{"an amount out of range", "/v1/loads", `{"amount":"99999999999999999999.00"}`, []string{"Idempotency-Key", "k"}, "request", "out of range"},
		{"an amount of another case", "/v1/loads", `{"amount":"1.00","Amount":"2.00"}`, []string{"Idempotency-Key", "k"}, "request", "does not know"},
		{"a field too many", "/v1/loads", `{"amount":"50.00","31041122334455667788":1}`, []string{"Idempotency-Key", "k"}, "request", "does not know"},
		{"no key", "/v1/loads", `{"amount":"50.00"}`, nil, "request", "Idempotency-Key: is missing"},
		{"a key with a space", "/v1/loads", `{"amount":"50.00"}`, []string{"Idempotency-Key", "a b"}, "request", "Idempotency-Key"},
		{"a long key", "/v1/loads", `{"amount":"50.00"}`, []string{"Idempotency-Key", strings.Repeat("k", 65)}, "request", "Idempotency-Key"},
		{"another content type", "/v1/loads", `{"amount":"50.00"}`, []string{"Idempotency-Key", "k", "Content-Type", "text/plain"}, "media-type", ""},
		{"no content type", "/v1/loads", `{"amount":"50.00"}`, []string{"Idempotency-Key", "k", "Content-Type", ""}, "media-type", ""},
		{"a body too large", "/v1/loads", `{"amount":"50.00"` + strings.Repeat(" ", 8<<10) + `}`, []string{"Idempotency-Key", "k"}, "too-large", ""},
		{"a short card number", "/v1/cards/lookup", with("card_number", "3104"), nil, "request", "/card_number"},
		{"a card number that is none", "/v1/cards/lookup", with("card_number", strings.Repeat("X", 20)), nil, "request", "/card_number"},
		{"three key levels", "/v1/cards/lookup", with("key_levels", 3), nil, "request", "/key_levels"},
		{"a counter too high", "/v1/cards/lookup", with("online_counter", 65536), nil, "request", "/online_counter"},
		{"a counter that is no integer", "/v1/cards/lookup", with("online_counter", 1.5), nil, "request", "/online_counter"},
		{"a version below zero", "/v1/cards/lookup", with("key_version", -1), nil, "request", "/key_version"},
		{"no MAC1", "/v1/cards/lookup", with("mac1", nil), nil, "request", `"mac1" is missing`},
		{"a field too many in an answer", "/v1/loads/" + id + "/authorise", with("pin", "1234"), nil, "request", "does not know"},
		{"a field too many in evidence", "/v1/loads/" + id + "/resolve", map[string]any{"init": with("pin", "1234")}, nil, "request", "does not know"},
		{"no evidence", "/v1/loads/" + id + "/resolve", `{}`, nil, "evidence", ""},
		{"null for evidence", "/v1/loads/" + id + "/resolve", `{"init":null}`, nil, "request", "/init"},
		{"a TAC that is none", "/v1/loads/" + id + "/confirm", `{"tac":"0011223"}`, nil, "request", "/tac"},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			a := c.call(c.bus, "POST", k.path, k.body, k.header...)
			requireProblem(t, a, kindStatus(t, k.code), k.code)
			require.Contains(t, a.text("detail"), k.detail)
			require.NotContains(t, string(a.raw), "3104112233", "a card number is in no answer")
		})
	}
	for path, detail := range map[string]string{
		"/v1/transactions?limit=0": "limit", "/v1/transactions?limit=1001": "limit", "/v1/transactions?limit=x": "limit", "/v1/transactions?limit=": "limit",
		"/v1/loads?state=lost": "state", "/v1/settlement/days/24-11-2026/report": "day", "/v1/settlement/days/2026-13-01/report": "no such date",
		"/v1/settlement/days/2026-11-24/report?format=xml": "format", "/v1/accounts?prefix=" + strings.Repeat("x", 101): "prefix",
		"/v1/cards/xyz": "token", "/v1/cards/0123456789abcdeF": "token", "/v1/loads/a.b": "id",
	} {
		a := c.call(c.operator, "GET", path, nil)
		requireProblem(t, a, 400, "request")
		require.Contains(t, a.text("detail"), detail, path)
	}
}

func kindStatus(t *testing.T, code string) int {
	for _, k := range api.Kinds() {
		if k.Code == code {
			return k.Status
		}
	}
	t.Fatalf("no kind %s", code)
	return 0
}

func TestWhatIsNotThere(t *testing.T) {
	c := start(t)
	for _, path := range []string{"/", "/v1", "/v1/", "/v2/health", "/v1/health/", "//v1/health", "/v1/loads/../health", "/v1/loads//authorise"} {
		requireProblem(t, c.call(c.operator, "GET", path, nil), 404, "not-found")
	}
	a := c.call(c.operator, "DELETE", "/v1/loads", nil)
	requireProblem(t, a, 405, "method")
	require.Equal(t, "GET, HEAD, POST", a.header.Get("Allow"))

	token := store.Token(tokenKey, stranger)
	for _, path := range []string{"", "/transactions", "/findings"} {
		a := c.call(c.operator, "GET", "/v1/cards/"+token+path, nil)
		requireProblem(t, a, 404, "unknown-card")
		require.NotContains(t, string(a.raw), token, "it could be anything")
	}
	requireProblem(t, c.call(c.operator, "GET", "/v1/settlement/days/2026-11-23/report", nil), 404, "not-closed")
	for _, id := range []string{"L000000000000000000000000", "sale-1", number.Reveal()} {
		a := c.call(c.operator, "GET", "/v1/loads/"+id, nil)
		requireProblem(t, a, 404, "unknown-order")
		require.NotContains(t, string(a.raw), id)
	}
}

func TestAnAgentSeesItsOwn(t *testing.T) {
	c := start(t)
	id := c.load(c.bus, "sale-1", "50.00")
	other := c.order(c.metro, "sale-1", "20.00")
	for _, path := range []string{"/authorise", "/confirm", "/uncertain", "/refund"} {
		var body any
		switch path {
		case "/authorise":
			body = c.present(c.card).init("20.00", kiosk)
		case "/confirm":
			body = map[string]string{"tac": "00112233"}
		}
		requireProblem(t, c.call(c.bus, "POST", "/v1/loads/"+other+path, body), 404, "unknown-order")
	}
	requireProblem(t, c.call(c.bus, "GET", "/v1/loads/"+other, nil), 404, "unknown-order")
	for token, want := range map[string][]string{c.bus: {id}, c.metro: {other}, c.operator: {id, other}} {
		var ids []string
		for _, o := range c.call(token, "GET", "/v1/loads", nil).json["loads"].([]any) {
			ids = append(ids, o.(map[string]any)["id"].(string))
		}
		require.ElementsMatch(t, want, ids)
	}
	// What another's order says to evidence is its id and state, and no more.
	a := c.call(c.metro, "POST", "/v1/loads/"+id+"/resolve", map[string]any{"init": c.present(c.card).init("0.01", kiosk)})
	require.Equal(t, map[string]any{"id": id, "state": "loaded"}, a.json)
}

func TestTheTokenComesFirst(t *testing.T) {
	c := start(t)
	for name, header := range map[string][]string{
		"none": nil, "empty": {""}, "no scheme": {c.operator}, "another scheme": {"Basic " + c.operator}, "a space too many": {"Bearer  " + c.operator},
		"two": {"Bearer " + c.operator, "Bearer " + c.operator}, "too long": {"Bearer " + strings.Repeat("x", 257)}, "a hash": {"Bearer " + strings.Repeat("0", 64)},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.server.URL+"/v1/terminals", http.NoBody)
		require.NoError(t, err)
		for _, h := range header {
			req.Header.Add("Authorization", h)
		}
		a := c.do(req)
		requireProblem(t, a, 401, "unauthorised")
		require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"), name)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.server.URL+"/v1/terminals", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "bearer "+c.operator) // the scheme's case is free
	require.Equal(t, 200, c.do(req).status)
	a := c.call("", "POST", "/v1/loads", strings.Repeat("x", 1<<20))
	requireProblem(t, a, 401, "unauthorised")
}

// TestNothingSecretIsLogged runs good and bad calls, and reads the log.
func TestNothingSecretIsLogged(t *testing.T) {
	c := start(t)
	id := c.load(c.bus, "sale-1", "50.00")
	init := c.present(c.card).init("0.01", kiosk)
	init["mac1"] = "00000000"
	requireProblem(t, c.call(c.bus, "POST", "/v1/cards/lookup", init), 422, "mac1")
	requireProblem(t, c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise", init), 422, "mac1")
	requireProblem(t, c.call(c.bus, "POST", "/v1/loads/"+number.Reveal()+"/authorise", init), 404, "unknown-order")
	requireProblem(t, c.call(c.operator, "GET", "/v1/cards/"+number.Reveal(), nil), 404, "unknown-card")
	c.call(c.operator, "GET", "/v1/"+number.Reveal()+"?card="+number.Reveal(), nil)
	init["card_number"] = stranger.Reveal()
	requireProblem(t, c.call(c.bus, "POST", "/v1/cards/lookup", init), 404, "unknown-card")
	c.server.Close() // the last line is written
	log := c.log.String()
	require.Contains(t, log, "operation=authoriseLoad caller=kiosk-bus status=200")
	require.Contains(t, log, "operation=none caller=none status=404")
	require.Contains(t, log, "LOAD_MAC1_BAD")
	for _, secret := range []string{number.Reveal()[4:16], stranger.Reveal()[4:16], c.bus, c.operator, "/v1/"} {
		require.NotContains(t, log, secret)
	}
}

// TestAFaultOfTheService: a panic becomes an answer that tells nothing, the service goes on, and the log says where it was.
func TestAFaultOfTheService(t *testing.T) {
	c := start(t)
	w := c.watch()
	w.loose = true
	id := c.order(c.bus, "sale-1", "50.00")
	init := c.present(c.card).init("50.00", kiosk)
	c.hsm.panics = true
	a := c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise", init)
	requireProblem(t, a, 500, "internal")
	require.NotContains(t, string(a.raw), "slot 7")
	c.hsm.panics = false
	require.Equal(t, 200, c.call(c.bus, "POST", "/v1/loads/"+id+"/authorise", init).status)
	require.Contains(t, c.log.String(), "slot 7")
	require.Contains(t, c.log.String(), "topup.(*Service)")
	require.NotContains(t, c.log.String(), number.Reveal()[4:16])

	require.NoError(t, c.store.Close())
	for token, path := range map[string]string{"": "/v1/health", c.operator: "/v1/trial-balance"} {
		a := c.call(token, "GET", path, nil)
		requireProblem(t, a, 503, "unavailable")
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.NotContains(t, string(a.raw), "sql")
	}
	require.Contains(t, c.log.String(), "sql: database is closed")
}

// TestEveryTopUpRefusal brings the refusals about in earnest, and reads their codes.
func TestEveryTopUpRefusal(t *testing.T) {
	c := start(t)
	post := func(path string, body any, header ...string) answer {
		return c.call(c.bus, "POST", path, body, header...)
	}
	create := func(key, amount string) answer {
		return post("/v1/loads", map[string]string{"amount": amount}, "Idempotency-Key", key)
	}
	id := c.order(c.bus, "sale-1", "50.00")
	requireProblem(t, create("sale-1", "51.00"), 422, "idempotency-conflict")
	requireProblem(t, create("sale-x", "500.01"), 422, "amount")
	requireProblem(t, create("sale-x", "0.00"), 422, "amount")

	f := c.present(c.card)
	change := func(k string, v any) map[string]any { m := f.init("50.00", kiosk); m[k] = v; return m }
	authorise := func(order string, body any) answer { return post("/v1/loads/"+order+"/authorise", body) }
	requireProblem(t, authorise(id, change("mac1", "00112233")), 422, "mac1")
	requireProblem(t, authorise(id, change("key_version", 9)), 422, "unknown-key")
	requireProblem(t, authorise(id, change("key_levels", 1)), 422, "card-data")
	requireProblem(t, authorise(id, change("card_number", stranger.Reveal())), 404, "unknown-card")
	requireProblem(t, authorise(id, f.init("49.00", kiosk)), 422, "amount")
	requireProblem(t, post("/v1/loads/"+id+"/confirm", map[string]string{"tac": "00112233"}), 422, "tac")

	auth := authorise(id, f.init("50.00", kiosk))
	require.Equal(t, 200, auth.status)
	requireProblem(t, post("/v1/loads/"+id+"/refund", nil), 409, "state")
	second := c.order(c.bus, "sale-2", "50.00")
	requireProblem(t, authorise(second, f.init("50.00", kiosk)), 409, "open-load")
	resolve := func(init map[string]any) answer {
		return post("/v1/loads/"+id+"/resolve", map[string]any{"init": init})
	}
	requireProblem(t, resolve(f.init("0.01", kiosk)), 409, "challenge")
	other := c.present(c.issue(stranger))
	requireProblem(t, resolve(other.init("0.01", kiosk)), 409, "other-card")
	requireProblem(t, authorise(id, other.init("50.00", kiosk)), 409, "other-card")
	requireProblem(t, post("/v1/loads/"+id+"/resolve", map[string]any{"tac": "00112233", "init": f.init("0.01", kiosk)}), 422, "evidence")

	late := f.init("50.00", kiosk)
	var challenge ep.TerminalNumber
	require.NoError(t, json.Unmarshal([]byte(`"`+auth.text("challenge")+`"`), (*hexText)(&challenge)))
	require.Equal(t, "paid", resolve(f.init("0.01", challenge)).text("state"))
	c.load(c.bus, "sale-3", "10.00")
	requireProblem(t, authorise(id, late), 409, "stale")
	c.load(c.bus, "sale-4", "500.00")
	c.load(c.bus, "sale-5", "450.00")
	f = c.present(c.card)
	requireProblem(t, authorise(id, f.init("50.00", kiosk)), 422, "max-balance")
	c.update(func(tx *store.Tx) error { return tx.BlockCard(t.Context(), number, noon) })
	requireProblem(t, authorise(id, f.init("50.00", kiosk)), 422, "card-blocked")
}

// TestAnUnregisteredAgent has a token of an acquirer that is not there.
func TestAnUnregisteredAgent(t *testing.T) {
	c := start(t)
	token, hash := api.NewToken(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	tokens, err := api.LoadTokens([]byte(`{"version":1,"tokens":[{"name":"x","role":"agent","acquirer":"ferry","sha256":"` + hash + `"}]}`))
	require.NoError(t, err)
	c.server.Config.Handler, err = api.New(api.Config{Store: c.store, TopUp: c.topup, Tokens: tokens, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	a := c.call(token, "POST", "/v1/loads", `{"amount":"1.00"}`, "Idempotency-Key", "k")
	requireProblem(t, a, 403, "unknown-agent")
}

func TestConfigThatIsRefused(t *testing.T) {
	c := start(t)
	_, err := api.New(api.Config{TopUp: c.topup})
	require.Error(t, err)
	_, err = api.New(api.Config{Store: c.store})
	require.Error(t, err)
}

// FuzzBodies posts any body to every operation that takes one: the answer is JSON of ours, and no fault of the service.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"amount":"50.00"}`, `{"tac":"00112233"}`, `{"init":{}}`, `null`, `[`, `{"amount":"-0.00"}`,
		`{"kind":"cash","card":"00000000000000000000000000000000","acquirer":"bus","reason":"x"}`,
		`{"card_number":"31041122334455667788","issuer":"01011000FFFFFFFF","key_levels":2,"key_version":1,"algorithm":0,"balance":"0.00","online_counter":0,"random":"00000000","mac1":"00000000","amount":"0.01","terminal":"000000000007"}`} {
		f.Add([]byte(seed))
	}
	c := start(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/v1/loads", "/v1/cards/lookup", "/v1/loads/L000000000000000000000000/authorise", "/v1/loads/L000000000000000000000000/confirm",
			"/v1/loads/L000000000000000000000000/resolve", "/v1/card-ends"} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", c.server.URL+path, bytes.NewReader(body))
			require.NoError(t, err)
			token := c.bus
			if path == "/v1/card-ends" {
				token = c.operator
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "k")
			resp, err := c.server.Client().Do(req)
			require.NoError(t, err)
			raw, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Less(t, resp.StatusCode, 500, "%s", raw)
			require.True(t, json.Valid(raw))
		}
	})
}

// issue brings another card into the scheme.
func (c *city) issue(n [10]byte) *epcard.Card {
	c.update(func(tx *store.Tx) error {
		return tx.IssueCard(c.t.Context(), store.Card{Number: n, Token: store.Token(tokenKey, n), Issuer: issuer, Levels: 2})
	})
	return c.newCard(n)
}
