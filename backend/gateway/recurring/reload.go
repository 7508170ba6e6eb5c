package recurring

import (
	"errors"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Reload is what a payer agreed to for one card: when it holds less than Below it is loaded with Amount, at most once in so many days.
type Reload struct {
	Below  money.Amount
	Amount money.Amount
	Days   int // 1 to 366
}

// Check reports the first thing that makes no sense.
func (r Reload) Check() error {
	if r.Below.Sign() <= 0 || r.Amount.Sign() <= 0 || r.Days < 1 || r.Days > 366 {
		return errors.New("reload: wants a balance and an amount above zero, and 1 to 366 days between two loads")
	}
	return nil
}

// Reloads is what has happened by a [Reload]. The zero value is a new one.
type Reloads struct {
	Doubt    bool      // nobody knows how the last charge ended
	Paid     time.Time // when the last charge was made that was paid; zero: none was
	Tried    time.Time // when the last charge was made
	Refusals int       // since one was paid
}

// Known is what is known of the card: its balance as its posted records tell, which may be behind what it holds.
type Known struct {
	Active   bool // it may be loaded
	Balance  money.Amount
	UnderWay bool // a load waits for it, or is on its way to it
}

// lookEvery is the pause between two looks at a card.
const lookEvery = 10 * time.Minute

// Next says what is to be done about a card now: Query, Charge, or Wait. While a load waits for the card nothing is charged, however long that is: a card
// that nobody presents cannot be loaded. A charge that was refused is tried again after the pauses of the settings.
func (r Reload) Next(set Settings, s Reloads, k Known, now time.Time) Step {
	step := Step{Do: Wait, At: now.Add(lookEvery), Amount: r.Amount}
	if s.Doubt {
		step.Do = Query
		return step
	}
	from := time.Time{}
	if !s.Paid.IsZero() {
		from = s.Paid.AddDate(0, 0, r.Days)
	}
	if s.Refusals > 0 {
		from = later(from, s.Tried.Add(set.Retries[min(s.Refusals, len(set.Retries))-1]))
	}
	switch {
	case now.Before(from):
		step.At = from
	case k.Active && !k.UnderWay && k.Balance.Cmp(r.Below) < 0:
		step.Do = Charge
	}
	return step
}
