package unionpay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Pay asks for a payment. Of net banking nothing is asked here: the payer's browser takes the signed form there.
func (a *Adapter) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	f, err := a.payment(r)
	if err != nil {
		return channel.Result{}, err
	}
	if r.Product == channel.NetBank {
		if err := a.s.Key.Sign(f); err != nil {
			return channel.Result{}, errors.Join(err, channel.ErrNotSent)
		}
		return channel.Result{Outcome: channel.Pending, Number: r.Number,
			Action: channel.Action{URL: a.s.Gateway + "/frontTransReq.do", Form: f}}, nil
	}
	return a.ask(ctx, f, channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
}

// payment is the message of a payment.
func (a *Adapter) payment(r channel.PayRequest) (Form, error) {
	kind, sub, biz := "01", "01", ""
	more := func(Form) {}
	switch r.Product {
	case channel.NetBank:
		biz = "000201"
		more = func(f Form) {
			f.set("frontUrl", r.ReturnURL, "issInsCode", r.Payer.Bank)
			if !r.Expires.IsZero() {
				f["payTimeout"] = r.Expires.In(Zone).Format(timeForm)
			}
		}
	case channel.Quick:
		if a.s.TokenID == "" || r.Payer.Token == "" {
			return nil, fmt.Errorf("unionpay: a quick payment needs a token and the account's trId: %w", channel.ErrNotSent)
		}
		biz = "000902"
		more = func(f Form) { f["tokenPayData"] = "{token=" + r.Payer.Token + "&trId=" + a.s.TokenID + "}" }
	case channel.Agreement:
		kind, sub, biz = "11", "02", "000501"
		more = func(f Form) { f.set("bindId", r.Payer.Agreement) }
	default:
		return nil, fmt.Errorf("unionpay: %s: %w", r.Product, errors.Join(channel.ErrUnsupported, channel.ErrNotSent))
	}
	f, err := a.moving(kind, sub, biz, r.Number, r.Sent, r.Money)
	if err != nil {
		return nil, err
	}
	f.set("backUrl", r.NotifyURL, "reqReserved", r.Context, "orderDesc", subject(r.Subject))
	more(f)
	return f, nil
}

// subject cuts a text to the 32 characters that the cashier shows.
func subject(text string) string {
	if r := []rune(text); len(r) > 32 {
		return string(r[:32])
	}
	return text
}

// ask posts a transaction and reads the answer. Where UnionPay says that it has this one already, the answer is what became of it.
func (a *Adapter) ask(ctx context.Context, f Form, ref channel.Ref) (channel.Result, error) {
	answer, err := a.back(ctx, f)
	if err != nil {
		return channel.Result{}, err
	}
	if answer["respCode"] == "12" {
		known, err := a.Query(ctx, ref)
		if known.Outcome == channel.Missing {
			known.Outcome = channel.Unknown // it has it and does not find it: one of the two words is not the last
		}
		return known, err
	}
	return result(answer, accepted(answer["respCode"]), answer["respCode"], answer["respMsg"])
}

// result puts together what a message says.
func result(f Form, v verdict, code, text string) (channel.Result, error) {
	m, err := readMoney(f["txnAmt"], f["currencyCode"])
	if err != nil {
		return channel.Result{}, err
	}
	r := channel.Result{Outcome: v.outcome, Number: f["orderId"], ChannelID: f["queryId"], Money: m, Bank: f["issInsCode"]}
	if v.outcome != channel.Succeeded {
		r.Code, r.Class, r.Message = code, v.class, message(text)
		return r, nil
	}
	r.At = paidAt(f)
	return r, nil
}

// paidAt reads traceTime, MMDDhhmmss, whose year is that of txnTime or the next.
func paidAt(f Form) time.Time {
	asked, err := time.ParseInLocation(timeForm, f["txnTime"], Zone)
	if err != nil {
		return time.Time{}
	}
	return nearYear(f["traceTime"], asked)
}

// nearYear reads MMDDhhmmss in the year that puts it nearest to a time; zero where it is none.
func nearYear(text string, near time.Time) (best time.Time) {
	for _, year := range []int{near.Year() - 1, near.Year(), near.Year() + 1} {
		t, err := time.ParseInLocation(timeForm, fmt.Sprintf("%04d", year)+text, Zone)
		if err == nil && (best.IsZero() || t.Sub(near).Abs() < best.Sub(near).Abs()) {
			best = t
		}
	}
	return best
}

// Query asks what became of a payment. UnionPay knows it by its number and second.
func (a *Adapter) Query(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	if ref.Sent.IsZero() {
		return channel.Result{}, errNoSecond
	}
	f := a.request("00", "00", "000000", ref.Number, ref.Sent)
	answer, err := a.post(ctx, a.s.Gateway+"/queryTrans.do", f, channel.MaxAnswer)
	if err != nil {
		return channel.Result{}, err
	}
	if code := answer["respCode"]; code != "00" {
		v := verdict{}
		if code == "34" {
			v.outcome = channel.Missing
		}
		return channel.Result{Outcome: v.outcome, Number: ref.Number, Code: code, Message: message(answer["respMsg"])}, nil
	}
	code := answer["origRespCode"]
	return result(answer, codes[code], code, answer["origRespMsg"])
}

// Probe asks for a payment that nobody made, of this second: UnionPay must say that it knows none.
func (a *Adapter) Probe(ctx context.Context) error {
	r, err := a.Query(ctx, channel.Ref{Number: "00000000000000000000", Sent: a.s.Clock.Now()})
	if err == nil && r.Outcome == channel.Unknown {
		err = fmt.Errorf("unionpay: a query is answered with code %.2q", r.Code)
	}
	return err
}

// Close is not there: an order of UnionPay ends at its payTimeout.
func (a *Adapter) Close(context.Context, channel.Ref) (channel.Result, error) {
	return channel.Result{}, channel.ErrUnsupported
}

// Refund gives back a part or the whole of a settled payment.
func (a *Adapter) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return a.giveBack(ctx, "04", r)
}

// Void takes back a whole payment of the same settlement day.
func (a *Adapter) Void(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return a.giveBack(ctx, "31", r)
}

func (a *Adapter) giveBack(ctx context.Context, kind string, r channel.RefundRequest) (channel.Result, error) {
	if r.Of.ChannelID == "" {
		paid, err := a.Query(ctx, r.Of)
		switch {
		case err != nil:
			return channel.Result{}, fmt.Errorf("unionpay: a refund needs the payment's queryId: %w", errors.Join(err, channel.ErrNotSent))
		case paid.ChannelID == "" && paid.Outcome != channel.Missing:
			return channel.Result{}, fmt.Errorf("unionpay: a refund needs the payment's queryId, and UnionPay does not give it now: %w", channel.ErrNotSent)
		case paid.ChannelID == "":
			return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: paid.Code, Message: "the payment is not known, so nothing was asked for"}, nil
		}
		r.Of.ChannelID = paid.ChannelID
	}
	f, err := a.moving(kind, "00", "000000", r.Number, r.Sent, r.Money)
	if err != nil {
		return channel.Result{}, err
	}
	f.set("origQryId", r.Of.ChannelID, "backUrl", r.NotifyURL)
	out, err := a.ask(ctx, f, channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
	if out.Code == "11" { // our signature is refused, which says nothing of a refund that is owed
		out.Outcome = channel.Unknown
	}
	return out, err
}

// QueryRefund asks what became of a refund or a void.
func (a *Adapter) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	return a.Query(ctx, channel.Ref{Number: r.Number, ChannelID: r.ChannelID, Money: r.Money, Sent: r.Sent})
}

// Payout sends money to an account. After an unknown answer it is not sent again: ask.
func (a *Adapter) Payout(ctx context.Context, r channel.PayoutRequest) (channel.Result, error) {
	f, err := a.moving("12", "00", "000401", r.Number, r.Sent, r.Money)
	if err != nil {
		return channel.Result{}, err
	}
	if err := a.account(ctx, f, r.Account); err != nil {
		return channel.Result{}, err
	}
	customer, err := a.secret("{customerNm=" + r.Name + "}")
	if err != nil {
		return channel.Result{}, err
	}
	f["customerInfo"] = customer
	f.set("accType", accountKind(r.BankCode), "issInsCode", r.BankCode, "postscript", subject(r.Purpose), "backUrl", r.NotifyURL)
	return a.ask(ctx, f, channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
}

// accountKind is 04 for a company's account, which comes with its bank's number, and 01 for a card.
func accountKind(bank string) string {
	if bank != "" {
		return "04"
	}
	return "01"
}

// QueryPayout asks what became of a pay-out.
func (a *Adapter) QueryPayout(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	return a.Query(ctx, ref)
}

// Steps are when to ask again what became of a transaction that was sent from server to server (UnionPay: at most six times, on 03, 04, 05
// or no answer).
func Steps() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}
}

// FrontSteps are when to ask after a redirect, counted from it.
func FrontSteps() []time.Duration {
	return []time.Duration{5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}
}
