package stripe

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// tolerance is how old a notification may be, and how far ahead our clock may be behind: against one that is sent again later.
const tolerance = webhook.DefaultTolerance

// Notified reads an event. One about nothing of ours has no events and no error.
func (c *Channel) Notified(_ context.Context, n channel.Notification) ([]channel.Event, error) {
	if err := c.verify(n); err != nil {
		return nil, err
	}
	var e api.Event
	if err := json.Unmarshal(n.Body, &e); err != nil {
		return nil, fmt.Errorf("Stripe: a signed event that does not read: %w", err)
	}
	if e.Livemode != c.live {
		return nil, &channel.ForgedError{Why: fmt.Sprintf("an event of live mode %v, and the API key is of live mode %v", e.Livemode, c.live)}
	}
	if e.Data == nil {
		return nil, fmt.Errorf("Stripe: event %s has no data", e.ID)
	}
	switch kind := string(e.Type); {
	case strings.HasPrefix(kind, "payment_intent."):
		return paymentEvent(e)
	case strings.HasPrefix(kind, "refund."), kind == "charge.refund.updated":
		return refundEvent(e)
	}
	return nil, nil
}

func paymentEvent(e api.Event) ([]channel.Event, error) {
	var pi api.PaymentIntent
	if err := json.Unmarshal(e.Data.Raw, &pi); err != nil {
		return nil, fmt.Errorf("Stripe: event %s: its payment does not read: %w", e.ID, err)
	}
	if number(pi.Metadata[ours]) != nil {
		return nil, nil // made by somebody else with the same account
	}
	r, err := result(pi.Metadata[ours], &pi)
	if err != nil {
		return nil, err
	}
	if r.Outcome == channel.Succeeded {
		r.At = time.Unix(e.Created, 0)
	}
	r.Action = channel.Action{} // it went out with the answer
	return []channel.Event{{ID: e.ID, About: channel.OfPayment, Result: r}}, nil
}

func refundEvent(e api.Event) ([]channel.Event, error) {
	var made api.Refund
	if err := json.Unmarshal(e.Data.Raw, &made); err != nil {
		return nil, fmt.Errorf("Stripe: event %s: its refund does not read: %w", e.ID, err)
	}
	if number(made.Metadata[ours]) != nil {
		return nil, nil
	}
	r, err := refundResult(made.Metadata[ours], &made)
	if err != nil {
		return nil, err
	}
	return []channel.Event{{ID: e.ID, About: channel.OfRefund, Result: r}}, nil
}

// Answer is any status from 200 to 299 for "kept".
func (c *Channel) Answer(err error) channel.Reply {
	if err != nil {
		return channel.Reply{Status: http.StatusInternalServerError, Type: "text/plain", Body: []byte("again")}
	}
	return channel.Reply{Status: http.StatusOK, Type: "text/plain", Body: []byte("kept")}
}

// verify proves that Stripe wrote these bytes, and not long ago by the clock that received them.
func (c *Channel) verify(n channel.Notification) error {
	forged := func(why string, args ...any) error { return &channel.ForgedError{Why: fmt.Sprintf(why, args...)} }
	header := n.Header.Get("Stripe-Signature")
	if header == "" {
		return forged("no Stripe-Signature: something else has called, or a proxy took the header off")
	}
	at, signatures, err := parseHeader(header)
	if err != nil {
		return forged("Stripe-Signature does not read: %v", err)
	}
	now := n.At
	if now.IsZero() {
		now = c.set.Clock.Now()
	}
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return forged("signed %s away from now, and 5 minutes are allowed: it is sent again by somebody, or this machine's clock is wrong", age.Round(time.Second))
	}
	for _, secret := range c.set.WebhookSecrets {
		want := webhook.ComputeSignature(at, n.Body, secret)
		for _, got := range signatures {
			if hmac.Equal(want, got) {
				return nil
			}
		}
	}
	return forged("not signed with this endpoint's secret (whsec_…): each endpoint has its own, test and live mode too; or a proxy wrote the body anew")
}

// maxSignatures is more than a rolled secret gives.
const maxSignatures = 16

// parseHeader reads "t=1700000000,v1=hex,v1=hex,v0=hex".
func parseHeader(header string) (at time.Time, signatures [][]byte, err error) {
	for part := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seconds <= 0 || !at.IsZero() {
				return time.Time{}, nil, fmt.Errorf("t is not one time")
			}
			at = time.Unix(seconds, 0)
		case "v1":
			s, err := hex.DecodeString(value)
			if err == nil {
				signatures = append(signatures, s)
			}
			if len(signatures) > maxSignatures {
				return time.Time{}, nil, fmt.Errorf("more than %d signatures", maxSignatures)
			}
		}
	}
	if at.IsZero() || len(signatures) == 0 {
		return time.Time{}, nil, fmt.Errorf("t or v1 is missing")
	}
	return at, signatures, nil
}
