package kiosk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

// Request is one load. Repeat it unchanged when a card left too early.
type Request struct {
	AID      []byte // of the EP purse; nil is T-Union's
	KeyIndex byte   // of the load key in INITIALIZE; 0 is 1
	Levels   int    // of key diversification, 1 or 2; 0 is 2
	Terminal ep.TerminalNumber

	// An electronic cash card is told where it is loaded, and when. Zero is 0156: China, and yuan. A nil Now is time.Now; its answer is in the
	// place's time zone.
	Country, Currency [2]byte
	Now               func() time.Time

	// Either OrderID names an order that was paid, or IdempotencyKey and Amount make one, now or the first time. The key
	// names the sale for ever: it is made, and kept, before the money is taken.
	OrderID        string
	IdempotencyKey string
	Amount         money.Amount

	// Step, when set, is told in plain words what is going on.
	Step func(text string)
}

// Outcome of a presentation.
type Outcome int

// Outcomes. The comment says what the rider is told.
const (
	LoadDone        Outcome = iota + 1 // the value is on the card
	AlreadyDone                        // it was there before; nothing was done
	DoneUnconfirmed                    // it is on the card; the backend could not be told yet: call Confirm
	PresentAgain                       // the card left too early, or would not say what it did; the same card is wanted again
	Refused                            // the card refused, nothing of the order is on it, the money waits in the order
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case LoadDone:
		return "loaded"
	case AlreadyDone:
		return "loaded before"
	case DoneUnconfirmed:
		return "loaded, not confirmed"
	case PresentAgain:
		return "present the same card again"
	case Refused:
		return "refused by the card"
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// Settled is an open load that this presentation settled.
type Settled struct {
	Order string
	State State // Loaded, or Paid: not credited, its money waits in the order
}

// Result is what a presentation came to.
type Result struct {
	Outcome Outcome
	Order   string
	Amount  money.Amount
	Balance money.Amount // after, as the card shows it; zero unless the value is known to be on the card
	Reason  string       // with PresentAgain and Refused
	Settled []Settled

	// With DoneUnconfirmed one of the two: what the card said.
	TAC    *ep.MAC
	Script *ec.ScriptResult
}

// Confirm tells the backend of a load that is on the card, when Load could not.
func Confirm(ctx context.Context, host Host, r Result) (Order, error) {
	if r.TAC != nil {
		return host.Confirm(ctx, r.Order, *r.TAC)
	}
	cash, served := host.(CashHost)
	if r.Script == nil || !served {
		return Order{}, fmt.Errorf("confirm load %s: it has nothing to confirm with", r.Order)
	}
	return cash.ReportScript(ctx, r.Order, *r.Script)
}

// ErrRequestForm says that a Request is not one.
var ErrRequestForm = errors.New("load request")

func (r Request) withDefaults() (Request, error) {
	if r.AID == nil {
		r.AID = ep.AIDTUnion
	}
	if r.KeyIndex == 0 {
		r.KeyIndex = 1
	}
	if r.Levels == 0 {
		r.Levels = 2
	}
	if r.Country == ([2]byte{}) {
		r.Country = [2]byte{0x01, 0x56}
	}
	if r.Currency == ([2]byte{}) {
		r.Currency = [2]byte{0x01, 0x56}
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Step == nil {
		r.Step = func(string) {}
	}
	switch {
	case r.OrderID != "" && !isOrderID(r.OrderID):
		return r, fmt.Errorf("%w: order id: want 1 to 64 letters, digits, '_' or '-'", ErrRequestForm)
	case r.Levels != 1 && r.Levels != 2:
		return r, fmt.Errorf("%w: key levels %d: want 1 or 2", ErrRequestForm, r.Levels)
	case (r.OrderID == "") == (r.IdempotencyKey == ""):
		return r, fmt.Errorf("%w: want either an order or an idempotency key", ErrRequestForm)
	case r.IdempotencyKey != "" && r.Amount.Sign() <= 0:
		return r, fmt.Errorf("%w: amount %v: want more than zero", ErrRequestForm, r.Amount)
	}
	return r, nil
}

// isOrderID reports whether s can be an order's id: it becomes part of a path.
func isOrderID(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-") == ""
}

// Load carries one presentation of one card through a load. A card that leaves early, or refuses, is an outcome; an error
// means that the backend refused or could not be reached, and nothing more is known than the order tells.
//
// The card's purse is found by selecting: the EP purse of the request's AID, else electronic cash, which takes a [CashHost]. The steps, and what is
// left when it stops there:
//
//	order            the money is booked                       nothing on the card; the request goes on with this order
//	look up, settle  an earlier load's fate is known           as above
//	ask the card     nothing                                   as above
//	authorise        the money is on its way to the card       it has no value of it; the next presentation shows that
//	credit           the value is on the card, or not          the next presentation, or the card's next debit, shows it
//	confirm          the order is loaded                       done
//
// An EP purse is asked by INITIALIZE FOR LOAD and credited by CREDIT FOR LOAD. Electronic cash is asked for a cryptogram to go online, and credited by the
// issuer's script.
func Load(ctx context.Context, card apdu.Transmitter, host Host, r Request) (Result, error) {
	r, err := r.withDefaults()
	if err != nil {
		return Result{}, err
	}
	l := &loading{Request: r, host: host}
	order, err := l.order(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	l.result = Result{Order: order.ID, Amount: order.Amount}
	l.open = order.State == InProgress || order.State == Uncertain
	switch order.State {
	case Loaded:
		l.result.Outcome = AlreadyDone
		return l.result, nil
	case Refunded:
		return l.result, fmt.Errorf("load: order %s was given back: %w", order.ID, ErrState)
	}
	p, err := l.choose(ctx, card)
	if err == nil {
		err = p.present(ctx, order)
	}
	if left(err) {
		l.Step("the card left the field: present the same card again")
		l.result.Outcome, l.result.Reason = PresentAgain, err.Error()
		return l.result, nil
	}
	if refused(err) {
		l.Step("the card refused: " + err.Error())
		l.result.Outcome, l.result.Reason = Refused, err.Error()
		if l.open { // the order's money may be on the card: one that will not say has not said no
			l.result.Outcome = PresentAgain
		}
		return l.result, nil
	}
	if err != nil {
		return l.result, fmt.Errorf("load %s: %w", order.ID, err)
	}
	return l.result, nil
}

// left reports that the card went away in the middle of something.
func left(err error) bool { return errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer) }

// refused reports that the card, and not the backend, is why there is no load: it said no, or nothing that can be understood.
func refused(err error) bool {
	var purse *ep.StatusError
	var cash *ec.StatusError
	if errors.As(err, &purse) || errors.As(err, &cash) {
		return true
	}
	for _, kind := range []error{ep.ErrMalformed, ec.ErrMalformed, ec.ErrNoApplication, ec.ErrNotFull, ec.ErrOtherPAN, errDeclines} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// loading is one call of Load.
type loading struct {
	Request
	host   Host
	open   bool // the order's authorisation may be out, and the card has not said what became of it
	result Result
}

// purse is a card's purse that is selected: the part of a load that each family has in its own way.
type purse interface {
	// present goes on from there to the end, and settles an open load first.
	present(ctx context.Context, order Order) error
	// look reads the card, and settles an open load.
	look(ctx context.Context) (Seen, error)
	// end has the backend end the card, if it is the one that a look has shown.
	end(ctx context.Context, host EndHost, token string) (End, error)
}

// choose selects the card's purse. One that has none of ours says so as an EP purse does, whatever else it is.
func (l *loading) choose(ctx context.Context, t apdu.Transmitter) (purse, error) {
	card, _, err := ep.Select(ctx, t, l.AID)
	if err == nil {
		return &epPurse{loading: l, card: card}, nil
	}
	host, served := l.host.(CashHost)
	if !errors.Is(err, ep.ErrNoPurse) || !served {
		return nil, err
	}
	c := &cashPurse{loading: l, host: host, t: t}
	if cashless := c.begin(ctx); cashless != nil {
		if errors.Is(cashless, ec.ErrNoApplication) {
			return nil, err
		}
		return nil, cashless
	}
	return c, nil
}

func (l *loading) order(ctx context.Context) (Order, error) {
	if l.OrderID != "" {
		l.Step("asking for order " + l.OrderID)
		return l.host.Order(ctx, l.OrderID)
	}
	l.Step("booking " + l.Amount.String() + " under key " + l.IdempotencyKey)
	return l.host.CreateOrder(ctx, l.IdempotencyKey, l.Amount)
}

// doubt tells the backend that the credit was not answered. It may fail: the backend calls the load uncertain by itself later.
func (l *loading) doubt(ctx context.Context, order string) {
	if _, err := l.host.Uncertain(ctx, order); err != nil {
		l.Step("the backend could not be told: " + err.Error())
	}
}

// done reads the balance back. The value is there whether that works or not.
func (l *loading) done(ctx context.Context, read func(context.Context) (money.Amount, error), balance money.Amount) error {
	l.result.Outcome = LoadDone
	if shown, err := read(ctx); err == nil {
		balance = shown
	}
	l.result.Balance = balance
	l.Step("loaded, balance " + balance.String())
	return nil
}

// unconfirmed ends a load that is on the card, and of which the backend could not be told.
func (l *loading) unconfirmed(balance money.Amount) error {
	l.Step("the value is on the card; the backend could not be told")
	l.result.Outcome, l.result.Balance = DoneUnconfirmed, balance
	return nil
}

// settled notes what became of an open load.
func (l *loading) settled(o Order) State {
	if o.ID == l.result.Order {
		l.open = false
	}
	if o.State == Loaded {
		l.Step("it had reached the card")
	} else {
		l.Step("it had not reached the card; its money waits in order " + o.ID)
	}
	l.result.Settled = append(l.result.Settled, Settled{Order: o.ID, State: o.State})
	return o.State
}
