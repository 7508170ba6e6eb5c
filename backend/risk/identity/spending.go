package identity

import (
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Spending is what was asked and paid in a day.
type Spending struct {
	Day      string // 2006-01-02 in the settings' zone
	Calls    int    // that were paid for
	Silent   int    // calls without an answer, or not in time
	Saved    int    // answers that needed no call
	Answers  [4]int // by number of the answer
	Spent    money.Amount
	Budget   money.Amount
	Refusals int // calls not made: no budget, breaker open, too many at once
}

// turn begins a new day where one has begun.
func (s *Spending) turn(now time.Time, zone *time.Location) {
	if day := now.In(zone).Format(time.DateOnly); day != s.Day {
		*s = Spending{Day: day, Budget: s.Budget}
	}
}

// pay takes a call's price out of the budget and reports whether it was there.
func (s *Spending) pay(price money.Amount) bool {
	sum, err := s.Spent.Add(price)
	if err != nil || sum.Cmp(s.Budget) > 0 {
		return false
	}
	s.Spent = sum
	s.Calls++
	return true
}

// payBack gives back the price of a call that was not made after all, if its day is not over.
func (s *Spending) payBack(day string, price money.Amount) {
	if s.Day != day {
		return
	}
	if less, err := s.Spent.Sub(price); err == nil {
		s.Spent = less
		s.Calls--
	}
}
