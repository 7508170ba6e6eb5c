package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// Topic of the outbox: events for callers.
const Topic = "caller"

// Notice is an event for a caller, as it lies in the outbox.
type Notice struct {
	App  string          `json:"app"`
	Type string          `json:"type"` // such as payment.paid: words of a-z 0-9 _, separated by dots
	Data json.RawMessage `json:"data"` // what the caller gets of it; no card number and no secret
}

// Message makes the outbox's message of an event. id names the event for ever, key what it is about.
func Message(id, key string, at time.Time, n Notice) (store.OutboxMessage, error) {
	if err := n.check(); err != nil {
		return store.OutboxMessage{}, err
	}
	body, err := json.Marshal(n)
	if err != nil {
		return store.OutboxMessage{}, fmt.Errorf("webhook: %w", err)
	}
	return store.OutboxMessage{ID: id, Topic: Topic, Key: key, Body: body, AtMS: at.UnixMilli()}, nil
}

func (n Notice) check() error {
	if n.App == "" || !eventType.MatchString(n.Type) || !json.Valid(n.Data) {
		return fmt.Errorf("webhook: event of type %q: want an app, a type such as payment.paid, and data", n.Type)
	}
	return nil
}

var (
	eventType = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	pattern   = regexp.MustCompile(`^(\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?)$`)
)

// maxPatterns bounds what an endpoint may subscribe to.
const maxPatterns = 50

// ErrEvents says that a list of patterns is none.
var ErrEvents = errors.New("not a list of event types")

// patternsOf checks a subscription: event types, the first words of some with .* behind them, or * for all.
func patternsOf(all []string) (string, error) {
	if len(all) == 0 || len(all) > maxPatterns {
		return "", fmt.Errorf("%d event types: want 1 to %d: %w", len(all), maxPatterns, ErrEvents)
	}
	for _, p := range all {
		if len(p) > 64 || !pattern.MatchString(p) {
			return "", fmt.Errorf("%q: want a type such as payment.paid, payment.* or *: %w", p, ErrEvents)
		}
	}
	return strings.Join(all, " "), nil
}

// wants reports whether a subscription has an event type.
func wants(patterns, event string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		prefix, open := strings.CutSuffix(p, "*")
		return p == event || open && strings.HasPrefix(event, prefix)
	})
}

// body is what a receiver gets, in the form that Standard Webhooks recommends.
func body(n Notice, at time.Time) ([]byte, error) {
	return json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{n.Type, at.UTC(), n.Data})
}
