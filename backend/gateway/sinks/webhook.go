package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/store"
)

// EventType of the message that a webhook gets.
const EventType = "channel.state"

// Webhook posts each notice, signed as Standard Webhooks 1.0 says. The operator names the URL, so private addresses are allowed; redirects are not followed.
type Webhook struct {
	URL    string
	Secret []byte // 24 to 64 bytes
	Filter Filter
}

// Handler of its topic.
func (w Webhook) Handler() (outbox.Handler, error) {
	if len(w.Secret) < 24 || len(w.Secret) > 64 {
		return nil, fmt.Errorf("webhook: the secret is %d bytes: want 24 to 64", len(w.Secret))
	}
	sign, err := standardwebhooks.NewWebhookRaw(w.Secret)
	if err != nil {
		return nil, fmt.Errorf("webhook: secret: %w", err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return filtered(w.Filter, func(ctx context.Context, m store.OutboxMessage, n keeper.Notice) error {
		body, err := json.Marshal(struct {
			Type      string        `json:"type"`
			Timestamp time.Time     `json:"timestamp"`
			Data      keeper.Notice `json:"data"`
		}{EventType, n.At.UTC(), n})
		if err != nil {
			return err
		}
		id, at := m.Key+"/"+m.ID, time.Now()
		signature, err := sign.Sign(id, at, body)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("webhook: the URL does not parse")
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(standardwebhooks.HeaderWebhookID, id)
		r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
		r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
		answer, err := client.Do(r)
		if err != nil {
			return fmt.Errorf("webhook: no answer within %v, or none at all", within) // the client's own text has the URL, which may hold a secret
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection can be used again
		if answer.StatusCode < 200 || answer.StatusCode > 299 {
			return fmt.Errorf("webhook: answered %d", answer.StatusCode)
		}
		return nil
	}), nil
}
