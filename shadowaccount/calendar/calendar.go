// Package calendar says on which date money is due, by the two terms the field uses.
//
// T+n counts working days, D+n counts calendar days: over a long holiday they differ by a week. Start with [Parse]
// for the table of holidays and [Table.Due] for a date. Weekends are Saturday and Sunday unless the table names others; a
// holiday on a weekday and a weekend that is worked to make up for one (调休) are both lines of the table. A table says how
// far it reaches, and a date beyond that is an error: a holiday nobody has entered yet must not be taken for a working day.
//
// A [Party] is cleared by a place's calendar, in a time zone, with a cut-off: [Party.DayOf] says which clearing day an
// arrival belongs to, [Party.Due] when that day's money is due.
//
// The package is pure: it knows no clock, and is handed its time zones. A date is a date.
package calendar

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Date is a calendar date without time or zone, printed as 2026-11-24. Dates compare as strings do.
type Date string

const layout = "2006-01-02"

// ParseDate reads a date and refuses one that does not exist.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(layout, s)
	if err != nil || t.Format(layout) != s {
		return "", fmt.Errorf("calendar: %q is no date: want year-month-day such as 2026-11-24", s)
	}
	return Date(s), nil
}

// DateOf is the date of t in t's own location.
func DateOf(t time.Time) Date { return Date(t.Format(layout)) }

// Until counts the days from the date to a later one; negative if it is earlier.
func (d Date) Until(later Date) int { return int(later.noon().Sub(d.noon()).Hours()) / 24 }

// Add is the date n days later.
func (d Date) Add(n int) Date { return DateOf(d.noon().AddDate(0, 0, n)) }

// Noon in UTC, so that no zone's daylight saving can move a date.
func (d Date) noon() time.Time {
	t, err := time.Parse(layout, string(d))
	if err != nil {
		return time.Time{}
	}
	return t.Add(12 * time.Hour)
}

// Start is the first instant of the date in loc.
func (d Date) Start(loc *time.Location) time.Time {
	n := d.noon()
	return time.Date(n.Year(), n.Month(), n.Day(), 0, 0, 0, 0, loc)
}

// MonthStart is the first day of the date's month.
func (d Date) MonthStart() Date {
	n := d.noon()
	return DateOf(n.AddDate(0, 0, 1-n.Day()))
}

// Weekday is the date's day of the week.
func (d Date) Weekday() time.Weekday { return d.noon().Weekday() }

// Unit is what a term counts in.
type Unit byte

const (
	// Working days: the field's T.
	Working Unit = 'T'
	// Calendar days: the field's D.
	Calendar Unit = 'D'
)

// Term is T+n or D+n.
type Term struct {
	Unit Unit
	Days int
}

// MaxTermDays bounds a term; a longer one is a typing error.
const MaxTermDays = 99

// ParseTerm reads "T+1" or "D+1".
func ParseTerm(s string) (Term, error) {
	unit, days, ok := strings.Cut(s, "+")
	n, err := strconv.Atoi(days)
	if !ok || err != nil || strconv.Itoa(n) != days || n < 0 || n > MaxTermDays || unit != "T" && unit != "D" {
		return Term{}, fmt.Errorf("calendar: %q is no term: want T+n (working days) or D+n (calendar days), n up to %d", s, MaxTermDays)
	}
	return Term{Unit(unit[0]), n}, nil
}

// String prints what ParseTerm reads.
func (t Term) String() string { return fmt.Sprintf("%c+%d", t.Unit, t.Days) }

// Kind of an exceptional day.
type Kind string

const (
	// Holiday: a weekday on which banks are closed.
	Holiday Kind = "holiday"
	// Workday: a weekend day that is worked.
	Workday Kind = "workday"
)

// Table is the plain week and the exceptions to it. The zero Table has none, rests on Saturday and Sunday, and reaches for
// ever.
type Table struct {
	Through    Date           // last date the table knows; empty: for ever
	Weekend    []time.Weekday // days of rest, Sunday first; none: Saturday and Sunday
	Exceptions map[Date]Kind
}

// rests reports whether the plain week rests on d.
func (t Table) rests(d Date) bool {
	w := d.Weekday()
	if len(t.Weekend) == 0 {
		return w == time.Saturday || w == time.Sunday
	}
	return slices.Contains(t.Weekend, w)
}

// ErrBeyond says that a due date lies beyond the end of the table.
var ErrBeyond = errors.New("calendar: beyond the table")

// IsWorking reports whether banks work on d.
func (t Table) IsWorking(d Date) (bool, error) {
	if t.Through != "" && d > t.Through {
		return false, fmt.Errorf("%w: %s, the table ends on %s: add the coming year's holidays", ErrBeyond, d, t.Through)
	}
	switch t.Exceptions[d] {
	case Holiday:
		return false, nil
	case Workday:
		return true, nil
	}
	return !t.rests(d), nil
}

// Due is the date on which money of the clearing day is due. T+n is the nth working day after it; T+0 the day itself
// or, when it is none, the next working day. D+n is n days after it, whatever day that is.
func (t Table) Due(day Date, term Term) (Date, error) {
	if _, err := ParseDate(string(day)); err != nil {
		return "", err
	}
	if term.Unit == Calendar {
		return day.Add(term.Days), nil
	}
	if term.Unit != Working {
		return "", fmt.Errorf("calendar: term %v: want unit T or D", term)
	}
	left := term.Days
	d := day
	if left > 0 {
		d = d.Add(1)
	}
	for ; ; d = d.Add(1) {
		works, err := t.IsWorking(d)
		if err != nil {
			return "", fmt.Errorf("due %v after %s: %w", term, day, err)
		}
		if !works {
			continue
		}
		if left--; left <= 0 {
			return d, nil
		}
	}
}
