package recurring

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Agreement is what a payer signed. It does not change, prices and consents apart.
type Agreement struct {
	Number string

	// Payer is the account that signed. Every charge is this account's, whoever is logged in when it falls due.
	Payer string

	Start    time.Time      // when it was signed
	Zone     *time.Location // where its months begin
	Months   int            // between two payments, 1 to 120
	Trial    Trial          // before the first payment
	Currency string
	Prices   []Price // by From; the first is the one that was signed, with From not after the first payment
}

// Trial is a time that costs nothing. Its days are counted first.
type Trial struct{ Days, Months int }

// Price is what a period costs that is due at From or later.
type Price struct {
	From   time.Time
	Amount money.Amount
	Agreed bool // the payer agreed to it; a price that is no rise needs nobody's word
}

// Check reports the first thing that makes no sense.
func (a Agreement) Check() error {
	switch {
	case a.Number == "" || a.Payer == "" || a.Currency == "":
		return errors.New("agreement: wants a number, a payer and a currency")
	case a.Zone == nil || a.Start.IsZero():
		return fmt.Errorf("agreement %s: wants a start and its time zone", a.Number)
	case a.Months < 1 || a.Months > 120:
		return fmt.Errorf("agreement %s: %d months between payments: want 1 to 120", a.Number, a.Months)
	case a.Trial.Days < 0 || a.Trial.Days > 3660 || a.Trial.Months < 0 || a.Trial.Months > 120:
		return fmt.Errorf("agreement %s: a trial of %d days and %d months is out of range", a.Number, a.Trial.Days, a.Trial.Months)
	case len(a.Prices) == 0 || a.Prices[0].From.After(a.Due(0)):
		return fmt.Errorf("agreement %s: has no price for its first payment", a.Number)
	}
	for i, p := range a.Prices {
		if p.Amount.Sign() <= 0 {
			return fmt.Errorf("agreement %s: price %d is %v: want more than zero", a.Number, i+1, p.Amount)
		}
		if i > 0 && !p.From.After(a.Prices[i-1].From) {
			return fmt.Errorf("agreement %s: price %d does not begin after the one before it", a.Number, i+1)
		}
	}
	return nil
}

// Due is when the payment of a period is due, 0 the first: at the hour it was signed at, on its day of the month or the month's last.
func (a Agreement) Due(period int) time.Time {
	t := a.Start.In(a.Zone).AddDate(0, 0, a.Trial.Days)
	y, m, d := t.Date()
	month := int(m) - 1 + a.Trial.Months + period*a.Months
	y, m = y+month/12, time.Month(month%12+1)
	last := time.Date(y, m+1, 0, 12, 0, 0, 0, time.UTC).Day()
	return time.Date(y, m, min(d, last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), a.Zone)
}

// Price is what a period costs, and whether the payer agreed to it or need not. It needs the payer's word if it is above the price that the
// payer has agreed to last or paid less than since.
func (a Agreement) Price(period int) (amount money.Amount, agreed bool) {
	due := a.Due(period)
	known := a.Prices[0].Amount
	amount, agreed = known, true
	for _, p := range a.Prices[1:] {
		if p.From.After(due) {
			break
		}
		agreed = p.Agreed || p.Amount.Cmp(known) <= 0
		if agreed {
			known = p.Amount
		}
		amount = p.Amount
	}
	return amount, agreed
}
