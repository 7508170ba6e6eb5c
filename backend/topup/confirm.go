package topup

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Confirm takes the TAC of the CREDIT answer. A good one makes the order loaded, once. A bad one proves nothing: the order
// is uncertain, with a finding, and the card's next word decides.
func (s *Service) Confirm(ctx context.Context, agent ids.AcquirerID, id string, tac ep.MAC) (Order, error) {
	if _, err := s.Order(ctx, agent, id); err != nil {
		return Order{}, fmt.Errorf("confirm load: %w", err)
	}
	o, err := s.settleByTAC(ctx, id, tac, ByTAC)
	if err != nil {
		return Order{}, fmt.Errorf("confirm load %s: %w", id, err)
	}
	return o, nil
}

// Uncertain notes that CREDIT was not answered. An order that is settled already, or never was authorised, is returned as it
// is: a late word of doubt must not undo what is known.
func (s *Service) Uncertain(ctx context.Context, agent ids.AcquirerID, id string) (Order, error) {
	var out Order
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		if State(o.State) == InProgress {
			err = s.move(ctx, tx, &o, Doubted)
		}
		out = orderOf(o)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("uncertain load: %w", err)
	}
	return out, nil
}

// settleByTAC makes an order loaded if the TAC proves a session of its open booking.
func (s *Service) settleByTAC(ctx context.Context, id string, tac ep.MAC, how Proof) (Order, error) {
	booking, err := s.proves(ctx, id, tac)
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
		state := State(o.State)
		switch {
		case booking == 0:
			refused = ErrTAC
			if err := s.find(ctx, tx, o.ID, FindBadTAC, "while the order was "+o.State); err != nil {
				return err
			}
			if state != InProgress {
				return nil
			}
			return s.move(ctx, tx, &o, Doubted)
		case booking == o.Bookings && state == Loaded:
			return nil
		case booking == o.Bookings && state.Open():
			return s.credited(ctx, tx, &o, how, &out)
		}
		// A card says it was credited, and has shown before that it was not: a copy of a card, or a key in wrong hands.
		refused = fmt.Errorf("order is %s: %w", state, ErrState)
		return s.find(ctx, tx, o.ID, FindAfterReturn, fmt.Sprintf("a good TAC of booking %d came while the order was %s", booking, state))
	})
	if err != nil {
		return Order{}, err // not refused: nothing is known
	}
	return out, refused
}

// credited books an open load as on the card.
func (s *Service) credited(ctx context.Context, tx *store.Tx, o *store.LoadOrder, how Proof, out *Order) error {
	o.Proof = string(how)
	if err := s.move(ctx, tx, o, Proved); err != nil {
		return err
	}
	*out = orderOf(*o)
	if err := tx.MoveLoad(ctx, "load:"+o.ID+":loaded", "load-loaded", s.day(o.Changed), o.ID, books.LoadInProgress, books.Float, o.Amount); err != nil {
		return err
	}
	return tx.NoteLoad(ctx, *o.Card, shadowaccount.Load{Counter: o.Counter, Amount: o.Amount, Loaded: true}, o.ID)
}

// proves returns the booking of the session whose TAC it is (purse facts 6.5), 0 for none. All sessions are asked: when calls
// overtook each other, the card answers for an earlier one than the newest. The newest are asked first: a TAC does not cover the
// card's random number, so within one second two sessions may have the same.
func (s *Service) proves(ctx context.Context, id string, tac ep.MAC) (booking int, err error) {
	var o store.LoadOrder
	var sessions []store.LoadSession
	var cards []store.Card
	if err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		if o, err = tx.LoadOrder(ctx, id); err != nil {
			return err
		}
		if sessions, err = tx.LoadSessions(ctx, id); err != nil {
			return err
		}
		for _, v := range sessions {
			card, err := tx.CardByNumber(ctx, v.Card)
			if err != nil {
				return err
			}
			cards = append(cards, card)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for i, v := range slices.Backward(sessions) {
		after, err := v.Balance.Add(o.Amount)
		if err != nil {
			return 0, err
		}
		c := CardInit{Card: v.Card, Issuer: cards[i].Issuer, Levels: cards[i].Levels, Version: v.Version, Algorithm: v.Algorithm}
		want, err := s.hsm.TAC(ctx, c.key(keys.TAC), ep.LoadTAC(after, v.Counter, o.Amount, ep.TypeLoad, v.Terminal, v.DateTime))
		if err != nil {
			return 0, fmt.Errorf("TAC of order %s: %w", id, err)
		}
		if subtle.ConstantTimeCompare(want[:], tac[:]) == 1 {
			return v.Booking, nil
		}
	}
	return 0, nil
}
