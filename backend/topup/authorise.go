package topup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Authorisation is what CREDIT FOR LOAD needs.
type Authorisation struct {
	DateTime ep.DateTime // the host's
	MAC2     ep.MAC
	// Challenge is the terminal number with which the card must be asked again should CREDIT not be answered well: see
	// [Service.Resolve].
	Challenge ep.TerminalNumber
}

// Authorise moves an order's money towards the card whose INITIALIZE answer verifies, and answers with MAC2.
//
// One transaction holds the order's state, the booking, the session and the load in the card's shadow account; MAC2 is
// made after it and from it. So a caller that lost the answer sends the same INITIALIZE answer again and gets the same MAC2.
// A new one of the same card at the same online counter gets a new MAC2 for the same booking: a new INITIALIZE ends
// the card's earlier session, and the counter says that the earlier MAC2 was not used.
func (s *Service) Authorise(ctx context.Context, agent ids.AcquirerID, id string, c CardInit) (Authorisation, error) {
	fail := func(err error) (Authorisation, error) {
		return Authorisation{}, fmt.Errorf("authorise load %s: %w", id, err)
	}
	card, err := s.verifyCard(ctx, c)
	if errors.Is(err, ErrMAC1) {
		if _, err := s.Order(ctx, agent, id); err != nil {
			return fail(err)
		}
		if err := s.report(ctx, id, FindAuthFailed, c.from()); err != nil {
			return fail(err)
		}
	}
	if err != nil {
		return fail(err)
	}
	if card.Status != store.CardActive {
		return fail(fmt.Errorf("card %v is %s: %w", c.Card, card.Status, ErrCardBlocked))
	}
	var session store.LoadSession
	var challenge [6]byte
	var found error // a finding was written, and the call is refused all the same
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		found = nil
		o, err := owned(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		if session, err = sameSession(ctx, tx, o, c); err != nil || session.N != 0 {
			challenge = o.Challenge
			return err
		}
		if err := s.allow(ctx, tx, o, c); err != nil {
			if errors.Is(err, errCounterBack) {
				found = err
				return s.find(ctx, tx, o.ID, FindCounterBack, err.Error())
			}
			return err
		}
		session, err = s.begin(ctx, tx, &o, c)
		challenge = o.Challenge
		return err
	}); err != nil {
		return fail(err)
	}
	if found != nil {
		return fail(found)
	}
	at := ep.DateTime(session.DateTime)
	mac2, err := s.sessionMAC(ctx, c, ep.LoadMAC2(c.Amount, ep.TypeLoad, c.Terminal, at))
	if err != nil {
		return fail(err)
	}
	return Authorisation{DateTime: at, MAC2: mac2, Challenge: challenge}, nil
}

// sameSession finds the session that this very INITIALIZE answer was authorised with, in the booking that is open now.
func sameSession(ctx context.Context, tx *store.Tx, o store.LoadOrder, c CardInit) (store.LoadSession, error) {
	if !State(o.State).Open() {
		return store.LoadSession{}, nil
	}
	all, err := tx.LoadSessions(ctx, o.ID)
	if err != nil {
		return store.LoadSession{}, err
	}
	for _, have := range all {
		if have.Booking == o.Bookings && have.Card == c.Card && have.Counter == c.Counter && have.Random == c.Random && have.MAC1 == c.MAC1 &&
			have.Balance == c.Balance && have.Terminal == c.Terminal && o.Amount == c.Amount {
			return have, nil
		}
	}
	return store.LoadSession{}, nil
}

// errCounterBack is the kind of ErrStale that a good card with an honest caller never gives.
var errCounterBack = fmt.Errorf("the card's online counter went back: %w", ErrStale)

// allow refuses an INITIALIZE answer that the order, the card's history or the scheme's limits do not allow.
func (s *Service) allow(ctx context.Context, tx *store.Tx, o store.LoadOrder, c CardInit) error {
	if _, err := Next(State(o.State), Authorised); err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	if err := reserved(ctx, tx, o, c.Card); err != nil {
		return err
	}
	if c.Amount != o.Amount {
		return fmt.Errorf("the card was asked for %v, the order is over %v: %w", c.Amount, o.Amount, ErrAmount)
	}
	if after, err := c.Balance.Add(c.Amount); err != nil || after.Cmp(s.cfg.MaxBalance) > 0 {
		return fmt.Errorf("balance %v, load %v, maximum %v: %w", c.Balance, c.Amount, s.cfg.MaxBalance, ErrMaxBalance)
	}
	if o.Sessions >= maxSessions {
		return fmt.Errorf("order %s was authorised %d times: resolve it: %w", o.ID, o.Sessions, ErrOpenLoad)
	}
	if State(o.State).Open() && *o.Card != c.Card {
		return fmt.Errorf("its money is on its way to card %v, this is %v: %w", *o.Card, c.Card, ErrOtherCard)
	}
	open, err := tx.OpenLoadOrder(ctx, c.Card)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case open.ID != o.ID:
		return fmt.Errorf("order %s at online counter %d: %w", open.ID, open.Counter, ErrOpenLoad)
	case c.Counter > open.Counter:
		return fmt.Errorf("the card's online counter moved from %d to %d: this order was credited: %w", open.Counter, c.Counter, ErrOpenLoad)
	case c.Counter < open.Counter:
		return fmt.Errorf("online counter %d, was %d: %w", c.Counter, open.Counter, errCounterBack)
	}
	loads, err := tx.CardLoads(ctx, c.Card)
	if err != nil {
		return err
	}
	for _, l := range loads {
		if l.Loaded && l.Counter >= c.Counter {
			return fmt.Errorf("online counter %d, the load at counter %d is on the card: %w", c.Counter, l.Counter, errCounterBack)
		}
	}
	sessions, err := tx.LoadSessions(ctx, o.ID)
	if err != nil {
		return err
	}
	for _, have := range sessions {
		// The card has shown since that this session is dead; a MAC2 for it would credit nothing.
		if State(o.State) == Paid && have.Card == c.Card && have.Random == c.Random && have.Counter == c.Counter {
			return fmt.Errorf("the session of this INITIALIZE answer has ended: %w", ErrStale)
		}
	}
	return nil
}

// begin books the money towards the card if it is not there yet, and writes the session.
func (s *Service) begin(ctx context.Context, tx *store.Tx, o *store.LoadOrder, c CardInit) (store.LoadSession, error) {
	at := s.now()
	stamp, err := ep.DateTimeOf(at.In(s.cfg.Location))
	if err != nil {
		return store.LoadSession{}, err
	}
	moves := State(o.State) == Paid // otherwise the money is on its way already
	if moves {
		o.Bookings++
	}
	o.Sessions++
	card := c.Card
	o.Card, o.Counter = &card, c.Counter
	if _, err := io.ReadFull(s.cfg.Rand, o.Challenge[:]); err != nil {
		return store.LoadSession{}, fmt.Errorf("draw a challenge: %w", err)
	}
	if err := s.move(ctx, tx, o, Authorised); err != nil {
		return store.LoadSession{}, err
	}
	session := store.LoadSession{Order: o.ID, N: o.Sessions, Booking: o.Bookings, Card: c.Card, Counter: c.Counter, Balance: c.Balance, Terminal: c.Terminal,
		Version: c.Version, Algorithm: c.Algorithm, Random: c.Random, MAC1: c.MAC1, DateTime: stamp, At: at}
	if err := tx.AddLoadSession(ctx, session); err != nil {
		return store.LoadSession{}, err
	}
	if !moves {
		return session, nil
	}
	if err := tx.MoveLoad(ctx, fmt.Sprintf("load:%s:authorise:%d", o.ID, o.Bookings), "load-authorise", s.day(at), o.ID, books.Funding, books.LoadInProgress, o.Amount); err != nil {
		return store.LoadSession{}, err
	}
	return session, tx.NoteLoad(ctx, c.Card, shadowaccount.Load{Counter: c.Counter, Amount: o.Amount}, o.ID)
}
