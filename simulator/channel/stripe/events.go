package stripe

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

// tell sends an event with the object as it is now.
func (m *Simulator) tell(kind string, object map[string]any) {
	now := m.clock.Now()
	body, err := json.MarshalIndent(map[string]any{"id": m.id("evt"), "object": "event", "api_version": m.set.Version, "created": now.Unix(), "data": map[string]any{"object": object},
		"livemode": false, "pending_webhooks": 1, "request": map[string]any{"id": nil, "idempotency_key": nil}, "type": kind}, "", "  ")
	if err != nil {
		panic(err) // maps of plain values
	}
	m.Notifier.Send(sim.Notice{ID: kind, URL: m.set.Endpoint, Make: func(at time.Time) gateway.Notification { return Sign(body, m.set.Secret, at) }})
}

// Sign is a notification of Stripe's with that body, signed at a moment.
func Sign(body []byte, secret string, at time.Time) gateway.Notification {
	mac := hex.EncodeToString(webhook.ComputeSignature(at, body, secret))
	return gateway.Notification{At: at, Body: body, Header: http.Header{
		"Content-Type":     {"application/json; charset=utf-8"},
		"Stripe-Signature": {fmt.Sprintf("t=%d,v1=%s,v0=%s", at.Unix(), mac, digest(mac))},
	}}
}
