package client

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purselane/purselane/internal/clock"
)

// Event is what a webhook says.
type Event struct {
	ID        string          `json:"-"` // the same at every attempt: drop a second one
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"` // when it happened
	Data      json.RawMessage `json:"data"`
}

// Receiver verifies webhooks. It is safe for concurrent use.
type Receiver struct {
	secrets []*standardwebhooks.Webhook
	clock   clock.Clock
}

// NewReceiver takes the endpoint's secrets (whsec_…): one, or while it changes both. c may be nil for the machine's clock.
func NewReceiver(c clock.Clock, secrets ...string) (*Receiver, error) {
	if c == nil {
		c = clock.System{}
	}
	r := &Receiver{clock: c}
	for _, s := range secrets {
		rest, ours := strings.CutPrefix(s, "whsec_")
		raw, err := base64.StdEncoding.DecodeString(rest)
		if !ours || err != nil || len(raw) < minSecret {
			return nil, errors.New("client: want the endpoint's secret, whsec_ and base64")
		}
		w, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		r.secrets = append(r.secrets, w)
	}
	if len(r.secrets) == 0 {
		return nil, errors.New("client: want the endpoint's secret")
	}
	return r, nil
}

// minSecret is the least length of a secret in bytes, as Standard Webhooks has it: without it an empty one would let everybody sign.
const minSecret = 24

// tolerance is how far a message's time may be from ours.
const tolerance = 5 * time.Minute

// Refusals of a webhook.
var (
	// ErrWebhook: no secret of ours has signed it.
	ErrWebhook = errors.New("the webhook is not signed with this endpoint's secret")
	// ErrWebhookTime: it is signed, and too old or from the future: somebody may have kept it, or a clock is wrong.
	ErrWebhookTime = errors.New("the webhook's time is too far from ours")
	// ErrWebhookBody: it is signed, and cannot be read.
	ErrWebhookBody = errors.New("the webhook cannot be read")
)

// Verify reads a webhook. body is the raw one, as it came. Errors: [ErrWebhook], [ErrWebhookTime], [ErrWebhookBody].
func (r *Receiver) Verify(header http.Header, body []byte) (Event, error) {
	signed := false
	for _, s := range r.secrets {
		signed = s.VerifyIgnoringTimestamp(body, header) == nil || signed
	}
	if !signed {
		return Event{}, ErrWebhook
	}
	at, err := strconv.ParseInt(header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return Event{}, fmt.Errorf("its timestamp: %w", ErrWebhookBody)
	}
	if d := r.clock.Now().Sub(time.Unix(at, 0)); d > tolerance || d < -tolerance {
		return Event{}, fmt.Errorf("%v: %w", d.Round(time.Second), ErrWebhookTime)
	}
	e := Event{ID: header.Get(standardwebhooks.HeaderWebhookID)}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return Event{}, fmt.Errorf("want type, timestamp and data: %w", ErrWebhookBody)
	}
	return e, nil
}
