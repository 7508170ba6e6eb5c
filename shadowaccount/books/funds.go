package books

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/money"
)

// Funds is what an account's owner has: what may be used, and what is frozen for something that was promised and not delivered.
// The balance is both.
type Funds struct {
	Available, Frozen money.Amount
}

// ErrFunds says that less is there than would be used.
var ErrFunds = errors.New("not enough")

// Balance is available and frozen.
func (f Funds) Balance() (money.Amount, error) { return f.Available.Add(f.Frozen) }

// Freeze takes amount out of what may be used. Errors: [ErrFunds]; an amount of nothing or less is refused.
func (f Funds) Freeze(amount money.Amount) (Funds, error) {
	if err := enough(amount, f.Available, "available"); err != nil {
		return f, err
	}
	return f.shift(amount)
}

// Unfreeze gives amount back for use.
func (f Funds) Unfreeze(amount money.Amount) (Funds, error) {
	if err := enough(amount, f.Frozen, "frozen"); err != nil {
		return f, err
	}
	back, err := amount.Neg()
	if err != nil {
		return f, err
	}
	return f.shift(back)
}

// SettleFromFrozen pays amount out of what is frozen: the goods have left.
func (f Funds) SettleFromFrozen(amount money.Amount) (Funds, error) {
	if err := enough(amount, f.Frozen, "frozen"); err != nil {
		return f, err
	}
	var err error
	f.Frozen, err = f.Frozen.Sub(amount)
	return f, err
}

// Pay takes amount out of what may be used. What is frozen does not help.
func (f Funds) Pay(amount money.Amount) (Funds, error) {
	if err := enough(amount, f.Available, "available"); err != nil {
		return f, err
	}
	var err error
	f.Available, err = f.Available.Sub(amount)
	return f, err
}

// shift moves amount from available to frozen.
func (f Funds) shift(amount money.Amount) (Funds, error) {
	available, err := f.Available.Sub(amount)
	if err != nil {
		return f, err
	}
	frozen, err := f.Frozen.Add(amount)
	if err != nil {
		return f, err
	}
	return Funds{available, frozen}, nil
}

func enough(amount, have money.Amount, what string) error {
	if amount.Sign() <= 0 {
		return fmt.Errorf("%v: want more than 0.00", amount)
	}
	if amount.Cmp(have) > 0 {
		return fmt.Errorf("%v: %w: %v is %s", amount, ErrFunds, have, what)
	}
	return nil
}
