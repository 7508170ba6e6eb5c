package risk

import (
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Lot is money that came in at a time.
type Lot struct {
	At     time.Time
	Amount money.Amount
}

// Free is how much of a balance may be withdrawn: what is not among the money that came in less than age ago. Whoever spends is taken to spend
// the oldest first, so that what is left is the youngest. Error: [money.ErrOverflow].
func Free(balance money.Amount, in []Lot, age time.Duration, now time.Time) (money.Amount, error) {
	young := money.Minor(0)
	for _, l := range in {
		if l.Amount.Sign() <= 0 || !now.Before(l.At.Add(age)) {
			continue
		}
		var err error
		if young, err = young.Add(l.Amount); err != nil {
			return money.Amount{}, err
		}
	}
	free, err := balance.Sub(young)
	if err != nil || free.Sign() < 0 {
		return money.Minor(0), err
	}
	return free, nil
}

// Young is how much of a withdrawal is not free yet, in minor units: the fact of that name.
func Young(amount, balance money.Amount, in []Lot, age time.Duration, now time.Time) (int64, error) {
	free, err := Free(balance, in, age, now)
	if err != nil {
		return 0, err
	}
	over, err := amount.Sub(free)
	if err != nil || over.Sign() < 0 {
		return 0, err
	}
	return over.Minor(), nil
}
