package cardlife

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// Request is what an operator, or a desk with the card in its field, asks for.
type Request struct {
	Kind   Kind
	Card   ids.CardNumber
	Target *ids.CardNumber // of a transfer
	Agent  ids.AcquirerID  // at whose desk the value is handed over; of breakage none
	Reason string          // for people, required
	By     string          // operator, or the desk's token

	// Present says that the card itself was at the desk and has proved who it is. One that is blocked already is refused then: whoever brings it
	// may have found it.
	Present bool
}

func (r Request) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrRequest)
	}
	switch {
	case strings.TrimSpace(r.By) == "":
		return bad("who asks for it is not said")
	case strings.TrimSpace(r.Reason) == "":
		return bad("a reason is needed")
	case r.Kind != Transfer && r.Kind != Cash && r.Kind != Breakage:
		return bad("kind %q: want %s, %s or %s", r.Kind, Transfer, Cash, Breakage)
	case (r.Kind == Transfer) != (r.Target != nil):
		return bad("a target card belongs to a %s, and to nothing else", Transfer)
	case (r.Kind == Breakage) != (r.Agent == ""):
		return bad("an acquirer's desk belongs to a %s or %s", Transfer, Cash)
	case r.Target != nil && *r.Target == r.Card:
		return fmt.Errorf("it is the same card: %w", ErrTarget)
	}
	return nil
}

// Request blocks a card and orders what becomes of its value. The same request while its order is open is the same order; another one for
// that card is ErrOpen.
func (s *Service) Request(ctx context.Context, r Request) (Order, error) {
	if err := r.check(); err != nil {
		return Order{}, fmt.Errorf("request: %w", err)
	}
	var out Order
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		card, err := issued(ctx, tx, r.Card)
		if err != nil {
			return err
		}
		have, err := tx.OpenLifeOrder(ctx, r.Card)
		switch {
		case err == nil && same(have, r):
			out = orderOf(have)
			return nil
		case err == nil:
			return fmt.Errorf("order %s, %s by %s: %w", have.ID, have.Kind, have.RequestedBy, ErrOpen)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if r.Present && card.Status != store.CardActive {
			return fmt.Errorf("card %v is %s: %w", r.Card, card.Status, ErrBlocked)
		}
		if err := s.allow(ctx, tx, r); err != nil {
			return err
		}
		at := s.now()
		if card.BlockedMS == 0 {
			if err := tx.BlockCard(ctx, r.Card, at); err != nil {
				return err
			}
		}
		o := store.LifeOrder{ID: orderID(r, at), Kind: string(r.Kind), Card: r.Card, Target: r.Target, Agent: r.Agent, State: string(Requested), Reason: r.Reason,
			RequestedBy: r.By, Requested: at, Due: at.Add(s.cfg.Settling), Changed: at}
		if err := tx.AddLifeOrder(ctx, o); err != nil {
			return err
		}
		o, err = tx.LifeOrder(ctx, o.ID)
		out = orderOf(o)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("request: %w", err)
	}
	return out, nil
}

func same(o store.LifeOrder, r Request) bool {
	target := (o.Target == nil) == (r.Target == nil) && (o.Target == nil || *o.Target == *r.Target)
	return target && o.Kind == string(r.Kind) && o.Agent == r.Agent && o.RequestedBy == r.By
}

func orderID(r Request, at time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(r.Card[:], "\x00%s\x00%d", r.Kind, at.UnixMilli()))
	return "E" + hex.EncodeToString(sum[:8])
}

func issued(ctx context.Context, tx *store.Tx, n ids.CardNumber) (store.Card, error) {
	card, err := tx.CardByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) || err == nil && card.Status == store.CardUnknown {
		return card, fmt.Errorf("card %v: %w", n, ErrUnknownCard)
	}
	return card, err
}

// allow refuses a request that the cards or the parties do not allow.
func (s *Service) allow(ctx context.Context, tx *store.Tx, r Request) error {
	if r.Target != nil {
		target, err := issued(ctx, tx, *r.Target)
		if err != nil {
			return err
		}
		if target.Status != store.CardActive {
			return fmt.Errorf("card %v is %s: %w", *r.Target, target.Status, ErrTarget)
		}
	}
	if r.Kind == Breakage {
		seen, err := tx.CardActivity(ctx, r.Card)
		if err != nil {
			return err
		}
		return s.idle(seen)
	}
	known, err := tx.HasAcquirer(ctx, r.Agent)
	if err == nil && !known {
		err = fmt.Errorf("%s: %w", r.Agent, ErrUnknownAgent)
	}
	return err
}

// idle refuses to write off what was used too lately. A card that was never seen has no value, and may be new.
func (s *Service) idle(seen time.Time) error {
	if seen.IsZero() {
		return fmt.Errorf("nothing was ever on it: %w", ErrNotIdle)
	}
	if still := s.now().Sub(seen); still < s.cfg.Idle {
		return fmt.Errorf("last seen %d days ago, the rule is %d: %w", int(still/day), int(s.cfg.Idle/day), ErrNotIdle)
	}
	return nil
}
