package alipay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// A transfer to an account at Alipay is of this product and scene; both also name it in a query.
const (
	transferProduct = "TRANS_ACCOUNT_NO_PWD"
	transferScene   = "DIRECT_TRANSFER"
)

// UserNumber before an account says that it is a user number (2088…). By itself such a number may look like one of a card, which the gateway takes from nobody.
const UserNumber = "uid:"

type transferOrder struct {
	Number  string `json:"out_biz_no"`
	Amount  string `json:"trans_amount"` // yuan
	Product string `json:"product_code"`
	Scene   string `json:"biz_scene"`
	Title   string `json:"order_title"`
	Remark  string `json:"remark,omitempty"`
	Payee   payee  `json:"payee_info"`
}

type payee struct {
	Identity string `json:"identity"`
	Kind     string `json:"identity_type"`
	Name     string `json:"name,omitempty"`
}

// transfer is a transfer as answers, queries and messages describe it.
type transfer struct {
	Number  string `json:"out_biz_no"`
	ID      string `json:"order_id"`
	Status  string `json:"status"`
	Amount  yuan   `json:"trans_amount"` // the answer to an order leaves it out
	Sent    string `json:"trans_date"`   // of an order
	Paid    string `json:"pay_date"`     // of a query or a message
	Code    string `json:"error_code"`
	Reason  string `json:"fail_reason"`
	Product string `json:"product_code"`
}

// transferStates are the states of a transfer. One that is not here is unknown.
var transferStates = map[string]channel.Outcome{
	"SUCCESS":  channel.Succeeded,
	"INIT":     channel.Pending,
	"WAIT_PAY": channel.Pending,
	"DEALING":  channel.Pending,
	"FAIL":     channel.Failed,
	"CLOSED":   channel.Closed,
	"REFUND":   channel.Failed, // it had succeeded, and has come back
}

// Payout sends money to an account at Alipay: Account is the payee's open id, [UserNumber] and the user number, or the mail address or telephone number that
// the payee signs in with, which wants a name.
func (c *Channel) Payout(ctx context.Context, r channel.PayoutRequest) (channel.Result, error) {
	o, err := c.transferOrder(r)
	if err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: pay-out %s: %w: %w", r.Number, channel.ErrNotSent, err)
	}
	var t transfer
	no, err := c.call(ctx, methodTransfer, o, "", &t)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: pay-out %s: %w", r.Number, err)
	case no != nil && no.verdict() == ask:
		now, err := c.QueryPayout(ctx, channel.Ref{Number: r.Number})
		return no.settled(now, err, r.Number, r.Money)
	case no != nil && no.verdict() == absent: // it is not the pay-out that Alipay misses
		out := no.result(r.Number)
		out.Outcome = channel.Unknown
		return out, nil
	case no != nil:
		return no.result(r.Number), nil
	}
	return t.result(r.Number)
}

func (c *Channel) transferOrder(r channel.PayoutRequest) (transferOrder, error) {
	if !c.set.Transfers {
		return transferOrder{}, fmt.Errorf("%w: transfers are not set", channel.ErrUnsupported)
	}
	if err := errors.Join(checkNumber(r.Number), checkMoney(r.Money)); err != nil {
		return transferOrder{}, err
	}
	o := transferOrder{Number: r.Number, Amount: r.Money.Amount.String(), Product: transferProduct, Scene: transferScene, Title: clean(r.Purpose, 128), Remark: clean(r.Purpose, 200),
		Payee: payee{Identity: r.Account, Kind: "ALIPAY_OPEN_ID", Name: r.Name}}
	if o.Title == "" {
		o.Title = r.Number
	}
	if number, isUser := strings.CutPrefix(r.Account, UserNumber); isUser {
		o.Payee.Identity, o.Payee.Kind = number, "ALIPAY_USER_ID"
	} else if strings.Contains(r.Account, "@") || len(r.Account) == 11 && strings.Trim(r.Account, "0123456789") == "" {
		o.Payee.Kind = "ALIPAY_LOGON_ID"
	}
	switch {
	case o.Payee.Identity == "":
		return transferOrder{}, errors.New("the payee is missing")
	case r.BankCode != "":
		return transferOrder{}, fmt.Errorf("%w: a company's account at a bank", channel.ErrUnsupported)
	case o.Payee.Kind == "ALIPAY_LOGON_ID" && r.Name == "":
		return transferOrder{}, errors.New("a payee who is known by mail address or telephone number wants a name")
	}
	return o, nil
}

// QueryPayout asks for the state of a transfer.
func (c *Channel) QueryPayout(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	if err := checkNumber(ref.Number); err != nil {
		return channel.Result{}, fmt.Errorf("Alipay: %w: %w", channel.ErrNotSent, err)
	}
	var t transfer
	no, err := c.call(ctx, methodQueryTransfer, map[string]string{"out_biz_no": ref.Number, "product_code": transferProduct, "biz_scene": transferScene}, "", &t)
	switch {
	case err != nil:
		return channel.Result{}, fmt.Errorf("Alipay: pay-out %s: %w", ref.Number, err)
	case no != nil:
		return no.asked(ref.Number), nil
	}
	return t.result(ref.Number)
}

// result of a transfer. number is ours; "" where any will do.
func (t transfer) result(number string) (channel.Result, error) {
	switch {
	case t.Number == "":
		return channel.Result{}, errors.New("Alipay: the answer names no pay-out of ours")
	case number != "" && t.Number != number:
		return channel.Result{}, fmt.Errorf("Alipay: asked about pay-out %s, and the answer is about %s", number, t.Number)
	}
	r := channel.Result{Outcome: transferStates[t.Status], Number: t.Number, ChannelID: t.ID}
	if t.Amount.Sign() > 0 {
		r.Money = channel.Money{Amount: t.Amount.Amount, Currency: currency}
	}
	if r.Outcome == channel.Succeeded {
		at, err := moment(t.Paid, t.Sent)
		r.At = at
		return r, err
	}
	r.Code, r.Message = t.Status, t.Reason
	if r.Outcome == channel.Failed || r.Outcome == channel.Closed {
		r.Class = channel.ByPayer
		if t.Code != "" {
			r.Code = t.Code
			if known := codes[t.Code]; known.class != channel.NoClass {
				r.Class = known.class
			}
		}
	}
	return r, nil
}

// messageTransfer is the message about a transfer that has changed. Alipay sends it to the address of the app, not to one of the request.
const messageTransfer = "alipay.fund.trans.order.changed"

// transferTold is what a message says of a transfer; ok is false for one of another product.
func transferTold(v url.Values) (e channel.Event, ok bool, err error) {
	var t transfer
	if err := json.Unmarshal([]byte(v.Get("biz_content")), &t); err != nil {
		return e, false, fmt.Errorf("Alipay: message %s does not read: %w", v.Get("notify_id"), err)
	}
	if t.Product != transferProduct {
		return e, false, nil
	}
	r, err := t.result("")
	return channel.Event{ID: v.Get("notify_id"), About: channel.OfPayout, Result: r}, err == nil, err
}
