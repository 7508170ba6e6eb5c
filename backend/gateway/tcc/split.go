package tcc

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/purselane/purselane/internal/money"
)

// Rule is how a refund is split over the instruments. The text is stored.
type Rule string

// Rules.
const (
	ByOrder Rule = "by-order" // the first instrument gets as much as it gave, then the next
	ProRata Rule = "pro-rata" // each gets its share of what is left, to the smallest unit
)

// ErrTooMuch says that more is to be given back than is left.
var ErrTooMuch = errors.New("more than is left of the payment")

// ErrNotPaid says that a payment has come to nothing, so that nothing of it is given back.
var ErrNotPaid = errors.New("it came to nothing")

// Split gives each instrument its part of a refund, at most what is left of it. The parts add up to the amount.
func Split(left []money.Amount, amount money.Amount, rule Rule) ([]money.Amount, error) {
	for _, l := range left {
		if l.Sign() < 0 {
			return nil, fmt.Errorf("%v is left of an instrument: %w", l, ErrTooMuch)
		}
	}
	total, err := money.Sum(left...)
	if err != nil {
		return nil, err
	}
	if amount.Sign() <= 0 || amount.Cmp(total) > 0 {
		return nil, fmt.Errorf("%v of %v: %w", amount, total, ErrTooMuch)
	}
	parts := make([]money.Amount, len(left))
	rest := amount
	if rule == ProRata {
		for i, l := range left {
			parts[i] = share(l, amount, total)
			if rest, err = rest.Sub(parts[i]); err != nil {
				return nil, err
			}
		}
	} else if rule != ByOrder {
		return nil, fmt.Errorf("%q is no rule: %s and %s are", rule, ByOrder, ProRata)
	}
	// By order it is everything; pro rata the few units that rounding down has left.
	for i, l := range left {
		room, err := l.Sub(parts[i])
		if err != nil {
			return nil, err
		}
		if rest.Cmp(room) < 0 {
			room = rest
		}
		if parts[i], err = parts[i].Add(room); err != nil {
			return nil, err
		}
		if rest, err = rest.Sub(room); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// share is part × amount ÷ total, rounded down. None is negative, and amount is at most total, so the quotient fits.
func share(part, amount, total money.Amount) money.Amount {
	high, low := bits.Mul64(uint64(part.Minor()), uint64(amount.Minor()))
	q, _ := bits.Div64(high, low, uint64(total.Minor()))
	return money.Minor(int64(q))
}

// units is how many units of an instrument's own currency stand for a part of its worth: all of them for the whole. What several refunds
// give back adds up, because each is the difference of two sums.
func units(all, worth, before, part money.Amount) (money.Amount, error) {
	after, err := before.Add(part)
	if err != nil {
		return money.Amount{}, err
	}
	high, err := all.MulRatio(after.Minor(), worth.Minor())
	if err != nil {
		return money.Amount{}, err
	}
	low, err := all.MulRatio(before.Minor(), worth.Minor())
	if err != nil {
		return money.Amount{}, err
	}
	return high.Sub(low)
}
