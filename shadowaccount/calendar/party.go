package calendar

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Party is what fixes the clearing days of one party, and when they are due.
type Party struct {
	ID     string
	Table  Table          // of the place where it is settled
	Zone   *time.Location // of the cut-off
	CutOff CutOff
	Days   Unit // Working: no clearing day on a day of rest, its arrivals belong to the next working day
	Term   Term
}

// CutOff is when a clearing day ends, by the clock on the wall: hours and minutes after the midnight with which the day
// begins. The zero CutOff is that of none: 24:00.
type CutOff time.Duration

// latestCutOff is noon of the next day; a later one is a typing error.
const latestCutOff = CutOff(36 * time.Hour)

// ParseCutOff reads "23:30", or "27:00" for three in the morning after the day, as timetables write it.
func ParseCutOff(s string) (CutOff, error) {
	bad := fmt.Errorf("calendar: %q is no cut-off: want hours and minutes such as 23:30, up to 36:00 for noon of the next day", s)
	hours, minutes, ok := strings.Cut(s, ":")
	if !ok || len(hours) != 2 || len(minutes) != 2 {
		return 0, bad
	}
	h, err1 := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	c := CutOff(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
	if err1 != nil || err2 != nil || m > 59 || c == 0 || c > latestCutOff {
		return 0, bad
	}
	return c, nil
}

// String prints what ParseCutOff reads.
func (c CutOff) String() string {
	if c == 0 {
		c = CutOff(24 * time.Hour)
	}
	d := time.Duration(c)
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

// Cut is the moment that ends the date's business: what arrives at it belongs to the next. It is the first moment at which
// the clock on the wall shows the cut-off or more. So where the clock is put forward over the cut-off, the day ends with
// the jump; where it is put back over it, the day ends when the cut-off is shown for the first time.
func (p Party) Cut(d Date) time.Time {
	cut := time.Duration(p.CutOff)
	if cut == 0 {
		cut = 24 * time.Hour
	}
	n := d.noon()
	// The reading of the clock, as a moment of a clock that never moves.
	wall := time.Date(n.Year(), n.Month(), n.Day(), 0, 0, 0, 0, time.UTC).Add(cut)
	// No clock is a day and two hours off, so here it has not shown the reading yet.
	at := wall.Add(-26 * time.Hour).In(p.Zone)
	for {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		shown := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case shown.Before(at):
			return at // the jump to this offset went past it
		case end.IsZero() || shown.Before(end):
			return shown.In(p.Zone)
		}
		at = end
	}
}

// DayOf is the clearing day that an arrival belongs to. Every moment belongs to exactly one, and a later moment never to
// an earlier day. Error: [ErrBeyond], for a party without clearing days on days of rest.
func (p Party) DayOf(at time.Time) (Date, error) {
	d := DateOf(at.In(p.Zone)).Add(-2)
	for !at.Before(p.Cut(d)) {
		d = d.Add(1)
	}
	if p.Days != Working {
		return d, nil
	}
	for {
		works, err := p.Table.IsWorking(d)
		if err != nil {
			return "", fmt.Errorf("clearing day of %s: %w", p.ID, err)
		}
		if works {
			return d, nil
		}
		d = d.Add(1)
	}
}

// Due is the date on which the money of the party's clearing day is due.
func (p Party) Due(day Date) (Date, error) { return p.Table.Due(day, p.Term) }
