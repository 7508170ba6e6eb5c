package calendar

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Parse reads a table, one line a date, '#' starts a comment:
//
//	through 2026-12-31
//	weekend friday saturday
//	2026-10-01 holiday National Day
//	2026-10-10 workday for 2026-10-07
//
// Without a line weekend it is Saturday and Sunday. The text after the kind is for people. All faults are reported at once, with their lines.
func Parse(text []byte) (Table, error) {
	t := Table{Exceptions: map[Date]Kind{}}
	var faults []error
	each := func(weekend bool) {
		for i, line := range strings.Split(string(text), "\n") {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			if len(words) == 0 || (words[0] == "weekend") != weekend {
				continue
			}
			if err := t.take(words); err != nil {
				faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
			}
		}
	}
	each(true) // first, wherever it stands: which weekend days are worked is checked against it
	each(false)
	if t.Through == "" {
		faults = append(faults, errors.New("no line 'through DATE' says how far the table reaches"))
	}
	faults = append(faults, t.beyond()...)
	if len(faults) > 0 {
		return Table{}, fmt.Errorf("calendar: %w", errors.Join(faults...))
	}
	return t, nil
}

// beyond names the dates that lie beyond the table.
func (t Table) beyond() (out []error) {
	for _, d := range t.dates() {
		if t.Through != "" && d > t.Through {
			out = append(out, fmt.Errorf("%s lies beyond through %s", d, t.Through))
		}
	}
	return out
}

func (t *Table) take(words []string) error {
	if words[0] == "weekend" {
		if t.Weekend != nil {
			return errors.New("want one line weekend")
		}
		week, err := parseWeekend(words[1:])
		t.Weekend = week
		return err
	}
	if words[0] == "through" {
		if len(words) != 2 || t.Through != "" {
			return errors.New("want one line 'through DATE'")
		}
		d, err := ParseDate(words[1])
		t.Through = d
		return err
	}
	d, err := ParseDate(words[0])
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return fmt.Errorf("%s: want holiday or workday after the date", d)
	}
	return t.except(d, Kind(words[1]))
}

// except enters an exceptional day. A holiday on a weekend is no fault: tables list whole holidays, weekend and all.
func (t *Table) except(d Date, kind Kind) error {
	if _, twice := t.Exceptions[d]; twice {
		return fmt.Errorf("%s is there twice", d)
	}
	switch {
	case kind != Holiday && kind != Workday:
		return fmt.Errorf("%s: %q: want holiday or workday", d, kind)
	case kind == Workday && !t.rests(d):
		return fmt.Errorf("%s is a weekday, which is worked anyway", d)
	}
	t.Exceptions[d] = kind
	return nil
}

// parseWeekend reads the days of rest by their English names.
func parseWeekend(names []string) ([]time.Weekday, error) {
	var out []time.Weekday
	for _, name := range names {
		day := time.Weekday(-1)
		for w := time.Sunday; w <= time.Saturday; w++ {
			if strings.EqualFold(name, w.String()) {
				day = w
			}
		}
		if day < 0 || slices.Contains(out, day) {
			return nil, fmt.Errorf("weekend: %q: want days of the week such as friday, each once", name)
		}
		out = append(out, day)
	}
	if len(out) == 0 || len(out) == 7 {
		return nil, errors.New("weekend: want one to six days")
	}
	slices.Sort(out)
	return out, nil
}

func (t Table) dates() []Date {
	out := make([]Date, 0, len(t.Exceptions))
	for d := range t.Exceptions {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// Text prints a table in the one form that Parse reads back to the same table. The zero Table, which Parse does not
// read, prints as nothing.
func (t Table) Text() []byte {
	var b strings.Builder
	if t.Through != "" {
		fmt.Fprintf(&b, "through %s\n", t.Through)
	}
	if len(t.Weekend) > 0 {
		b.WriteString("weekend")
		for _, w := range t.Weekend {
			b.WriteString(" " + strings.ToLower(w.String()))
		}
		b.WriteByte('\n')
	}
	for _, d := range t.dates() {
		fmt.Fprintf(&b, "%s %s\n", d, t.Exceptions[d])
	}
	return []byte(b.String())
}
