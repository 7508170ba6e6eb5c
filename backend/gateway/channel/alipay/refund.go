package alipay

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Refund gives money back, at once as a rule. The same number is the same refund.
func (c *Channel) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	if err := errors.Join(checkNumber(r.Number), checkNumber(r.Of.Number), checkMoney(r.Money)); err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: refund %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	in := map[string]string{"out_trade_no": r.Of.Number, "out_request_no": r.Number, "refund_amount": r.Money.Amount.String()}
	if reason := clean(r.Reason, 256); reason != "" {
		in["refund_reason"] = reason
	}
	var out struct {
		Payment string `json:"out_trade_no"`
		ID      string `json:"trade_no"`
		Moved   string `json:"fund_change"` // Y: by this very request
		Sum     yuan   `json:"refund_fee"`  // of all refunds of the payment
	}
	no, err := c.call(ctx, methodRefund, in, "", &out)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: refund %s: %w", r.Number, err)
	case no != nil:
		return c.refusedRefund(ctx, no, r)
	case out.Payment != r.Of.Number:
		return channel.Result{}, fmt.Errorf("Alipay: refund %s is of payment %s, and the answer is about %q", r.Number, r.Of.Number, out.Payment)
	case out.Moved == "Y" && out.Sum.Cmp(r.Money.Amount) >= 0:
		return channel.Result{Outcome: channel.Succeeded, Number: r.Number, ChannelID: out.ID}, nil
	}
	// No money has moved now: the refund was made before, or it is on its way.
	now, err := c.queryRefund(ctx, r.Number, r.Of.Number)
	if err == nil && now.Outcome == channel.Missing {
		now.Outcome = channel.Pending
	}
	return sameRefund(now, err, r)
}

// refusedRefund says what a refusal of Refund means: see [Channel.refusedPay].
func (c *Channel) refusedRefund(ctx context.Context, no *refusal, r channel.RefundRequest) (channel.Result, error) {
	switch no.verdict() {
	case absent: // it is the payment that Alipay does not know
		out := no.result(r.Number)
		out.Outcome, out.Class = channel.Failed, channel.BySetting
		return out, nil
	case ask:
		now, err := c.queryRefund(ctx, r.Number, r.Of.Number)
		return no.settled(now, err, r.Number, r.Money)
	default:
		out := no.result(r.Number)
		if no.name() == "isv.invalid-signature" { // our key is wrong, which says nothing of a refund that is owed
			out.Outcome = channel.Unknown
		}
		return out, nil
	}
}

// sameRefund refuses a refund that stands there with another amount.
func sameRefund(now channel.Result, err error, r channel.RefundRequest) (channel.Result, error) {
	if err != nil {
		return channel.Result{}, err
	}
	if !now.Money.Amount.IsZero() && now.Money != r.Money {
		return channel.Result{}, fmt.Errorf("Alipay: refund %s stands there with %s, and %s was asked for: one number was used for two refunds", r.Number, now.Money.Amount, r.Money.Amount)
	}
	return now, nil
}

// QueryRefund asks for the state of a refund. Alipay names only those that were made: one that it does not name was not received, or not
// made yet.
func (c *Channel) QueryRefund(ctx context.Context, ref channel.RefundRef) (channel.Result, error) {
	if err := errors.Join(checkNumber(ref.Number), checkNumber(ref.Of.Number)); err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: refund %s: %w: %w", ref.Number, channel.ErrNotSent, err)
	}
	return c.queryRefund(ctx, ref.Number, ref.Of.Number)
}

func (c *Channel) queryRefund(ctx context.Context, number, payment string) (channel.Result, error) {
	var out struct {
		Number  string `json:"out_request_no"`
		Payment string `json:"out_trade_no"`
		ID      string `json:"trade_no"`
		Status  string `json:"refund_status"`
		Amount  yuan   `json:"refund_amount"`
		At      string `json:"gmt_refund_pay"`
	}
	in := map[string]any{"out_trade_no": payment, "out_request_no": number, "query_options": []string{"gmt_refund_pay"}}
	no, err := c.call(ctx, methodQueryRefund, in, "", &out)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: refund %s: %w", number, err)
	case no != nil:
		return no.asked(number), nil
	case out.Status == "":
		return channel.Result{Outcome: channel.Missing, Number: number}, nil
	case out.Number != number || out.Payment != payment:
		return channel.Result{}, fmt.Errorf("Alipay: asked about refund %s of %s, and the answer is about %q of %q", number, payment, out.Number, out.Payment)
	}
	r := channel.Result{Number: number, ChannelID: out.ID, Money: channel.Money{Amount: out.Amount.Amount, Currency: currency}, Code: out.Status}
	if out.Status == "REFUND_SUCCESS" {
		r.Outcome, r.Code = channel.Succeeded, ""
		r.At, err = moment(out.At)
	}
	return r, err
}
