package kiosk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

// Request is one load. Repeat it unchanged when a card left too early.
type Request struct {
	AID      []byte // of the purse; nil is T-Union's
	KeyIndex byte   // of the load key in INITIALIZE; 0 is 1
	Levels   int    // of key diversification, 1 or 2; 0 is 2
	Terminal ep.TerminalNumber

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
	DoneUnconfirmed                    // it is on the card; the backend could not be told yet: call Confirm with the TAC
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
	TAC     *ep.MAC      // with DoneUnconfirmed
	Reason  string       // with PresentAgain and Refused
	Settled []Settled
}

// ErrRequestForm says that a Request is not one.
var ErrRequestForm = errors.New("load request")

// inquiry is the amount of an INITIALIZE that only asks for the online counter. Readers in the field use the smallest
// amount (purse facts 3.6): the order's own could be refused by a card that holds it already.
var inquiry = money.Minor(1)

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
// The steps, and what is left when it stops there:
//
//	order            the money is booked                       nothing on the card; the request goes on with this order
//	look up, settle  an earlier load's fate is known           as above
//	INITIALIZE       nothing                                   as above
//	authorise        the money is on its way, MAC2 is out      the card was not credited; the next presentation shows it
//	CREDIT           the value is on the card, or not          the next presentation, or the card's next debit, shows it
//	confirm          the order is loaded                       done
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
	err = l.present(ctx, card, order)
	if left(err) {
		l.Step("the card left the field: present the same card again")
		l.result.Outcome, l.result.Reason = PresentAgain, err.Error()
		return l.result, nil
	}
	var status *ep.StatusError
	if errors.As(err, &status) || errors.Is(err, ep.ErrMalformed) {
		l.Step("the card refused: " + err.Error())
		l.result.Outcome, l.result.Reason = Refused, err.Error()
		if l.open { // the order's money may be on the card: a card that will not say has not said no
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

// loading is one call of Load.
type loading struct {
	Request
	host   Host
	card   *ep.Card
	public ep.Public
	open   bool // MAC2 of the order may be out, and the card has not said what became of it
	result Result
}

func (l *loading) order(ctx context.Context) (Order, error) {
	if l.OrderID != "" {
		l.Step("asking for order " + l.OrderID)
		return l.host.Order(ctx, l.OrderID)
	}
	l.Step("booking " + l.Amount.String() + " under key " + l.IdempotencyKey)
	return l.host.CreateOrder(ctx, l.IdempotencyKey, l.Amount)
}

func (l *loading) present(ctx context.Context, t apdu.Transmitter, order Order) error {
	var err error
	if l.card, _, err = ep.Select(ctx, t, l.AID); err != nil {
		return err
	}
	if l.public, err = l.card.ReadPublic(ctx); err != nil {
		return err
	}
	l.Step("card " + l.public.CardNumber.String())
	shown, err := l.initialize(ctx, inquiry, l.Terminal)
	if err != nil {
		return err
	}
	info, err := l.host.Lookup(ctx, shown)
	if err != nil {
		return err
	}
	// Our own open order at the same counter needs no settling: a new INITIALIZE goes on with it.
	if o := info.Open; o != nil && (o.Order != order.ID || o.Counter != shown.Answer.Counter) {
		settled, err := l.settle(ctx, shown, *o)
		if err != nil {
			return err
		}
		if o.Order == order.ID && settled == Loaded {
			return l.done(ctx, shown.Answer.Balance)
		}
	}
	init, err := l.initialize(ctx, order.Amount, l.Terminal)
	if err != nil {
		return err
	}
	l.Step("balance " + init.Answer.Balance.String() + ", asking the backend")
	wasOpen := l.open
	l.open = true
	auth, err := l.host.Authorise(ctx, order.ID, init)
	if err != nil && decided(err) {
		l.open = wasOpen
		if o := info.Open; o != nil && o.Order == order.ID {
			// It may not be loaded any more, a blocked card say. What is open must be settled all the same, so that the money can be
			// given back; if it cannot be, the refusal is still what matters.
			if _, settling := l.settle(ctx, init, *o); settling != nil {
				l.Step("it could not be settled: " + settling.Error())
			}
		}
	}
	if err != nil {
		return err
	}
	return l.credit(ctx, order, init, auth)
}

func (l *loading) initialize(ctx context.Context, amount money.Amount, term ep.TerminalNumber) (CardInit, error) {
	answer, err := l.card.InitLoad(ctx, l.KeyIndex, amount, term)
	if err != nil {
		return CardInit{}, err
	}
	return CardInit{Card: l.public.CardNumber, Issuer: l.public.Issuer, Levels: l.Levels, Answer: answer, Amount: amount, Terminal: term}, nil
}

// credit sends CREDIT. Nothing has come between INITIALIZE and it: the card would have forgotten the session.
func (l *loading) credit(ctx context.Context, order Order, init CardInit, auth Authorisation) error {
	tac, err := l.card.CreditLoad(ctx, auth.DateTime, auth.MAC2)
	switch {
	case err == nil:
	case left(err):
		l.doubt(ctx, order.ID)
		return err
	default:
		return l.afterRefusal(ctx, order, init, auth, err)
	}
	after, err := init.Answer.Balance.Add(order.Amount)
	if err != nil {
		return err
	}
	l.Step("credited, confirming")
	_, err = l.host.Confirm(ctx, order.ID, tac)
	switch {
	case err == nil:
		return l.done(ctx, after)
	case decided(err):
		return fmt.Errorf("the card was credited, and its answer was not accepted: %w", err)
	}
	l.Step("the value is on the card; the backend could not be told")
	l.result.Outcome, l.result.Balance, l.result.TAC = DoneUnconfirmed, after, &tac
	return nil
}

// afterRefusal asks the card, still in the field, what became of a CREDIT that it answered badly: a status word may hide a
// credit (a memory failure after the commit), and a refused one leaves the money waiting in the order.
func (l *loading) afterRefusal(ctx context.Context, order Order, init CardInit, auth Authorisation, refusal error) error {
	l.Step("the card refused CREDIT, asking it what happened")
	open := OpenLoad{Order: order.ID, Amount: order.Amount, Counter: init.Answer.Counter, Challenge: auth.Challenge}
	shown, err := l.initialize(ctx, inquiry, auth.Challenge)
	if err != nil {
		l.doubt(ctx, order.ID)
		if left(err) {
			return err
		}
		return refusal
	}
	state, err := l.settle(ctx, shown, open)
	if err != nil {
		return err
	}
	if state == Loaded {
		return l.done(ctx, shown.Answer.Balance)
	}
	return refusal
}

// settle finds out from the card what became of an open load, and tells the backend. shown is an INITIALIZE answer of
// this presentation.
func (l *loading) settle(ctx context.Context, shown CardInit, open OpenLoad) (State, error) {
	l.Step("the card has an open load of " + open.Amount.String() + ": settling it first")
	evidence, err := l.evidence(ctx, shown, open)
	if err != nil {
		return "", err
	}
	o, err := l.host.Resolve(ctx, open.Order, evidence)
	if errors.Is(err, ErrTAC) {
		// The proof is worthless, the counter that the card's own MAC1 vouches for is not.
		o, err = l.host.Resolve(ctx, open.Order, Evidence{Init: &shown})
	}
	if err != nil {
		return "", fmt.Errorf("settle open load %s: %w", open.Order, err)
	}
	if open.Order == l.result.Order {
		l.open = false
	}
	if o.State != Loaded {
		l.Step("it had not reached the card; its money waits in order " + open.Order)
	} else {
		l.Step("it had reached the card")
	}
	l.result.Settled = append(l.result.Settled, Settled{Order: open.Order, State: o.State})
	return o.State, nil
}

func (l *loading) evidence(ctx context.Context, shown CardInit, open OpenLoad) (Evidence, error) {
	switch counter := shown.Answer.Counter; {
	case counter == open.Counter && shown.Terminal == open.Challenge:
		return Evidence{Init: &shown}, nil
	case counter == open.Counter:
		fresh, err := l.initialize(ctx, inquiry, open.Challenge)
		return Evidence{Init: &fresh}, err
	case counter > open.Counter:
		proof, err := l.card.Prove(ctx, ep.TypeLoad, open.Counter+1)
		if err == nil {
			return Evidence{TAC: &proof.TAC}, nil
		}
		if left(err) {
			return Evidence{}, err
		}
	}
	return Evidence{Init: &shown}, nil
}

// doubt tells the backend that CREDIT was not answered. It may fail: the backend calls the load uncertain by itself later.
func (l *loading) doubt(ctx context.Context, order string) {
	if _, err := l.host.Uncertain(ctx, order); err != nil {
		l.Step("the backend could not be told: " + err.Error())
	}
}

// done reads the balance back. The value is there whether that works or not.
func (l *loading) done(ctx context.Context, balance money.Amount) error {
	l.result.Outcome = LoadDone
	if shown, err := l.card.Balance(ctx); err == nil {
		balance = shown
	}
	l.result.Balance = balance
	l.Step("loaded, balance " + balance.String())
	return nil
}
