package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// NewReload is what a payer agrees to for one card: it is loaded when it holds little.
type NewReload struct {
	Card   string // its token
	Below  money.Amount
	Amount money.Amount
	Days   int // between two loads, at least
}

func (n NewReload) rule() recurring.Reload {
	return recurring.Reload{Below: n.Below, Amount: n.Amount, Days: n.Days}
}

// Reload is the rule as it is kept, and how far it is.
type Reload struct {
	NewReload
	State    order.ReloadState
	Charges  int       // made so far
	Refusals int       // since one was paid
	Paid     time.Time // when the last was made that was paid; zero: none was
	Tried    time.Time
}

func reloadOf(a store.GatewayAgreement) (r Reload) {
	if err := json.Unmarshal([]byte(a.Reload), &r); err != nil {
		panic("gateway: the reload of agreement " + a.Number + " is not what was written")
	}
	return r
}

// newReload checks what a payer is asked to agree to. Errors: [ErrRequest], [ErrCardNumber], [ErrUnsupported].
func (s *Service) newReload(ctx context.Context, n NewReload) (string, error) {
	if looksLikeCard(n.Card) {
		return "", ErrCardNumber
	}
	if s.cfg.OnPaid == nil {
		return "", fmt.Errorf("top-up: nobody here loads cards: %w", ErrUnsupported)
	}
	if err := n.rule().Check(); err != nil {
		return "", fmt.Errorf("%w: %w", err, ErrRequest)
	}
	full, err := n.Below.Add(n.Amount)
	if err != nil || !s.cfg.MaxBalance.IsZero() && full.Cmp(s.cfg.MaxBalance) > 0 {
		return "", fmt.Errorf("reload: below %v and %v more: a card may hold %v: %w", n.Below, n.Amount, s.cfg.MaxBalance, ErrLoadAmount)
	}
	err = s.store.View(ctx, func(tx *store.Tx) error { _, err := tx.CardByToken(ctx, n.Card); return err })
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("reload: no card has this token: %w", ErrRequest)
	}
	if err != nil {
		return "", err
	}
	return jsonOf(Reload{NewReload: n, State: order.Watching})
}

// reload does the next thing about a card that is loaded when it holds little ([recurring.Reload.Next]).
func (s *Service) reload(ctx context.Context, row store.GatewayAgreement) error {
	r := reloadOf(row)
	var k recurring.Known
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) { k, err = knownOf(ctx, tx, r.Card); return err }); err != nil {
		return err
	}
	step := r.rule().Next(s.cfg.Recurring, recurring.Reloads{Doubt: r.State == order.Charging, Paid: r.Paid, Tried: r.Tried, Refusals: r.Refusals}, k, s.now())
	switch step.Do {
	case recurring.Query:
		return s.reloaded(ctx, row)
	case recurring.Charge:
		return s.chargeReload(ctx, row, r.Charges)
	}
	_, err := s.covenant(ctx, "", row.Number, func(c *covenant) error {
		if c.a.State == string(order.Active) {
			c.dueAt(step.At)
		}
		return nil
	})
	return err
}

// knownOf is what posted records and load orders tell of a card.
func knownOf(ctx context.Context, tx *store.Tx, token string) (k recurring.Known, err error) {
	card, err := tx.CardByToken(ctx, token)
	if err != nil {
		return k, err
	}
	k.Active, k.Balance = card.Status == store.CardActive, card.Shadow
	k.UnderWay, err = tx.LoadsUnderWay(ctx, card.Number)
	return k, err
}

// chargeReload notes a charge and makes its order, for this card, in one transaction, and then pays. What is known of the card is looked at again inside.
func (s *Service) chargeReload(ctx context.Context, row store.GatewayAgreement, charges int) error {
	id, err := s.number(order.OfOrder)
	if err != nil {
		return err
	}
	mine := false
	row, err = s.covenant(ctx, "", row.Number, func(c *covenant) error {
		r := reloadOf(c.a)
		k, err := knownOf(ctx, c.tx, r.Card)
		if err != nil {
			return err
		}
		mine = c.a.State == string(order.Active) && r.State == order.Watching && r.Charges == charges && !k.UnderWay
		if !mine {
			return nil // it has moved on meanwhile
		}
		r.Charges++
		r.Tried = c.at
		if err := c.makeOrder(ctx, id, fmt.Sprintf("%s-R%d", c.a.Number, r.Charges), code.TopUp, r.Amount); err != nil {
			return err
		}
		if err := c.tx.PutGatewayOrderCard(ctx, id, r.Card); err != nil {
			return err
		}
		c.a.LastOrder = id
		c.dueAt(c.at)
		if err := c.moveReload(&r, order.RanLow); err != nil {
			return err
		}
		return c.tell(ctx, "charged", c.a.State, ByTime, id)
	})
	if err != nil || !mine {
		return err
	}
	return s.reloaded(ctx, row)
}

// reloaded finds out what became of the last charge.
func (s *Service) reloaded(ctx context.Context, row store.GatewayAgreement) error {
	o, err := s.payCharge(ctx, row)
	if err != nil {
		return err
	}
	refused := false
	row, err = s.covenant(context.WithoutCancel(ctx), "", row.Number, func(c *covenant) error {
		refused = false
		r := reloadOf(c.a)
		if r.State != order.Charging || c.a.LastOrder != o.ID {
			return nil // it has moved on meanwhile
		}
		e, told := order.ReloadPaid, recurring.Succeeded
		switch o.State {
		case order.Open, order.Closing:
			c.dueAt(c.at.Add(askAgain))
			return nil
		case order.Closed:
			e, told = order.ReloadRefused, recurring.Refused
			r.Refusals++
			refused = true
		default:
			r.Paid, r.Refusals = r.Tried, 0
		}
		if err := c.moveReload(&r, e); err != nil {
			return err
		}
		if c.a.State == string(order.Active) {
			c.dueAt(c.at)
		}
		return c.tell(ctx, "charge-"+string(told), c.a.State, ByTime, o.ID)
	})
	if err != nil || !refused {
		return err
	}
	return s.foundOut(ctx, row, func(*covenant) {}) // it may be refused because the payer has ended it
}

// moveReload takes the reload on by its table, and writes it.
func (c *covenant) moveReload(r *Reload, e order.ReloadEvent) error {
	next, err := order.NextReload(r.State, e)
	if err != nil {
		return err
	}
	r.State = next
	c.a.Reload, err = jsonOf(r)
	return err
}
