package kiosk

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

// inquiry is the amount of an INITIALIZE that only asks for the online counter. Readers in the field use the smallest
// amount (purse facts 3.6): the order's own could be refused by a card that holds it already.
var inquiry = money.Minor(1)

// epPurse is a selected EP purse.
type epPurse struct {
	*loading
	card   *ep.Card
	public ep.Public
}

// present implements purse.
func (p *epPurse) present(ctx context.Context, order Order) error {
	var err error
	if p.public, err = p.card.ReadPublic(ctx); err != nil {
		return err
	}
	p.Step("card " + p.public.CardNumber.String())
	shown, err := p.initialize(ctx, inquiry, p.Terminal)
	if err != nil {
		return err
	}
	info, err := p.host.Lookup(ctx, shown)
	if err != nil {
		return err
	}
	// Our own open order at the same counter needs no settling: a new INITIALIZE goes on with it.
	if o := info.Open; o != nil && (o.Order != order.ID || o.Counter != shown.Answer.Counter) {
		settled, err := p.settle(ctx, shown, *o)
		if err != nil {
			return err
		}
		if o.Order == order.ID && settled == Loaded {
			return p.done(ctx, p.card.Balance, shown.Answer.Balance)
		}
	}
	init, err := p.initialize(ctx, order.Amount, p.Terminal)
	if err != nil {
		return err
	}
	p.Step("balance " + init.Answer.Balance.String() + ", asking the backend")
	wasOpen := p.open
	p.open = true
	auth, err := p.host.Authorise(ctx, order.ID, init)
	if err != nil && decided(err) {
		p.open = wasOpen
		if o := info.Open; o != nil && o.Order == order.ID {
			// It may not be loaded any more, a blocked card say. What is open must be settled all the same, so that the money can be
			// given back; if it cannot be, the refusal is still what matters.
			if _, settling := p.settle(ctx, init, *o); settling != nil {
				p.Step("it could not be settled: " + settling.Error())
			}
		}
	}
	if err != nil {
		return err
	}
	return p.credit(ctx, order, init, auth)
}

func (p *epPurse) initialize(ctx context.Context, amount money.Amount, term ep.TerminalNumber) (CardInit, error) {
	answer, err := p.card.InitLoad(ctx, p.KeyIndex, amount, term)
	if err != nil {
		return CardInit{}, err
	}
	return CardInit{Card: p.public.CardNumber, Issuer: p.public.Issuer, Levels: p.Levels, Answer: answer, Amount: amount, Terminal: term}, nil
}

// credit sends CREDIT. Nothing has come between INITIALIZE and it: the card would have forgotten the session.
func (p *epPurse) credit(ctx context.Context, order Order, init CardInit, auth Authorisation) error {
	tac, err := p.card.CreditLoad(ctx, auth.DateTime, auth.MAC2)
	switch {
	case err == nil:
	case left(err):
		p.doubt(ctx, order.ID)
		return err
	default:
		return p.afterRefusal(ctx, order, init, auth, err)
	}
	after, err := init.Answer.Balance.Add(order.Amount)
	if err != nil {
		return err
	}
	p.Step("credited, confirming")
	_, err = p.host.Confirm(ctx, order.ID, tac)
	switch {
	case err == nil:
		return p.done(ctx, p.card.Balance, after)
	case decided(err):
		return fmt.Errorf("the card was credited, and its answer was not accepted: %w", err)
	}
	p.result.TAC = &tac
	return p.unconfirmed(after)
}

// afterRefusal asks the card, still in the field, what became of a CREDIT that it answered badly: a status word may hide a
// credit (a memory failure after the commit), and a refused one leaves the money waiting in the order.
func (p *epPurse) afterRefusal(ctx context.Context, order Order, init CardInit, auth Authorisation, refusal error) error {
	p.Step("the card refused CREDIT, asking it what happened")
	open := OpenLoad{Order: order.ID, Amount: order.Amount, Counter: init.Answer.Counter, Challenge: auth.Challenge}
	shown, err := p.initialize(ctx, inquiry, auth.Challenge)
	if err != nil {
		p.doubt(ctx, order.ID)
		if left(err) {
			return err
		}
		return refusal
	}
	state, err := p.settle(ctx, shown, open)
	if err != nil {
		return err
	}
	if state == Loaded {
		return p.done(ctx, p.card.Balance, shown.Answer.Balance)
	}
	return refusal
}

// settle finds out from the card what became of an open load, and tells the backend. shown is an INITIALIZE answer of
// this presentation.
func (p *epPurse) settle(ctx context.Context, shown CardInit, open OpenLoad) (State, error) {
	p.Step("the card has an open load of " + open.Amount.String() + ": settling it first")
	evidence, err := p.evidence(ctx, shown, open)
	if err != nil {
		return "", err
	}
	o, err := p.host.Resolve(ctx, open.Order, evidence)
	if errors.Is(err, ErrTAC) {
		// The proof is worthless, the counter that the card's own MAC1 vouches for is not.
		o, err = p.host.Resolve(ctx, open.Order, Evidence{Init: &shown})
	}
	if err != nil {
		return "", fmt.Errorf("settle open load %s: %w", open.Order, err)
	}
	return p.settled(o), nil
}

func (p *epPurse) evidence(ctx context.Context, shown CardInit, open OpenLoad) (Evidence, error) {
	switch counter := shown.Answer.Counter; {
	case counter == open.Counter && shown.Terminal == open.Challenge:
		return Evidence{Init: &shown}, nil
	case counter == open.Counter:
		fresh, err := p.initialize(ctx, inquiry, open.Challenge)
		return Evidence{Init: &fresh}, err
	case counter > open.Counter:
		proof, err := p.card.Prove(ctx, ep.TypeLoad, open.Counter+1)
		if err == nil {
			return Evidence{TAC: &proof.TAC}, nil
		}
		if left(err) {
			return Evidence{}, err
		}
	}
	return Evidence{Init: &shown}, nil
}
