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
	"github.com/purselane/purselane/shadowaccount/books"
)

// NewRefund asks to give back a part or the whole of what an order received.
type NewRefund struct {
	Key    string // names the refund within the order, for ever; 1 to 64 characters
	Amount money.Amount
	Reason string // for the payer's eyes, at most 80 bytes

	// To is where the money goes if the channel that took it gives nothing back any more: then it goes out as a pay-out ([Service.Withdraw] tells how those end).
	// Nil: such a refund is refused.
	To *PayTo `json:",omitempty"` // as it was before there was such a field, for digests
}

// Refund gives back. What is ordered is booked at once and booked back if the channel refuses, so that no two refunds can give more than was paid. A
// payment of the channel's same day goes back as a void, if it goes back as a whole and the channel has such; if that is refused, as a refund.
//
// The same key with the same content is the same refund, as it is by now. A refund in doubt is no error: it is asked about by [Service.Scan].
//
// Errors: [ErrUnknownOrder], [ErrRequest], [ErrConflict], [ErrTooMuch], [ErrFunds], [ErrFrozen], [ErrWindow], [ErrUnsupported], [order.ErrState], those of Config.OnRefund.
func (s *Service) Refund(ctx context.Context, app, id string, n NewRefund) (Operation, error) {
	row, err := s.orderRefund(ctx, app, id, n, nil)
	if n.To != nil && (errors.Is(err, ErrWindow) || errors.Is(err, ErrUnsupported)) {
		row, err = s.refundByPayout(ctx, app, id, n)
	}
	switch {
	case err != nil || row.State != string(order.Ordered):
	case paysOut(row.Kind):
		row, err = s.sendPayout(ctx, row, ByAnswer)
	default:
		row, err = s.send(ctx, row, ByAnswer)
	}
	if err != nil {
		return Operation{}, fmt.Errorf("refund of order %s: %w", id, frozen(err))
	}
	return operationOf(row), nil
}

// refundByPayout gives back what the channel gives back no more.
func (s *Service) refundByPayout(ctx context.Context, app, id string, n NewRefund) (row store.GatewayOperation, err error) {
	if err := n.To.check(); err != nil {
		return row, err
	}
	if s.cfg.Box == nil {
		return row, fmt.Errorf("nothing is paid out here: %w", ErrUnsupported)
	}
	var o store.GatewayOrder
	if err := s.store.View(ctx, func(tx *store.Tx) (err error) { o, err = owned(ctx, tx, app, id); return err }); err != nil {
		return row, err
	}
	o.Amount = n.Amount // what the channel is to pay
	a, err := s.payoutAccount(ctx, o)
	if err != nil {
		return row, err
	}
	return s.orderRefund(ctx, app, id, n, &a)
}

// orderRefund writes a refund; over an account that pays out, if there is one, else over the payment's own channel.
func (s *Service) orderRefund(ctx context.Context, app, id string, n NewRefund, by *Account) (store.GatewayOperation, error) {
	var row store.GatewayOperation
	if n.Key == "" || len(n.Key) > 64 || n.Amount.Sign() <= 0 || len(n.Reason) > 80 {
		return row, fmt.Errorf("want a key of 1 to 64 characters, an amount above zero and a reason of at most 80 bytes: %w", ErrRequest)
	}
	digest, err := digestOf(n)
	if err != nil {
		return row, err
	}
	key := "app:" + n.Key // beside our own keys
	if err := s.store.View(ctx, func(tx *store.Tx) error { _, err := owned(ctx, tx, app, id); return err }); err != nil {
		return row, err
	}
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
				return s.find(ctx, c.tx, id, FindConflict, fmt.Sprintf("refund key %q came again with other content", n.Key))
			}
			row = instead(all, o)
			return nil
		}
		if c.packet() {
			return fmt.Errorf("a red packet goes back by itself, as far as nobody claims it in time: %w", ErrUnsupported)
		}
		if !order.State(c.o.State).Refundable() {
			return fmt.Errorf("order is %s: %w", c.o.State, order.ErrState)
		}
		left, err := c.left()
		if err != nil {
			return err
		}
		if n.Amount.Cmp(left) > 0 {
			return fmt.Errorf("%v, and %v is left of %v: %w", n.Amount, left, c.o.Received, ErrTooMuch)
		}
		if c.o.State == string(order.Held) && (by != nil || n.Amount.Cmp(c.o.Received) != 0) {
			return fmt.Errorf("what is held goes back as a whole, over its own channel; confirm it first: %w", ErrUnsupported)
		}
		p, err := c.tx.GatewayPayment(ctx, c.o.Payment)
		if err != nil {
			return err
		}
		source, err := c.source(ctx, all, n.Amount)
		if err != nil {
			return err
		}
		if by != nil {
			if c.o.Refunding, err = c.o.Refunding.Add(n.Amount); err != nil {
				return err
			}
			row, err = c.newPayout(ctx, *by, payoutOf{kind: code.Payout, key: key, digest: digest, amount: n.Amount, reason: n.Reason, payment: p.Number, source: source, to: *n.To})
			return err
		}
		row, err = c.giveBack(ctx, &p, back{key: key, digest: digest, amount: n.Amount, reason: n.Reason, source: source, others: all})
		return err
	})
	if err == nil && conflict {
		err = fmt.Errorf("key %q: %w", n.Key, ErrConflict)
	}
	return row, err
}

// instead is the refund that took the place of a void that was refused, or the operation itself.
func instead(all []store.GatewayOperation, o store.GatewayOperation) store.GatewayOperation {
	for _, x := range all {
		if x.IdempotencyKey == insteadOf(o.Number) {
			return x
		}
	}
	return o
}

func insteadOf(number string) string { return "instead:" + number }

// left is what may still be given back.
func (c *change) left() (money.Amount, error) {
	given, err := c.o.Refunding.Add(c.o.Refunded)
	if err != nil {
		return money.Amount{}, err
	}
	return c.o.Received.Sub(given)
}

// source is the account of the books that a refund is taken from, and has what it needs.
func (c *change) source(ctx context.Context, all []store.GatewayOperation, amount money.Amount) (books.Account, error) {
	from := c.earns()
	if c.fills() || isHolder(c.o.Payee) {
		return from, c.free(ctx, from, amount)
	}
	if c.loads() {
		for _, o := range all {
			if o.Payment == c.o.Payment && !order.OperationState(o.State).Counts() {
				return surplusAccount, nil // it was taken from the card's load once, and came back to here
			}
		}
		return from, c.s.cfg.OnRefund(ctx, c.tx, orderOf(c.o), amount)
	}
	_, fee, err := c.feesBack(ctx, amount)
	if err != nil {
		return from, err
	}
	if amount, err = amount.Sub(fee); err != nil { // the fee comes back first
		return from, err
	}
	return from, c.holds(ctx, from, amount)
}

// holds reports an account of ours that owes less than an amount.
func (c *change) holds(ctx context.Context, from books.Account, amount money.Amount) error {
	has, err := c.tx.Balance(ctx, from)
	if err != nil {
		return err
	}
	if has, err = has.Neg(); err != nil { // a liability: what is owed is negative
		return err
	}
	if has.Cmp(amount) < 0 {
		return fmt.Errorf("%s holds %v of %v: %w", from, has, amount, ErrFunds)
	}
	return nil
}

// free reports a balance of which less may be used than an amount: the rest is spent or held.
func (c *change) free(ctx context.Context, from books.Account, amount money.Amount) error {
	f, err := c.tx.Funds(ctx, from)
	if err != nil {
		return err
	}
	if f.Available.Cmp(amount) < 0 {
		return fmt.Errorf("of %s %v may be used of %v: %w", from, f.Available, amount, ErrFunds)
	}
	return nil
}

// back is what is given back.
type back struct {
	key, digest string
	amount      money.Amount
	reason      string
	source      books.Account
	others      []store.GatewayOperation // of the order, as they are now
	noVoid      bool
}

// giveBack writes and books a refund or a void of a payment; it is called after the transaction, or by the next scan.
func (c *change) giveBack(ctx context.Context, p *store.GatewayPayment, b back) (store.GatewayOperation, error) {
	a, known := c.s.accounts[p.Channel]
	if !known {
		return store.GatewayOperation{}, fmt.Errorf("channel account %s is not there any more: %w", p.Channel, ErrUnsupported)
	}
	caps := a.Channel.Capabilities()
	void := !b.noVoid && voidable(a.Channel, *p, b, c.at)
	if !void && !p.Surplus {
		switch {
		case !caps.Refund:
			return store.GatewayOperation{}, fmt.Errorf("channel account %s gives nothing back: %w", p.Channel, ErrUnsupported)
		case caps.RefundWindow > 0 && c.at.Sub(p.PaidAt) > caps.RefundWindow:
			return store.GatewayOperation{}, fmt.Errorf("channel account %s, %v after the payment: %w", p.Channel, caps.RefundWindow, ErrWindow)
		}
	}
	number, err := c.s.number(order.OfOperation)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	of, err := code.Parse(p.Context)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	kind := code.Refund
	if void {
		kind = code.Void
	}
	fee, err := feeBack(*p, b, c.o.Received)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	o := store.GatewayOperation{Number: number, Order: c.o.ID, Payment: p.Number, Kind: kind.String(), IdempotencyKey: b.key, Digest: b.digest, Channel: p.Channel, Context: of.With(kind).String(),
		Amount: b.amount, Currency: p.Currency, Reason: b.reason, Source: b.source, Fee: fee, State: string(order.Ordered), Created: c.at, Changed: c.at,
		Asking: store.Asking{Slice: order.Slice(c.at), Ask: c.at}}
	if b.digest != "" { // an app's: it is called right after this, and by a scan only if that dies
		o.Ask = c.at.Add(c.s.cfg.CallTimeout + time.Second)
	}
	if err := c.tx.AddGatewayOperation(ctx, o); err != nil {
		return o, err
	}
	if !p.Surplus {
		if c.o.Refunding, err = c.o.Refunding.Add(b.amount); err != nil {
			return o, err
		}
	}
	if err := c.postOut(ctx, &o); err != nil {
		return o, err
	}
	by := ByRequest
	if b.digest == "" {
		by = ByTime
	}
	return o, c.tell(ctx, number, "created", "", o.State, by, o.Context, b.reason)
}

// voidable reports that a payment is not settled at its channel and goes back as a whole.
func voidable(ch channel.Channel, p store.GatewayPayment, b back, at time.Time) bool {
	caps := ch.Capabilities()
	if _, can := ch.(channel.Voider); !can || !caps.Void || p.Reserve || b.amount.Cmp(p.Amount) != 0 {
		return false
	}
	for _, o := range b.others {
		if o.Payment == p.Number { // also one that was refused: it may have been refused because it cannot be
			return false
		}
	}
	return channelDay(caps, p.PaidAt) == channelDay(caps, at)
}

// channelDay is the day of a moment as the channel counts it.
func channelDay(c channel.Capabilities, at time.Time) string {
	zone := c.DayZone
	if zone == nil {
		zone = time.UTC
	}
	return at.In(zone).Add(-c.DayStart).Format(time.DateOnly)
}

// feeBack is what the channel gives back of its fee: all refunds of a payment together give back as much of it as they give of the payment.
func feeBack(p store.GatewayPayment, b back, received money.Amount) (money.Amount, error) {
	gone, fees, whole := b.amount, money.Amount{}, p.Amount
	if p.Reserve { // the fee was on what was captured
		whole = received
	}
	var err error
	for _, o := range b.others {
		if o.Payment != p.Number || step(o.Kind) || paysOut(o.Kind) || !order.OperationState(o.State).Counts() {
			continue
		}
		if gone, err = gone.Add(o.Amount); err != nil {
			return fees, err
		}
		if fees, err = fees.Add(o.Fee); err != nil {
			return fees, err
		}
	}
	due, err := p.Fee.MulRatio(gone.Minor(), whole.Minor())
	if err != nil {
		return fees, err
	}
	if due.Cmp(fees) < 0 { // by the rounding of one that was refused since
		return money.Amount{}, nil
	}
	return due.Sub(fees)
}

// send calls the channel for an operation, outside of any transaction, and writes the answer. It may be called again: the number is the same.
func (s *Service) send(ctx context.Context, o store.GatewayOperation, by Source) (store.GatewayOperation, error) {
	if gives := o.Kind == code.Refund.String() || o.Kind == code.Void.String(); gives && o.State == string(order.Ordered) && s.cfg.Out != nil && s.cfg.Out(o.Channel) {
		return s.hold(ctx, o)
	}
	p, a, err := s.of(ctx, o)
	if err != nil {
		return o, err
	}
	if err := s.fault("call"); err != nil {
		return o, err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	in := channel.RefundRequest{Number: o.Number, Of: refOf(p), Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Sent: o.Created.Truncate(time.Second), Reason: o.Reason, NotifyURL: a.NotifyURL}
	r, err := doIt(a.Channel, o.Kind)(limited, in)
	return s.heardOperation(ctx, o, r, err, by)
}

// holdFor is how long after it an operation that waits for its channel is looked at again.
const holdFor = 10 * time.Second

// hold leaves an operation ordered while its channel is out: nobody is called, and a scan looks again.
func (s *Service) hold(ctx context.Context, o store.GatewayOperation) (store.GatewayOperation, error) {
	ctx = context.WithoutCancel(ctx)
	err := s.change(ctx, o.Order, func(c *change) error {
		var err error
		if o, err = c.tx.GatewayOperation(ctx, o.Number); err != nil || o.State != string(order.Ordered) {
			return err
		}
		o.Ask = c.at.Add(holdFor)
		return c.tx.SetGatewayOperation(ctx, o)
	})
	return o, err
}

// doIt is the channel's method for a kind of operation.
func doIt(ch channel.Channel, kind string) func(context.Context, channel.RefundRequest) (channel.Result, error) {
	void, _ := ch.(channel.Voider)
	auth, _ := ch.(channel.Authoriser)
	switch {
	case kind == code.Void.String() && void != nil:
		return void.Void
	case kind == code.Increment.String() && auth != nil:
		return auth.Increment
	case kind == code.Capture.String() && auth != nil:
		return auth.Capture
	case kind == code.Release.String() && auth != nil:
		return auth.Release
	case kind == code.Refund.String():
		return ch.Refund
	}
	return func(context.Context, channel.RefundRequest) (channel.Result, error) {
		return channel.Result{}, channel.ErrUnsupported
	}
}

// of finds an operation's payment and our account at its channel.
func (s *Service) of(ctx context.Context, o store.GatewayOperation) (p store.GatewayPayment, a Account, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		p, err = tx.GatewayPayment(ctx, o.Payment)
		return err
	})
	a, known := s.accounts[o.Channel]
	if err == nil && !known {
		err = fmt.Errorf("channel account %s is not there any more: %w", o.Channel, ErrUnsupported)
	}
	return p, a, err
}

func refOf(p store.GatewayPayment) channel.Ref {
	return channel.Ref{Number: p.Number, ChannelID: p.ChannelID, Money: channel.Money{Amount: p.Amount, Currency: p.Currency}, Sent: p.Sent}
}

// heardOperation writes what a channel answered about an operation, and when it is asked next.
func (s *Service) heardOperation(ctx context.Context, o store.GatewayOperation, r channel.Result, callErr error, by Source) (store.GatewayOperation, error) {
	if err := s.fault("called"); err != nil {
		return o, err
	}
	if callErr != nil {
		s.cfg.Log.WarnContext(ctx, "payment channel did not answer", "order", o.Order, "operation", o.Number, "context", o.Context, "error", callErr)
		r = channel.Result{}
	}
	ctx = context.WithoutCancel(ctx)
	err := s.change(ctx, o.Order, func(c *change) error {
		var err error
		if o, err = c.tx.GatewayOperation(ctx, o.Number); err != nil {
			return err
		}
		was := o.State
		if err := c.hearOperation(ctx, &o, r, by); err != nil || o.State != was || o.Ask.IsZero() {
			return err
		}
		if paysOut(o.Kind) {
			return c.stillOut(ctx, &o)
		}
		o.Tries++
		o.Ask = c.at.Add(s.cfg.Schedule.Operation(o.Tries))
		return c.tx.SetGatewayOperation(ctx, o)
	})
	return o, err
}

// hearOperation is what a channel's word on an operation does, from whatever side it came.
func (c *change) hearOperation(ctx context.Context, o *store.GatewayOperation, r channel.Result, by Source) error {
	if r.Number != "" && r.Number != o.Number && (o.Kind == code.Refund.String() || paysOut(o.Kind)) { // some channels answer the others with the payment's number
		if err := c.s.find(ctx, c.tx, c.o.ID, FindOtherNumber, fmt.Sprintf("%s %s: the channel speaks of %s", o.Kind, o.Number, r.Number)); err != nil {
			return err
		}
		r = channel.Result{}
	}
	if takes(o.Kind) && r.Outcome == channel.Succeeded && !r.Money.Amount.IsZero() && (r.Money.Amount.Cmp(o.Amount) != 0 || r.Money.Currency != o.Currency) {
		if err := c.s.find(ctx, c.tx, c.o.ID, FindAmount, fmt.Sprintf("%s %s over %v %s: the channel says %v %s", o.Kind, o.Number, o.Amount, o.Currency, r.Money.Amount, r.Money.Currency)); err != nil {
			return err
		}
		r = channel.Result{}
	}
	if o.Kind == code.Release.String() && r.Outcome == channel.Closed {
		r.Outcome = channel.Succeeded // nothing is reserved any more, which is what was asked for
	}
	state := order.OperationState(o.State)
	e, means := order.OperationEventOf(state, r.Outcome, paysOut(o.Kind))
	if !means {
		if state == order.Done && (r.Outcome == channel.Failed || r.Outcome == channel.Closed) {
			return c.s.find(ctx, c.tx, c.o.ID, FindContradiction, fmt.Sprintf("%s %s was done, and the channel says %v %s", o.Kind, o.Number, r.Outcome, r.Code))
		}
		if !state.Counts() && r.Outcome == channel.Succeeded {
			return c.s.find(ctx, c.tx, c.o.ID, FindContradiction, fmt.Sprintf("%s %s was %s, and the channel says that it is done", o.Kind, o.Number, state))
		}
		return nil
	}
	return c.moveOperation(ctx, o, e, r, by)
}

// moveOperation takes an operation on by its table, and does what follows.
func (c *change) moveOperation(ctx context.Context, o *store.GatewayOperation, e order.OperationEvent, r channel.Result, by Source) error {
	state := order.OperationState(o.State)
	next, err := order.NextOperation(state, e)
	if err != nil {
		return err
	}
	o.State, o.Changed, o.Tries, o.Ask = string(next), c.at, 0, time.Time{}
	o.Code, o.Class, o.Message = r.Code, int(r.Class), r.Message
	if o.ChannelID == "" {
		o.ChannelID = r.ChannelID
	}
	if paysOut(o.Kind) && o.Action == "" {
		if o.Action, err = actionText(r.Action); err != nil {
			return err
		}
	}
	switch {
	case paysOut(o.Kind):
		o.Ask = c.s.askPayoutAt(*o, c.at)
	case next.InDoubt():
		o.Ask = c.at.Add(c.s.cfg.Schedule.Operation(0))
	}
	if next == order.Done {
		if o.DoneAt = r.At; r.At.IsZero() {
			o.DoneAt = c.at
		}
	}
	if err := c.tx.SetGatewayOperation(ctx, *o); err != nil {
		return err
	}
	if err := c.tellOf(ctx, typeOf(o.Kind), o.Number, string(e), string(state), o.State, by, o.Context, r.Code); err != nil {
		return err
	}
	switch {
	case step(o.Kind):
		return c.stepped(ctx, o, by)
	case paysOut(o.Kind):
		return c.paidOut(ctx, o, state, by)
	case next == order.Done:
		return c.given(ctx, o, by)
	case next == order.OpFailed:
		return c.refused(ctx, o)
	}
	return nil
}

// given: the payer has the money back.
func (c *change) given(ctx context.Context, o *store.GatewayOperation, by Source) error {
	p, err := c.tx.GatewayPayment(ctx, o.Payment)
	if err != nil || p.Surplus {
		return err
	}
	if c.o.Refunding, err = c.o.Refunding.Sub(o.Amount); err != nil {
		return err
	}
	if c.o.Refunded, err = c.o.Refunded.Add(o.Amount); err != nil {
		return err
	}
	e := order.GivenPart
	if c.o.Refunded.Cmp(c.o.Received) == 0 {
		e = order.GivenAll
	}
	return c.move(ctx, e, by, o.Number)
}

// refused: what was ordered is booked back. A void that was refused is tried as a refund.
func (c *change) refused(ctx context.Context, o *store.GatewayOperation) error {
	p, err := c.tx.GatewayPayment(ctx, o.Payment)
	if err != nil {
		return err
	}
	if !p.Surplus {
		if c.o.Refunding, err = c.o.Refunding.Sub(o.Amount); err != nil {
			return err
		}
	}
	if err := c.postBack(ctx, o); err != nil {
		return err
	}
	if o.Kind == code.Void.String() {
		all, err := c.tx.GatewayOperations(ctx, c.o.ID)
		if err != nil {
			return err
		}
		source := o.Source
		if source == books.Funding {
			source = surplusAccount // see postBack
		}
		_, err = c.giveBack(ctx, &p, back{key: insteadOf(o.Number), amount: o.Amount, reason: o.Reason, source: source, others: all, noVoid: true})
		if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrWindow) {
			return err
		}
	}
	if c.packet() && !p.Surplus {
		c.o.Due = c.at.Add(day) // it is held still, and tried again
	}
	if p.Surplus || c.loads() || c.packet() {
		return c.s.find(ctx, c.tx, c.o.ID, FindStuck, fmt.Sprintf("%s %s over %v: the channel says %s", o.Kind, o.Number, o.Amount, o.Code))
	}
	return nil
}
