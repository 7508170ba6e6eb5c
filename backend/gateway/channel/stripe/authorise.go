package stripe

import (
	"context"
	"fmt"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Authorise reserves money on a card, for seven days with most schemes. Nothing is taken.
func (c *Channel) Authorise(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return c.charge(ctx, r, api.PaymentIntentCaptureMethodManual)
}

// Increment reserves more. Stripe is told the new sum, so an increment that was made is remembered in the payment's metadata and
// not made again. Only some cards can; the others refuse with class NotSupported.
func (c *Channel) Increment(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	units, pi, missing, err := c.reserved(ctx, r)
	if err != nil {
		return channel.Result{}, err
	}
	if missing {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	if was, made := pi.Metadata[increment+r.Number]; made {
		if was != fmt.Sprint(units) {
			return channel.Result{}, fmt.Errorf("Stripe: increment %s was made over %s and is asked for over %d", r.Number, was, units)
		}
		return step(r.Number, pi, channel.Succeeded, r.Money), nil
	}
	if pi.Status != api.PaymentIntentStatusRequiresCapture {
		return unexpected(r.Number, pi), nil
	}
	p := &api.PaymentIntentIncrementAuthorizationParams{Amount: api.Int64(pi.Amount + units)}
	p.IdempotencyKey = api.String(r.Number)
	p.Metadata = map[string]string{increment + r.Number: fmt.Sprint(units)}
	after, err := c.client.V1PaymentIntents.IncrementAuthorization(ctx, pi.ID, p)
	if err != nil {
		no, err := read(err)
		if err != nil {
			return channel.Result{}, err
		}
		res := refused(r.Number, no)
		if no.Type == api.ErrorTypeInvalidRequest {
			res.Class = channel.NotSupported
		}
		return res, nil
	}
	return step(r.Number, after, channel.Succeeded, r.Money), nil
}

// Capture takes at most what is reserved, once; the rest is released.
func (c *Channel) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	units, pi, missing, err := c.reserved(ctx, r)
	if err != nil {
		return channel.Result{}, err
	}
	if missing {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	if pi.Status == api.PaymentIntentStatusSucceeded && pi.Metadata[captured] == r.Number {
		if pi.AmountReceived != units {
			return channel.Result{}, fmt.Errorf("Stripe: capture %s took another amount than is asked for now", r.Number)
		}
		return step(r.Number, pi, channel.Succeeded, r.Money), nil
	}
	if pi.Status != api.PaymentIntentStatusRequiresCapture {
		return unexpected(r.Number, pi), nil
	}
	p := &api.PaymentIntentCaptureParams{AmountToCapture: api.Int64(units)}
	p.IdempotencyKey = api.String(r.Number)
	p.Metadata = map[string]string{captured: r.Number}
	after, err := c.client.V1PaymentIntents.Capture(ctx, pi.ID, p)
	if err != nil {
		no, err := read(err)
		if err != nil {
			return channel.Result{}, err
		}
		return refused(r.Number, no), nil
	}
	return step(r.Number, after, channel.Succeeded, r.Money), nil
}

// Release gives up the whole of what is reserved.
func (c *Channel) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	_, pi, missing, err := c.reserved(ctx, r)
	if err != nil {
		return channel.Result{}, err
	}
	if missing {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	after, err := c.cancel(ctx, r.Of.Number, pi)
	if err != nil {
		return channel.Result{}, err
	}
	if after.Outcome == channel.Closed {
		return step(r.Number, pi, channel.Succeeded, r.Money), nil
	}
	return unexpected(r.Number, pi), nil
}

// reserved finds the authorisation that a step is about.
func (c *Channel) reserved(ctx context.Context, r channel.RefundRequest) (wants int64, pi *api.PaymentIntent, missing bool, err error) {
	if err := number(r.Number); err != nil {
		return 0, nil, false, err
	}
	if wants, err = units(r.Money); err != nil {
		return 0, nil, false, err
	}
	if pi, err = c.find(ctx, r.Of); err != nil || pi == nil {
		return 0, nil, err == nil, err
	}
	if pi.Metadata[ours] != r.Of.Number {
		return 0, nil, false, fmt.Errorf("Stripe: payment %s has number %q and was taken for %q", pi.ID, pi.Metadata[ours], r.Of.Number)
	}
	if pi.CaptureMethod != api.PaymentIntentCaptureMethodManual {
		return 0, nil, false, fmt.Errorf("Stripe: payment %s is no authorisation", pi.ID)
	}
	return wants, pi, false, nil
}

func step(number string, pi *api.PaymentIntent, o channel.Outcome, m channel.Money) channel.Result {
	return channel.Result{Outcome: o, Number: number, ChannelID: pi.ID, Money: m}
}

// unexpected is a step that the authorisation's state does not allow, and never will: captured and cancelled are its ends.
func unexpected(number string, pi *api.PaymentIntent) channel.Result {
	r := channel.Result{Outcome: channel.Failed, Number: number, ChannelID: pi.ID, Code: "payment_intent_unexpected_state", Class: channel.BySetting,
		Message: "the authorisation is " + string(pi.Status)}
	if pi.Status == api.PaymentIntentStatusRequiresAction || pi.Status == api.PaymentIntentStatusProcessing {
		r.Outcome, r.Class = channel.Pending, channel.NoClass
	}
	return r
}
