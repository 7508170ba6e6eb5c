package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// scanEvery is the longest pause between two scans, scanPause the shortest, and scanLimit how many things of each kind one scan takes of a slice.
const (
	scanEvery = 5 * time.Second
	scanPause = time.Second
	scanLimit = 200
)

// Scan asks channels what became of what is in doubt and due, calls for refunds that nobody has called for, and ends orders whose time is over. It says
// how many things it looked at. Workers share the slices of time by leases; what one that died had is another's when its lease is over. That is also
// the recovery after a crash: whatever was being done is a row that is due. An error is the store's; a channel that does not answer is asked again later.
func (s *Service) Scan(ctx context.Context) (int, error) {
	next, err := s.next(ctx)
	if err != nil || next.IsZero() || next.After(s.now()) {
		return 0, err
	}
	n, err := s.endOrders(ctx)
	k, agreed := s.scanAgreements(ctx)
	b, bound := s.scanBindings(ctx)
	n, err = n+k+b, errors.Join(err, agreed, bound)
	for slice := range order.Slices {
		k, sliceErr := s.scanSlice(ctx, slice)
		n += k
		err = errors.Join(err, sliceErr) // one order that cannot be moved must not keep the others waiting
	}
	if err != nil {
		return n, fmt.Errorf("gateway scan: %w", err)
	}
	return n, nil
}

func (s *Service) scanSlice(ctx context.Context, slice int) (n int, err error) {
	now := s.now()
	until := now.Add(s.cfg.Lease)
	var payments []store.GatewayPayment
	var operations []store.GatewayOperation
	due := func(tx *store.Tx) error {
		payments, operations, err = tx.GatewayToAsk(ctx, slice, now, scanLimit)
		return err
	}
	if err := s.store.View(ctx, due); err != nil || len(payments)+len(operations) == 0 {
		return 0, err
	}
	mine := false
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		mine, err = tx.TakeGatewaySlice(ctx, slice, s.name, now, until)
		if err != nil || !mine {
			return err
		}
		return due(tx) // the one who had it may have asked meanwhile
	}); err != nil || !mine {
		return 0, err
	}
	// No call begins in the last half of the lease, so that nobody else is asking when one ends.
	last := now.Add(s.cfg.Lease / 2)
	var group errgroup.Group
	group.SetLimit(s.cfg.AtOnce)
	errs := make([]error, len(payments)+len(operations))
	each := func(i int, f func() error) {
		if ctx.Err() == nil && s.now().Before(last) {
			n++
			group.Go(func() error { errs[i] = f(); return nil })
		}
	}
	for i, p := range payments {
		each(i, func() error { return s.askPayment(ctx, p) })
	}
	for i, o := range operations {
		each(len(payments)+i, func() error { return s.askOperation(ctx, o) })
	}
	_ = group.Wait() // errs has them all
	errs = append(errs, s.store.Update(ctx, func(tx *store.Tx) error { return tx.LeaveGatewaySlice(ctx, slice, s.name) }))
	return n, errors.Join(errs...)
}

// askPayment asks about one payment. One that nobody should pay any more, because its time is over or its order needs it no more, is closed first, and
// then asked about if that did not settle it.
func (s *Service) askPayment(ctx context.Context, p store.GatewayPayment) error {
	a, known := s.accounts[p.Channel]
	if !known {
		s.cfg.Log.ErrorContext(ctx, "a payment is in doubt, and its channel account is not there any more", "order", p.Order, "payment", p.Number, "account", p.Channel)
		return s.heardPayment(ctx, p, channel.Result{})
	}
	var o store.GatewayOrder
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) { o, err = tx.GatewayOrder(ctx, p.Order); return err }); err != nil {
		return err
	}
	var r channel.Result
	var err error
	if a.Channel.Capabilities().Close && (o.State != string(order.Open) || !s.now().Before(p.Expires)) {
		if r, err = s.ask(ctx, a, p, a.Channel.Close); err != nil {
			return err
		}
	}
	if !r.Outcome.Final() {
		if r, err = s.ask(ctx, a, p, a.Channel.Query); err != nil {
			return err
		}
	}
	return s.heardPayment(ctx, p, r)
}

// ask makes one call. Whatever goes wrong with it means that nobody knows; the error is a planted one.
func (s *Service) ask(ctx context.Context, a Account, p store.GatewayPayment, call func(context.Context, channel.Ref) (channel.Result, error)) (channel.Result, error) {
	if err := s.fault("call"); err != nil {
		return channel.Result{}, err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	r, err := call(limited, refOf(p))
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "order", p.Order, "payment", p.Number, "account", a.ID, "context", p.Context, "error", err)
		r = channel.Result{}
	}
	return r, s.fault("called")
}

// heardPayment writes what a channel said of a payment when it was asked, and when it is asked next.
func (s *Service) heardPayment(ctx context.Context, p store.GatewayPayment, r channel.Result) error {
	ctx = context.WithoutCancel(ctx)
	err := s.change(ctx, p.Order, func(c *change) error {
		p, err := c.tx.GatewayPayment(ctx, p.Number)
		if err != nil {
			return err
		}
		was := p.State
		if err := c.hear(ctx, &p, r, ByQuery); err != nil || !order.PaymentState(p.State).InDoubt() || p.State != was {
			return err
		}
		p.Tries++
		p.Ask = c.at.Add(s.cfg.Schedule.Payment(order.PaymentState(p.State), p.Tries))
		for _, t := range []time.Time{p.Expires, p.Sent.Add(s.cfg.MissingAfter)} { // then it is closed; and then a channel that does not know it never will
			if t.After(c.at) && p.Ask.After(t) {
				p.Ask = t
			}
		}
		return c.tx.SetGatewayPayment(ctx, p)
	})
	if _, is := errors.AsType[notKept](err); is {
		err = errors.Join(err, s.putOff(ctx, p, r.At, err))
	}
	return err
}

// putOff asks again later about a payment that was made and could not be kept: after as long as it has waited, at least 5 seconds and at most an hour.
func (s *Service) putOff(ctx context.Context, p store.GatewayPayment, paid time.Time, why error) error {
	return s.change(ctx, p.Order, func(c *change) error {
		if paid.IsZero() {
			paid = p.Sent
		}
		row, err := c.tx.GatewayPayment(ctx, p.Number)
		if err != nil {
			return err
		}
		row.Ask = c.at.Add(min(max(c.at.Sub(paid), 5*time.Second), time.Hour))
		return errors.Join(c.tx.SetGatewayPayment(ctx, row), s.find(ctx, c.tx, p.Order, FindHook, fmt.Sprintf("payment %s: %v", p.Number, why)))
	})
}

// askOperation asks about a refund. One that was never called for, or that the channel does not know, is called for with its own number.
func (s *Service) askOperation(ctx context.Context, o store.GatewayOperation) error {
	if paysOut(o.Kind) {
		return s.askPayout(ctx, o)
	}
	if o.State == string(order.Ordered) || o.Kind != code.Refund.String() { // all but refunds are asked about by doing them again, by the same number
		_, err := s.send(ctx, o, ByAnswer)
		return s.late(ctx, o, err)
	}
	p, a, err := s.of(ctx, o)
	if err != nil {
		return s.late(ctx, o, err)
	}
	if err := s.fault("call"); err != nil {
		return err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	r, err := a.Channel.QueryRefund(limited, channel.RefundRef{Number: o.Number, ChannelID: o.ChannelID, Of: refOf(p), Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Sent: o.Created.Truncate(time.Second)})
	if err == nil && r.Outcome == channel.Missing {
		_, err = s.send(ctx, o, ByAnswer)
		return err
	}
	_, err = s.heardOperation(ctx, o, r, err, ByQuery)
	return err
}

// late puts an operation off whose channel account is not there any more.
func (s *Service) late(ctx context.Context, o store.GatewayOperation, err error) error {
	if !errors.Is(err, ErrUnsupported) {
		return err
	}
	s.cfg.Log.ErrorContext(ctx, "a refund is in doubt, and its channel account is not there any more", "order", o.Order, "operation", o.Number, "account", o.Channel)
	_, err = s.heardOperation(ctx, o, channel.Result{}, nil, ByQuery)
	return err
}

// endOrders ends orders whose time is over.
func (s *Service) endOrders(ctx context.Context) (int, error) {
	var due []store.GatewayOrder
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.GatewayOrdersDue(ctx, s.now(), scanLimit)
		return err
	}); err != nil {
		return 0, err
	}
	var errs []error
	for _, o := range due {
		err := s.change(ctx, o.ID, func(c *change) error {
			if c.o.Due.IsZero() || c.o.Due.After(c.at) {
				return nil
			}
			if c.o.State == string(order.Authorised) {
				return c.releaseLate(ctx)
			}
			if c.packet() && c.o.State == string(order.Held) {
				return c.unclaimed(ctx)
			}
			if c.o.State == string(order.Held) {
				return c.confirmLate(ctx)
			}
			if earning(c.o.State) {
				return c.earn(ctx)
			}
			return c.close(ctx, ByTime)
		})
		if errors.Is(err, errLater) {
			err = s.unclaimedLater(ctx, o.ID)
		}
		errs = append(errs, err)
	}
	return len(due), errors.Join(errs...)
}

// Close ends an order that is not to be paid any more. Its attempts are closed at their channels by the next scan; somebody may be faster. An order that is
// closing or closed stays as it is. Errors: [ErrUnknownOrder], [order.ErrState].
func (s *Service) Close(ctx context.Context, app, id string) (Order, error) {
	var out Order
	if err := s.store.View(ctx, func(tx *store.Tx) error { _, err := owned(ctx, tx, app, id); return err }); err != nil {
		return out, fmt.Errorf("close order: %w", err)
	}
	err := s.change(ctx, id, func(c *change) error {
		if state := order.State(c.o.State); state != order.Closing && state != order.Closed {
			if err := c.close(ctx, ByRequest); err != nil {
				return err
			}
		}
		var err error
		out, err = whole(ctx, c.tx, c.o)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("close order %s: %w", id, err)
	}
	return out, nil
}

// close takes no new attempt, ends those that were never called, and has the others asked about at once.
func (c *change) close(ctx context.Context, by Source) error {
	if c.typeOf() == code.Withdraw {
		return fmt.Errorf("a withdrawal is on its way: %w", order.ErrState)
	}
	if err := c.move(ctx, order.CloseAsked, by, ""); err != nil {
		return err
	}
	c.o.Due = time.Time{}
	all, err := c.tx.GatewayPayments(ctx, c.o.ID)
	if err != nil {
		return err
	}
	for _, p := range all {
		if state := order.PaymentState(p.State); state == order.Created || state == order.Challenged {
			if err := c.movePayment(ctx, &p, order.ChannelEnd, by, "never called"); err != nil {
				return err
			}
		}
	}
	if err := c.askSoon(ctx, ""); err != nil {
		return err
	}
	return c.ended(ctx, by)
}

// Run scans until ctx ends: when the next thing is due, at the latest every five seconds. A scan that fails is logged and made again.
func (s *Service) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if _, err := s.Scan(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "gateway scan", "error", err)
		}
		timer.Reset(s.pause(ctx))
	}
}

func (s *Service) pause(ctx context.Context) time.Duration {
	next, err := s.next(ctx)
	if err != nil || next.IsZero() {
		return scanEvery
	}
	return min(max(next.Sub(s.now()), scanPause), scanEvery)
}

// next is when the next thing is due, zero for nothing.
func (s *Service) next(ctx context.Context) (next time.Time, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error { next, err = tx.GatewayNextAsk(ctx); return err })
	if err != nil {
		return next, fmt.Errorf("gateway scan: %w", err)
	}
	return next, nil
}
