package fee

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Schedule is a party's fee standards over time. A term is in force from its date to the day before the next one's.
type Schedule struct {
	Terms []Term        `json:"terms" yaml:"terms"`                     // earliest first
	Until calendar.Date `json:"until,omitempty" yaml:"until,omitempty"` // last day of the last term; empty: for ever
}

// Term is the standards of one span of time. All of them apply; none is a span without fees.
type Term struct {
	From calendar.Date `json:"from" yaml:"from"`
	// ExpireAfter is how many days may lie between a tap and its arrival for it to be paid for; zero: any number. Without it, what holds for others
	// holds for this party.
	ExpireAfter *int       `json:"expire_after,omitempty" yaml:"expire_after,omitempty"`
	Standards   []Standard `json:"standards" yaml:"standards"`
}

// maxExpireAfter is ten years.
const maxExpireAfter = 3650

// ErrNotInForce says that a schedule has no term on a day. It is not "no fees": a term without standards says that.
var ErrNotInForce = errors.New("no fee term is in force")

// On is the term in force on a day.
func (s Schedule) On(day calendar.Date) (Term, error) {
	if s.Until != "" && day > s.Until {
		return Term{}, fmt.Errorf("%w on %s: the last ended on %s: agree on a new one", ErrNotInForce, day, s.Until)
	}
	for i := len(s.Terms) - 1; i >= 0; i-- {
		if s.Terms[i].From <= day {
			return s.Terms[i], nil
		}
	}
	return Term{}, fmt.Errorf("%w on %s: the first begins later", ErrNotInForce, day)
}

// MonthStart is the first day whose business a charge per month counts on a day: that of the month, or of the term if it
// began within the month. What was charged under other standards is not charged again.
func (t Term) MonthStart(day calendar.Date) calendar.Date {
	return max(t.From, day.MonthStart())
}

// Check reports all that is wrong with the schedule at once.
func (s Schedule) Check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("fee schedule: "+format, args...)) }
	if len(s.Terms) == 0 {
		bad("want at least one term")
	}
	last := calendar.Date("")
	for i, t := range s.Terms {
		if _, err := calendar.ParseDate(string(t.From)); err != nil {
			bad("terms[%d].from: %w", i, err)
		} else if t.From <= last {
			bad("terms[%d].from: %s is not after the term before it (%s)", i, t.From, last)
		}
		last = max(last, t.From)
		if d := t.ExpireAfter; d != nil && (*d < 0 || *d > maxExpireAfter) {
			bad("terms[%d].expire_after: %d: want 0 to %d days, or none for what the scheme has", i, *d, maxExpireAfter)
		}
		kinds := map[string]bool{}
		for j, st := range t.Standards {
			for _, f := range st.faults() {
				bad("terms[%d].standards[%d]: %w", i, j, f)
			}
			for _, k := range st.kinds() {
				if kinds[k] {
					bad("terms[%d].standards[%d]: kind %q is in two standards of the term", i, j, k)
				}
			}
			for _, k := range st.kinds() {
				kinds[k] = true
			}
		}
	}
	if s.Until != "" {
		if _, err := calendar.ParseDate(string(s.Until)); err != nil {
			bad("until: %w", err)
		} else if s.Until < last {
			bad("until: %s is before the last term begins (%s)", s.Until, last)
		}
	}
	return errors.Join(all...)
}

// kinds are the sub-accounts that a standard's parts go to.
func (s Standard) kinds() []string {
	var out []string
	for _, c := range s.Charges {
		out = append(out, c.Kind)
	}
	if s.Tax != nil {
		out = append(out, s.Tax.Kind)
	}
	return out
}
