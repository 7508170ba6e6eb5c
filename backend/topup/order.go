package topup

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
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// CreateOrder is what an agent orders.
type CreateOrder struct {
	IdempotencyKey string // names the sale at the agent, for ever; 1 to 64 characters
	Amount         money.Amount
}

// CreateOrder books a load that the agent has been paid for: from here on it owes us the money. The same key with the
// same amount is the same order, as it is by now; with another amount it is ErrConflict and a finding.
func (s *Service) CreateOrder(ctx context.Context, agent ids.AcquirerID, c CreateOrder) (Order, error) {
	if c.IdempotencyKey == "" || len(c.IdempotencyKey) > 64 {
		return Order{}, fmt.Errorf("create load order: %w, have %d", ErrKey, len(c.IdempotencyKey))
	}
	if err := s.sells(agent); err != nil {
		return Order{}, fmt.Errorf("create load order: %w", err)
	}
	var out Order
	conflict := false
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		conflict = false
		have, err := tx.LoadOrderByKey(ctx, agent, c.IdempotencyKey)
		if err == nil {
			out = orderOf(have)
			if conflict = have.Amount != c.Amount; conflict {
				return s.find(ctx, tx, have.ID, FindConflict, fmt.Sprintf("was %v, came again with %v", have.Amount, c.Amount))
			}
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		// Only a new order is held against the limit: one sold before it was lowered is still the same order, and a key that
		// comes again with a forbidden amount is still an alarm.
		if err := s.MayLoad(c.Amount); err != nil {
			return err
		}
		if known, err := tx.HasAcquirer(ctx, agent); err != nil {
			return err
		} else if !known {
			return fmt.Errorf("agent %s: %w", agent, ErrUnknownAgent)
		}
		at := s.now()
		o := store.LoadOrder{ID: orderID(agent, c.IdempotencyKey), Agent: agent, IdempotencyKey: c.IdempotencyKey, Amount: c.Amount,
			State: string(Paid), Created: at, Changed: at}
		if err := tx.AddLoadOrder(ctx, o); err != nil {
			return err
		}
		out = orderOf(o)
		return tx.MoveLoad(ctx, "load:"+o.ID+":paid", "load-paid", s.day(at), o.ID, books.AcquirerSoldLoads(agent), books.Funding, o.Amount)
	})
	if err != nil {
		return Order{}, fmt.Errorf("create load order: %w", err)
	}
	if conflict {
		return Order{}, fmt.Errorf("create load order: key %q is order %s over %v: %w", c.IdempotencyKey, out.ID, out.Amount, ErrConflict)
	}
	return out, nil
}

// orderID makes the order's id from what names it, so that one sale has one id however often it is told.
func orderID(agent ids.AcquirerID, key string) string {
	sum := sha256.Sum256([]byte("purselane-load-order\x00" + string(agent) + "\x00" + key))
	return "L" + hex.EncodeToString(sum[:12])
}

// scriptID numbers the script of one session. It tells a report on it from one on another.
func scriptID(order string, session int) [4]byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "purselane-load-script\x00%s\x00%d", order, session))
	return [4]byte(sum[:])
}

// IsOrderID reports whether s has the form of an order's id.
func IsOrderID(s string) bool {
	rest, is := strings.CutPrefix(s, "L")
	return is && len(rest) == 24 && strings.Trim(rest, "0123456789abcdef") == ""
}

// Order finds an agent's order. An empty agent is the operator, who sees all.
func (s *Service) Order(ctx context.Context, agent ids.AcquirerID, id string) (Order, error) {
	var out Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, agent, id)
		out = orderOf(o)
		return err
	})
	return out, err
}

// Orders lists orders, newest first, at most limit; of one agent and in one state where these are not empty.
func (s *Service) Orders(ctx context.Context, agent ids.AcquirerID, state State, limit int) ([]Order, error) {
	var out []Order
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.LoadOrders(ctx, agent, string(state), limit)
		for _, o := range all {
			out = append(out, orderOf(o))
		}
		return err
	})
	return out, err
}

// owned finds an order that the agent may see. Another agent's order is as unknown as none: ids must not be fished for. One that is kept for a card
// is at whatever agent has the card.
func owned(ctx context.Context, tx *store.Tx, agent ids.AcquirerID, id string) (store.LoadOrder, error) {
	o, err := tx.LoadOrder(ctx, id)
	if err == nil && agent != "" && o.Agent != agent {
		_, err = tx.BoundCard(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.LoadOrder{}, fmt.Errorf("order %s: %w", id, ErrUnknownOrder)
	}
	return o, err
}

// Refund notes that the agent gave the money back. Only a paid order can be; a refunded one stays as it is. Error: [ErrMaxPaidOut] where nobody had paid the agent
// for it.
func (s *Service) Refund(ctx context.Context, agent ids.AcquirerID, id string) (Order, error) {
	var out Order
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, agent, id)
		if err != nil {
			return err
		}
		out = orderOf(o)
		if err := s.sells(o.Agent); err != nil {
			return err
		}
		if out.State == Refunded {
			return nil
		}
		if err := s.move(ctx, tx, &o, GivenBack); err != nil {
			return err
		}
		if err := s.mayPayOut(ctx, tx, o); err != nil {
			return err
		}
		out = orderOf(o)
		return tx.MoveLoad(ctx, "load:"+o.ID+":refund", "load-refund", s.day(o.Changed), o.ID, books.Funding, books.AcquirerSoldLoads(o.Agent), o.Amount)
	})
	if err != nil {
		return Order{}, fmt.Errorf("refund: %w", err)
	}
	return out, nil
}

// mayPayOut holds an order that was given back just now against what its agent may pay out on a day.
func (s *Service) mayPayOut(ctx context.Context, tx *store.Tx, o store.LoadOrder) error {
	if s.cfg.MaxPaidOut.IsZero() || !strings.HasPrefix(o.IdempotencyKey, store.LoadOfCardLife) && !strings.HasPrefix(o.IdempotencyKey, store.LoadOfCase) {
		return nil
	}
	y, m, d := o.Changed.In(s.cfg.Location).Date()
	sum, err := tx.LoadsPaidOut(ctx, o.Agent, string(Refunded), time.Date(y, m, d, 0, 0, 0, 0, s.cfg.Location))
	if err != nil {
		return err
	}
	if sum.Cmp(s.cfg.MaxPaidOut) > 0 {
		return fmt.Errorf("order %s over %v: it would be %v today, and %v is allowed: %w", o.ID, o.Amount, sum, s.cfg.MaxPaidOut, ErrMaxPaidOut)
	}
	return nil
}

// move takes an order to its next state by the table and writes it.
func (s *Service) move(ctx context.Context, tx *store.Tx, o *store.LoadOrder, e Event) error {
	next, err := Next(State(o.State), e)
	if err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	o.State, o.Changed = string(next), s.now()
	return tx.SetLoadOrder(ctx, *o)
}
