package alipay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

const currency = "CNY"

// The states of a trade.
const (
	waiting  = "WAIT_BUYER_PAY"
	success  = "TRADE_SUCCESS"
	finished = "TRADE_FINISHED" // paid, and cannot be refunded any more
	closed   = "TRADE_CLOSED"   // nobody has paid in time, or all was refunded
)

// trade is a payment as queries and payment codes describe it.
type trade struct {
	Number   string `json:"out_trade_no"`
	ID       string `json:"trade_no"`
	Status   string `json:"trade_status"`
	Total    yuan   `json:"total_amount"`
	Received yuan   `json:"receipt_amount"`
	Charged  yuan   `json:"buyer_pay_amount"`
	Sent     string `json:"send_pay_date"` // of a query
	PaidAt   string `json:"gmt_payment"`   // of a payment code
	Funds    []struct {
		Channel string `json:"fund_channel"`
		Bank    string `json:"bank_code"`
	} `json:"fund_bill_list"`
}

// paid reports that money was received. It tells the two meanings of TRADE_CLOSED apart.
func (t trade) paid() bool {
	return t.Sent != "" || t.PaidAt != "" || t.Received.Sign() > 0 || t.Charged.Sign() > 0
}

// result of a trade. number is ours; "" where any will do.
func (t trade) result(number string) (channel.Result, error) {
	switch {
	case t.Number == "":
		return channel.Result{}, errors.New("Alipay: the answer names no number of ours")
	case number != "" && t.Number != number:
		return channel.Result{}, fmt.Errorf("Alipay: asked about %s, and the answer is about %s", number, t.Number)
	}
	r := channel.Result{Number: t.Number, ChannelID: t.ID, Money: channel.Money{Amount: t.Total.Amount, Currency: currency}}
	switch {
	case t.Status == success, t.Status == finished, t.Status == closed && t.paid():
		r.Outcome, r.Bank = channel.Succeeded, t.bank()
		at, err := moment(t.Sent, t.PaidAt)
		r.At = at
		return r, err
	case t.Status == waiting:
		r.Outcome = channel.Pending
	case t.Status == closed:
		r.Outcome = channel.Closed
	}
	r.Code = t.Status
	return r, nil
}

// bank is where the money came from: the bank, or what Alipay calls the source (a balance, a credit line).
func (t trade) bank() string {
	for _, f := range t.Funds {
		if f.Bank != "" {
			return f.Bank
		}
		if f.Channel != "" {
			return f.Channel
		}
	}
	return ""
}

// yuan is an amount in JSON: a text, or a number whose digits are taken as they stand. None is zero.
type yuan struct{ money.Amount }

func (y *yuan) UnmarshalJSON(raw []byte) error {
	s := string(raw)
	if strings.HasPrefix(s, `"`) {
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
	}
	a, err := amount(s)
	y.Amount = a
	return err
}

// amount reads yuan with at most two decimals. Nothing is rounded and nothing is negative.
func amount(s string) (money.Amount, error) {
	if s == "" || s == "null" {
		return money.Amount{}, nil
	}
	a, err := money.Parse(s)
	if err == nil && (a.Sign() < 0 || s[0] == '-' || a.Minor() > most) {
		err = fmt.Errorf("%q is no amount of Alipay", s)
	}
	return a, err
}

// moment reads the first time that is there; none is the zero time.
func moment(all ...string) (time.Time, error) {
	for _, s := range all {
		if s != "" {
			return time.ParseInLocation(time.DateTime, s, Zone)
		}
	}
	return time.Time{}, nil
}
