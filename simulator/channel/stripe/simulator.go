package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/clock"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Settings are the account that is simulated.
type Settings struct {
	Key      string // that requests must have: sk_test_…
	Version  string // of the API that they must ask for
	Endpoint string // URL of its one webhook endpoint; "" for none
	Secret   string // of the endpoint: whsec_…

	Currency string           // of the account, as Stripe writes it: "hkd"; "": that of each payment
	Rates    map[string]Ratio // of a payment's currency: how many smallest units of the account's for one of its own; 1 where it is not named

	SearchDelay time.Duration // until what is new is found by searching; default a minute
	RefundDelay time.Duration // until a refund has succeeded; 0: at once
}

// Ratio is Num/Den.
type Ratio struct{ Num, Den int64 }

// schedule is when events are sent again. Stripe says "for up to three days, with growing gaps" and no more; these gaps are ours.
var schedule = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour}

// Simulator is the other end of the wire. It is safe for concurrent use.
type Simulator struct {
	Weather  *sim.Weather
	Notifier *sim.Notifier

	set   Settings
	clock clock.Clock
	mux   *http.ServeMux

	mu       sync.Mutex
	seq      int
	intents  []*intent // in the order of their making
	refunds  []*refund
	movement []*movement
	answers  map[string]answered
}

// answered is what an idempotency key was answered with.
type answered struct {
	of   [sha256.Size]byte
	with answer
}

type answer struct {
	status int
	body   any
	kept   bool // under the idempotency key
}

// New makes an account without payments.
func New(s Settings, c clock.Clock, w *sim.Weather) *Simulator {
	if s.SearchDelay == 0 {
		s.SearchDelay = time.Minute
	}
	m := &Simulator{Weather: w, Notifier: sim.NewNotifier(c, w, schedule), set: s, clock: c, mux: http.NewServeMux(), answers: map[string]answered{}}
	m.handle("POST /v1/payment_intents", sim.Pay, m.createIntent, "amount", "currency", "capture_method", "confirm", "customer", "description", "error_on_requires_action",
		"payment_method", "payment_method_types", "return_url", "metadata", "payment_method_options", "expand")
	m.handle("GET /v1/payment_intents", sim.Query, m.listIntents, "created", "limit", "starting_after", "expand")
	m.handle("GET /v1/payment_intents/search", sim.Query, m.searchIntents, "query", "limit", "page", "expand")
	m.handle("GET /v1/payment_intents/{id}", "read", m.readIntent, "expand")
	m.handle("POST /v1/payment_intents/{id}/cancel", sim.Close, m.cancelIntent, "expand")
	m.handle("POST /v1/payment_intents/{id}/capture", sim.Capture, m.captureIntent, "amount_to_capture", "metadata", "expand")
	m.handle("POST /v1/payment_intents/{id}/increment_authorization", sim.Increment, m.incrementIntent, "amount", "metadata", "expand")
	m.handle("POST /v1/refunds", sim.Refund, m.createRefund, "payment_intent", "amount", "metadata", "expand")
	m.handle("GET /v1/refunds", sim.QueryRefund, m.listRefunds, "payment_intent", "limit", "starting_after", "expand")
	m.handle("GET /v1/refunds/{id}", sim.QueryRefund, m.readRefund, "expand")
	m.handle("GET /v1/balance_transactions", sim.Bill, m.listMovements, "created", "limit", "starting_after", "expand")
	return m
}

func (m *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// request is one that may be done.
type request struct {
	id   string // in the path
	form url.Values
	fate sim.Fate
}

type handler func(request) answer

// maxBody is more than any request of ours.
const maxBody = 64 << 10

// handle puts what every request goes through before a handler: who asks, in which version, what for, and whether it was answered before.
func (m *Simulator) handle(pattern string, op sim.Op, h handler, known ...string) {
	m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", m.clock.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Request-Id", "req_"+digest(r.Method+r.URL.String()))
		if r.Header.Get("Authorization") != "Bearer "+m.set.Key {
			write(w, failure(http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided: ****"))
			return
		}
		if r.Header.Get("Stripe-Version") != m.set.Version {
			write(w, invalid("", "Stripe-Version is not the one that this account's tests are pinned to"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			write(w, invalid("", "the form does not read"))
			return
		}
		if p := unknown(r.Form, known); p != "" {
			write(w, failure(http.StatusBadRequest, "invalid_request_error", "parameter_unknown", "Received unknown parameter: "+p))
			return
		}
		fate := m.Weather.Draw(op, "")
		m.Weather.Begin(r.Context(), fate)
		got := m.answer(r, h, fate)
		if fate.Early {
			_ = m.Act(r.PostForm.Get("metadata[purselane]"))
			m.Notifier.Run(context.WithoutCancel(r.Context()))
		}
		fate.End()
		write(w, got)
	})
}

// answer does a request, or repeats the first answer to its key.
func (m *Simulator) answer(r *http.Request, h handler, fate sim.Fate) answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost {
		return h(request{id: r.PathValue("id"), form: r.Form, fate: fate})
	}
	if key == "" || len(key) > 255 {
		return invalid("", "Idempotency-Key is missing: it is optional at Stripe, and no request of ours may leave it out")
	}
	of := sha256.Sum256([]byte(r.URL.Path + "\n" + r.PostForm.Encode()))
	if before, again := m.answers[key]; again {
		if before.of != of {
			return failure(http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
		}
		return before.with
	}
	switch {
	case fate.Error != "" && !fate.AndDone && trouble(fate.Error) != 0:
		return failure(trouble(fate.Error), "api_error", fate.Error, "An unknown error occurred")
	case fate.Error != "" && fate.AndDone:
		h(request{id: r.PathValue("id"), form: r.PostForm})
		got := failure(http.StatusInternalServerError, "api_error", fate.Error, "An unknown error occurred")
		m.answers[key] = answered{of, got} // as Stripe does: the same 500 for the same key
		return got
	}
	got := h(request{id: r.PathValue("id"), form: r.PostForm, fate: fate})
	if got.kept || got.status == http.StatusOK {
		m.answers[key] = answered{of, got}
	}
	return got
}

// Forget drops the idempotency keys, as Stripe does when they are a day old.
func (m *Simulator) Forget() { m.mu.Lock(); defer m.mu.Unlock(); clear(m.answers) }

// trouble is the HTTP status of an error that is no answer to the payment; 0 for a card's.
func trouble(code string) int {
	switch code {
	case "api_error":
		return http.StatusInternalServerError
	case "rate_limit":
		return http.StatusTooManyRequests
	case "lock_timeout":
		return http.StatusConflict
	}
	return 0
}

func write(w http.ResponseWriter, a answer) {
	body, err := json.MarshalIndent(a.body, "", "  ") // Stripe indents its answers
	if err != nil {
		panic(err) // maps of plain values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

func failure(status int, kind, code, message string) answer {
	e := map[string]any{"type": kind, "message": message}
	if code != "" {
		e["code"] = code
	}
	return answer{status: status, body: map[string]any{"error": e}}
}

func invalid(param, message string) answer {
	a := failure(http.StatusBadRequest, "invalid_request_error", "", message)
	if param != "" {
		a.body.(map[string]any)["error"].(map[string]any)["param"] = param
	}
	return a
}

// state refuses a step that an object's state does not allow. Stripe has begun it, so it keeps the answer.
func state(code, message string) answer {
	a := failure(http.StatusBadRequest, "invalid_request_error", code, message)
	a.kept = true
	return a
}

func missing(what, id string) answer {
	a := failure(http.StatusNotFound, "invalid_request_error", "resource_missing", "No such "+what+": '"+id+"'")
	a.body.(map[string]any)["error"].(map[string]any)["param"] = "id"
	return a
}

// unknown is the first parameter that an endpoint does not have, by the name before its brackets.
func unknown(form url.Values, known []string) string {
	for name := range form {
		if plain, _, _ := strings.Cut(name, "["); !slices.Contains(known, plain) {
			return name
		}
	}
	return ""
}

func digest(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:14] }

// id is a new one of Stripe's form.
func (m *Simulator) id(kind string) string {
	m.seq++
	return fmt.Sprintf("%s_3S%08d%s", kind, m.seq, digest(fmt.Sprint(kind, m.seq)))
}

// metadata reads metadata[key]=value by Stripe's limits.
func metadata(form url.Values) (map[string]string, bool) {
	out := map[string]string{}
	for name, values := range form {
		key, ok := strings.CutPrefix(name, "metadata[")
		if !ok {
			continue
		}
		key = strings.TrimSuffix(key, "]")
		if len(key) > 40 || len(values[0]) > 500 {
			return nil, false
		}
		out[key] = values[0]
	}
	return out, len(out) <= 50
}
