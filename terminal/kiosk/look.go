package kiosk

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/internal/money"
)

// Seen is what a look at a card showed.
type Seen struct {
	Token   string // names the card without its number
	Card    string // for the rider's eyes, its middle hidden
	Balance money.Amount
	Blocked bool // it is not loaded
	Settled []Settled
	Refusal string // not "": the card is none of ours, or does not work, and why

	Loaded  *WaitingLoad // that had been paid online for this card, and is on it now
	Waiting *WaitingLoad // that could not be put on it, and waits on; Why says why
	Why     string
}

// Look reads a card before a sale, and settles an open load of it: where that had not reached the card, its money waits in its order. A load that was paid
// online for this card is put on it. A card that left is
// an error of package apdu; a card that is not served has Seen.Refusal. Other errors are as those of [Load]. Of the request only what is said of cards counts.
func Look(ctx context.Context, card apdu.Transmitter, host Host, r Request) (Seen, error) {
	r.OrderID, r.IdempotencyKey = "look", ""
	r, err := r.withDefaults()
	if err != nil {
		return Seen{}, err
	}
	l := &loading{Request: r, host: host}
	p, err := l.choose(ctx, card)
	var seen Seen
	if err == nil {
		seen, err = p.look(ctx)
	}
	if err == nil && seen.Waiting != nil && !seen.Blocked {
		err = l.collect(ctx, p, &seen)
	}
	seen.Settled = l.result.Settled
	if err != nil && !left(err) && refused(err) {
		seen.Refusal = err.Error()
		return seen, nil
	}
	if err != nil {
		return seen, fmt.Errorf("look at the card: %w", err)
	}
	return seen, nil
}

// collect puts a load on the card that waits for it. That the card or the backend will not have it is no fault of the look.
func (l *loading) collect(ctx context.Context, p purse, seen *Seen) error {
	w := *seen.Waiting
	l.Step("a load of " + w.Amount.String() + " waits for this card: loading it")
	l.result.Order, l.result.Amount = w.Order, w.Amount
	err := p.present(ctx, Order{ID: w.Order, Amount: w.Amount, State: Paid})
	switch {
	case err == nil:
		seen.Loaded, seen.Waiting, seen.Balance = &w, nil, l.result.Balance
		return nil
	case left(err) || !refused(err) && !decided(err):
		return err
	}
	l.Step("it was not loaded: " + err.Error())
	seen.Why = err.Error()
	return nil
}

// Left reports that the card went away in the middle of something.
func Left(err error) bool { return left(err) }

// look implements purse.
func (p *epPurse) look(ctx context.Context) (Seen, error) {
	var err error
	if p.public, err = p.card.ReadPublic(ctx); err != nil {
		return Seen{}, err
	}
	shown, err := p.initialize(ctx, inquiry, p.Terminal)
	if err != nil {
		return Seen{}, err
	}
	info, err := p.host.Lookup(ctx, shown)
	if err != nil {
		return Seen{}, err
	}
	if info.Open != nil {
		if _, err := p.settle(ctx, shown, *info.Open); err != nil {
			return Seen{}, err
		}
	}
	return Seen{Token: info.Token, Card: p.public.CardNumber.String(), Balance: shown.Answer.Balance, Blocked: info.Blocked, Waiting: info.Waiting}, nil
}

// look implements purse.
func (p *cashPurse) look(ctx context.Context) (Seen, error) {
	info, err := p.host.LookupCash(ctx, p.request)
	if err != nil {
		return Seen{}, err
	}
	if info.Open != "" {
		if _, err := p.settle(ctx, info.Open); err != nil {
			return Seen{}, err
		}
	}
	return Seen{Token: info.Token, Card: p.request.Card.String(), Balance: info.Balance, Blocked: info.Blocked, Waiting: info.Waiting}, nil
}
