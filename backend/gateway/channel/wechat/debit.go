package wechat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// debitType is the trade type of a debit under an agreement.
const debitType = "PAP"

// debit asks for a debit under an agreement. WeChat Pay takes the request and the money later: the answer is Pending as a rule.
func (c *Channel) debit(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	err := errors.Join(c.checkAgreement(r.Number), checkMoney(r.Money))
	switch {
	case r.Payer.Agreement == "":
		err = errors.Join(err, errors.New("WeChat Pay's number of the agreement is missing"))
	case plain(r.Subject, 128) == "":
		err = errors.Join(err, errors.New("WeChat Pay wants to know what is paid for: the subject is empty"))
	}
	nonce, bad := c.nonce()
	if err = errors.Join(err, bad); err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: payment %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	ip := r.ClientIP
	if ip == "" {
		ip = c.set.Agreements.IP
	}
	_, no, err := c.call2(ctx, "/pay/pappayapply", fields{"nonce_str": nonce, "body": plain(r.Subject, 128), "attach": r.Context, "out_trade_no": r.Number,
		"total_fee": strconv.FormatInt(r.Money.Amount.Minor(), 10), "fee_type": r.Money.Currency, "spbill_create_ip": ip, "notify_url": r.NotifyURL,
		"trade_type": debitType, "contract_id": r.Payer.Agreement})
	if err != nil {
		return channel.Result{}, err
	}
	if no == nil {
		return channel.Result{Outcome: channel.Pending, Number: r.Number}, nil
	}
	if v := no.verdict(); v != refused && v != ask {
		return no.asked(r.Number), nil
	}
	// A request that was accepted before may stand, whatever this one was refused for.
	now, err := c.queryDebit(ctx, r.Number)
	return no.settled(now, err, r.Number, r.Money)
}

// queryDebit asks API v2 for the state of a payment.
func (c *Channel) queryDebit(ctx context.Context, number string) (channel.Result, error) {
	nonce, err := c.nonce()
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	f, no, err := c.call2(ctx, "/pay/orderquery", fields{"nonce_str": nonce, "out_trade_no": number})
	switch {
	case err != nil:
		return channel.Result{}, err
	case no != nil:
		return no.asked(number), nil
	}
	return c.debitResult(f, number)
}

// debitResult reads a payment of API v2.
func (c *Channel) debitResult(f fields, number string) (channel.Result, error) {
	if err := c.ours(f["mch_id"], f["out_trade_no"], number); err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w", err)
	}
	r := channel.Result{Outcome: tradeStates[f["trade_state"]], Number: f["out_trade_no"], ChannelID: f["transaction_id"], Bank: f["bank_type"]}
	if f["total_fee"] != "" {
		total, err := strconv.ParseInt(f["total_fee"], 10, 64)
		if err != nil || total <= 0 {
			return channel.Result{}, fmt.Errorf("WeChat Pay: payment %s: total_fee %.20q is no amount", number, f["total_fee"])
		}
		r.Money = fen(total, f["fee_type"])
	}
	if r.Outcome != channel.Succeeded {
		r.Code, r.Message = f["trade_state"], f["trade_state_desc"]
		if r.Outcome == channel.Failed {
			r.Class = channel.ByIssuer
		}
		return r, nil
	}
	var err error
	if f["time_end"] != "" {
		r.At, err = time.ParseInLocation("20060102150405", f["time_end"], Zone)
	}
	return r, err
}

// debitTold: a success says all of it. Anything else may be a request that is still on its way, so WeChat Pay is asked what has become of it; why it was
// refused is told here and nowhere else.
func (c *Channel) debitTold(ctx context.Context, f fields) ([]channel.Event, error) {
	number := f["out_trade_no"]
	var r channel.Result
	var err error
	if f["result_code"] == "SUCCESS" && f["transaction_id"] != "" && f["total_fee"] != "" && f["time_end"] != "" && (f["trade_state"] == "" || f["trade_state"] == "SUCCESS") {
		f["trade_state"] = "SUCCESS"
		r, err = c.debitResult(f, number)
	} else if r, err = c.queryDebit(ctx, number); err == nil && f["err_code"] != "" && (r.Outcome == channel.Failed || r.Outcome == channel.Closed) {
		r.Outcome, r.Code, r.Class, r.Message = channel.Failed, f["err_code"], codes[f["err_code"]].class, f["err_code_des"]
	}
	if err != nil {
		return nil, err
	}
	return []channel.Event{{About: channel.OfPayment, Result: r}}, nil
}

// closeDebit ends a debit that waits. WeChat Pay takes that from five minutes after the request on.
func (c *Channel) closeDebit(ctx context.Context, now channel.Result) (channel.Result, error) {
	nonce, err := c.nonce()
	if err != nil {
		return channel.Result{}, fmt.Errorf("WeChat Pay: %w: %w", channel.ErrNotSent, err)
	}
	_, no, err := c.call2(ctx, "/pay/closeorder", fields{"nonce_str": nonce, "out_trade_no": now.Number})
	switch {
	case err != nil:
		return channel.Result{}, err
	case no != nil && no.verdict() == ask: // somebody was faster
		return c.queryDebit(ctx, now.Number)
	case no != nil:
		return no.asked(now.Number), nil
	}
	now.Outcome, now.Code, now.Message = channel.Closed, "", ""
	return now, nil
}
