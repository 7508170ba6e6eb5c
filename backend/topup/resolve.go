package topup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// OpenLoad is a load whose money is on its way to a card.
type OpenLoad struct {
	Order   string
	Amount  money.Amount
	Counter uint16 // the card's online counter before it
	// Challenge is the terminal number to ask the card with, for evidence that it was not credited.
	Challenge ep.TerminalNumber
}

// CardInfo is what the scheme knows of a card in the field.
type CardInfo struct {
	Token   string
	Blocked bool // it is not loaded
	Open    *OpenLoad
	Waiting *Waiting // paid for this card, and not on its way to it yet
}

// Lookup says what is known of the card in the field. Its MAC1 is verified, so what it showed of its online counter and
// balance is kept as a witness. Any agent may ask: a card with an open load may turn up anywhere. A blocked card is found
// too: its open load must be settled all the same.
func (s *Service) Lookup(ctx context.Context, agent ids.AcquirerID, c CardInit) (CardInfo, error) {
	card, err := s.verifyCard(ctx, c)
	if errors.Is(err, ErrMAC1) {
		s.cfg.Log.WarnContext(ctx, "look-up does not verify", "agent", agent, "from", c.from())
	}
	if err != nil {
		return CardInfo{}, fmt.Errorf("look up: %w", err)
	}
	out := CardInfo{Token: card.Token, Blocked: card.Status != store.CardActive}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		out.Open = nil
		if err := tx.AddWitness(ctx, c.Card, s.now(), c.Counter, c.Balance, agent); err != nil {
			return err
		}
		var err error
		if out.Waiting, err = waiting(ctx, tx, c.Card); err != nil {
			return err
		}
		o, err := tx.OpenLoadOrder(ctx, c.Card)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		out.Open = &OpenLoad{Order: o.ID, Amount: o.Amount, Counter: o.Counter, Challenge: o.Challenge}
		return err
	})
	if err != nil {
		return CardInfo{}, fmt.Errorf("look up: %w", err)
	}
	return out, nil
}

// Evidence is what a card says of an open load: exactly one of the two.
type Evidence struct {
	TAC  *ep.MAC   // of GET TRANSACTION PROVE for the counter after the load
	Init *CardInit // a new INITIALIZE FOR LOAD answer, made with the challenge as terminal number
}

// Resolve settles an open load by what the card says. Any agent may bring it: it is the card's word, not the agent's.
//
//   - A good TAC: loaded.
//   - An INITIALIZE answer with a later online counter: loaded. Only a MAC2 of ours moves that counter, and a card has one
//     open load at a time.
//   - An INITIALIZE answer with the old counter and the challenge as terminal number: paid again. The challenge did not
//     exist when the card's session was authorised, so this INITIALIZE came after it and ended it.
//   - Anything else decides nothing, and the order stays as it is.
//
// An order that is settled already is returned as it is.
func (s *Service) Resolve(ctx context.Context, agent ids.AcquirerID, id string, e Evidence) (Order, error) {
	o, err := s.resolve(ctx, agent, id, e)
	if err != nil {
		return Order{}, fmt.Errorf("resolve load %s: %w", id, err)
	}
	return o, nil
}

func (s *Service) resolve(ctx context.Context, agent ids.AcquirerID, id string, e Evidence) (Order, error) {
	if (e.TAC == nil) == (e.Init == nil) {
		return Order{}, fmt.Errorf("want either a TAC or an INITIALIZE answer: %w", ErrEvidence)
	}
	if _, err := s.Order(ctx, "", id); err != nil {
		return Order{}, err
	}
	if e.TAC != nil {
		return s.settleByTAC(ctx, id, *e.TAC, ByProve)
	}
	c := *e.Init
	_, err := s.verifyCard(ctx, c)
	if errors.Is(err, ErrMAC1) {
		if err := s.report(ctx, id, FindAuthFailed, c.from()); err != nil {
			return Order{}, err
		}
	}
	if err != nil {
		return Order{}, err
	}
	var out Order
	var refused error
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		refused = nil
		o, err := tx.LoadOrder(ctx, id)
		if err != nil {
			return err
		}
		out = orderOf(o)
		if err := tx.AddWitness(ctx, c.Card, s.now(), c.Counter, c.Balance, agent); err != nil {
			return err
		}
		if !State(o.State).Open() {
			return nil
		}
		switch {
		case *o.Card != c.Card:
			refused = fmt.Errorf("its money is on its way to card %v, this is %v: %w", *o.Card, c.Card, ErrOtherCard)
			return nil
		case c.Counter > o.Counter:
			return s.credited(ctx, tx, &o, ByCounter, &out)
		case c.Counter < o.Counter:
			refused = fmt.Errorf("online counter %d, was %d: %w", c.Counter, o.Counter, errCounterBack)
			return s.find(ctx, tx, o.ID, FindCounterBack, refused.Error())
		case c.Terminal != ep.TerminalNumber(o.Challenge):
			refused = ErrChallenge
			return nil
		}
		explained, err := isExplained(ctx, tx, o)
		if err != nil {
			return err
		}
		if explained {
			refused = fmt.Errorf("the card's records show the load on it: %w", ErrEvidence)
			return s.find(ctx, tx, o.ID, FindContradiction, "the card shows its old online counter, its debits show the load")
		}
		return s.takeBack(ctx, tx, &o, &out)
	})
	if err != nil {
		return Order{}, err // not refused: nothing is known
	}
	return out, refused
}

// takeBack books an open load as not credited: the money is the rider's again, for another try or a refund.
func (s *Service) takeBack(ctx context.Context, tx *store.Tx, o *store.LoadOrder, out *Order) error {
	card := *o.Card
	o.Card = nil
	if err := s.move(ctx, tx, o, Disproved); err != nil {
		return err
	}
	o.Token = ""
	*out = orderOf(*o)
	if err := tx.MoveLoad(ctx, fmt.Sprintf("load:%s:back:%d", o.ID, o.Bookings), "load-back", s.day(o.Changed), o.ID, books.LoadInProgress, books.Funding, o.Amount); err != nil {
		return err
	}
	return tx.ForgetLoad(ctx, card, o.Counter)
}

func isExplained(ctx context.Context, tx *store.Tx, o store.LoadOrder) (bool, error) {
	all, err := tx.ExplainedLoads(ctx)
	if err != nil {
		return false, err
	}
	for _, l := range all {
		if l.Card == *o.Card && l.Counter == o.Counter {
			return true, nil
		}
	}
	return false, nil
}

// SettleByRecords makes loaded every open load that a later debit of its card shows to have happened: the balance rose
// by it between two records. The intake marks them while it posts; this moves the money. It returns how many it settled.
func (s *Service) SettleByRecords(ctx context.Context) (int, error) {
	var all []store.ExplainedLoad
	if err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		all, err = tx.ExplainedLoads(ctx)
		return err
	}); err != nil {
		return 0, fmt.Errorf("settle loads by records: %w", err)
	}
	settled := 0
	var errs []error // one order that cannot be settled must not hold up the others
	for _, l := range all {
		moved := false
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			moved = false
			o, err := tx.OpenLoadOrder(ctx, l.Card)
			if errors.Is(err, store.ErrNotFound) || err == nil && (o.ID != l.Ref || o.Counter != l.Counter) {
				return nil // settled meanwhile
			}
			if err != nil {
				return err
			}
			var out Order
			moved = true
			return s.credited(ctx, tx, &o, ByRecords, &out)
		})
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("settle load %s by records: %w", l.Ref, err))
		case moved:
			settled++
		}
	}
	byEC, err := s.settleECByRecords(ctx)
	return settled + byEC, errors.Join(append(errs, err)...)
}

// AgeUnconfirmed calls uncertain every load that has been in progress for longer than UncertainAfter: its kiosk has
// died, or cannot reach us. It returns how many.
func (s *Service) AgeUnconfirmed(ctx context.Context) (int, error) {
	before := s.now().Add(-s.cfg.UncertainAfter)
	var all []store.LoadOrder
	read := func(tx *store.Tx) (err error) {
		all, err = tx.LoadOrdersUnchangedSince(ctx, string(InProgress), before)
		return err
	}
	// A look first: most of the time there is nothing to write, and a write costs the disk a sync.
	if err := s.store.View(ctx, read); err != nil || len(all) == 0 {
		return 0, err
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := read(tx); err != nil {
			return err
		}
		for i := range all {
			if err := s.move(ctx, tx, &all[i], Doubted); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("age unconfirmed loads: %w", err)
	}
	return len(all), nil
}

// Sweep is AgeUnconfirmed and SettleByRecords: what the service does without being asked.
func (s *Service) Sweep(ctx context.Context) error {
	_, err1 := s.AgeUnconfirmed(ctx)
	_, err2 := s.SettleByRecords(ctx)
	return errors.Join(err1, err2)
}

// Run sweeps every so often until ctx ends. A sweep that fails is logged and made again.
func (s *Service) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "load sweep", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
