package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Config of a service. Box is required.
type Config struct {
	Box *sealed.Box // seals the endpoints' secrets

	// Allow lists addresses that messages may go to though they are not public, by http too.
	//
	// Default none.
	Allow []netip.Prefix

	// Timeout of one attempt, from the name's look-up to the answer's status.
	//
	// Default 10 seconds.
	Timeout time.Duration

	// AtOnce is how many messages one process sends to one endpoint side by side.
	//
	// Default 4.
	AtOnce int

	// Overlap is how long an endpoint's old secret signs beside a new one.
	//
	// Default 24 hours.
	Overlap time.Duration

	// Keep is how long delivered messages are remembered, and can be sent again.
	//
	// Default 30 days.
	Keep time.Duration

	Clock clock.Clock  // default: the machine's
	Log   *slog.Logger // default slog.Default(); no line has a URL, a body or a secret

	// Fault, when set, is called before an attempt's outcome is noted ("sent"), and what it returns ends the attempt there: this is how tests
	// let the process die.
	Fault func(point string) error
}

// Service keeps endpoints and sends messages. It is safe for concurrent use.
type Service struct {
	store  *store.Store
	cfg    Config
	name   string // of this process, in leases
	client sender
	busy   busy
}

// New makes a service; it starts nothing.
func New(s *store.Store, cfg Config) (*Service, error) {
	if cfg.Box == nil {
		return nil, errors.New("webhook: Box is needed")
	}
	if cfg.Timeout < 0 || cfg.AtOnce < 0 || cfg.Overlap < 0 || cfg.Keep < 0 {
		return nil, errors.New("webhook: Timeout, AtOnce, Overlap and Keep: want zero (the default) or more")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = 4
	}
	if cfg.Overlap == 0 {
		cfg.Overlap = 24 * time.Hour
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{store: s, cfg: cfg, name: rand.Text(), client: newSender(cfg.Allow, cfg.Timeout), busy: busy{by: map[string]int{}}}, nil
}

// Kinds of refusal, beside [ErrURL], [ErrAddress], [ErrEvents] and [ErrState]. Any other error means that the service could not do its work.
var (
	// ErrUnknown: there is no such endpoint or message, or it is another app's.
	ErrUnknown = errors.New("no such endpoint or message")
	// ErrTwoSecrets: two secrets are valid already.
	ErrTwoSecrets = errors.New("two secrets are valid already")
	// ErrTooMany: an app has as many endpoints as it may.
	ErrTooMany = errors.New("the app has as many endpoints as it may")
	// ErrRequest: a part of the request is missing.
	ErrRequest = errors.New("request does not fit")
)

// maxEndpoints bounds what one event may cause.
const maxEndpoints = 10

// Endpoint is where an app wants to be told of events.
type Endpoint struct {
	ID      string
	App     string
	URL     string
	Events  []string // patterns
	Active  bool
	Created time.Time
}

func endpointOf(e store.WebhookEndpoint) Endpoint {
	return Endpoint{ID: e.ID, App: e.App, URL: e.URL, Events: strings.Fields(e.Events), Active: e.Active, Created: e.Created}
}

// Secret is what messages to an endpoint are signed with: whsec_ and base64. It prints itself masked.
type Secret string

// Reveal is the secret itself, to be shown once to whom it belongs.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret.
func (Secret) String() string { return "whsec_…" }

// GoString masks the secret.
func (Secret) GoString() string { return "whsec_…" }

// secretPrefix begins each secret, as Standard Webhooks has it.
const secretPrefix = "whsec_"

func newSecret() (Secret, []byte) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return Secret(secretPrefix + base64.StdEncoding.EncodeToString(raw)), raw
}

func secretRow(endpoint string, number int64) string {
	return fmt.Sprintf("webhook_secret %s %d", endpoint, number)
}

// Subscribe adds an endpoint of an app, and returns its secret, which is not told again. Errors: [ErrURL], [ErrAddress], [ErrEvents], [ErrTooMany].
func (s *Service) Subscribe(ctx context.Context, app, url string, events []string, by string) (Endpoint, Secret, error) {
	if app == "" || strings.TrimSpace(by) == "" {
		return Endpoint{}, "", fmt.Errorf("subscribe: want an app, and who does it: %w", ErrRequest)
	}
	if err := checkURL(url, s.cfg.Allow); err != nil {
		return Endpoint{}, "", fmt.Errorf("subscribe: %w", err)
	}
	patterns, err := patternsOf(events)
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("subscribe: %w", err)
	}
	secret, raw := newSecret()
	e := store.WebhookEndpoint{ID: "W" + rand.Text()[:16], App: app, URL: url, Events: patterns, Active: true, Created: s.now(), CreatedBy: by}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.WebhookEndpoints(ctx, app)
		if err != nil {
			return err
		}
		if len(have) >= maxEndpoints {
			return fmt.Errorf("%d of %d: %w", len(have), maxEndpoints, ErrTooMany)
		}
		if err := tx.PutWebhookEndpoint(ctx, e); err != nil {
			return err
		}
		return tx.PutWebhookSecret(ctx, e.ID, store.WebhookSecret{Number: 1, Sealed: s.cfg.Box.Seal(secretRow(e.ID, 1), raw)})
	})
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("subscribe: %w", err)
	}
	return endpointOf(e), secret, nil
}

// Change gives an endpoint another URL or other events, or stops and starts it; what is nil stays. Messages to a stopped one wait. app may be empty for an officer.
// Errors: [ErrUnknown], [ErrURL], [ErrAddress], [ErrEvents].
func (s *Service) Change(ctx context.Context, app, id string, url *string, events []string, active *bool) (Endpoint, error) {
	var out Endpoint
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		e, err := find(ctx, tx, app, id)
		if err != nil {
			return err
		}
		if url != nil {
			if err := checkURL(*url, s.cfg.Allow); err != nil {
				return err
			}
			e.URL = *url
		}
		if events != nil {
			if e.Events, err = patternsOf(events); err != nil {
				return err
			}
		}
		if active != nil {
			e.Active = *active
		}
		out = endpointOf(e)
		return tx.PutWebhookEndpoint(ctx, e)
	})
	if err != nil {
		return Endpoint{}, fmt.Errorf("change: %w", err)
	}
	return out, nil
}

// Rotate gives an endpoint a new secret, which is not told again. The old one signs beside it for a while, so that a receiver can change over at any moment of it. Errors: [ErrUnknown], [ErrTwoSecrets].
func (s *Service) Rotate(ctx context.Context, app, id string) (Secret, error) {
	secret, raw := newSecret()
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := find(ctx, tx, app, id); err != nil {
			return err
		}
		all, err := tx.WebhookSecrets(ctx, id)
		if err != nil {
			return err
		}
		now, next := s.now(), int64(1)
		for i, old := range all {
			next = max(next, old.Number+1)
			if over(old, now) {
				continue
			}
			if i > 0 {
				return fmt.Errorf("the older one ends at %s: %w", time.UnixMilli(old.UntilMS).UTC().Format(time.RFC3339), ErrTwoSecrets)
			}
			old.UntilMS = now.Add(s.cfg.Overlap).UnixMilli()
			if err := tx.PutWebhookSecret(ctx, id, old); err != nil {
				return err
			}
		}
		return tx.PutWebhookSecret(ctx, id, store.WebhookSecret{Number: next, Sealed: s.cfg.Box.Seal(secretRow(id, next), raw)})
	})
	if err != nil {
		return "", fmt.Errorf("rotate: %w", err)
	}
	return secret, nil
}

func over(k store.WebhookSecret, now time.Time) bool {
	return k.UntilMS != 0 && k.UntilMS <= now.UnixMilli()
}

// secrets are what messages to an endpoint are signed with now, the newest first.
func (s *Service) secrets(ctx context.Context, tx *store.Tx, endpoint string) ([][]byte, error) {
	all, err := tx.WebhookSecrets(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, k := range all {
		if over(k, s.now()) {
			continue
		}
		raw, err := s.cfg.Box.Open(secretRow(endpoint, k.Number), k.Sealed)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

// find is an endpoint of an app, or of any where it is empty.
func find(ctx context.Context, tx *store.Tx, app, id string) (store.WebhookEndpoint, error) {
	e, err := tx.WebhookEndpoint(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && app != "" && e.App != app {
		return e, ErrUnknown
	}
	return e, err
}

// Endpoints lists the endpoints of an app, or of all where it is empty.
func (s *Service) Endpoints(ctx context.Context, app string) ([]Endpoint, error) {
	var out []Endpoint
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.WebhookEndpoints(ctx, app)
		for _, e := range all {
			out = append(out, endpointOf(e))
		}
		return err
	})
	return out, err
}

// Take makes one message of an event for each endpoint that wants it. It is the outbox's handler for [Topic]; taking an event again changes nothing.
func (s *Service) Take(ctx context.Context, m store.OutboxMessage) error {
	var n Notice
	if err := json.Unmarshal(m.Body, &n); err != nil {
		return fmt.Errorf("webhook: event %s cannot be read", m.ID)
	}
	if err := n.check(); err != nil {
		return err
	}
	raw, err := body(n, time.UnixMilli(m.AtMS))
	if err != nil {
		return fmt.Errorf("webhook: event %s: %w", m.ID, err)
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.WebhookEndpoints(ctx, n.App)
		if err != nil {
			return err
		}
		for _, e := range all {
			if !wants(e.Events, n.Type) {
				continue
			}
			if err := tx.AddWebhookDelivery(ctx, store.WebhookDelivery{Endpoint: e.ID, ID: messageID(m), App: n.App, Event: n.Type, Body: raw, AtMS: m.AtMS,
				State: string(Waiting), DueMS: s.now().UnixMilli()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// messageID is an event's id for receivers. The outbox's is unique within its key only, and may have dots in it, which are what parts the id from the time in what is signed.
func messageID(m store.OutboxMessage) string {
	sum := sha256.Sum256([]byte(m.Key + "\x00" + m.ID))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// Delivery is a message to an endpoint, and what became of it.
type Delivery struct {
	Endpoint string
	ID       string
	App      string
	Event    string
	At       time.Time // when it happened
	State    State
	Attempts int       // since it was last asked for
	Due      time.Time // of the next attempt; zero: none
	Status   int       // HTTP status of the last attempt, 0: no answer
	Error    string    // of the last attempt
}

func deliveryOf(d store.WebhookDelivery) Delivery {
	out := Delivery{Endpoint: d.Endpoint, ID: d.ID, App: d.App, Event: d.Event, At: time.UnixMilli(d.AtMS), State: State(d.State), Attempts: d.Attempts, Status: d.Status, Error: d.Error}
	if out.State == Waiting {
		out.Due = time.UnixMilli(d.DueMS)
	}
	return out
}

// Deliveries lists messages to an app's endpoints, latest first, at most limit; of all apps and in any state where those are empty.
func (s *Service) Deliveries(ctx context.Context, app string, state State, limit int) ([]Delivery, error) {
	var out []Delivery
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.WebhookDeliveries(ctx, app, string(state), limit)
		for _, d := range all {
			out = append(out, deliveryOf(d))
		}
		return err
	})
	return out, err
}

// Resend has a message sent again, now and then by the schedule, whatever became of it. The receiver may get it twice, under one id. Errors: [ErrUnknown].
func (s *Service) Resend(ctx context.Context, app, endpoint, id string) (Delivery, error) {
	var out Delivery
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := find(ctx, tx, app, endpoint); err != nil {
			return err
		}
		d, err := tx.WebhookDelivery(ctx, endpoint, id)
		if errors.Is(err, store.ErrNotFound) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		out, err = s.again(ctx, tx, d)
		return err
	})
	if err != nil {
		return Delivery{}, fmt.Errorf("resend: %w", err)
	}
	return out, nil
}

func (s *Service) again(ctx context.Context, tx *store.Tx, d store.WebhookDelivery) (Delivery, error) {
	next, err := Next(State(d.State), AskedFor)
	if err != nil {
		return Delivery{}, err
	}
	d.State, d.Attempts, d.DueMS, d.DoneMS = string(next), 0, s.now().UnixMilli(), 0
	return deliveryOf(d), tx.SetWebhookDelivery(ctx, d)
}

// ResendDead has the dead letters of an app sent again, at most limit, and says how many; of all apps where it is empty.
func (s *Service) ResendDead(ctx context.Context, app string, limit int) (int, error) {
	n := 0
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.WebhookDeliveries(ctx, app, string(Dead), limit)
		n = len(all)
		for _, d := range all {
			if _, err := s.again(ctx, tx, d); err != nil {
				return err
			}
		}
		return err
	})
	return n, err
}

// now is the time, cut to the resolution in which it is stored.
func (s *Service) now() time.Time { return time.UnixMilli(s.cfg.Clock.Now().UnixMilli()) }
