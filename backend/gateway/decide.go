package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// Decision is what two persons decide about a pay-out. The text is stored and is part of the command line.
type Decision string

// Decisions.
const (
	DecideReturned Decision = "returned" // the channel's bill does not have it: nobody was paid, and it is booked back
	DecideResend   Decision = "resend"   // of a withdrawal that came back: send the same to the same account once more, under a new number
)

// Decide is two persons' word on a pay-out that counts as paid and was not confirmed, or that came back. The first person's is kept; when another person says the same
// it is done. waits reports that it is not done yet. The next scan of a process with channels sends what is to be sent.
//
// Errors: [ErrRequest], [ErrUnknownPayout], [ErrDecided], [ErrFunds], [ErrFrozen], [order.ErrState].
func (s *Service) Decide(ctx context.Context, number string, d Decision, by, reason string) (_ Operation, waits bool, _ error) {
	var row store.GatewayOperation
	by, reason = strings.TrimSpace(by), strings.TrimSpace(reason)
	if by == "" || reason == "" || len(by) > 64 || len(reason) > 500 || strings.ContainsFunc(by+reason, unicode.IsControl) || d != DecideReturned && d != DecideResend {
		return Operation{}, false, fmt.Errorf("decide: want %s or %s, who does it in at most 64 bytes, and why in one line of at most 500: %w", DecideReturned, DecideResend, ErrRequest)
	}
	err := s.store.View(ctx, func(tx *store.Tx) (err error) { row, err = tx.GatewayOperation(ctx, number); return err })
	if errors.Is(err, store.ErrNotFound) || err == nil && !paysOut(row.Kind) {
		return Operation{}, false, fmt.Errorf("pay-out %q: %w", number, ErrUnknownPayout)
	}
	if err != nil {
		return Operation{}, false, err
	}
	err = s.change(ctx, row.Order, func(c *change) error {
		if row, err = c.tx.GatewayOperation(ctx, number); err != nil {
			return err
		}
		if err := c.decidable(row, d); err != nil {
			return err
		}
		first, there, err := c.tx.GatewayDecision(ctx, number)
		waits = false
		switch {
		case err != nil:
			return err
		case !there:
			waits = true
			if err := c.tx.PutGatewayDecision(ctx, store.GatewayDecision{Number: number, What: string(d), By: by, Reason: reason, At: c.at}); err != nil {
				return err
			}
			return c.note(ctx, row, string(d)+" asked", by+": "+reason)
		case first.What != string(d) || first.By == by:
			return fmt.Errorf("%s has decided %s: %w", first.By, first.What, ErrDecided)
		}
		if err := c.tx.DropGatewayDecision(ctx, number); err != nil {
			return err
		}
		if err := c.note(ctx, row, string(d)+" agreed", by+": "+reason); err != nil {
			return err
		}
		if d == DecideReturned {
			return c.moveOperation(ctx, &row, order.CameBack, channel.Result{Code: "DECIDED", Message: first.By + " and " + by}, ByPersons)
		}
		row, err = c.resend(ctx, row)
		return err
	})
	if err != nil {
		return Operation{}, false, fmt.Errorf("decide on pay-out %s: %w", number, frozen(err))
	}
	return operationOf(row), waits, nil
}

// Undecide forgets what one person has decided about a pay-out. Error: [ErrUnknownPayout].
func (s *Service) Undecide(ctx context.Context, number string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, there, err := tx.GatewayDecision(ctx, number); err != nil || !there {
			return errors.Join(fmt.Errorf("pay-out %q: nothing is decided: %w", number, ErrUnknownPayout), err)
		}
		return tx.DropGatewayDecision(ctx, number)
	})
}

// decidable reports why a pay-out is not one to decide about.
func (c *change) decidable(o store.GatewayOperation, d Decision) error {
	switch {
	case d == DecideReturned && o.State == string(order.Assumed):
		return nil
	case d == DecideResend && o.Kind == code.Withdraw.String() && o.State == string(order.OpReturned) && c.o.State == string(order.Returned):
		return nil
	}
	return fmt.Errorf("%s is %s, and its order %s: %w", o.Kind, o.State, c.o.State, order.ErrState)
}

// note writes a line of the timeline that moves nothing.
func (c *change) note(ctx context.Context, o store.GatewayOperation, what, detail string) error {
	return c.tellOf(ctx, typeOf(o.Kind), o.Number, strings.ReplaceAll(what, " ", "-"), o.State, o.State, ByPersons, o.Context, detail)
}

// resend sends a withdrawal that came back once more, under a number of its own.
func (c *change) resend(ctx context.Context, o store.GatewayOperation) (store.GatewayOperation, error) {
	if err := c.holds(ctx, o.Source, o.Amount); err != nil {
		return o, err
	}
	if err := c.move(ctx, order.Resent, ByPersons, o.Number); err != nil {
		return o, err
	}
	number, err := c.s.number(order.OfOperation)
	if err != nil {
		return o, err
	}
	return c.addPayout(ctx, store.GatewayOperation{Number: number, Kind: o.Kind, IdempotencyKey: "again:" + o.Number, Digest: o.Digest, Channel: o.Channel, Context: o.Context, Amount: o.Amount,
		Currency: o.Currency, Reason: o.Reason, Source: o.Source, PayTo: o.PayTo}, ByPersons)
}

// PayoutRow is a pay-out with its order, as an operator sees it.
type PayoutRow struct {
	Operation
	Merchant string
	Asked    *Asked // what one person has decided
}

// Asked is what one person has decided about a pay-out.
type Asked struct {
	What   Decision
	By     string
	Reason string
	At     time.Time
}

// Payouts lists pay-outs in a state, or all where it is empty, newest first, at most limit.
func (s *Service) Payouts(ctx context.Context, state order.OperationState, limit int) (out []PayoutRow, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.GatewayPayouts(ctx, string(state), limit)
		for _, o := range all {
			row := PayoutRow{Operation: operationOf(o)}
			of, err := tx.GatewayOrder(ctx, o.Order)
			if err != nil {
				return err
			}
			row.Merchant = string(of.Merchant)
			d, there, err := tx.GatewayDecision(ctx, o.Number)
			if err != nil {
				return err
			}
			if there {
				row.Asked = &Asked{What: Decision(d.What), By: d.By, Reason: d.Reason, At: d.At}
			}
			out = append(out, row)
		}
		return err
	})
	return out, err
}
