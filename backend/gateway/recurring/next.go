package recurring

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Settings say when things are done around a due time.
type Settings struct {
	Ahead   time.Duration   // before it the agreement is looked after
	Window  time.Duration   // before it the payment may be made
	Retries []time.Duration // after each payment that was refused; the last is repeated
	Grace   time.Duration   // after it the service goes on unpaid and payments are tried
	Between time.Duration   // at least between two periods' payments: what was late is not followed by the next at once
}

// Defaults: looked after 10 days before, paid within the last 24 hours, tried again after hours and then days, for 60 days.
func Defaults() Settings {
	const day = 24 * time.Hour
	return Settings{
		Ahead: 10 * day, Window: day, Grace: 60 * day, Between: day,
		Retries: []time.Duration{6 * time.Hour, 12 * time.Hour, day, 2 * day, 3 * day, 7 * day},
	}
}

// Check reports the first setting that makes no sense.
func (s Settings) Check() error {
	switch {
	case s.Window <= 0 || s.Ahead <= s.Window || s.Ahead > 27*24*time.Hour:
		return fmt.Errorf("recurring: looked after %v before and paid %v before: want the first larger, and less than a month", s.Ahead, s.Window)
	case s.Grace < 0 || s.Between < 0 || len(s.Retries) == 0:
		return errors.New("recurring: wants retries, and a grace and a pause that are not below zero")
	}
	for _, d := range s.Retries {
		if d <= 0 {
			return fmt.Errorf("recurring: a retry after %v: want more than zero", d)
		}
	}
	return nil
}

// Standing is how an agreement stands. The text is stored and is part of the API.
type Standing string

// Standings.
const (
	Good   Standing = "good"   // in its trial, paid, or not due yet
	Late   Standing = "late"   // due and not paid: the service goes on through the grace
	Lapsed Standing = "lapsed" // not paid in the grace, or a rise that nobody agreed to; it does not come back by itself
	Ended  Standing = "ended"  // by the payer, the merchant or the channel
)

// State is what has happened to an agreement. The zero value is a new one.
type State struct {
	Period  int       // to be paid next, 0 the first; all before it are paid
	Checked bool      // this period was looked after
	Tries   int       // payments made for this period
	Doubt   bool      // nobody knows how the last of them ended
	Last    time.Time // when it was made
	Paid    time.Time // when the period before was paid
	End     Standing  // Lapsed or Ended; "" while it goes on
}

// Do is what is to be done.
type Do string

// What there is to do.
const (
	Wait   Do = "wait"   // nothing until At
	Look   Do = "look"   // whether the channel still has the agreement; tell the payer what is coming
	Ask    Do = "ask"    // the payer to agree to the rise; again until At, then it is too late
	Charge Do = "charge" // the payer
	Query  Do = "query"  // how the last payment ended
	Lapse  Do = "lapse"  // stop the service
	Rest   Do = "rest"   // nothing, for ever
)

// Step is one thing to do.
type Step struct {
	Do     Do
	At     time.Time // of Wait: look again then; of Ask: the last moment
	Period int
	Try    int          // of Charge, 1 the first
	Payer  string       // of Charge: who signed
	Amount money.Amount // of Charge and Ask
	Key    string       // of Charge: the same for the same try, so that a repeated step is no second payment
	Why    string       // of Lapse
}

// Next says what is to be done about an agreement now.
func (a Agreement) Next(set Settings, s State, now time.Time) Step {
	step := Step{Period: s.Period}
	due := a.Due(s.Period)
	first := !due.After(a.Start) // paid when it is signed
	look, from, end := later(due.Add(-set.Ahead), a.Start), later(due.Add(-set.Window), a.Start), due.Add(set.Grace)
	if !s.Paid.IsZero() {
		from = later(from, s.Paid.Add(set.Between))
	}
	amount, agreed := a.Price(s.Period)
	switch {
	case s.End != "":
		step.Do = Rest
	case s.Doubt:
		step.Do = Query
	case now.Before(look):
		step.Do, step.At = Wait, look
	case !s.Checked && !first && s.Tries == 0:
		step.Do = Look
	case !agreed && now.Before(due):
		step.Do, step.At, step.Amount = Ask, due, amount
	case !agreed:
		step.Do, step.Why = Lapse, "the price rises and the payer has not agreed"
	case now.Before(from):
		step.Do, step.At = Wait, from
	case s.Tries > 0 && !now.Before(end):
		step.Do, step.Why = Lapse, "not paid in the time of grace"
	case s.Tries > 0 && now.Before(s.retry(set)):
		// A retry beyond the grace is not waited for: the end is.
		step.Do, step.At = Wait, earlier(s.retry(set), end)
	default:
		// With no try yet it is charged even after the grace: that we were down is not the payer's fault.
		step.Do, step.Try, step.Payer, step.Amount = Charge, s.Tries+1, a.Payer, amount
		step.Key = fmt.Sprintf("%s-%d-%d", a.Number, s.Period, step.Try)
	}
	return step
}

func (s State) retry(set Settings) time.Time {
	return s.Last.Add(set.Retries[min(s.Tries, len(set.Retries))-1])
}

// Standing says how an agreement stands at a time.
func (a Agreement) Standing(s State, now time.Time) Standing {
	switch {
	case s.End != "":
		return s.End
	case now.Before(a.Due(s.Period)):
		return Good
	}
	return Late
}

// Event is what can happen to an agreement.
type Event string

// Events.
const (
	Looked    Event = "looked"    // the channel has it and the payer was told
	Charged   Event = "charged"   // a payment is being made: noted before the channel is called
	Succeeded Event = "succeeded" // the last payment
	Refused   Event = "refused"   // the last payment, and another may succeed
	GaveUp    Event = "lapsed"
	Cancelled Event = "cancelled" // by the payer or the merchant, or the channel does not have it any more
)

// Events lists every event.
var Events = []Event{Looked, Charged, Succeeded, Refused, GaveUp, Cancelled}

// ErrEvent says that an event cannot happen to a state.
var ErrEvent = errors.New("the agreement cannot do this")

// Apply says what has happened after an event. A payment that succeeds counts whatever has become of the agreement: the money has come, and the
// period is paid; its end stays. A second success for one period is refused: that money is to be given back. Error: [ErrEvent].
func Apply(s State, e Event, at time.Time) (State, error) {
	was, ended, ok := s, s.End != "", false
	switch e {
	case Looked:
		ok = !ended && !s.Checked
		s.Checked = true
	case Charged:
		ok = !ended && !s.Doubt
		s.Doubt, s.Last, s.Tries = true, at, s.Tries+1
	case Succeeded:
		ok = s.Tries > 0 // of a payment that was called refused, too
		s = State{Period: s.Period + 1, Paid: at, End: s.End}
	case Refused:
		ok = s.Doubt
		s.Doubt = false
	case GaveUp:
		ok = !ended && !s.Doubt
		s.End = Lapsed
	case Cancelled:
		ok = !ended
		s.End = Ended
	}
	if !ok {
		return State{}, fmt.Errorf("%w: %s in period %d", ErrEvent, e, was.Period)
	}
	return s, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
