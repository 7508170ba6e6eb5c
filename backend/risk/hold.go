package risk

import (
	"slices"
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

// FreeAt is when an amount of a balance may be withdrawn if nothing else happens; false is that there is not so much.
func FreeAt(amount, balance money.Amount, in []Lot, age time.Duration, now time.Time) (time.Time, bool, error) {
	if amount.Cmp(balance) > 0 {
		return time.Time{}, false, nil
	}
	moments := []time.Time{now}
	for _, l := range in {
		if old := l.At.Add(age); old.After(now) {
			moments = append(moments, old)
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, at := range moments {
		free, err := Free(balance, in, age, at)
		if err != nil {
			return time.Time{}, false, err
		}
		if amount.Cmp(free) <= 0 {
			return at, true, nil
		}
	}
	return time.Time{}, false, nil
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
