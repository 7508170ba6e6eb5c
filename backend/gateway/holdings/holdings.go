package holdings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// KindAdjusted is the kind of the entry of a balance that was changed.
const KindAdjusted = "balance-adjusted"

// Adjusted is the account against which balances are changed. It stands until whoever keeps the books has found out what the money was.
const Adjusted books.Account = "suspense:adjusted"

// Kinds of refusal.
var (
	// ErrRequest: a part of the request is missing or does not fit.
	ErrRequest = errors.New("the request does not fit")
	// ErrUnknown: there is no such change.
	ErrUnknown = errors.New("no such change")
	// ErrSamePerson: who asked for it cannot agree.
	ErrSamePerson = errors.New("a second person must agree")
	// ErrDecided: it was decided before.
	ErrDecided = errors.New("it is decided already")
	// ErrFunds: the holder has less than is to be taken, or his account is closed.
	ErrFunds = errors.New("the holder has less than that to use, or his account is closed")
)

// Config of a service. Currency is needed.
type Config struct {
	Currency string         // of the books
	Location *time.Location // the scheme's; default UTC
	Clock    clock.Clock    // default: the machine's
	Log      *slog.Logger   // default slog.Default()
}

// Service changes what holders have. It is safe for concurrent use.
type Service struct {
	store *store.Store
	cfg   Config
}

// New makes a service; it starts nothing.
func New(s *store.Store, c Config) (*Service, error) {
	if s == nil || len(c.Currency) != 3 {
		return nil, errors.New("holdings: a store and the books' currency are needed")
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Service{s, c}, nil
}

// Wanted is a change that is asked for.
type Wanted struct {
	Holder   string // as the books name him: APP.NAME
	Currency string // the books', or that of points
	Amount   money.Amount
	Expires  time.Time // of points that are given; zero: never
}

// kind is what the currency says: the books' own is a balance's.
func (s *Service) kind(currency string) string {
	if currency == s.cfg.Currency {
		return store.ChangeBalance
	}
	return store.ChangePoints
}

func (s *Service) check(w Wanted, by, reason string) error {
	if _, err := balance.Account(w.Holder); err != nil {
		return fmt.Errorf("holder %q: %w: %w", w.Holder, ErrRequest, err)
	}
	switch {
	case len(w.Currency) != 3 || strings.Trim(w.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("currency %q: want three capital letters: %w", w.Currency, ErrRequest)
	case w.Amount.IsZero():
		return fmt.Errorf("amount: want more or less than nothing: %w", ErrRequest)
	case !w.Expires.IsZero() && (s.kind(w.Currency) == store.ChangeBalance || w.Amount.Sign() < 0):
		return fmt.Errorf("only points that are given expire: %w", ErrRequest)
	case !w.Expires.IsZero() && !w.Expires.After(s.cfg.Clock.Now()):
		return fmt.Errorf("expires %v: want a time to come: %w", w.Expires, ErrRequest)
	}
	return errors.Join(said("by", by, 64), said("reason", reason, 500))
}

// said checks what a person wrote.
func said(what, text string, most int) error {
	if strings.TrimSpace(text) == "" || len(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s: want 1 to %d bytes of text: %w", what, most, ErrRequest)
	}
	return nil
}

// Ask keeps a change until another person decides. Error: [ErrRequest].
func (s *Service) Ask(ctx context.Context, w Wanted, by, reason string) (store.HolderChange, error) {
	if err := s.check(w, by, reason); err != nil {
		return store.HolderChange{}, fmt.Errorf("ask for a change: %w", err)
	}
	c := store.HolderChange{ID: "H" + rand.Text(), Kind: s.kind(w.Currency), Holder: w.Holder, Currency: w.Currency, Amount: w.Amount, Expires: w.Expires, By: by, Reason: reason,
		Asked: s.cfg.Clock.Now(), State: store.ChangeAsked}
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.AddHolderChange(ctx, c) })
	return c, err
}

// Approve makes a change that another person has asked for. Errors: [ErrUnknown], [ErrSamePerson], [ErrDecided], [ErrRequest], [ErrFunds] for less than is to be taken: then it
// may still be approved later, or refused.
func (s *Service) Approve(ctx context.Context, id, by string) (store.HolderChange, error) {
	return s.decide(ctx, id, by, "", func(tx *store.Tx, c store.HolderChange) error {
		switch {
		case c.By == by:
			return ErrSamePerson
		case !c.Expires.IsZero() && !c.Expires.After(c.Decided):
			return fmt.Errorf("the points have expired meanwhile: %w", ErrRequest)
		case c.Kind == store.ChangeBalance:
			return s.adjust(ctx, tx, c)
		}
		return s.points(ctx, tx, c)
	})
}

// Refuse ends a change that is asked for; who asked may do so, too. Errors as of [Service.Approve].
func (s *Service) Refuse(ctx context.Context, id, by, reason string) (store.HolderChange, error) {
	if err := said("reason", reason, 500); err != nil {
		return store.HolderChange{}, fmt.Errorf("change %s: %w", id, err)
	}
	return s.decide(ctx, id, by, reason, nil)
}

func (s *Service) decide(ctx context.Context, id, by, why string, do func(*store.Tx, store.HolderChange) error) (c store.HolderChange, err error) {
	if err := said("by", by, 64); err != nil {
		return c, fmt.Errorf("change %s: %w", id, err)
	}
	err = s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if c, err = tx.HolderChange(ctx, id); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return ErrUnknown
			}
			return err
		}
		if c.State != store.ChangeAsked {
			return fmt.Errorf("%s by %s: %w", c.State, c.DecidedBy, ErrDecided)
		}
		c.State, c.DecidedBy, c.DecidedWhy, c.Decided = store.ChangeRefused, by, why, s.cfg.Clock.Now()
		if do != nil {
			c.State = store.ChangeDone
			if err := do(tx, c); err != nil {
				return err
			}
		}
		return tx.DecideHolderChange(ctx, c)
	})
	if err != nil {
		return store.HolderChange{}, fmt.Errorf("change %s: %w", id, err)
	}
	return c, nil
}

// adjust books a change of a balance.
func (s *Service) adjust(ctx context.Context, tx *store.Tx, c store.HolderChange) error {
	account := books.HolderBalance(c.Holder)
	day, err := tx.ClearingDay(ctx, c.Decided.In(s.cfg.Location))
	if err != nil {
		return err
	}
	if c.Amount.Sign() < 0 {
		f, err := tx.Funds(ctx, account)
		if err != nil {
			return err
		}
		less, err := c.Amount.Neg()
		if err != nil {
			return err
		}
		if f.Available.Cmp(less) < 0 {
			return fmt.Errorf("%v may be used: %w", f.Available, ErrFunds)
		}
	}
	lines, err := books.Move(Adjusted, account, c.Amount)
	if err != nil {
		return err
	}
	err = tx.Post(ctx, books.Entry{ID: "holder:" + c.ID, Kind: KindAdjusted, Day: day, Ref: c.ID, Lines: lines})
	if errors.Is(err, books.ErrFunds) || errors.Is(err, books.ErrSwitched) {
		err = fmt.Errorf("%w: %w", ErrFunds, err)
	}
	return err
}

// points gives or takes points.
func (s *Service) points(ctx context.Context, tx *store.Tx, c store.HolderChange) error {
	if c.Amount.Sign() < 0 {
		less, err := c.Amount.Neg()
		if err != nil {
			return err
		}
		return short(tx.MovePoints(ctx, "holder:"+c.ID, c.Holder, "", c.Currency, less, c.ID, c.Decided))
	}
	if err := tx.MovePoints(ctx, "holder:"+c.ID, "", c.Holder, c.Currency, c.Amount, c.ID, c.Decided); err != nil || c.Expires.IsZero() {
		return err
	}
	return tx.AddPointsLot(ctx, store.PointsLot{ID: c.ID, Holder: c.Holder, Currency: c.Currency, Amount: c.Amount, Expires: c.Expires})
}

func short(err error) error {
	if errors.Is(err, store.ErrPoints) {
		return fmt.Errorf("%w: %w", ErrFunds, err)
	}
	return err
}

// Changes lists the newest changes in a state, "" for any, at most limit.
func (s *Service) Changes(ctx context.Context, state string, limit int) (out []store.HolderChange, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) { out, err = tx.HolderChanges(ctx, state, limit); return err })
	return out, err
}
