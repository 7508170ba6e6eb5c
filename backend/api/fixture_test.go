package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/settlement/delivery"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	masters = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {0: 0x11, 15: 0x1F},
		{Purpose: keys.Load, Version: 1}:     {0: 0x21, 15: 0x2F},
		{Purpose: keys.TAC, Version: 1}:      {0: 0x31, 15: 0x3F},
	}
	issuer   = ep.Factor{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	number   = ids.CardNumber{0x31, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
	stranger = ids.CardNumber{0x31, 0x04, 0x99, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}
	kiosk    = ep.TerminalNumber{0, 0, 0, 0, 0, 7}
	tokenKey = []byte("a key for tokens")
)

// city is a running API over a real store, a card in a field, and four tokens: of two operators, and of agents of two acquirers.
type city struct {
	t                    testing.TB
	store                *store.Store
	topup                *topup.Service
	clock                *clock.Manual
	card                 *epcard.Card
	hsm                  *hsm
	server               *httptest.Server
	log                  *syncBuffer
	operator, bus, metro string
	second               string // another operator
	pay                  *pays
	cfg                  api.Config
}

// hsm is the soft one, with a fault that can be switched on.
type hsm struct {
	*keys.Soft
	panics bool
}

func (h *hsm) SessionMAC(ctx context.Context, c keys.Card, session [8]byte, message []byte) ([4]byte, error) {
	if h.panics {
		panic("slot 7 is on fire")
	}
	return h.Soft.SessionMAC(ctx, c, session, message)
}

// hexText reads a terminal number from JSON.
type hexText ep.TerminalNumber

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexText) UnmarshalText(text []byte) error { _, err := hex.Decode(h[:], text); return err }

// syncBuffer takes log lines from any goroutine.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func start(t testing.TB) *city {
	c := &city{t: t, clock: clock.NewManual(noon), log: &syncBuffer{}, hsm: &hsm{Soft: keys.NewSoft(masters)}}
	ctx := t.Context()
	var err error
	c.store, err = store.Open(ctx, emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { c.store.Close() })
	c.card = c.newCard(number)
	c.update(func(tx *store.Tx) error {
		for _, a := range []ids.AcquirerID{"bus", "metro"} {
			require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: a, Name: string(a)}))
		}
		require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: "line1", Acquirer: "bus", Name: "Line 1"}))
		require.NoError(t, tx.PutTerminal(ctx, store.Terminal{ID: "bus-1", Merchant: "line1", PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true, Place: "front"}))
		ec := ids.CardNumber(ecBank().pan)
		require.NoError(t, tx.IssueCard(ctx, store.Card{Number: ec, Token: store.Token(tokenKey, ec), Family: "ec"}))
		return tx.IssueCard(ctx, store.Card{Number: number, Token: store.Token(tokenKey, number), Issuer: issuer, Levels: 2})
	})
	log := slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.topup, err = topup.New(c.store, c.hsm, c.clock, topup.Config{Online: "online", MaxAmount: money.Minor(500_00), MaxBalance: money.Minor(1000_00), EC: ecBank().issuer.Door(), Log: log})
	require.NoError(t, err)
	var tokens api.Tokens
	c.operator, c.second, c.bus, c.metro, tokens = someTokens(t)
	files := delivery.Handler(delivery.Config{Store: c.store, Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Who: tokens.AgentOf, Clock: c.clock, Log: log})
	c.pay = c.pays()
	c.cfg = api.Config{Store: c.store, TopUp: c.topup, Online: c.pay, Tokens: tokens, Files: files, Log: log, Clock: c.clock}
	c.serve(func(*api.Config) {})
	return c
}

// serve starts the API, or another in its place.
func (c *city) serve(change func(*api.Config)) {
	cfg := c.cfg
	change(&cfg)
	h, err := api.New(cfg)
	require.NoError(c.t, err)
	c.server = httptest.NewServer(h)
	c.t.Cleanup(c.server.Close)
}

// someTokens makes the four tokens and loads them by their file.
func someTokens(t testing.TB) (operator, second, bus, metro string, tokens api.Tokens) {
	type entry = map[string]string
	var hashes [4]string
	operator, hashes[0] = api.NewToken(rand.Reader)
	bus, hashes[1] = api.NewToken(rand.Reader)
	metro, hashes[2] = api.NewToken(rand.Reader)
	second, hashes[3] = api.NewToken(rand.Reader)
	file, err := json.Marshal(map[string]any{"version": 1, "tokens": []entry{
		{"name": "ops", "role": "operator", "sha256": hashes[0]},
		{"name": "kiosk-bus", "role": "agent", "acquirer": "bus", "sha256": hashes[1]},
		{"name": "kiosk-metro", "role": "agent", "acquirer": "metro", "sha256": hashes[2]},
		{"name": "ops-2", "role": "operator", "sha256": hashes[3]},
	}})
	require.NoError(t, err)
	tokens, err = api.LoadTokens(file)
	require.NoError(t, err)
	return operator, second, bus, metro, tokens
}

func (c *city) newCard(n ids.CardNumber) *epcard.Card {
	img, err := personalise.Card(masters, personalise.CardSpec{Number: n, Issuer: issuer})
	require.NoError(c.t, err)
	card, err := epcard.New(img, rand.Reader)
	require.NoError(c.t, err)
	return card
}

func (c *city) update(f func(*store.Tx) error) {
	require.NoError(c.t, c.store.Update(c.t.Context(), f))
}

// field is a card that was selected, and what it showed.
type field struct {
	t      testing.TB
	card   *ep.Card
	public ep.Public
}

func (c *city) present(card *epcard.Card) field {
	selected, _, err := ep.Select(c.t.Context(), epcard.Present(card, epcard.Tear{}), ep.AIDTUnion)
	require.NoError(c.t, err)
	public, err := selected.ReadPublic(c.t.Context())
	require.NoError(c.t, err)
	return field{c.t, selected, public}
}

// init is the card's answer to INITIALIZE FOR LOAD, as the API's JSON.
func (f field) init(amount string, terminal ep.TerminalNumber) map[string]any {
	a, err := money.Parse(amount)
	require.NoError(f.t, err)
	r, err := f.card.InitLoad(f.t.Context(), 1, a, terminal)
	require.NoError(f.t, err)
	return map[string]any{"card_number": f.public.CardNumber.Reveal(), "issuer": strings.ToUpper(hex.EncodeToString(f.public.Issuer[:])),
		"key_levels": 2, "key_version": r.Version, "algorithm": r.Algorithm, "balance": r.Balance.String(), "online_counter": r.Counter,
		"random": strings.ToUpper(hex.EncodeToString(r.Random[:])), "mac1": r.MAC1.String(), "amount": a.String(), "terminal": terminal.String()}
}

// credit sends CREDIT FOR LOAD with what authorise answered.
func (f field) credit(auth map[string]any) string {
	var at ep.DateTime
	var mac2 ep.MAC
	for dst, name := range map[string][]byte{"date_time": at[:], "mac2": mac2[:]} {
		raw, err := hex.DecodeString(auth[dst].(string))
		require.NoError(f.t, err)
		copy(name, raw)
	}
	tac, err := f.card.CreditLoad(f.t.Context(), at, mac2)
	require.NoError(f.t, err)
	return tac.String()
}

// answer is what a call came back with.
type answer struct {
	status int
	header http.Header
	raw    []byte
	json   map[string]any
}

func (a answer) code() string         { s, _ := a.json["code"].(string); return s }
func (a answer) text(k string) string { s, _ := a.json[k].(string); return s }

// call makes one request. body is JSON text, a value to be coded, or nil.
func (c *city) call(token, method, path string, body any, header ...string) answer {
	c.t.Helper()
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(c.t, err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, reader)
	require.NoError(c.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.do(req)
}

func (c *city) do(req *http.Request) answer {
	c.t.Helper()
	resp, err := c.server.Client().Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.raw, err = io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	_ = json.Unmarshal(a.raw, &a.json) // not every answer is an object; those who read it find it empty
	return a
}

// order books a load of an agent's.
func (c *city) order(token, key, amount string) string {
	c.t.Helper()
	a := c.call(token, "POST", "/v1/loads", map[string]string{"amount": amount}, "Idempotency-Key", key)
	require.Equal(c.t, 200, a.status, "%s", a.raw)
	return a.text("id")
}

// load sells a load and brings it onto the card.
func (c *city) load(token, key, amount string) string {
	c.t.Helper()
	id := c.order(token, key, amount)
	f := c.present(c.card)
	a := c.call(token, "POST", "/v1/loads/"+id+"/authorise", f.init(amount, kiosk))
	require.Equal(c.t, 200, a.status, "%s", a.raw)
	a = c.call(token, "POST", "/v1/loads/"+id+"/confirm", map[string]string{"tac": f.credit(a.json)})
	require.Equal(c.t, 200, a.status, "%s", a.raw)
	require.Equal(c.t, "loaded", a.text("state"))
	return id
}

// witness holds every request and answer that goes through it against the document, and notes the operations.
type witness struct {
	t      testing.TB
	next   http.RoundTripper
	router routers.Router
	seen   map[string]map[int]bool // operation → statuses
	loose  bool                    // requests may leave the document: only the answers are held against it
}

func (c *city) watch() *witness {
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder) // the document calls itself text
	a := c.call("", "GET", "/v1/openapi.yaml", nil)
	require.Equal(c.t, 200, a.status)
	doc, err := openapi3.NewLoader().LoadFromData(a.raw)
	require.NoError(c.t, err)
	require.NoError(c.t, doc.Validate(context.Background()))
	router, err := legacy.NewRouter(doc)
	require.NoError(c.t, err)
	w := &witness{t: c.t, next: c.server.Client().Transport, router: router, seen: map[string]map[int]bool{}}
	c.server.Client().Transport = w
	c.t.Cleanup(func() { c.server.Client().Transport = w.next })
	return w
}

func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	bare := req.Clone(req.Context()) // the document's server is "/"
	bare.URL.Scheme, bare.URL.Host, bare.Host = "", "", ""
	route, params, err := w.router.FindRoute(bare)
	require.NoError(w.t, err, "%s %s", req.Method, req.URL.Path)
	var body []byte
	if req.Body != nil {
		body, err = io.ReadAll(req.Body)
		require.NoError(w.t, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: bare, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	bare.Body = io.NopCloser(bytes.NewReader(body))
	if !w.loose {
		require.NoError(w.t, openapi3filter.ValidateRequest(req.Context(), in))
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
	out.SetBodyBytes(answer)
	require.NoError(w.t, openapi3filter.ValidateResponse(req.Context(), out), "%s %s answered %s", req.Method, req.URL.Path, answer)
	id := route.Operation.OperationID
	if w.seen[id] == nil {
		w.seen[id] = map[int]bool{}
	}
	w.seen[id][resp.StatusCode] = true
	return resp, nil
}
