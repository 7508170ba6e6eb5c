package wechat

import (
	"context"
	"fmt"
	"net/http"

	"github.com/purselane/purselane/backend/gateway/channel"
)

type refundAmount struct {
	Refund   int64  `json:"refund"` // fen
	Total    int64  `json:"total"`  // of the payment
	Currency string `json:"currency"`
}

type refundOrder struct {
	Payment   string       `json:"out_trade_no"`
	Number    string       `json:"out_refund_no"`
	Reason    string       `json:"reason,omitempty"`
	NotifyURL string       `json:"notify_url,omitempty"`
	Amount    refundAmount `json:"amount"`
}

// Refund asks for a refund. WeChat Pay takes it and pays it out later: the answer is Pending as a rule.
func (c *Channel) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	for _, err := range []error{checkNumber(r.Number), checkNumber(r.Of.Number), checkMoney(r.Money), checkMoney(r.Of.Money)} {
		if err != nil {
			return channel.Result{}, fmt.Errorf("WeChat Pay: refund %s: %w: %w", r.Number, channel.ErrNotSent, err)
		}
	}
	in := refundOrder{
		Payment: r.Of.Number, Number: r.Number, Reason: short(r.Reason, 80), NotifyURL: r.NotifyURL,
		Amount: refundAmount{r.Money.Amount.Minor(), r.Of.Money.Amount.Minor(), r.Money.Currency},
	}
	var out refund
	no, err := c.call(ctx, http.MethodPost, "/v3/refund/domestic/refunds", in, &out)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return c.refusedRefund(ctx, no, r)
	}
	return c.refundSaid(out, r.Number)
}

// refusedRefund says what a refusal of Refund means: see [Channel.refusedPay].
func (c *Channel) refusedRefund(ctx context.Context, no *refusal, r channel.RefundRequest) (channel.Result, error) {
	switch no.verdict() {
	case absent: // it is the payment that WeChat Pay does not know
		out := no.result(r.Number)
		out.Outcome, out.Class = channel.Failed, channel.BySetting
		return out, nil
	case ask:
		now, err := c.QueryRefund(ctx, channel.RefundRef{Number: r.Number, Of: r.Of})
		return no.settled(now, err, r.Number, r.Money)
	default:
		out := no.result(r.Number)
		if no.Code == "SIGN_ERROR" { // our key or our clock is wrong, which says nothing of a refund that is owed
			out.Outcome = channel.Unknown
		}
		return out, nil
	}
}

// QueryRefund asks for the state of a refund.
func (c *Channel) QueryRefund(ctx context.Context, ref channel.RefundRef) (channel.Result, error) {
	if err := checkNumber(ref.Number); err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	var out refund
	no, err := c.call(ctx, http.MethodGet, "/v3/refund/domestic/refunds/"+ref.Number, nil, &out)
	if err != nil {
		return channel.Result{}, err
	}
	if no != nil {
		return no.asked(ref.Number), nil
	}
	return c.refundSaid(out, ref.Number)
}

func (c *Channel) refundSaid(r refund, number string) (channel.Result, error) {
	out, err := c.refundResult(r, number)
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: refund %s: %w", number, err)
	}
	return out, nil
}
