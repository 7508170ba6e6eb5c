package stripe

import (
	"context"
	"fmt"
	"time"

	api "github.com/stripe/stripe-go/v85"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Refund gives back a part of a payment.
func (c *Channel) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	if err := number(r.Number); err != nil {
		return channel.Result{}, err
	}
	units, err := units(r.Money)
	if err != nil {
		return channel.Result{}, err
	}
	pi, err := c.find(ctx, r.Of)
	if err != nil {
		return channel.Result{}, err
	}
	if pi == nil {
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	if c.forgotten(r.Sent) {
		made, err := c.refundOf(ctx, pi.ID, r.Number)
		if err != nil {
			return channel.Result{}, err
		}
		if made != nil {
			if made.Amount != units {
				return channel.Result{}, fmt.Errorf("Stripe: refund %s was made over another amount than is asked for now", made.ID)
			}
			return refundResult(r.Number, made)
		}
	}
	p := &api.RefundCreateParams{PaymentIntent: api.String(pi.ID), Amount: api.Int64(units)}
	p.IdempotencyKey = api.String(r.Number)
	p.Metadata = map[string]string{ours: r.Number, ofPayment: r.Of.Number}
	made, err := c.client.V1Refunds.Create(ctx, p)
	if err != nil {
		no, err := read(err)
		if err != nil {
			return channel.Result{}, err
		}
		return refused(r.Number, no), nil
	}
	return refundResult(r.Number, made)
}

// QueryRefund asks what became of a refund.
func (c *Channel) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	none := channel.Result{Outcome: channel.Missing, Number: r.Number}
	if r.ChannelID != "" {
		made, err := c.client.V1Refunds.Retrieve(ctx, r.ChannelID, nil)
		if err == nil {
			return refundResult(r.Number, made)
		}
		no, err := read(err)
		if err != nil {
			return channel.Result{}, err
		}
		if missing(no) {
			return none, nil
		}
		return channel.Result{}, unread(no)
	}
	pi, err := c.find(ctx, r.Of)
	if err != nil {
		return channel.Result{}, err
	}
	if pi == nil {
		return none, nil
	}
	made, err := c.refundOf(ctx, pi.ID, r.Number)
	if err != nil {
		return channel.Result{}, err
	}
	if made == nil {
		return none, nil
	}
	return refundResult(r.Number, made)
}

// refundOf finds a refund of a payment by our number, nil if there is none.
func (c *Channel) refundOf(ctx context.Context, payment, number string) (*api.Refund, error) {
	list := &api.RefundListParams{PaymentIntent: api.String(payment)}
	list.Limit = api.Int64(100)
	for made, err := range c.client.V1Refunds.List(ctx, list).All(ctx) {
		if err != nil {
			return nil, unread(err)
		}
		if made.Metadata[ours] == number {
			return made, nil
		}
	}
	return nil, nil
}

func refundResult(number string, made *api.Refund) (channel.Result, error) {
	if made.Metadata[ours] != number {
		return channel.Result{}, fmt.Errorf("Stripe: refund %s has number %q and was taken for %q", made.ID, made.Metadata[ours], number)
	}
	m, err := amount(made.Amount, made.Currency)
	if err != nil {
		return channel.Result{}, err
	}
	r := channel.Result{Outcome: channel.Pending, Number: number, ChannelID: made.ID, Money: m, At: time.Unix(made.Created, 0)}
	switch made.Status {
	case api.RefundStatusSucceeded:
		r.Outcome = channel.Succeeded
	case api.RefundStatusFailed, api.RefundStatusCanceled:
		r.Outcome, r.Code, r.Class = channel.Failed, string(made.Status), channel.ByIssuer
		if made.FailureReason != "" {
			r.Code = string(made.FailureReason)
		}
	}
	return r, nil
}
