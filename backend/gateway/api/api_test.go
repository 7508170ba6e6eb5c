package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/api"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/client"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// bank is a channel: a payment waits until pay says that the payer has paid, and a refund is done at once. A notification's body is the payment's number.
type bank struct {
	mu       sync.Mutex
	payments map[string]channel.Result
	heard    channel.Notification
	mute     bool // it forgets to answer
}

func (b *bank) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.QR}, Currencies: []string{"CNY"}, Close: true, Refund: true, RefundWindow: 365 * 24 * time.Hour}
}

func (b *bank) Pay(_ context.Context, r channel.PayRequest) (channel.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payments[r.Number] = channel.Result{Outcome: channel.Pending, Number: r.Number, Money: r.Money, Action: channel.Action{QR: "pay://" + r.Number}}
	return b.payments[r.Number], nil
}

func (b *bank) pays(number string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.payments[number]
	r.Outcome, r.ChannelID, r.At, r.Action = channel.Succeeded, "ch-"+number, noon, channel.Action{}
	b.payments[number] = r
}

func (b *bank) Query(_ context.Context, r channel.Ref) (channel.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.payments[r.Number], nil
}

func (b *bank) Close(ctx context.Context, r channel.Ref) (channel.Result, error) {
	return b.Query(ctx, r)
}

func (b *bank) Refund(_ context.Context, r channel.RefundRequest) (channel.Result, error) {
	return channel.Result{Outcome: channel.Succeeded, Number: r.Number, Money: r.Money, ChannelID: "back-" + r.Number, At: noon}, nil
}

func (b *bank) QueryRefund(context.Context, channel.RefundRef) (channel.Result, error) {
	return channel.Result{}, errors.New("nobody asks")
}

func (b *bank) Notified(_ context.Context, n channel.Notification) ([]channel.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = n
	if n.Header.Get("Signature") != "good" {
		return nil, &channel.ForgedError{Why: "no signature"}
	}
	number := string(n.Body)
	return []channel.Event{{ID: "n-" + number, About: channel.OfPayment, Result: b.payments[number]}}, nil
}

func (b *bank) Answer(err error) channel.Reply {
	if b.mute {
		return channel.Reply{}
	}
	if err != nil {
		return channel.Reply{Status: http.StatusUnauthorized, Type: "text/plain", Body: []byte("FAIL")}
	}
	return channel.Reply{Status: http.StatusOK, Type: "text/plain", Body: []byte("SUCCESS")}
}

func (b *bank) Bill(context.Context, string, func(channel.BillRow) error) error {
	return channel.ErrNoBillYet
}

// desk is a gateway with its API, and two apps that call it by package client.
type desk struct {
	t       testing.TB
	url     string
	bank    *bank
	clock   *clock.Manual
	store   *store.Store
	apps    *app.Service
	gateway *gateway.Service
	rate    gateway.Rate
	shop    *http.Client
	cafe    *http.Client
}

func newDesk(t testing.TB, change ...func(*gateway.Config, *store.Store, *clock.Manual)) *desk {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	d := &desk{t: t, bank: &bank{payments: map[string]channel.Result{}}, clock: clock.NewManual(noon), store: s}
	quiet := slog.New(slog.DiscardHandler)
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "one"})
	require.NoError(t, err)
	box, err := sealed.New(make([]byte, 32))
	require.NoError(t, err)
	cfg := gateway.Config{Registry: registry, Router: gateway.FixedRouter{{Accounts: []string{"one"}}}, Log: quiet, Box: box,
		Accounts: []gateway.Account{{ID: "one", Company: 1, Number: 1, Channel: able{d.bank}, NotifyURL: "https://gateway.example/notify/one"}},
		OnPaid:   func(context.Context, *store.Tx, gateway.Order) error { return nil },
		OnRefund: func(context.Context, *store.Tx, gateway.Order, money.Amount) error { return gateway.ErrLoadState },
		Rate:     func(context.Context, *store.Tx, gateway.Rated) (gateway.Rate, error) { return d.rate, nil },
		OnTopUp: func(m channel.Money) error {
			if m.Amount.Minor() > 500_00 {
				return gateway.ErrLoadAmount
			}
			return nil
		}}
	for _, f := range change {
		f(&cfg, s, d.clock)
	}
	d.gateway, err = gateway.New(s, d.clock, cfg)
	require.NoError(t, err)
	d.apps, err = app.New(s, app.Config{Box: box, Clock: d.clock, Log: quiet})
	require.NoError(t, err)
	h, err := api.New(api.Config{Gateway: d.gateway, Apps: d.apps, Clock: d.clock, Log: quiet})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	d.url = server.URL
	d.shop, d.cafe = d.app("shop"), d.app("cafe")
	return d
}

// app is an active app of a merchant of the same name, and its client.
func (d *desk) app(id string) *http.Client {
	ctx := d.t.Context()
	_, err := d.apps.Apply(ctx, id, app.Filing{Name: id}, app.Terms{Merchants: []ids.MerchantID{ids.MerchantID(id)}}, "ann", "papers")
	require.NoError(d.t, err)
	var key app.NewKey
	for _, who := range []string{"ann", "bob"} {
		key, err = d.apps.AskKey(ctx, id, nil, who, "first")
		require.NoError(d.t, err)
	}
	d.both(id, app.Approve)
	d.both(id, app.Activate)
	return &http.Client{Transport: &client.Signer{App: id, KeyID: key.Key.ID, Key: *key.Secret, Clock: d.clock}}
}

func (d *desk) both(id string, e app.Event) {
	for _, who := range []string{"ann", "bob"} {
		_, err := d.apps.Ask(d.t.Context(), id, e, who, "seen")
		require.NoError(d.t, err)
	}
}

// ask makes a request, and holds its answer against the document.
func (d *desk) ask(c *http.Client, method, path, body string) (int, map[string]any) {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	require.NoError(d.t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	d.documented(r, resp, raw)
	said := map[string]any{}
	require.NoError(d.t, json.Unmarshal(raw, &said), string(raw))
	return resp.StatusCode, said
}

func (d *desk) documented(r *http.Request, resp *http.Response, raw []byte) {
	d.t.Helper()
	text, err := http.Get(d.url + "/v1/openapi.yaml")
	require.NoError(d.t, err)
	defer text.Body.Close()
	document, err := io.ReadAll(text.Body)
	require.NoError(d.t, err)
	spec, err := openapi3.NewLoader().LoadFromData(document)
	require.NoError(d.t, err)
	spec.Servers = nil
	router, err := legacy.NewRouter(spec)
	require.NoError(d.t, err)
	route, params, err := router.FindRoute(r)
	if err != nil {
		require.Equal(d.t, http.StatusNotFound, resp.StatusCode)
		return
	}
	require.NoError(d.t, openapi3filter.ValidateResponse(d.t.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(raw)), Options: &openapi3filter.Options{IncludeResponseStatus: true}}), string(raw))
}

func (d *desk) good(c *http.Client, method, path, body string) map[string]any {
	d.t.Helper()
	status, said := d.ask(c, method, path, body)
	require.Equal(d.t, http.StatusOK, status, said)
	return said
}

func (d *desk) refused(c *http.Client, method, path, body string, status int, word string) string {
	d.t.Helper()
	have, said := d.ask(c, method, path, body)
	require.Equal(d.t, status, have, said)
	require.Equal(d.t, "urn:purselane:gateway:"+word, said["type"], said)
	return said["detail"].(string)
}

const anOrder = `{"key":"o1","type":"pay","product":1,"merchant":"shop","amount":"10.00","currency":"CNY","subject":"tea"}`

func (d *desk) notify(account, signature, body string) (int, string) {
	d.t.Helper()
	r, err := http.NewRequest("POST", d.url+"/notify/"+account+"?a=b", strings.NewReader(body))
	require.NoError(d.t, err)
	r.Header.Set("Signature", signature)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(raw)
}

// TestAnOrderGoesItsWay: ordered, paid, told of by the channel, given back; each request twice, as after a lost answer.
func TestAnOrderGoesItsWay(t *testing.T) {
	d := newDesk(t)
	o := d.good(d.shop, "POST", "/v1/orders", anOrder)
	require.Equal(t, o, d.good(d.shop, "POST", "/v1/orders", anOrder))
	require.Equal(t, "open", o["state"])
	require.Equal(t, "10.00", o["amount"])
	require.NotContains(t, o, "paid")
	at := "/v1/orders/" + o["id"].(string)

	p := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)
	number := p["number"].(string)
	require.Equal(t, "waiting", p["state"])
	require.Equal(t, map[string]any{"qr": "pay://" + number}, p["action"])
	require.Equal(t, number, d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"])

	d.bank.pays(number)
	status, said := d.notify("one", "forged", number)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "FAIL", said)
	require.Equal(t, "open", d.good(d.shop, "GET", at, "")["state"], "a forged notification changes nothing")
	for range 2 {
		status, said = d.notify("one", "good", number)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "SUCCESS", said)
		require.Equal(t, "paid", d.good(d.shop, "GET", at, "")["state"], "what is answered is kept")
	}
	require.Equal(t, "a=b", d.bank.heard.Query)
	require.Equal(t, noon, d.bank.heard.At)

	back := d.good(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"4.00","reason":"one cup less"}`)
	require.Equal(t, "done", back["state"])
	require.Equal(t, "r1", back["key"])
	require.Equal(t, back, d.good(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"4.00","reason":"one cup less"}`))
	o = d.good(d.shop, "GET", at, "")
	require.Equal(t, "part_refunded", o["state"])
	require.Equal(t, "4.00", o["refunded"])
	require.Equal(t, "2026-11-25T12:00:00Z", o["paid"])
	require.Len(t, o["payments"], 1)
	require.Len(t, o["refunds"], 1)
	events := d.good(d.shop, "GET", at+"/timeline", "")["events"].([]any)
	require.Equal(t, "created", events[0].(map[string]any)["event"])

	other := d.good(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, "o1", "o2", 1))
	require.Equal(t, "closed", d.good(d.shop, "POST", "/v1/orders/"+other["id"].(string)+"/close", "")["state"])
}

// TestTheFiveChecks: each fails alone, and each failure has a name of its own.
func TestTheFiveChecks(t *testing.T) {
	d := newDesk(t)
	at := "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", anOrder)["id"].(string)
	pay := `{"key":"p1","product":"qr"}`

	// 1. The fields fit.
	require.Contains(t, d.refused(d.shop, "POST", at+"/payments", `{"key":"p1"}`, 400, "request"), "/product")
	require.Contains(t, d.refused(d.shop, "POST", at+"/payments", `{"key":"p1","product":"payout"}`, 400, "request"), "/product")

	// 2. The app may transact.
	_, err := d.apps.Ask(t.Context(), "shop", app.Freeze, "ann", "strange")
	require.NoError(t, err)
	d.refused(d.shop, "POST", at+"/payments", pay, 403, "app-not-active")
	d.both("shop", app.Activate)

	// 3. The order is there, is the app's, and waits to be paid.
	d.refused(d.shop, "POST", "/v1/orders/O1/payments", pay, 404, "unknown-order")
	d.refused(d.cafe, "POST", at+"/payments", pay, 404, "unknown-order")
	d.good(d.shop, "POST", at+"/close", "")
	d.refused(d.shop, "POST", at+"/payments", pay, 409, "order-state")

	// 4. It was made a short while ago.
	old := d.good(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, `"o1"`, `"o2","expires_in":60`, 1))
	d.clock.Advance(time.Minute)
	d.refused(d.shop, "POST", "/v1/orders/"+old["id"].(string)+"/payments", pay, 409, "order-expired")

	// 5. The signature is the app's.
	forger := &http.Client{Transport: &client.Signer{App: "shop", KeyID: d.shop.Transport.(*client.Signer).KeyID, Key: sign.NewSecret(), Clock: d.clock}}
	d.refused(forger, "POST", at+"/payments", pay, 401, "signature")
	d.refused(http.DefaultClient, "POST", at+"/payments", pay, 401, "authorization-header")
	require.Empty(t, d.bank.payments, "the channel has heard of none")
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	d := newDesk(t)
	at := "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", anOrder)["id"].(string)
	for _, c := range []struct{ from, to, word, says string }{
		{`"shop"`, `"cafe"`, "merchant", "terms"},
		{`"10.00"`, `"11.00"`, "key-reused", "o1"},
		{`"10.00"`, `10`, "request", "/amount"},
		{`"10.00"`, `"-1.00"`, "request", "/amount"},
		{`"tea"`, `"tea","amuont":1`, "request", "does not know"},
		{`"o1"`, `""`, "request", "/key"},
		{`"pay"`, `"withdraw"`, "request", "/type"},
		{`"pay"`, `"top-up"`, "key-reused", ""},
		{`"CNY"`, `"EUR"`, "key-reused", ""},
		{`}`, `}{}`, "request", "one JSON value"},
		{`{`, `[`, "request", "one JSON value"},
	} {
		status, said := d.ask(d.shop, "POST", "/v1/orders", strings.Replace(anOrder, c.from, c.to, 1))
		require.GreaterOrEqual(t, status, 400, c.to)
		require.Equal(t, "urn:purselane:gateway:"+c.word, said["type"], c.to)
		require.Contains(t, said["detail"], c.says, c.to)
	}
	fresh := strings.Replace(anOrder, "o1", "o3", 1)
	d.refused(d.shop, "POST", "/v1/orders", strings.Replace(fresh, `"type":"pay"`, `"type":"top-up","mode":"reserved"`, 1), 422, "unsupported")
	d.refused(d.shop, "POST", "/v1/orders", strings.Replace(fresh, "CNY", "EUR", 1), 400, "request")
	d.refused(d.shop, "POST", "/v1/orders", strings.Replace(fresh, `"product":1`, `"product":9`, 1), 400, "request")
	d.refused(d.shop, "POST", at+"/payments", `{"key":"p","product":"jsapi"}`, 422, "no-channel")
	said := d.refused(d.shop, "POST", at+"/payments", `{"key":"p","product":"quick","token":"4111111111111111"}`, 400, "card-number")
	require.NotContains(t, said, "4111")
	d.refused(d.shop, "POST", at+"/refunds", `{"key":"r","amount":"1.00"}`, 409, "order-state")
	for _, path := range []string{"", "/timeline"} {
		d.refused(d.cafe, "GET", at+path, "", 404, "unknown-order")
	}
	d.refused(d.cafe, "POST", at+"/refunds", `{"key":"r","amount":"1.00"}`, 404, "unknown-order")
	d.refused(d.cafe, "POST", at+"/close", "", 404, "unknown-order")
	d.refused(d.shop, "GET", "/v1/orders/a-b", "", 400, "request")
	d.refused(d.shop, "GET", "/v1/nothing", "", 404, "not-found")
	d.refused(d.shop, "DELETE", at, "", 404, "not-found")
	r, err := http.NewRequest("POST", d.url+"/v1/orders", strings.NewReader(anOrder))
	require.NoError(t, err)
	resp, err := d.shop.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode)
}

func TestMoreThanWasPaidIsNotGivenBack(t *testing.T) {
	d := newDesk(t)
	at := "/v1/orders/" + d.good(d.shop, "POST", "/v1/orders", anOrder)["id"].(string)
	number := d.good(d.shop, "POST", at+"/payments", `{"key":"p1","product":"qr"}`)["number"].(string)
	d.bank.pays(number)
	status, _ := d.notify("one", "good", number)
	require.Equal(t, http.StatusOK, status)
	d.refused(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"10.01"}`, 422, "too-much")
	d.refused(d.shop, "POST", at+"/refunds", `{"key":"r1","amount":"0.00"}`, 400, "request")
}

func TestNotificationsAreBounded(t *testing.T) {
	d := newDesk(t)
	status, _ := d.notify("one", "good", strings.Repeat("x", 1<<20+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Zero(t, d.bank.heard)
	status, _ = d.notify("two", "good", "x")
	require.Equal(t, http.StatusNotFound, status)
	d.bank.mute = true
	status, _ = d.notify("one", "good", "x")
	require.Equal(t, http.StatusInternalServerError, status)
	_, err := api.New(api.Config{})
	require.Error(t, err)
}

// TestAServiceThatCannotWorkSaysSo, and says nothing of how.
func TestAServiceThatCannotWorkSaysSo(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, d.store.Close())
	require.NotContains(t, d.refused(d.shop, "POST", "/v1/orders", anOrder, 503, "unavailable"), "store")
	status, said := d.notify("one", "good", "x")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "FAIL", said, "a notification that is not kept is not answered as if it were")
}

// TestEveryProblemIsInThePage: docs/gateway-api.md lists each word with its status.
func TestEveryProblemIsInThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/gateway-api.md")
	require.NoError(t, err)
	for word, status := range api.Kinds() {
		require.Contains(t, string(page), fmt.Sprintf("| `%s` | %d |", word, status))
	}
}

// FuzzBody: whatever an app sends, signed, is answered as the document says and is never our fault.
func FuzzBody(f *testing.F) {
	d := newDesk(f)
	f.Add(anOrder, "")
	f.Add(`{"key":"p1","product":"qr"}`, "/O1/payments")
	f.Add(`{"key":"r1","amount":"4.00"}`, "/O1/refunds")
	f.Add("{}", "/%2F/close")
	f.Add(`{"key":"s1","kind":"release"}`, "/O1/steps")
	f.Fuzz(func(t *testing.T, body, path string) {
		r, err := http.NewRequest("POST", d.url+"/v1/orders"+path, strings.NewReader(body))
		if err != nil || r.URL.Host != strings.TrimPrefix(d.url, "http://") {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := d.shop.Do(r)
		if err != nil {
			require.ErrorIs(t, err, sign.ErrRequest)
			return
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Less(t, resp.StatusCode, 500, string(raw))
		require.True(t, json.Valid(raw), string(raw))
	})
}
