package wechat

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// transaction is a payment as queries, payment codes and notifications describe it.
type transaction struct {
	AppID       string `json:"appid"`
	MchID       string `json:"mchid"`
	Number      string `json:"out_trade_no"`
	ID          string `json:"transaction_id"`
	Type        string `json:"trade_type"` // NATIVE, JSAPI, MWEB, APP, MICROPAY
	State       string `json:"trade_state"`
	StateText   string `json:"trade_state_desc"`
	Bank        string `json:"bank_type"`
	SuccessTime string `json:"success_time"` // RFC 3339
	Amount      struct {
		Total    int64  `json:"total"` // fen
		Currency string `json:"currency"`
	} `json:"amount"`
}

// micropay is the type of a payment by payment code: it is taken back by reverse, not by close.
const micropay = "MICROPAY"

// tradeStates are the states of a payment. One that is not here is unknown.
var tradeStates = map[string]channel.Outcome{
	"SUCCESS":    channel.Succeeded,
	"REFUND":     channel.Succeeded, // it was paid; what was given back is asked by the refund's number
	"NOTPAY":     channel.Pending,
	"USERPAYING": channel.Pending,
	"ACCEPT":     channel.Pending,
	"CLOSED":     channel.Closed,
	"REVOKED":    channel.Closed, // of a payment code: reversed
	"PAYERROR":   channel.Failed,
}

// result of a transaction. number is "" where any of ours will do.
func (c *Channel) result(t transaction, number string) (channel.Result, error) {
	if err := c.ours(t.MchID, t.Number, number); err != nil {
		return channel.Result{}, err
	}
	if t.AppID != "" && t.AppID != c.set.AppID {
		return channel.Result{}, fmt.Errorf("payment %s is of app %s, and ours is %s", t.Number, t.AppID, c.set.AppID)
	}
	r := channel.Result{
		Outcome:   tradeStates[t.State],
		Number:    t.Number,
		ChannelID: t.ID,
		Money:     fen(t.Amount.Total, t.Amount.Currency),
		Bank:      t.Bank,
	}
	if r.Outcome == channel.Succeeded {
		at, err := moment(t.SuccessTime)
		r.At = at
		return r, err
	}
	r.Code, r.Message = t.State, t.StateText
	if r.Outcome == channel.Failed {
		r.Class = channel.ByIssuer
	}
	return r, nil
}

// refund is a refund as WeChat Pay describes it: answers say status, notifications refund_status.
type refund struct {
	MchID        string `json:"mchid"` // in notifications only
	ID           string `json:"refund_id"`
	Number       string `json:"out_refund_no"`
	Payment      string `json:"out_trade_no"`
	Status       string `json:"status"`
	RefundStatus string `json:"refund_status"`
	SuccessTime  string `json:"success_time"`
	Amount       struct {
		Refund   int64  `json:"refund"` // fen
		Currency string `json:"currency"`
	} `json:"amount"`
}

// refundStates are the states of a refund. One that is not here is unknown.
var refundStates = map[string]struct {
	outcome channel.Outcome
	class   channel.Class
}{
	"SUCCESS":    {channel.Succeeded, channel.NoClass},
	"PROCESSING": {channel.Pending, channel.NoClass},
	// The payer's card is cancelled or frozen, and the money is with the merchant: somebody must name another account on the merchant
	// platform, and then it still succeeds.
	"ABNORMAL": {channel.Pending, channel.ByIssuer},
	"CLOSED":   {channel.Failed, channel.ByIssuer},
}

func (c *Channel) refundResult(r refund, number string) (channel.Result, error) {
	mchID := r.MchID
	if mchID == "" {
		mchID = c.set.MerchantID
	}
	if err := c.ours(mchID, r.Number, number); err != nil {
		return channel.Result{}, err
	}
	status := r.Status
	if status == "" {
		status = r.RefundStatus
	}
	known := refundStates[status]
	out := channel.Result{Outcome: known.outcome, Number: r.Number, ChannelID: r.ID, Money: fen(r.Amount.Refund, r.Amount.Currency), Class: known.class}
	if out.Outcome == channel.Succeeded {
		at, err := moment(r.SuccessTime)
		out.At = at
		return out, err
	}
	out.Code = status
	return out, nil
}

// ours refuses a message about somebody else's payment: it is WeChat Pay's word, and says nothing of ours.
func (c *Channel) ours(mchID, got, want string) error {
	switch {
	case mchID != "" && mchID != c.set.MerchantID:
		return fmt.Errorf("it is about merchant %s, and ours is %s", mchID, c.set.MerchantID)
	case got == "":
		return errors.New("it names no number of ours")
	case want != "" && got != want:
		return fmt.Errorf("asked about %s, and the answer is about %s", want, got)
	}
	return nil
}

func fen(n int64, currency string) channel.Money {
	if currency == "" {
		currency = "CNY"
	}
	return channel.Money{Amount: money.Minor(n), Currency: currency}
}

// moment reads a time; none is the zero time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}
