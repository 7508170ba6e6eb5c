package keys

import (
	"fmt"
	"time"
)

// Day is a calendar day, as 2026-11-25. Days compare as text.
type Day string

// ParseDay reads a day, in this form only.
func ParseDay(text string) (Day, error) {
	if t, err := time.Parse(time.DateOnly, text); err != nil || t.Year() < 1 {
		return "", fmt.Errorf("keys: %q: want a day such as 2026-11-25", text)
	}
	return Day(text), nil
}

// DayOf returns the day of a time, where that time is.
func DayOf(t time.Time) Day { return Day(t.Format(time.DateOnly)) }

// After returns the day so many days later.
func (d Day) After(days int) Day {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return d // no day: it stays none
	}
	return DayOf(t.AddDate(0, 0, days))
}
