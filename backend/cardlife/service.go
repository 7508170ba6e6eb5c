package cardlife

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Config bounds the service.
type Config struct {
	// Settling is how long a blocked card's value waits for its last records: longer than a terminal may go without a link and still sell.
	//
	// Default 7 days.
	Settling time.Duration

	// Patience is how much longer it waits while records are known to be missing, or taps of unknown outcome are open. After that what the
	// shadow account says is released.
	//
	// Default 23 days.
	Patience time.Duration

	// Idle is how long a card must have been still before its value may be written off, as the scheme's rules or its law say.
	//
	// Default 3 years of 365 days.
	Idle time.Duration

	// Location is the scheme's: the clearing day is in it.
	//
	// Default time.UTC.
	Location *time.Location

	// Log gets what an operator should hear of at once.
	//
	// Default slog.Default().
	Log *slog.Logger
}

const day = 24 * time.Hour

func (c Config) withDefaults() (Config, error) {
	var errs []error
	for _, f := range []struct {
		name string
		v    *time.Duration
		d    time.Duration
	}{{"Settling", &c.Settling, 7 * day}, {"Patience", &c.Patience, 23 * day}, {"Idle", &c.Idle, 3 * 365 * day}} {
		if *f.v < 0 {
			errs = append(errs, fmt.Errorf("cardlife: %s %v: want zero (the default) or more", f.name, *f.v))
		}
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, errors.Join(errs...)
}

// Service ends the lives of cards. It is safe for concurrent use.
type Service struct {
	store *store.Store
	clock clock.Clock
	cfg   Config
}

// New makes a service; it starts nothing.
func New(s *store.Store, c clock.Clock, cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Service{store: s, clock: c, cfg: cfg}, nil
}

// Kinds of refusal. Any other error means that the service could not do its work.
var (
	// ErrUnknownOrder: there is no such order.
	ErrUnknownOrder = errors.New("no such order")
	// ErrUnknownCard: the card was never issued by this scheme.
	ErrUnknownCard = errors.New("card was not issued by this scheme")
	// ErrUnknownAgent: no acquirer of that name is registered.
	ErrUnknownAgent = errors.New("no such acquirer is registered")
	// ErrTarget: the card that the value should go to cannot have it.
	ErrTarget = errors.New("the value cannot go to that card")
	// ErrBlocked: the card at the desk was blocked before.
	ErrBlocked = errors.New("card is blocked")
	// ErrOpen: the card has another open order.
	ErrOpen = errors.New("card has an open order")
	// ErrSamePerson: who asked for an order cannot approve it.
	ErrSamePerson = errors.New("a second person must approve")
	// ErrNotIdle: the card was used too lately to be written off.
	ErrNotIdle = errors.New("card was used too lately")
	// ErrRequest: a part of the request is missing or does not fit its kind.
	ErrRequest = errors.New("request does not fit")
)

// Order is an order as it stands.
type Order struct {
	ID          string
	Kind        Kind
	Token       string // of the card
	Target      string // token of the card that the value goes to, "" for none
	Agent       ids.AcquirerID
	State       State
	Reason      string
	RequestedBy string
	ApprovedBy  string
	Requested   time.Time
	Due         time.Time
	Changed     time.Time
	Amount      money.Amount // that left the shadow account; zero until then
	LoadOrder   string       // that has it now
}

func orderOf(o store.LifeOrder) Order {
	return Order{ID: o.ID, Kind: Kind(o.Kind), Token: o.Token, Target: o.TargetToken, Agent: o.Agent, State: State(o.State), Reason: o.Reason,
		RequestedBy: o.RequestedBy, ApprovedBy: o.ApprovedBy, Requested: o.Requested, Due: o.Due, Changed: o.Changed, Amount: o.Amount, LoadOrder: o.LoadOrder}
}

// Approve lets an order settle. It takes another person than asked for it; once approved it stays so.
func (s *Service) Approve(ctx context.Context, id, by string) (Order, error) {
	return s.step(ctx, "approve", id, func(tx *store.Tx, o *store.LifeOrder) error {
		by = strings.TrimSpace(by)
		switch {
		case by == "":
			return fmt.Errorf("who approves is not said: %w", ErrRequest)
		case strings.EqualFold(by, o.RequestedBy):
			return fmt.Errorf("%s asked for it: %w", by, ErrSamePerson)
		case o.ApprovedBy == by:
			return nil
		}
		o.ApprovedBy = by
		return s.move(ctx, tx, o, Approved)
	})
}

// Cancel ends an order whose value has not moved. The card stays blocked: what was once reported lost is not trusted again.
func (s *Service) Cancel(ctx context.Context, id string) (Order, error) {
	return s.step(ctx, "cancel", id, func(tx *store.Tx, o *store.LifeOrder) error {
		if State(o.State) == Cancelled {
			return nil
		}
		return s.move(ctx, tx, o, Withdrawn)
	})
}

func (s *Service) step(ctx context.Context, what, id string, do func(*store.Tx, *store.LifeOrder) error) (Order, error) {
	var out Order
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.LifeOrder(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%s: %w", id, ErrUnknownOrder)
		}
		if err != nil {
			return err
		}
		err = do(tx, &o)
		out = orderOf(o)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// Order finds an order.
func (s *Service) Order(ctx context.Context, id string) (Order, error) {
	var out Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		o, err := tx.LifeOrder(ctx, id)
		out = orderOf(o)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrUnknownOrder
	}
	if err != nil {
		return Order{}, fmt.Errorf("order %s: %w", id, err)
	}
	return out, nil
}

// Orders lists orders, newest first, at most limit; in one state where that is not empty.
func (s *Service) Orders(ctx context.Context, state State, limit int) ([]Order, error) {
	var out []Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.LifeOrders(ctx, string(state), limit)
		for _, o := range all {
			out = append(out, orderOf(o))
		}
		return err
	})
	return out, err
}

// move takes an order to its next state by the table and writes it.
func (s *Service) move(ctx context.Context, tx *store.Tx, o *store.LifeOrder, e Event) error {
	next, err := Next(State(o.State), e)
	if err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	o.State, o.Changed = string(next), s.now()
	return tx.SetLifeOrder(ctx, *o)
}

// now is the time, cut to the resolution in which it is stored.
func (s *Service) now() time.Time { return time.UnixMilli(s.clock.Now().UnixMilli()) }
