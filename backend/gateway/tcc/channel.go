package tcc

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"time"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Names of the participants whose value lies with us.
const (
	WithBalance = "balance"
	WithPoints  = "points"
)

// Codes of failure. They are an outside contract; the others are a participant's own.
const (
	BadParts = "BAD_PARTS" // what the payer's parts are, or add up to, is not what is owed
	TooMuch  = "TOO_MUCH"  // a refund of more than is left
	NotPaid  = "NOT_PAID"  // a refund of what has come to nothing
)

// Rate is what points are worth: so many units are so many minor units of the payment's currency, rounded down.
type Rate struct {
	Units int64 `yaml:"units"`
	Worth int64 `yaml:"worth"`
}

// ChannelSettings make combined payments a channel of the gateway. All are required but Points.
type ChannelSettings struct {
	Coordinator *Coordinator
	ID          string // of the channel: its account in the books is channel:<ID>; the parts pay to it, and the gateway books from it
	Currency    string // of payments
	Rule        Rule   // of refunds
	Points      map[string]Rate
}

// Channel pays orders with several instruments at once, behind the interface that every payment channel has. A payment's number is its XID.
type Channel struct{ set ChannelSettings }

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Whole   = (*Channel)(nil)
)

// NewChannel checks the settings.
func NewChannel(s ChannelSettings) (*Channel, error) {
	if s.Coordinator == nil || s.ID == "" || len(s.Currency) != 3 {
		return nil, errors.New("combined payment: a coordinator, the channel's id and the books' currency are needed")
	}
	if s.Rule != ByOrder && s.Rule != ProRata {
		return nil, fmt.Errorf("combined payment: %q is no rule of refunds: %s and %s are", s.Rule, ByOrder, ProRata)
	}
	for currency, r := range s.Points {
		if r.Units <= 0 || r.Worth <= 0 || currency == s.Currency {
			return nil, fmt.Errorf("combined payment: points %q: want units and worth above nothing, and another currency than money's", currency)
		}
	}
	return &Channel{s}, nil
}

// Capabilities: what is not paid can be called off.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{Products: []channel.Product{channel.Combined}, Currencies: []string{c.set.Currency}, Close: true, Refund: true, DayZone: time.UTC}
}

// Pay begins a payment with the payer's parts.
func (c *Channel) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	legs, err := c.legs(r)
	if err == nil {
		err = c.set.Coordinator.check(Payment{XID: r.Number, Legs: legs})
	}
	if err != nil {
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: BadParts, Class: channel.ByPayer, Message: err.Error()}, nil
	}
	until := r.Expires
	if until.IsZero() {
		until = r.Sent.Add(time.Hour)
	}
	s, err := c.set.Coordinator.Pay(ctx, Payment{XID: r.Number, Legs: legs, Until: until, Tell: Tell{Subject: r.Subject, ReturnURL: r.ReturnURL, ClientIP: r.ClientIP}})
	if err != nil {
		return channel.Result{}, err
	}
	return c.result(s, r.Money), nil
}

// legs are the payer's parts. Errors hold no account: it may be a token.
func (c *Channel) legs(r channel.PayRequest) ([]Leg, error) {
	var legs []Leg
	var sum money.Amount
	for i, p := range r.Payer.Parts {
		l := Leg{Participant: p.With, Account: p.Account, Money: p.Money, Payee: string(books.Channel(c.set.ID)), Context: r.Context}
		if bin.Find([]byte(p.Account)) >= 0 {
			return nil, fmt.Errorf("part %d: looks like a card number: send the token of the card instead", i+1)
		}
		if p.Money.Amount.Sign() <= 0 {
			return nil, fmt.Errorf("part %d: an amount above nothing is needed", i+1)
		}
		worth := p.Money.Amount
		switch rate, are := c.set.Points[p.Money.Currency]; {
		case p.With == WithPoints && !are:
			return nil, fmt.Errorf("part %d: nobody has set what points %q are worth", i+1, p.Money.Currency)
		case p.With == WithPoints:
			var err error
			if worth, err = rate.of(p.Money.Amount); err != nil {
				return nil, fmt.Errorf("part %d: %w", i+1, err)
			}
			l.Worth, l.Payee = worth, c.set.ID
		case p.Money.Currency != c.set.Currency:
			return nil, fmt.Errorf("part %d: %q: the payment is in %s", i+1, p.Money.Currency, c.set.Currency)
		}
		var err error
		if sum, err = sum.Add(worth); err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
		legs = append(legs, l)
	}
	if sum != r.Money.Amount {
		return nil, fmt.Errorf("the parts are worth %v, and %v is owed", sum, r.Money.Amount)
	}
	return legs, nil
}

// of is what an amount of points is worth.
func (r Rate) of(points money.Amount) (money.Amount, error) {
	hi, lo := bits.Mul64(uint64(points.Minor()), uint64(r.Worth))
	if hi >= uint64(r.Units) {
		return money.Amount{}, errors.New("so many points are no sum of money")
	}
	n, _ := bits.Div64(hi, lo, uint64(r.Units))
	if n == 0 || n > 1<<62 {
		return money.Amount{}, errors.New("so few points are worth nothing, or so many too much")
	}
	return money.Minor(int64(n)), nil
}

// result is what a status says to the gateway.
func (c *Channel) result(s Status, owed channel.Money) channel.Result {
	r := channel.Result{Outcome: channel.Pending, Number: s.XID, ChannelID: s.XID}
	for _, a := range s.Actions { // one leg at a time asks its payer
		r.Action = a
	}
	switch s.State {
	case Paid:
		r.Outcome, r.Money, r.At = channel.Succeeded, owed, s.Since
	case CalledOff:
		r.Outcome = channel.Closed
		if code, class, refused := refusal(s.Why); refused {
			r.Outcome, r.Code, r.Class, r.Message = channel.Failed, code, class, s.Why
		}
	}
	return r
}

// Query reads how far a payment is, and carries it on.
func (c *Channel) Query(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	s, err := c.set.Coordinator.Advance(ctx, ref.Number)
	if errors.Is(err, store.ErrNotFound) {
		return channel.Result{Outcome: channel.Missing, Number: ref.Number}, nil
	}
	if err != nil {
		return channel.Result{}, err
	}
	return c.result(s, ref.Money), nil
}

// Close calls a payment off. It was too late where it is being taken already, or the payer has done what was waited for.
func (c *Channel) Close(ctx context.Context, ref channel.Ref) (channel.Result, error) {
	if err := c.set.Coordinator.look(ctx, ref.Number); err != nil && !errors.Is(err, store.ErrNotFound) {
		return channel.Result{}, err
	}
	s, err := c.set.Coordinator.CallOff(ctx, ref.Number, "it was called off")
	if errors.Is(err, store.ErrNotFound) {
		return channel.Result{Outcome: channel.Missing, Number: ref.Number}, nil
	}
	if err != nil {
		return channel.Result{}, err
	}
	return c.result(s, ref.Money), nil
}

// Refund gives a part back to the instruments by the rule that is set.
func (c *Channel) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	parts, err := c.set.Coordinator.Refund(ctx, r.Of.Number, r.Number, r.Money.Amount, c.set.Rule)
	switch {
	case errors.Is(err, ErrTooMuch):
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: TooMuch, Class: channel.BySetting}, nil
	case errors.Is(err, ErrNotPaid):
		return channel.Result{Outcome: channel.Failed, Number: r.Number, Code: NotPaid, Class: channel.BySetting}, nil
	case errors.Is(err, store.ErrNotFound):
		return channel.Result{Outcome: channel.Missing, Number: r.Number}, nil
	}
	if err != nil {
		return channel.Result{}, err
	}
	return c.refunded(r.Number, r.Money, parts), nil
}

// refunded is what the parts of a refund come to. Where one was refused and another made, a person must: it stays unknown.
func (c *Channel) refunded(number string, m channel.Money, parts []RefundPart) channel.Result {
	count := map[string]int{}
	for _, p := range parts {
		count[p.State]++
	}
	r := channel.Result{Number: number, ChannelID: number}
	switch len(parts) {
	case 0:
		r.Outcome = channel.Missing
	case count[RefundDone]:
		r.Outcome, r.Money = channel.Succeeded, m
	case count[RefundFailed]:
		r.Outcome, r.Code, r.Class = channel.Failed, "REFUSED", channel.ByChannel
	default:
		r.Outcome = channel.Pending
		if count[RefundFailed] > 0 {
			r.Outcome, r.Message = channel.Unknown, "one instrument has refused its part, and another has not"
		}
	}
	return r
}

// QueryRefund reads how far a refund is, and carries it on. A part that waits comes again by [Coordinator.Sweep], too.
func (c *Channel) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	parts, err := c.set.Coordinator.carryOn(ctx, r.Number)
	if err != nil {
		return channel.Result{}, err
	}
	return c.refunded(r.Number, r.Money, parts), nil
}

// Part is told what a channel says of a number that is no payment of the gateway's. If it is of a leg or of a leg's refund, that is carried on, and whole
// says what the payment has become by it; whole.About is zero where there is nothing to tell.
func (c *Channel) Part(ctx context.Context, e channel.Event) (whole channel.Event, known bool, err error) {
	number := e.Result.Number
	if len(number) < 4 {
		return whole, false, nil
	}
	xid := number[:len(number)-3]
	if rows, err := c.set.Coordinator.refund(ctx, xid); err != nil || len(rows) > 0 {
		for _, r := range rows {
			err = errors.Join(err, c.set.Coordinator.giveBack(ctx, r))
		}
		return whole, true, err
	}
	p, legs, _, err := c.set.Coordinator.read(ctx, xid)
	if errors.Is(err, store.ErrNotFound) {
		return whole, false, nil
	}
	if err != nil {
		return whole, false, err
	}
	if e.About == channel.OfPayment && e.Result.Outcome == channel.Succeeded {
		if err := c.set.Coordinator.Late(ctx, number); err != nil && !errors.Is(err, store.ErrNotFound) {
			return whole, true, err
		}
	}
	s, err := c.set.Coordinator.Advance(ctx, p.XID)
	if err != nil {
		return whole, true, err
	}
	owed := channel.Money{Currency: c.set.Currency}
	for _, l := range legs {
		if owed.Amount, err = owed.Amount.Add(l.worth()); err != nil {
			return whole, true, err
		}
	}
	return channel.Event{About: channel.OfPayment, Result: c.result(s, owed)}, true, nil
}

// Notified refuses everything: the legs' channels tell of them.
func (c *Channel) Notified(context.Context, channel.Notification) ([]channel.Event, error) {
	return nil, &channel.ForgedError{Why: "combined payments send no notifications"}
}

// Answer refuses it too.
func (c *Channel) Answer(error) channel.Reply { return channel.Reply{Status: http.StatusNotFound} }

// Bill is not there: each leg is in the bill of its own channel.
func (c *Channel) Bill(context.Context, string, func(channel.BillRow) error) error {
	return channel.ErrUnsupported
}
