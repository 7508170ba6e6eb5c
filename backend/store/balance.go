package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// States of a payment out of a balance; the text is stored.
const (
	BalancePaid     = "paid"
	BalanceHeld     = "held"     // reserved, to be captured or released
	BalanceReleased = "released" // the reservation was given up
	BalanceFailed   = "failed"
	BalanceClosed   = "closed" // before it was paid, or before it was heard of
)

// BalancePayment is a payment out of a holder's balance.
type BalancePayment struct {
	Number   string
	Holder   string
	Amount   money.Amount // as asked
	State    string
	Code     string       // why it failed
	Paid     money.Amount // as taken
	Refunded money.Amount
	Made     time.Time
	PaidAt   time.Time // zero while it is not paid
}

// BalanceStep is a refund, capture or release of one.
type BalanceStep struct {
	Number  string
	Payment string
	Kind    string // refund | capture | release
	Amount  money.Amount
	At      time.Time
}

// BalancePayment finds a payment, or ErrNotFound.
func (t *Tx) BalancePayment(ctx context.Context, number string) (BalancePayment, error) {
	all, err := t.balancePayments(ctx, `number = ?`, number)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("balance payment %s: %w", number, ErrNotFound)
	}
	if err != nil {
		return BalancePayment{}, err
	}
	return all[0], nil
}

// BalancePaymentsBetween lists what was paid from a moment until before another one, by time.
func (t *Tx) BalancePaymentsBetween(ctx context.Context, from, to time.Time) ([]BalancePayment, error) {
	return t.balancePayments(ctx, `paid_ms >= ? AND paid_ms < ? ORDER BY paid_ms, number`, from.UnixMilli(), to.UnixMilli())
}

func (t *Tx) balancePayments(ctx context.Context, where string, args ...any) ([]BalancePayment, error) {
	var out []BalancePayment
	err := t.rows(ctx, "balance payments", func(scan func(...any) error) error {
		var p BalancePayment
		var amount, paid, refunded, made, at int64
		err := scan(&p.Number, &p.Holder, &amount, &p.State, &p.Code, &paid, &refunded, &made, &at)
		p.Amount, p.Paid, p.Refunded, p.Made = money.Minor(amount), money.Minor(paid), money.Minor(refunded), time.UnixMilli(made)
		if at > 0 {
			p.PaidAt = time.UnixMilli(at)
		}
		out = append(out, p)
		return err
	}, `SELECT number, holder, amount, state, code, paid, refunded, made_ms, paid_ms FROM balance_payment WHERE `+where, args...)
	return out, err
}

// AddBalancePayment writes a new payment.
func (t *Tx) AddBalancePayment(ctx context.Context, p BalancePayment) error {
	_, err := t.exec(ctx, "add balance payment", `INSERT INTO balance_payment (number, holder, amount, state, code, paid, refunded, made_ms, paid_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.Number, p.Holder, p.Amount.Minor(), p.State, p.Code, p.Paid.Minor(), p.Refunded.Minor(), p.Made.UnixMilli(), milliOrZero(p.PaidAt))
	return err
}

// SetBalancePayment writes what changes in a payment's life: state, what was paid and refunded, and when.
func (t *Tx) SetBalancePayment(ctx context.Context, p BalancePayment) error {
	r, err := t.exec(ctx, "set balance payment", `UPDATE balance_payment SET state = ?, paid = ?, refunded = ?, paid_ms = ? WHERE number = ?`,
		p.State, p.Paid.Minor(), p.Refunded.Minor(), milliOrZero(p.PaidAt), p.Number)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: balance payment %s: %d rows changed: %w", p.Number, n, errors.Join(err, ErrNotFound))
	}
	return nil
}

// AddBalanceStep writes a step that was done.
func (t *Tx) AddBalanceStep(ctx context.Context, s BalanceStep) error {
	_, err := t.exec(ctx, "add balance step", `INSERT INTO balance_step (number, payment, kind, amount, at_ms) VALUES (?, ?, ?, ?, ?)`,
		s.Number, s.Payment, s.Kind, s.Amount.Minor(), s.At.UnixMilli())
	return err
}

// BalanceStep finds a step, or ErrNotFound.
func (t *Tx) BalanceStep(ctx context.Context, number string) (BalanceStep, error) {
	all, err := t.balanceSteps(ctx, `number = ?`, number)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("balance step %s: %w", number, ErrNotFound)
	}
	if err != nil {
		return BalanceStep{}, err
	}
	return all[0], nil
}

// BalanceRefundsBetween lists the refunds from a moment until before another one, by time.
func (t *Tx) BalanceRefundsBetween(ctx context.Context, from, to time.Time) ([]BalanceStep, error) {
	return t.balanceSteps(ctx, `kind = 'refund' AND at_ms >= ? AND at_ms < ? ORDER BY at_ms, number`, from.UnixMilli(), to.UnixMilli())
}

func (t *Tx) balanceSteps(ctx context.Context, where string, args ...any) ([]BalanceStep, error) {
	var out []BalanceStep
	err := t.rows(ctx, "balance steps", func(scan func(...any) error) error {
		var s BalanceStep
		var amount, at int64
		err := scan(&s.Number, &s.Payment, &s.Kind, &amount, &at)
		s.Amount, s.At = money.Minor(amount), time.UnixMilli(at)
		out = append(out, s)
		return err
	}, `SELECT number, payment, kind, amount, at_ms FROM balance_step WHERE `+where, args...)
	return out, err
}

func milliOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
