package webhook_test

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
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

// desk is a sender with its database, and what its log says.
type desk struct {
	*webhook.Service
	t     *testing.T
	store *store.Store
	clock *clock.Manual
	cfg   webhook.Config
	log   *bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	box, err := sealed.New(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	d := &desk{t: t, store: s, clock: clock.NewManual(noon), log: &bytes.Buffer{}}
	d.cfg = webhook.Config{Box: box, Allow: loopback, Clock: d.clock, Log: slog.New(slog.NewTextHandler(&lockedWriter{w: d.log}, nil))}
	d.Service = d.process()
	return d
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// process is one more process on the same database.
func (d *desk) process() *webhook.Service {
	s, err := webhook.New(d.store, d.cfg)
	require.NoError(d.t, err)
	return s
}

// event is taken from the outbox.
func (d *desk) event(id, app, kind string) {
	d.t.Helper()
	m, err := webhook.Message(id, "order "+id, d.clock.Now(), webhook.Notice{App: app, Type: kind, Data: json.RawMessage(`{"order":"` + id + `"}`)})
	require.NoError(d.t, err)
	for range 2 { // the outbox delivers at least once
		require.NoError(d.t, d.Take(d.t.Context(), m))
	}
}

func (d *desk) step() int {
	d.t.Helper()
	n, err := d.Step(d.t.Context())
	require.NoError(d.t, err)
	return n
}

func (d *desk) only() webhook.Delivery {
	d.t.Helper()
	all, err := d.Deliveries(d.t.Context(), "", "", 10)
	require.NoError(d.t, err)
	require.Len(d.t, all, 1)
	return all[0]
}

// got is one request that a receiver had.
type got struct {
	header http.Header
	body   []byte
}

// receiver is a caller's endpoint.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	all    []got
	answer func(http.ResponseWriter, *http.Request)
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.all = append(r.all, got{req.Header.Clone(), body})
		answer := r.answer
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func (r *receiver) taken() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.all...)
}

func (d *desk) subscribe(app, url string, events ...string) (webhook.Endpoint, webhook.Secret) {
	d.t.Helper()
	e, secret, err := d.Subscribe(d.t.Context(), app, url, events, "ann")
	require.NoError(d.t, err)
	return e, secret
}

func verifies(t *testing.T, g got, s webhook.Secret) error {
	w, err := standardwebhooks.NewWebhook(s.Reveal())
	require.NoError(t, err)
	return w.VerifyIgnoringTimestamp(g.body, g.header) // the clock of these tests is not the library's
}

func TestAnEventReachesEachEndpointThatWantsIt(t *testing.T) {
	d := newDesk(t)
	r, all, other := newReceiver(t), newReceiver(t), newReceiver(t)
	_, secret := d.subscribe("shop", r.URL+"/hook", "payment.succeeded")
	d.subscribe("shop", all.URL, "payment.*", "refund.*")
	d.subscribe("rival", other.URL, "*")
	d.event("1", "shop", "payment.succeeded")
	d.event("2", "shop", "payment.failed")
	require.Equal(t, 3, d.step())
	require.Zero(t, d.step())
	require.Len(t, r.taken(), 1)
	require.Len(t, all.taken(), 2)
	require.Empty(t, other.taken())
	one := r.taken()[0]
	require.NoError(t, verifies(t, one, secret))
	require.JSONEq(t, `{"type":"payment.succeeded","timestamp":"2026-11-24T12:00:00Z","data":{"order":"1"}}`, string(one.body))
	require.Equal(t, "1795521600", one.header.Get("webhook-timestamp"))
	require.NotContains(t, one.header.Get("webhook-id"), ".")
}

// TestAttemptsFollowTheScheduleUntilTheMessageIsDead walks a whole day.
func TestAttemptsFollowTheScheduleUntilTheMessageIsDead(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	r.answers(500)
	e, _ := d.subscribe("shop", r.URL+"/hook?token=hidden", "*")
	d.event("1", "shop", "payment.succeeded")
	require.Equal(t, 1, d.step())
	for i, wait := range webhook.Schedule() {
		m := d.only()
		require.Equal(t, webhook.Waiting, m.State)
		require.Equal(t, i+1, m.Attempts)
		require.Equal(t, d.clock.Now().Add(wait), m.Due.UTC())
		d.clock.Advance(wait - time.Millisecond)
		require.Zero(t, d.step(), "attempt %d is too early", i+2)
		d.clock.Advance(time.Millisecond)
		require.Equal(t, 1, d.step())
	}
	m := d.only()
	require.Equal(t, webhook.Dead, m.State)
	require.Equal(t, 500, m.Status)
	require.Equal(t, "the endpoint answered 500", m.Error)
	require.InDelta(t, 24*time.Hour, d.clock.Now().Sub(noon), float64(time.Hour), "a day in all")
	d.clock.Advance(30 * 24 * time.Hour)
	require.Zero(t, d.step(), "nobody sends a dead letter by itself")
	require.Len(t, r.taken(), len(webhook.Schedule())+1)
	require.NotContains(t, d.log.String(), "hidden")
	require.Contains(t, d.log.String(), "dead letter")

	r.answers(200)
	n, err := d.ResendDead(t.Context(), "shop", 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 1, d.step())
	require.Equal(t, webhook.Delivered, d.only().State)

	_, err = d.Resend(t.Context(), "shop", e.ID, m.ID) // the receiver has lost it
	require.NoError(t, err)
	require.Equal(t, 1, d.step())
	calls := r.taken()
	for _, c := range calls {
		require.Equal(t, m.ID, c.header.Get("webhook-id"), "the id stays, so that a receiver can drop a second one")
	}
	_, err = d.Resend(t.Context(), "rival", e.ID, m.ID)
	require.ErrorIs(t, err, webhook.ErrUnknown)
	_, err = d.Resend(t.Context(), "shop", e.ID, "evt_0")
	require.ErrorIs(t, err, webhook.ErrUnknown)
}

func TestASuccessEndsTheAttempts(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	r.answers(503)
	d.subscribe("shop", r.URL, "*")
	d.event("1", "shop", "payment.succeeded")
	d.step()
	r.answers(200)
	d.clock.Advance(5 * time.Second)
	require.Equal(t, 1, d.step())
	require.Equal(t, webhook.Delivered, d.only().State)
	d.clock.Advance(48 * time.Hour)
	require.Zero(t, d.step())
	n, err := d.Prune(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	d.clock.Advance(30 * 24 * time.Hour)
	n, err = d.Prune(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func TestBothSecretsSignWhileTheyChange(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	e, first := d.subscribe("shop", r.URL, "*")
	second, err := d.Rotate(t.Context(), "shop", e.ID)
	require.NoError(t, err)
	_, err = d.Rotate(t.Context(), "shop", e.ID)
	require.ErrorIs(t, err, webhook.ErrTwoSecrets)
	_, err = d.Rotate(t.Context(), "rival", e.ID)
	require.ErrorIs(t, err, webhook.ErrUnknown)
	d.event("1", "shop", "a.b")
	d.step()
	require.NoError(t, verifies(t, r.taken()[0], first))
	require.NoError(t, verifies(t, r.taken()[0], second))
	d.clock.Advance(24 * time.Hour)
	d.event("2", "shop", "a.b")
	d.step()
	require.Error(t, verifies(t, r.taken()[1], first))
	require.NoError(t, verifies(t, r.taken()[1], second))
	third, err := d.Rotate(t.Context(), "shop", e.ID)
	require.NoError(t, err)
	d.event("3", "shop", "a.b")
	d.step()
	require.NoError(t, verifies(t, r.taken()[2], third))
}

func TestSecretsAreSealedAndNeverPrinted(t *testing.T) {
	d := newDesk(t)
	e, secret := d.subscribe("shop", newReceiver(t).URL, "*")
	require.True(t, strings.HasPrefix(secret.Reveal(), "whsec_"))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret), secret.Reveal()[7:])
	require.NoError(t, d.store.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.WebhookSecrets(t.Context(), e.ID)
		require.Len(t, all, 1)
		require.NotContains(t, string(all[0].Sealed), secret.Reveal()[7:])
		return err
	}))
}

func TestARedirectIsNotFollowed(t *testing.T) {
	d := newDesk(t)
	inside := newReceiver(t)
	r := newReceiver(t)
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, inside.URL, http.StatusTemporaryRedirect)
	}
	d.subscribe("shop", r.URL, "*")
	d.event("1", "shop", "a.b")
	d.step()
	require.Equal(t, 307, d.only().Status)
	require.Equal(t, webhook.Waiting, d.only().State)
	require.Empty(t, inside.taken())
}

// TestANameThatLeadsInsideIsNotCalled: the name is fine when it is registered, and the address behind it is not.
func TestANameThatLeadsInsideIsNotCalled(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	d.cfg.Allow = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")} // http may be registered
	d.Service = d.process()
	d.subscribe("shop", strings.Replace(r.URL, "127.0.0.1", "localhost", 1), "*")
	d.subscribe("shop", strings.Replace(r.URL, "http://127.0.0.1", "https://localhost", 1), "*")
	d.event("1", "shop", "a.b")
	require.Equal(t, 2, d.step())
	all, err := d.Deliveries(t.Context(), "shop", webhook.Waiting, 10)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, m := range all {
		require.Contains(t, m.Error, "not a public one")
		require.Zero(t, m.Status)
	}
	require.Empty(t, r.taken())
}

func TestASlowEndpointDoesNotHoldUpOthers(t *testing.T) {
	d := newDesk(t)
	release, arrived := make(chan struct{}), make(chan string, 20)
	slow, quick := newReceiver(t), newReceiver(t)
	slow.answer = func(w http.ResponseWriter, _ *http.Request) { arrived <- "slow"; <-release }
	quick.answer = func(w http.ResponseWriter, _ *http.Request) { arrived <- "quick" }
	d.subscribe("slow", slow.URL, "*")
	for i := range 6 {
		d.event(fmt.Sprint(i), "slow", "a.b")
	}
	begun, err := d.Begin(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, begun, "so many at once to one endpoint")
	for range 4 {
		require.Equal(t, "slow", <-arrived)
	}
	d.subscribe("quick", quick.URL, "*")
	d.event("q", "quick", "a.b")
	begun, err = d.Begin(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, begun, "the slow one has no place free, the quick one has")
	require.Equal(t, "quick", <-arrived)
	close(release)
	require.Equal(t, 2, d.step()+d.step(), "what was left of the slow one, when its places are free")
	all, err := d.Deliveries(t.Context(), "", webhook.Delivered, 10)
	require.NoError(t, err)
	require.Len(t, all, 7)
}

func TestAnAttemptEnds(t *testing.T) {
	d := newDesk(t)
	d.cfg.Timeout = 20 * time.Millisecond
	d.Service = d.process()
	release := make(chan struct{})
	defer close(release)
	r := newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request) { <-release }
	d.subscribe("shop", r.URL+"/secret-path", "*")
	d.event("1", "shop", "a.b")
	d.step()
	require.Equal(t, webhook.Waiting, d.only().State)
	require.NotEmpty(t, d.only().Error)
	require.NotContains(t, d.only().Error, "secret-path")
}

// TestAProcessThatDiesLosesItsMessagesToAnother sends a message whose outcome is never noted.
func TestAProcessThatDiesLosesItsMessagesToAnother(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	d.subscribe("shop", r.URL, "*")
	d.event("1", "shop", "a.b")
	d.cfg.Fault = func(string) error { return errors.New("died") }
	dying := d.process()
	n, err := dying.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Zero(t, d.step(), "it is still the other one's")
	d.clock.Advance(20 * time.Second)
	require.Equal(t, 1, d.step())
	require.Len(t, r.taken(), 2)
	require.Equal(t, r.taken()[0].body, r.taken()[1].body)
	require.Equal(t, webhook.Delivered, d.only().State)
}

func TestAStoppedEndpointKeepsItsMessages(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	e, _ := d.subscribe("shop", r.URL, "*")
	off, on := false, true
	_, err := d.Change(t.Context(), "shop", e.ID, nil, nil, &off)
	require.NoError(t, err)
	d.event("1", "shop", "a.b")
	require.Zero(t, d.step())
	changed, err := d.Change(t.Context(), "shop", e.ID, nil, []string{"a.*"}, &on)
	require.NoError(t, err)
	require.Equal(t, []string{"a.*"}, changed.Events)
	require.Equal(t, 1, d.step())
	_, err = d.Change(t.Context(), "rival", e.ID, nil, nil, &off)
	require.ErrorIs(t, err, webhook.ErrUnknown)
	bad := "ftp://host"
	_, err = d.Change(t.Context(), "shop", e.ID, &bad, nil, nil)
	require.ErrorIs(t, err, webhook.ErrURL)
}

func TestOneEndpointsTroubleIsNotTheOthers(t *testing.T) {
	d := newDesk(t)
	r := newReceiver(t)
	broken, _ := d.subscribe("a", r.URL, "*")
	d.subscribe("b", r.URL, "*")
	require.NoError(t, d.store.Update(t.Context(), func(tx *store.Tx) error { // as if somebody had edited the row
		return tx.PutWebhookSecret(t.Context(), broken.ID, store.WebhookSecret{Number: 1, Sealed: []byte{1, 2, 3}})
	}))
	d.event("1", "a", "a.b")
	d.event("2", "b", "a.b")
	n, err := d.Step(t.Context())
	require.ErrorIs(t, err, sealed.ErrOpen)
	require.Equal(t, 1, n)
	require.Len(t, r.taken(), 1)
}

func TestWhatMayBeSubscribedTo(t *testing.T) {
	d := newDesk(t)
	ctx := context.Background()
	for _, events := range [][]string{nil, {""}, {"Payment"}, {"payment."}, {"*.*"}, {"a b"}, make([]string, 51)} {
		_, _, err := d.Subscribe(ctx, "shop", "https://example.com/", events, "ann")
		require.ErrorIs(t, err, webhook.ErrEvents, "%q", events)
	}
	_, _, err := d.Subscribe(ctx, "shop", "https://example.com/", []string{"*"}, " ")
	require.ErrorIs(t, err, webhook.ErrRequest)
	for range 10 {
		d.subscribe("shop", "https://example.com/", "*")
	}
	_, _, err = d.Subscribe(ctx, "shop", "https://example.com/", []string{"*"}, "ann")
	require.ErrorIs(t, err, webhook.ErrTooMany)
	all, err := d.Endpoints(ctx, "shop")
	require.NoError(t, err)
	require.Len(t, all, 10)
	_, err = webhook.Message("1", "k", noon, webhook.Notice{App: "shop", Type: "Payment", Data: []byte(`{}`)})
	require.Error(t, err)
	require.Error(t, d.Take(ctx, store.OutboxMessage{ID: "1", Body: []byte("{")}))
	require.Error(t, d.Take(ctx, store.OutboxMessage{ID: "1", Body: []byte("{}")}))
}
