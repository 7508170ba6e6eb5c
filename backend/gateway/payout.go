package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// PayTo is whom a pay-out goes to. It is kept sealed, and goes to no log.
type PayTo struct {
	Account string // the channel's token of an account, never a card number; 1 to 128 bytes
	Name    string // of its holder, at most 64 bytes
	Bank    string // of a company's account, the bank's number; "" for a person's
}

func (p PayTo) check() error {
	switch {
	case looksLikeCard(p.Account):
		return ErrCardNumber
	case p.Account == "" || len(p.Account) > 128 || len(p.Name) > 64 || len(p.Bank) > 32 || !utf8.ValidString(p.Account+p.Name+p.Bank):
		return fmt.Errorf("pay to: want an account of 1 to 128 bytes, a name of at most 64 and a bank of at most 32: %w", ErrRequest)
	}
	return nil
}

// paysOut reports a kind of operation that sends money out of our account at a channel.
func paysOut(kind string) bool {
	return kind == code.Withdraw.String() || kind == code.Payout.String()
}

// payoutOf is what is paid out.
type payoutOf struct {
	kind        code.Action // withdraw, or payout in place of a refund
	key, digest string
	amount      money.Amount
	reason      string
	payment     string // that it gives back, "" for none
	source      books.Account
	to          PayTo
}

// newPayout writes and books a pay-out; the channel is called after the transaction, or by the next scan.
func (c *change) newPayout(ctx context.Context, a Account, p payoutOf) (store.GatewayOperation, error) {
	number, err := c.s.number(order.OfOperation)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	whom, err := json.Marshal(p.to)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	if err := c.tx.AddGatewayPayTo(ctx, number, c.s.cfg.Box.Seal(payToRow(number), whom)); err != nil {
		return store.GatewayOperation{}, err
	}
	of, err := code.Parse(c.o.Context)
	if err != nil {
		return store.GatewayOperation{}, err
	}
	way, err := code.WayOf(string(channel.Payout))
	if err != nil {
		return store.GatewayOperation{}, err
	}
	return c.addPayout(ctx, store.GatewayOperation{Number: number, Payment: p.payment, Kind: p.kind.String(), IdempotencyKey: p.key, Digest: p.digest, Channel: a.ID,
		Context: of.With(p.kind).Over(code.ChannelOf(a.Company, way), a.Number).String(), Amount: p.amount, Currency: c.o.Currency, Reason: p.reason, Source: p.source, PayTo: number}, ByRequest)
}

func (c *change) addPayout(ctx context.Context, o store.GatewayOperation, by Source) (store.GatewayOperation, error) {
	o.Order, o.State, o.Created, o.Changed = c.o.ID, string(order.Ordered), c.at, c.at
	o.Asking = store.Asking{Slice: order.Slice(c.at), Ask: c.at}
	if by == ByRequest { // it is called right after this, and by a scan only if that dies
		o.Ask = c.at.Add(c.s.cfg.CallTimeout + time.Second)
	}
	if err := c.tx.AddGatewayOperation(ctx, o); err != nil {
		return o, err
	}
	if err := c.postOut(ctx, &o); err != nil {
		return o, err
	}
	return o, c.tellOf(ctx, typeOf(o.Kind), o.Number, "created", "", o.State, by, o.Context, o.Reason)
}

func payToRow(id string) string { return "gateway_pay_to " + id }

// payTo finds whom a pay-out goes to.
func (s *Service) payTo(ctx context.Context, tx *store.Tx, id string) (to PayTo, err error) {
	if s.cfg.Box == nil {
		return to, fmt.Errorf("whom pay-out %s goes to is sealed, and Config.Box is not set: %w", id, ErrUnsupported)
	}
	sealed, err := tx.GatewayPayTo(ctx, id)
	if err != nil {
		return to, err
	}
	whom, err := s.cfg.Box.Open(payToRow(id), sealed)
	if err != nil {
		return to, err
	}
	return to, json.Unmarshal(whom, &to)
}

// sendPayout calls the channel for a pay-out that nobody has called for, once for ever: what becomes of a call that was not answered is only asked.
func (s *Service) sendPayout(ctx context.Context, o store.GatewayOperation, by Source) (store.GatewayOperation, error) {
	a, pays, err := s.paysOutBy(o.Channel)
	if err != nil {
		return o, err
	}
	var to PayTo
	mine, subject := false, ""
	if err := s.change(ctx, o.Order, func(c *change) error {
		mine, subject = false, c.o.Subject
		var err error
		if o, err = c.tx.GatewayOperation(ctx, o.Number); err != nil {
			return err
		}
		if o.State != string(order.Ordered) || !o.Sent.IsZero() {
			return nil
		}
		if to, err = s.payTo(ctx, c.tx, o.PayTo); err != nil {
			return err
		}
		mine, o.Sent = true, c.at.Truncate(time.Second)
		o.Ask = c.at.Add(s.cfg.CallTimeout + time.Second) // first the answer has its time
		return c.tx.SetGatewayOperation(ctx, o)
	}); err != nil || !mine {
		return o, err
	}
	if err := s.fault("call"); err != nil {
		return o, err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	purpose := o.Reason
	if purpose == "" {
		purpose = subject
	}
	r, err := pays.Payout(limited, channel.PayoutRequest{Number: o.Number, Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Sent: o.Sent, Account: to.Account, Name: to.Name,
		BankCode: to.Bank, Purpose: purpose, NotifyURL: a.NotifyURL})
	if errors.Is(err, channel.ErrNotSent) {
		r, err = channel.Result{Outcome: channel.Failed, Code: notSent, Class: channel.ByChannel}, nil
	}
	return s.heardOperation(ctx, o, r, err, by)
}

// paysOutBy finds our account at a channel that pays out.
func (s *Service) paysOutBy(id string) (Account, channel.Payouts, error) {
	a, known := s.accounts[id]
	pays, can := a.Channel.(channel.Payouts)
	if !known || !can {
		return a, nil, fmt.Errorf("channel account %s is not there any more, or pays nothing out: %w", id, ErrUnsupported)
	}
	return a, pays, nil
}

// askPayout calls for a pay-out that nobody has called for, and asks about any other.
func (s *Service) askPayout(ctx context.Context, o store.GatewayOperation) error {
	never := o.State == string(order.Ordered) && o.Sent.IsZero()
	_, pays, err := s.paysOutBy(o.Channel)
	if err == nil && never {
		_, err = s.sendPayout(ctx, o, ByAnswer)
	}
	switch {
	case err != nil:
		s.cfg.Log.ErrorContext(ctx, "a pay-out waits", "order", o.Order, "operation", o.Number, "account", o.Channel, "error", err)
		if !errors.Is(err, ErrUnsupported) {
			return err
		}
		return s.change(ctx, o.Order, func(c *change) error { // what was never sent must not count as paid: it waits for its channel
			o, err := c.tx.GatewayOperation(ctx, o.Number)
			if err != nil {
				return err
			}
			o.Tries++
			o.Ask = c.at.Add(s.cfg.Schedule.Assumed(o.Tries))
			return c.tx.SetGatewayOperation(ctx, o)
		})
	case never:
		return nil
	}
	if err := s.fault("call"); err != nil {
		return err
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	r, err := pays.QueryPayout(limited, channel.Ref{Number: o.Number, ChannelID: o.ChannelID, Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Sent: o.Sent})
	_, err = s.heardOperation(ctx, o, r, err, ByQuery)
	return err
}

// askPayoutAt is when a channel is asked about a pay-out that has just come into its state; zero: never.
func (s *Service) askPayoutAt(o store.GatewayOperation, at time.Time) time.Time {
	switch state := order.OperationState(o.State); {
	case state.InDoubt():
		pause, _ := s.cfg.Schedule.OfPayout(0)
		return at.Add(pause)
	case state == order.Assumed:
		return at.Add(s.cfg.Schedule.Assumed(0))
	}
	return time.Time{}
}

// stillOut: a channel was asked about a pay-out and said nothing new. Asked often enough, it counts as paid.
func (c *change) stillOut(ctx context.Context, o *store.GatewayOperation) error {
	o.Tries++
	if o.State == string(order.Assumed) {
		o.Ask = c.at.Add(c.s.cfg.Schedule.Assumed(o.Tries))
		return c.tx.SetGatewayOperation(ctx, *o)
	}
	pause, assume := c.s.cfg.Schedule.OfPayout(o.Tries)
	if assume {
		return c.moveOperation(ctx, o, order.GivenUp, channel.Result{}, ByTime)
	}
	o.Ask = c.at.Add(pause)
	return c.tx.SetGatewayOperation(ctx, *o)
}

// paidOut is what follows when a pay-out has moved on from a state.
func (c *change) paidOut(ctx context.Context, o *store.GatewayOperation, was order.OperationState, by Source) error {
	now, back := order.OperationState(o.State), o.Kind == code.Payout.String()
	switch {
	case now == order.Assumed:
		if err := c.s.find(ctx, c.tx, c.o.ID, FindAssumed, fmt.Sprintf("%s %s over %v on %s: see the channel's bill", o.Kind, o.Number, o.Amount, o.Channel)); err != nil {
			return err
		}
	case now == order.Done && was == order.Assumed:
		return nil // it counted as paid already
	case now == order.OpReturned:
		if err := c.s.find(ctx, c.tx, c.o.ID, FindReturned, fmt.Sprintf("%s %s over %v on %s: %s", o.Kind, o.Number, o.Amount, o.Channel, o.Code)); err != nil {
			return err
		}
	}
	counts := now == order.Assumed || now == order.Done
	switch {
	case counts && back:
		return c.given(ctx, o, by)
	case counts:
		return c.withdrawn(ctx, by)
	case now == order.OpFailed && back:
		return c.refused(ctx, o)
	case now == order.OpReturned && back:
		return c.takenBack(ctx, o, by)
	case now == order.OpFailed || now == order.OpReturned:
		if err := c.postBack(ctx, o); err != nil {
			return err
		}
		if c.o.State == string(order.Open) {
			return c.move(ctx, order.Ended, by, o.Code)
		}
		return c.move(ctx, order.Bounced, by, o.Number)
	}
	return nil
}

// takenBack: a refund that had gone out as a pay-out came back, and the payer has not got it.
func (c *change) takenBack(ctx context.Context, o *store.GatewayOperation, by Source) error {
	if err := c.postBack(ctx, o); err != nil {
		return err
	}
	var err error
	if c.o.Refunded, err = c.o.Refunded.Sub(o.Amount); err != nil {
		return err
	}
	e := order.BackAgainPart
	if c.o.Refunded.IsZero() {
		e = order.BackAgain
	}
	if err := c.move(ctx, e, by, o.Number); err != nil {
		return err
	}
	if c.o.Earned.IsZero() {
		c.waits()
	}
	return nil
}
