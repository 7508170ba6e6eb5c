package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/order"
)

// Prepared is what is known of an order that somebody is about to pay.
type Prepared struct {
	App   string
	State order.State
	At    time.Time     // when it was made
	For   time.Duration // how long it may be paid; zero for a default of 15 minutes
}

// PayableFor is how long an order may be paid that says nothing.
const PayableFor = 15 * time.Minute

// Refusals of a payment.
var (
	// ErrNoOrder: there is no such order of this app.
	ErrNoOrder = errors.New("no such order")
	// ErrNotPayable: the order is not waiting to be paid.
	ErrNotPayable = errors.New("the order cannot be paid")
	// ErrTooLate: the order is too old: its URL may have come from somebody's history.
	ErrTooLate = errors.New("the order is too old to be paid")
)

// Payable is the part of the checks before a payment that is about the order; that the request's parts fit, that the app may transact and that it has signed are [Service.Verify]'s. found is false where there is
// no such order. Errors: [ErrNoOrder], also for another app's, [ErrNotPayable], [ErrTooLate].
func (c Caller) Payable(p Prepared, found bool, now time.Time) error {
	if !found || p.App != c.App {
		return ErrNoOrder
	}
	if p.State != order.Open {
		return fmt.Errorf("it is %s: %w", p.State, ErrNotPayable)
	}
	if p.For == 0 {
		p.For = PayableFor
	}
	if age := now.Sub(p.At); age > p.For {
		return fmt.Errorf("it was made %v ago, and may be paid for %v: make a new one: %w", age.Round(time.Second), p.For, ErrTooLate)
	}
	return nil
}
