package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// recurKey is the key of the one attempt to pay an order that an agreement makes.
const recurKey = "agreement"

// askAgain is the pause before a charge is looked at again that is not paid yet.
const askAgain = 10 * time.Second

// recur does the next thing about what recurs ([recurring.Agreement.Next]). What is done is noted before it is done.
func (s *Service) recur(ctx context.Context, row store.GatewayAgreement) error {
	t, p := termsOf(row)
	step := s.recurs(row, t, row.Signed).Next(s.cfg.Recurring, p, s.now())
	switch step.Do {
	case recurring.Look:
		return s.lookAfter(ctx, row, step)
	case recurring.Charge:
		return s.charge(ctx, row, step)
	case recurring.Query:
		return s.charged(ctx, row)
	case recurring.Lapse:
		_, err := s.covenant(ctx, "", row.Number, func(c *covenant) error { return c.end(ctx, recurring.GaveUp, ByTime, step.Why) })
		return err
	}
	_, err := s.covenant(ctx, "", row.Number, func(c *covenant) error { // wait, ask or rest
		if c.a.State == string(order.Active) {
			c.dueAt(step.At)
		}
		if step.Do != recurring.Ask {
			return nil
		}
		asked := fmt.Sprintf("%v from period %d", step.Amount, step.Period)
		lines, err := c.tx.GatewayTimeline(ctx, c.a.Number)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if l.Event == "consent-needed" && l.Detail == asked {
				return nil
			}
		}
		return c.tell(ctx, "consent-needed", c.a.State, ByTime, asked)
	})
	return err
}

// lookAfter asks whether the channel still has the agreement, and tells the app what is coming.
func (s *Service) lookAfter(ctx context.Context, row store.GatewayAgreement, step recurring.Step) error {
	_, signs, err := s.signsBy(row.Channel)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "an agreement waits, and its channel account is not there any more", "agreement", row.Number, "account", row.Channel)
		return s.lookAgain(ctx, row.Number)
	}
	if err := s.fault("call"); err != nil {
		return err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	said, err := signs.QueryAgreement(limited, row.Number, row.ChannelID)
	if fault := s.fault("called"); fault != nil {
		return fault
	}
	if err != nil || said.Outcome != channel.Succeeded && said.Outcome != channel.Closed {
		return s.lookAgain(ctx, row.Number)
	}
	_, err = s.covenant(ctx, "", row.Number, func(c *covenant) error {
		if said.Outcome == channel.Closed {
			return c.hear(ctx, said, ByQuery)
		}
		t, p := termsOf(c.a)
		next, err := recurring.Apply(p, recurring.Looked, c.at)
		if err != nil || c.a.State != string(order.Active) {
			return nil // it has moved on meanwhile
		}
		if c.a.Progress, err = jsonOf(next); err != nil {
			return err
		}
		c.dueAt(c.at)
		plan := s.recurs(c.a, t, c.a.Signed)
		amount, _ := plan.Price(p.Period)
		return c.tell(ctx, "upcoming", c.a.State, ByTime, fmt.Sprintf("%v on %s", amount, plan.Due(step.Period).Format(time.DateOnly)))
	})
	return err
}

// lookAgain comes back to an agreement whose channel says nothing. When its payment is due it is charged all the same: the charge will tell.
func (s *Service) lookAgain(ctx context.Context, number string) error {
	_, err := s.covenant(ctx, "", number, func(c *covenant) error {
		t, p := termsOf(c.a)
		c.dueAt(c.at.Add(time.Hour))
		if c.at.Before(s.recurs(c.a, t, c.a.Signed).Due(p.Period).Add(-s.cfg.Recurring.Window)) || c.a.State != string(order.Active) {
			return nil
		}
		next, err := recurring.Apply(p, recurring.Looked, c.at)
		if err != nil {
			return nil // it has moved on meanwhile
		}
		c.a.Progress, err = jsonOf(next)
		return err
	})
	return err
}

// charge notes a payment and makes its order in one transaction, and then pays.
func (s *Service) charge(ctx context.Context, row store.GatewayAgreement, step recurring.Step) error {
	id, err := s.number(order.OfOrder)
	if err != nil {
		return err
	}
	mine := false
	row, err = s.covenant(ctx, "", row.Number, func(c *covenant) error {
		t, p := termsOf(c.a)
		next, err := recurring.Apply(p, recurring.Charged, c.at)
		if mine = err == nil && c.a.State == string(order.Active) && p.Period == step.Period && p.Tries+1 == step.Try; !mine {
			return nil // it has moved on meanwhile
		}
		does := code.Pay
		if t.TopUp {
			does = code.TopUp
		}
		if err := c.makeOrder(ctx, id, step.Key, does, step.Amount); err != nil {
			return err
		}
		if c.a.Progress, err = jsonOf(next); err != nil {
			return err
		}
		c.a.LastOrder = id
		c.dueAt(c.at)
		return c.tell(ctx, "charged", c.a.State, ByTime, id)
	})
	if err != nil || !mine {
		return err
	}
	return s.charged(ctx, row)
}

// makeOrder makes the order of a charge.
func (c *covenant) makeOrder(ctx context.Context, id, key string, does code.Action, amount money.Amount) error {
	of, err := code.Parse(c.a.Context)
	if err != nil {
		return err
	}
	of.Channel, of.Number, of.Action = 0, 0, does
	expires := c.at.Add(c.s.cfg.Expires)
	o := store.GatewayOrder{ID: id, App: c.a.App, IdempotencyKey: key, Digest: key, Context: of.String(), Merchant: c.a.Merchant, Amount: amount, Currency: c.a.Currency,
		Subject: c.a.Subject, Attach: c.a.Attach, State: string(order.Open), Created: c.at, Changed: c.at, Expires: expires, Due: expires}
	if err := c.tx.AddGatewayOrder(ctx, o); err != nil {
		return err
	}
	ch := change{s: c.s, tx: c.tx, at: c.at, o: o}
	if err := ch.tell(ctx, id, "created", "", o.State, ByTime, o.Context, c.a.Number); err != nil {
		return err
	}
	return c.tx.SetGatewayOrder(ctx, ch.o)
}

// payCharge pays the last charge, and says what became of it. One that was never paid for, because a process died, is paid for now, by the same key.
func (s *Service) payCharge(ctx context.Context, row store.GatewayAgreement) (Order, error) {
	o, err := s.Order(ctx, "", row.LastOrder)
	if err != nil {
		return o, err
	}
	if o.State == order.Open {
		p, err := s.pay(ctx, row.App, o.ID, s.byAgreement(row))
		switch {
		case errors.Is(err, ErrExpired) || errors.Is(err, order.ErrState):
		case err != nil:
			s.cfg.Log.WarnContext(ctx, "a charge by agreement was not made", "agreement", row.Number, "order", o.ID, "error", err)
		case p.State == order.Failed || p.State == order.PaymentClosed:
			if _, err := s.Close(context.WithoutCancel(ctx), "", o.ID); err != nil && !errors.Is(err, order.ErrState) {
				return o, err
			}
		}
		if fault := s.fault("charged"); fault != nil {
			return o, errors.Join(fault, err)
		}
		return s.Order(context.WithoutCancel(ctx), "", o.ID)
	}
	return o, nil
}

// charged finds out what became of the last charge.
func (s *Service) charged(ctx context.Context, row store.GatewayAgreement) error {
	o, err := s.payCharge(ctx, row)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	_, err = s.covenant(ctx, "", row.Number, func(c *covenant) error {
		_, p := termsOf(c.a)
		if !p.Doubt || c.a.LastOrder != o.ID {
			return nil // it has moved on meanwhile
		}
		e := recurring.Succeeded
		switch o.State {
		case order.Open, order.Closing:
			c.dueAt(c.at.Add(askAgain))
			return nil
		case order.Closed:
			e = recurring.Refused
		}
		next, err := recurring.Apply(p, e, c.at)
		if err != nil {
			return err
		}
		if c.a.Progress, err = jsonOf(next); err != nil {
			return err
		}
		if c.a.State == string(order.Active) {
			c.dueAt(c.at)
		}
		return c.tell(ctx, "charge-"+string(e), c.a.State, ByTime, o.ID)
	})
	return err
}

// byAgreement is the attempt that pays an order by an agreement.
func (s *Service) byAgreement(row store.GatewayAgreement) NewPayment {
	return NewPayment{Key: recurKey, Product: channel.Agreement, Payer: channel.Payer{Agreement: row.Number}}
}

// agreed puts the channel's number of an agreement in the place of ours, and the account that has it in the place of the router's.
func (s *Service) agreed(ctx context.Context, app, id string, n NewPayment) (NewPayment, error) {
	if n.Product != channel.Agreement {
		return n, nil
	}
	err := s.store.View(ctx, func(tx *store.Tx) error {
		o, err := owned(ctx, tx, app, id)
		if err != nil {
			return err
		}
		a, err := ownedAgreement(ctx, tx, app, n.Payer.Agreement)
		switch {
		case err != nil:
			return err
		case a.Merchant != o.Merchant:
			return fmt.Errorf("agreement %s is with another merchant: %w", a.Number, ErrRequest)
		case a.State != string(order.Active):
			all, err := tx.GatewayPayments(ctx, id)
			if err != nil {
				return err
			}
			for _, p := range all {
				if p.IdempotencyKey == n.Key { // an attempt that was made is answered as it is by now
					n.over = a.Channel
					return nil
				}
			}
			return fmt.Errorf("agreement is %s: %w", a.State, order.ErrState)
		}
		n.Payer.Agreement, n.over = a.ChannelID, a.Channel
		return nil
	})
	return n, err
}

// SetPrice gives what recurs another price, for payments that are due at from or later. A rise is not charged before the payer has agreed to it
// ([Service.Consent]). Errors: [ErrUnknownAgreement], [ErrRequest], [order.ErrState].
func (s *Service) SetPrice(ctx context.Context, app, number string, from time.Time, amount money.Amount) (Agreement, error) {
	row, err := s.covenant(ctx, app, number, func(c *covenant) error {
		if c.a.Terms == "" || c.a.State != string(order.Active) {
			return fmt.Errorf("agreement is %s, and wants to be active and recurring: %w", c.a.State, order.ErrState)
		}
		t, _ := termsOf(c.a)
		last := len(t.Prices) - 1
		if t.Prices[last].From.Equal(from) && t.Prices[last].Amount.Cmp(amount) == 0 {
			return nil // told again
		}
		if !from.After(c.at) || amount.Cmp(s.cfg.MaxAmount) > 0 {
			return fmt.Errorf("a price of %v from %v: want it in time to come, and at most %v: %w", amount, from, s.cfg.MaxAmount, ErrRequest)
		}
		t.Prices = append(t.Prices, recurring.Price{From: from, Amount: amount})
		if err := s.recurs(c.a, t, c.a.Signed).Check(); err != nil {
			return fmt.Errorf("%w: %w", err, ErrRequest)
		}
		var err error
		if c.a.Terms, err = jsonOf(t); err != nil {
			return err
		}
		c.dueAt(c.at)
		return c.tell(ctx, "price-set", c.a.State, ByRequest, fmt.Sprintf("%v from %s", amount, from.UTC().Format(time.RFC3339)))
	})
	if err != nil {
		return Agreement{}, fmt.Errorf("price of agreement %s: %w", number, err)
	}
	return s.agreementOf(row), nil
}

// Consent notes that the payer agrees to the last price. Errors: [ErrUnknownAgreement], [order.ErrState].
func (s *Service) Consent(ctx context.Context, app, number string, amount money.Amount) (Agreement, error) {
	row, err := s.covenant(ctx, app, number, func(c *covenant) error {
		if c.a.Terms == "" || c.a.State != string(order.Active) {
			return fmt.Errorf("agreement is %s, and wants to be active and recurring: %w", c.a.State, order.ErrState)
		}
		t, _ := termsOf(c.a)
		last := &t.Prices[len(t.Prices)-1]
		if last.Amount.Cmp(amount) != 0 {
			return fmt.Errorf("the price is %v, and the payer agreed to %v: %w", last.Amount, amount, ErrRequest)
		}
		if last.Agreed {
			return nil
		}
		last.Agreed = true
		var err error
		if c.a.Terms, err = jsonOf(t); err != nil {
			return err
		}
		c.dueAt(c.at)
		return c.tell(ctx, "consented", c.a.State, ByRequest, amount.String())
	})
	if err != nil {
		return Agreement{}, fmt.Errorf("consent to agreement %s: %w", number, err)
	}
	return s.agreementOf(row), nil
}
