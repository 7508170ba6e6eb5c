package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// NewStep asks for a step of a reservation.
type NewStep struct {
	Key    string       // names the step within the order, for ever; 1 to 64 characters
	Amount money.Amount // of a release zero: all of it
}

// Increment reserves more, Capture takes what is reserved or a part of it, upon which the rest is free again, and Release gives all of it up. There is
// one step at a time. The same key with the same content is the same step, as it is by now; one in doubt is no error: it is asked for again by [Service.Scan].
//
// Errors: [ErrUnknownOrder], [ErrRequest], [ErrConflict], [ErrTooMuch], [ErrUnsupported], [order.ErrState].
func (s *Service) Increment(ctx context.Context, app, id string, n NewStep) (Operation, error) {
	return s.reserve(ctx, app, id, code.Increment, n)
}

// Capture: see [Service.Increment].
func (s *Service) Capture(ctx context.Context, app, id string, n NewStep) (Operation, error) {
	return s.reserve(ctx, app, id, code.Capture, n)
}

// Release: see [Service.Increment].
func (s *Service) Release(ctx context.Context, app, id string, n NewStep) (Operation, error) {
	return s.reserve(ctx, app, id, code.Release, n)
}

// step reports a kind of operation that is a step of a reservation.
func step(kind string) bool {
	return kind == code.Increment.String() || kind == code.Capture.String() || kind == code.Release.String()
}

// takes reports a kind of operation whose answer says how much money moved.
func takes(kind string) bool { return !step(kind) || kind == code.Capture.String() }

// typeOf is the first word of the event's type.
func typeOf(kind string) string {
	switch {
	case step(kind):
		return kind
	case kind == code.Withdraw.String():
		return code.Payout.String()
	}
	return kinds[order.OfOperation]
}

func (s *Service) reserve(ctx context.Context, app, id string, kind code.Action, n NewStep) (Operation, error) {
	row, err := s.orderStep(ctx, app, id, kind, n)
	if err == nil && row.State == string(order.Ordered) {
		row, err = s.send(ctx, row, ByAnswer)
	}
	if err != nil {
		return Operation{}, fmt.Errorf("%v of order %s: %w", kind, id, err)
	}
	return operationOf(row), nil
}

func (s *Service) orderStep(ctx context.Context, app, id string, kind code.Action, n NewStep) (store.GatewayOperation, error) {
	var row store.GatewayOperation
	if n.Key == "" || len(n.Key) > 64 || (n.Amount.Sign() > 0) == (kind == code.Release) || n.Amount.Sign() < 0 {
		return row, fmt.Errorf("want a key of 1 to 64 characters, and an amount above zero unless it is a release: %w", ErrRequest)
	}
	digest, err := digestOf(struct {
		Kind string
		NewStep
	}{kind.String(), n})
	if err != nil {
		return row, err
	}
	if err := s.store.View(ctx, func(tx *store.Tx) error { _, err := owned(ctx, tx, app, id); return err }); err != nil {
		return row, err
	}
	key := "app:" + n.Key
	conflict := false
	err = s.change(ctx, id, func(c *change) error {
		conflict = false
		all, err := c.tx.GatewayOperations(ctx, id)
		if err != nil {
			return err
		}
		for _, o := range all {
			if o.IdempotencyKey != key {
				continue
			}
			if conflict = o.Digest != digest; conflict {
				return s.find(ctx, c.tx, id, FindConflict, fmt.Sprintf("%v key %q came again with other content", kind, n.Key))
			}
			row = o
			return nil
		}
		if c.o.State != string(order.Authorised) {
			return fmt.Errorf("order is %s: %w", c.o.State, order.ErrState)
		}
		if busy(all) {
			return fmt.Errorf("another step is on its way: %w", order.ErrState)
		}
		amount := n.Amount
		switch kind {
		case code.Release:
			amount = c.o.Reserved
		case code.Capture:
			if amount.Cmp(c.o.Reserved) > 0 {
				return fmt.Errorf("%v of %v that is reserved: %w", amount, c.o.Reserved, ErrTooMuch)
			}
		case code.Increment:
			sum, err := c.o.Reserved.Add(amount)
			if err != nil || sum.Cmp(s.cfg.MaxAmount) > 0 {
				return errors.Join(fmt.Errorf("%v more than %v: want at most %v together: %w", amount, c.o.Reserved, s.cfg.MaxAmount, ErrRequest), err)
			}
		}
		p, err := c.tx.GatewayPayment(ctx, c.o.Payment)
		if err != nil {
			return err
		}
		row, err = c.newStep(ctx, p, kind, key, digest, amount)
		return err
	})
	if err == nil && conflict {
		err = fmt.Errorf("key %q: %w", n.Key, ErrConflict)
	}
	return row, err
}

// busy reports an operation whose end is not known.
func busy(all []store.GatewayOperation) bool {
	for _, o := range all {
		if order.OperationState(o.State).InDoubt() {
			return true
		}
	}
	return false
}

// newStep writes a step; it is called for after the transaction, or, if it is nobody's request, by the next scan.
func (c *change) newStep(ctx context.Context, p store.GatewayPayment, kind code.Action, key, digest string, amount money.Amount) (store.GatewayOperation, error) {
	a, known := c.s.accounts[p.Channel]
	if _, can := a.Channel.(channel.Authoriser); !known || !can {
		return store.GatewayOperation{}, fmt.Errorf("channel account %s reserves nothing: %w", p.Channel, ErrUnsupported)
	}
	number, err := c.s.number(order.OfOperation)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	of, err := code.Parse(p.Context)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	o := store.GatewayOperation{Number: number, Order: c.o.ID, Payment: p.Number, Kind: kind.String(), IdempotencyKey: key, Digest: digest, Channel: p.Channel, Context: of.With(kind).String(),
		Amount: amount, Currency: p.Currency, State: string(order.Ordered), Created: c.at, Changed: c.at, Asking: store.Asking{Slice: order.Slice(c.at), Ask: c.at}}
	by := ByTime
	if digest != "" {
		by, o.Ask = ByRequest, c.at.Add(c.s.cfg.CallTimeout+time.Second)
	}
	if err := c.tx.AddGatewayOperation(ctx, o); err != nil {
		return o, err
	}
	return o, c.tellOf(ctx, o.Kind, number, "created", "", o.State, by, o.Context, amount.String())
}

// reserved: the channel keeps the order's money back. What no order needs is released by itself.
func (c *change) reserved(ctx context.Context, p *store.GatewayPayment, by Source) error {
	if p.Surplus {
		if err := c.s.find(ctx, c.tx, c.o.ID, FindSurplus, fmt.Sprintf("payment %s reserves %v that was not needed: order is %s", p.Number, p.Amount, c.o.State)); err != nil {
			return err
		}
		_, err := c.newStep(ctx, *p, code.Release, "surplus:"+p.Number, "", p.Amount)
		return err
	}
	c.o.Payment, c.o.Reserved, c.o.Context = p.Number, p.Amount, p.Context
	if err := c.move(ctx, order.MoneyReserved, by, ""); err != nil {
		return err
	}
	c.o.Due = c.at.Add(c.s.cfg.ReserveFor)
	return c.askSoon(ctx, p.Number)
}

// releaseLate gives up a reservation that nobody has captured for long.
func (c *change) releaseLate(ctx context.Context) error {
	all, err := c.tx.GatewayOperations(ctx, c.o.ID)
	if err != nil {
		return err
	}
	c.o.Due = c.at.Add(time.Hour) // if a step is on its way, or this one is refused
	if busy(all) {
		return nil
	}
	p, err := c.tx.GatewayPayment(ctx, c.o.Payment)
	if err != nil {
		return err
	}
	_, err = c.newStep(ctx, p, code.Release, fmt.Sprintf("time:%d", len(all)), "", c.o.Reserved)
	return err
}

// stepped is what the end of a step does. A step that was refused changes nothing.
func (c *change) stepped(ctx context.Context, o *store.GatewayOperation, by Source) error {
	p, err := c.tx.GatewayPayment(ctx, o.Payment)
	if err != nil {
		return err
	}
	if o.State == string(order.OpFailed) && o.Digest == "" { // nobody's request, so nobody is told otherwise
		return c.s.find(ctx, c.tx, c.o.ID, FindStuck, fmt.Sprintf("release %s of %v: the channel says %s", o.Number, o.Amount, o.Code))
	}
	if o.State != string(order.Done) {
		return nil
	}
	switch o.Kind {
	case code.Increment.String():
		c.o.Reserved, err = c.o.Reserved.Add(o.Amount)
		return err
	case code.Release.String():
		if err := c.movePayment(ctx, &p, order.SetFree, by, ""); err != nil || p.Surplus {
			return err
		}
		c.o.Reserved = money.Amount{}
		return c.move(ctx, order.Released, by, "")
	}
	p.PaidAt = o.DoneAt
	if p.Fee, err = o.Amount.MulRatio(c.s.accounts[p.Channel].FeePPM, 1_000_000); err != nil {
		return err
	}
	if err := c.movePayment(ctx, &p, order.Succeeded, by, ""); err != nil {
		return err
	}
	c.o.Reserved = money.Amount{}
	return c.paid(ctx, &p, o.Amount, by)
}
