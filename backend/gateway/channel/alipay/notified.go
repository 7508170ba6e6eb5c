package alipay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	sdk "github.com/smartwalle/alipay/v3"
	"github.com/smartwalle/nsign"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Notified verifies a notification and says what has happened. A refund tells of its payment too, for Alipay sends one message for both.
func (c *Channel) Notified(ctx context.Context, n channel.Notification) ([]channel.Event, error) {
	v, err := c.genuine(n)
	if err != nil {
		return nil, err
	}
	if app, seller := v.Get("app_id"), v.Get("seller_id"); app != c.set.AppID || seller != "" && seller != c.set.SellerID {
		return nil, fmt.Errorf("Alipay: the notification is about app %q of seller %q, and ours is %s of %s", app, seller, c.set.AppID, c.set.SellerID)
	}
	if v.Get("msg_method") == messageTransfer {
		e, ours, err := transferTold(v)
		if err != nil || !ours {
			return nil, err
		}
		return []channel.Event{e}, nil
	}
	if kind := v.Get("notify_type"); kind == noticeSigned || kind == noticeUnsigned {
		return c.agreementTold(ctx, v)
	}
	if v.Get("notify_type") != sdk.NotifyTypeTradeStatusSync {
		return nil, nil
	}
	r, err := c.told(ctx, v)
	if err != nil {
		return nil, err
	}
	events := []channel.Event{{ID: v.Get("notify_id"), About: channel.OfPayment, Result: r}}
	if number := v.Get("out_biz_no"); number != "" && v.Get("gmt_refund") != "" {
		// refund_fee is the sum of all refunds of the payment: what this one gave back is not said.
		back := channel.Result{Outcome: channel.Succeeded, Number: number, ChannelID: v.Get("trade_no")}
		if back.At, err = moment(wholeSecond(v.Get("gmt_refund"))); err != nil {
			return nil, fmt.Errorf("Alipay: notification %s: %w", v.Get("notify_id"), err)
		}
		events = append(events, channel.Event{ID: v.Get("notify_id"), About: channel.OfRefund, Result: back})
	}
	return events, nil
}

// wholeSecond drops the milliseconds that the time of a refund has.
func wholeSecond(s string) string { return s[:min(len(s), len("2006-01-02 15:04:05"))] }

// told is what a notification says of its payment.
func (c *Channel) told(ctx context.Context, v url.Values) (channel.Result, error) {
	t := trade{Number: v.Get("out_trade_no"), ID: v.Get("trade_no"), Status: v.Get("trade_status"), PaidAt: v.Get("gmt_payment")}
	for name, to := range map[string]*yuan{"total_amount": &t.Total, "receipt_amount": &t.Received, "buyer_pay_amount": &t.Charged} {
		var err error
		if to.Amount, err = amount(v.Get(name)); err != nil {
			return channel.Result{}, fmt.Errorf("Alipay: notification %s: %s: %w", v.Get("notify_id"), name, err)
		}
	}
	back, err := amount(v.Get("refund_fee"))
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: notification %s: refund_fee: %w", v.Get("notify_id"), err)
	}
	switch {
	case t.Status != closed || t.paid():
		return t.result("")
	case back.Sign() > 0: // closed by the last of its refunds, so it was paid
		t.Received.Amount = back
		return t.result("")
	}
	// It says that it is closed, and not whether anybody had paid: Alipay is asked.
	return c.Query(ctx, channel.Ref{Number: t.Number})
}

// genuine are the parameters of a notification that Alipay has signed. The error is a *channel.ForgedError.
func (c *Channel) genuine(n channel.Notification) (url.Values, error) {
	v, err := url.ParseQuery(string(n.Body))
	if err != nil {
		return nil, &channel.ForgedError{Why: "the body is no form"}
	}
	for name, values := range v {
		if len(values) != 1 {
			return nil, &channel.ForgedError{Why: fmt.Sprintf("the parameter %.40q is there twice", name)}
		}
	}
	if v.Get("sign") == "" {
		return nil, &channel.ForgedError{Why: "the parameter sign is missing: it is not from Alipay"}
	}
	if kind := v.Get("sign_type"); kind != "RSA2" {
		return nil, &channel.ForgedError{Why: fmt.Sprintf("it is signed by %.10q, and RSA2 is known here: change the app's signature on the open platform", kind)}
	}
	text, err := (&sdk.Encoder{}).EncodeValues(&bytes.Buffer{}, v, &nsign.SignOptions{Ignores: map[string]struct{}{"sign": {}, "sign_type": {}}})
	if err != nil {
		return nil, &channel.ForgedError{Why: "its parameters cannot be put together"}
	}
	if err := c.verify(text, v.Get("sign"), v.Get("alipay_cert_sn"), false); err != nil {
		return nil, err
	}
	return v, nil
}

// Answer is exactly "success" for a notification that is kept. Alipay sends it again after anything else.
func (c *Channel) Answer(err error) channel.Reply {
	var forged *channel.ForgedError
	switch {
	case err == nil:
		return channel.Reply{Status: http.StatusOK, Type: "text/plain", Body: []byte("success")}
	case errors.As(err, &forged):
		return channel.Reply{Status: http.StatusUnauthorized, Type: "text/plain", Body: []byte("failure")}
	default:
		return channel.Reply{Status: http.StatusInternalServerError, Type: "text/plain", Body: []byte("failure")}
	}
}
