package cardacquirer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// Pay takes an amount from a card.
func (a *Adapter) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return a.charge(ctx, r, "0200", fnPurchase)
}

// Authorise reserves an amount on a card.
func (a *Adapter) Authorise(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return a.charge(ctx, r, "0100", fnAuthorise)
}

func (a *Adapter) charge(ctx context.Context, r channel.PayRequest, mti, function string) (channel.Result, error) {
	if r.Product != channel.Card || r.Payer.Token == "" {
		return channel.Result{}, fmt.Errorf("cardacquirer: only a card by its token can be charged: %w", errors.Join(channel.ErrUnsupported, channel.ErrNotSent))
	}
	if err := a.check(r.Number, r.Money); err != nil {
		return channel.Result{}, err
	}
	q := ask{MTI: mti, Proc: procPurchase, Function: function, Number: r.Number, Minor: r.Money.Amount.Minor(), Sent: a.sent(r.Sent), Context: r.Context}
	return a.transact(ctx, q, r.Payer.Token)
}

// about is an ask about an earlier transaction.
func (a *Adapter) about(r channel.RefundRequest, mti, proc, function, reason, ofMTI string) (ask, error) {
	return ask{MTI: mti, Proc: proc, Function: function, Reason: reason, Number: r.Number, Of: r.Of.Number, OfMTI: ofMTI, OfSent: r.Of.Sent,
		Minor: r.Money.Amount.Minor(), Sent: a.sent(r.Sent)}, a.check(r.Number, r.Money)
}

// Refund gives back a part or the whole of a payment.
func (a *Adapter) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	q, err := a.about(r, "0200", procRefund, fnPurchase, "", "0200")
	if err != nil {
		return channel.Result{}, err
	}
	return a.transact(ctx, q, "")
}

// Increment reserves more. The issuer may see it with a number of its own.
func (a *Adapter) Increment(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	q, err := a.about(r, "0100", procPurchase, fnIncrement, "", "0100")
	if err != nil {
		return channel.Result{}, err
	}
	return a.transact(ctx, q, "")
}

// Capture takes what was reserved, or a part; the rest is released. It is an advice: once asked for it is sent until it is answered.
func (a *Adapter) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	q, err := a.about(r, "0220", procPurchase, fnCapture, "", "0100")
	if err != nil {
		return channel.Result{}, err
	}
	return a.advise(ctx, q)
}

// Release gives back all that is reserved.
func (a *Adapter) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	q, err := a.about(r, "0400", procPurchase, fnReversal, whyCustomer, "0100")
	if err != nil {
		return channel.Result{}, err
	}
	return a.advise(ctx, q)
}

// Void takes back a payment of the same day as a whole.
func (a *Adapter) Void(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	q, err := a.about(r, "0400", procPurchase, fnReversal, whyCustomer, "0200")
	if err != nil {
		return channel.Result{}, err
	}
	return a.advise(ctx, q)
}

// Close is not there: a payment with a card waits for nobody.
func (a *Adapter) Close(context.Context, channel.Ref) (channel.Result, error) {
	return channel.Result{}, channel.ErrUnsupported
}

// Notified refuses everything: an acquirer sends no notifications.
func (a *Adapter) Notified(context.Context, channel.Notification) ([]channel.Event, error) {
	return nil, &channel.ForgedError{Why: "an acquirer of cards sends no notifications over HTTP"}
}

// Answer says that nothing is taken here.
func (a *Adapter) Answer(error) channel.Reply { return channel.Reply{Status: 404, Type: "text/plain"} }

// Query asks what became of a payment.
func (a *Adapter) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	if a.s.Enquiry {
		return a.enquire(ctx, r.Number)
	}
	return a.recall(ctx, r)
}

// QueryRefund asks what became of a refund, a void, an increment, a capture or a release.
func (a *Adapter) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	return a.Query(ctx, channel.Ref{Number: r.Number, ChannelID: r.ChannelID, Money: r.Money, Sent: r.Sent})
}

// enquire asks the acquirer what became of a number.
func (a *Adapter) enquire(ctx context.Context, number string) (channel.Result, error) {
	now := a.sent(time.Time{})
	a.mu.Lock()
	a.enquiries++
	nth := a.enquiries
	a.mu.Unlock()
	q := ask{MTI: "0600", Proc: procPurchase, Function: fnEnquiry, Number: fmt.Sprintf("%s?%d.%d", number, now.Unix(), nth), Of: number, OfMTI: "0000", Sent: now}
	m, err := a.message(ctx, q, "")
	if err != nil {
		return channel.Result{}, err
	}
	delete(m.Fields, fAmount)
	answer, err := a.send(ctx, m)
	if err != nil {
		return channel.Result{}, err
	}
	switch code := answer.Fields[fCode]; {
	case code == "25":
		return channel.Result{Outcome: channel.Missing, Number: number, Code: code}, nil
	case code != "00":
		return channel.Result{Number: number, Code: code, Message: "the enquiry was not answered"}, nil
	}
	state := answer.Fields[fState]
	if state == Reversed {
		return channel.Result{Outcome: channel.Failed, Number: number, Code: Reversed, Class: channel.ByChannel, Message: "it was reversed"}, nil
	}
	if state == Voided {
		state = "00" // it was paid; that it was given back is the void's own news
	}
	answer.Fields[fCode] = state
	return a.result(answer, number, 0)
}

// transact sends what may be asked once and must not be done twice.
func (a *Adapter) transact(ctx context.Context, q ask, token string) (channel.Result, error) {
	m, err := a.message(ctx, q, token)
	if err != nil {
		return channel.Result{}, err
	}
	if !a.s.Enquiry {
		return a.reversible(ctx, q, m)
	}
	answer, err := a.send(ctx, m)
	if err != nil {
		return channel.Result{}, err
	}
	if answer.Fields[fCode] == "94" {
		known, err := a.enquire(ctx, q.Number)
		if known.Outcome == channel.Missing {
			known.Outcome = channel.Unknown
		}
		return known, err
	}
	return a.result(answer, q.Number, q.Minor)
}

// result reads an answer. Asked is the amount that was asked for; 0: not known here.
func (a *Adapter) result(m Message, number string, asked int64) (channel.Result, error) {
	code := m.Fields[fCode]
	v := codes[code]
	r := channel.Result{Outcome: v.outcome, Number: number, Class: v.class}
	if r.Outcome != channel.Succeeded {
		r.Code = code
		return r, nil
	}
	n, err := strconv.ParseInt(m.Fields[fAmount], 10, 64)
	if err != nil || asked != 0 && n != asked || m.Fields[fCurrency] != "" && m.Fields[fCurrency] != a.s.Number {
		return channel.Result{Number: number, Code: code, Message: "approved with another amount"}, nil
	}
	r.Money = channel.Money{Amount: money.Minor(n), Currency: a.s.Currency}
	r.ChannelID = m.Fields[fRRN]
	if of := m.Fields[fOriginal]; m.MTI == "0610" {
		r.ChannelID = of
	}
	if auth := m.Fields[fAuth]; auth != "" {
		r.ChannelID += "-" + auth
	}
	r.At = a.at(m)
	return r, nil
}

// at reads local date and time in the year that puts them nearest to now.
func (a *Adapter) at(m Message) (best time.Time) {
	now := a.s.Clock.Now().In(a.s.Zone)
	for year := now.Year() - 1; year <= now.Year()+1; year++ {
		t, err := time.ParseInLocation("20060102150405", fmt.Sprintf("%04d", year)+m.Fields[fDate]+m.Fields[fTime], a.s.Zone)
		if err == nil && (best.IsZero() || t.Sub(now).Abs() < best.Sub(now).Abs()) {
			best = t
		}
	}
	return best
}
