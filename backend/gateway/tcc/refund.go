package tcc

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// States of a refund's part; the text is stored.
const (
	RefundOrdered = "ordered"
	RefundDone    = "done"
	RefundFailed  = "failed" // the channel refused it; what it was of may be given back under another number
)

// RefundPart is what one instrument gets back.
type RefundPart struct {
	Leg    int
	Worth  money.Amount // in the money of the payment
	Amount money.Amount // of the instrument's own currency
	State  string
}

// Refund gives back a part of a payment to its instruments, split by a rule, and does what can be done at once. The same number is the same refund.
// Errors: [ErrTooMuch]; [ErrNotPaid]; [store.ErrNotFound]; [books.ErrConflict] for other content under the same number.
func (c *Coordinator) Refund(ctx context.Context, xid, number string, amount money.Amount, rule Rule) ([]RefundPart, error) {
	if len(number) < 18 || len(number) > 29 {
		return nil, fmt.Errorf("refund %q: its number has 18 to 29 digits and letters", number)
	}
	err := c.set.Store.Update(ctx, func(tx *store.Tx) error { return c.order(ctx, tx, xid, number, amount, rule) })
	if err != nil {
		return nil, err
	}
	return c.carryOn(ctx, number)
}

// carryOn does what can be done for a refund now.
func (c *Coordinator) carryOn(ctx context.Context, number string) ([]RefundPart, error) {
	rows, err := c.refund(ctx, number)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if err := c.giveBack(ctx, r); err != nil {
			return nil, err
		}
	}
	if rows, err = c.refund(ctx, number); err != nil {
		return nil, err
	}
	var out []RefundPart
	for _, r := range rows {
		out = append(out, RefundPart{Leg: r.Leg, Worth: r.Worth, Amount: r.Amount, State: r.State})
	}
	return out, nil
}

func (c *Coordinator) refund(ctx context.Context, number string) (rows []store.TCCRefund, err error) {
	err = c.set.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.TCCRefund(ctx, number)
		return err
	})
	return rows, err
}

// order writes a refund's parts.
func (c *Coordinator) order(ctx context.Context, tx *store.Tx, xid, number string, amount money.Amount, rule Rule) error {
	p, legs, err := tx.TCC(ctx, xid)
	if err != nil {
		return err
	}
	have, err := tx.TCCRefund(ctx, number)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		var sum money.Amount
		for _, r := range have {
			if r.XID != xid || r.Rule != string(rule) {
				return fmt.Errorf("refund %s: %w", number, books.ErrConflict)
			}
			if sum, err = sum.Add(r.Worth); err != nil {
				return err
			}
		}
		if sum != amount {
			return fmt.Errorf("refund %s: %w", number, books.ErrConflict)
		}
		return nil
	}
	if State(p.State) == CalledOff {
		return fmt.Errorf("combined payment %s: %w", xid, ErrNotPaid)
	}
	if State(p.State) != Paid {
		return fmt.Errorf("combined payment %s is %s: what is not paid is not given back", xid, p.State)
	}
	before, err := tx.TCCRefunds(ctx, xid)
	if err != nil {
		return err
	}
	given := make([]money.Amount, len(legs))
	for _, r := range before {
		if r.State == RefundFailed {
			continue
		}
		if given[r.Leg-1], err = given[r.Leg-1].Add(r.Worth); err != nil {
			return err
		}
	}
	left := make([]money.Amount, len(legs))
	for i, l := range legs {
		if left[i], err = l.Worth.Sub(given[i]); err != nil {
			return err
		}
	}
	parts, err := Split(left, amount, rule)
	if err != nil {
		return fmt.Errorf("refund %s of combined payment %s: %w", number, xid, err)
	}
	for i, part := range parts {
		if part.IsZero() {
			continue
		}
		own, err := units(legs[i].Amount, legs[i].Worth, given[i], part)
		if err != nil {
			return err
		}
		r := store.TCCRefund{Number: number, Leg: i + 1, XID: xid, Rule: string(rule), Worth: part, Amount: own, State: RefundOrdered, At: c.set.Clock.Now()}
		if own.IsZero() { // less than one point
			r.State = RefundDone
		}
		if err := tx.AddTCCRefund(ctx, r, r.At.Add(ownTime)); err != nil {
			return err
		}
	}
	return nil
}

// giveBack does a part that is not done.
func (c *Coordinator) giveBack(ctx context.Context, r store.TCCRefund) error {
	if r.State != RefundOrdered {
		return nil
	}
	_, legs, _, err := c.read(ctx, r.XID)
	if err != nil {
		return err
	}
	l := legs[r.Leg-1]
	p, known := c.set.Participants[l.Participant]
	if !known {
		return fmt.Errorf("refund %s: there is no participant %q any more", r.Number, l.Participant)
	}
	a, err := p.Refund(ctx, l, Refund{Number: fmt.Sprintf("%s%02dB", r.Number, r.Leg), Amount: r.Amount, Sent: r.At, Again: r.Tries > 0})
	if err := ctx.Err(); err != nil {
		return err
	}
	if err != nil {
		c.set.Log.Warn("refund of a combined payment: a participant could not do it", "payment", r.XID, "refund", r.Number, "leg", r.Leg, "context", l.Context, "error", err)
		a = Answer{}
	}
	state := RefundDone
	switch a.Word {
	case Wait:
		next := c.set.Clock.Now().Add(time.Second << min(r.Tries, 10))
		return c.set.Store.Update(ctx, func(tx *store.Tx) error { return tx.LaterTCCRefund(ctx, r.Number, r.Leg, next) })
	case No:
		state = RefundFailed
		c.set.Log.Error("refund of a combined payment: the channel refused it", "payment", r.XID, "refund", r.Number, "leg", r.Leg, "context", l.Context, "code", a.Why)
	}
	return c.set.Store.Update(ctx, func(tx *store.Tx) error { return tx.EndTCCRefund(ctx, r.Number, r.Leg, state) })
}
