package calendar

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Parse reads a table, one line a date, '#' starts a comment:
//
//	through 2026-12-31
//	2026-10-01 holiday National Day
//	2026-10-10 workday for 2026-10-07
//
// The text after the kind is for people. All faults are reported at once, with their lines.
func Parse(text []byte) (Table, error) {
	t := Table{Exceptions: map[Date]Kind{}}
	var faults []error
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := t.take(words); err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
		}
	}
	if t.Through == "" {
		faults = append(faults, errors.New("no line 'through DATE' says how far the table reaches"))
	}
	for _, d := range t.dates() {
		if t.Through != "" && d > t.Through {
			faults = append(faults, fmt.Errorf("%s lies beyond through %s", d, t.Through))
		}
	}
	if len(faults) > 0 {
		return Table{}, fmt.Errorf("calendar: %w", errors.Join(faults...))
	}
	return t, nil
}

func (t *Table) take(words []string) error {
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
	kind := Kind(words[1])
	if _, twice := t.Exceptions[d]; twice {
		return fmt.Errorf("%s is there twice", d)
	}
	switch {
	case kind != Holiday && kind != Workday:
		return fmt.Errorf("%s: %q: want holiday or workday", d, words[1])
	case kind == Workday && !d.weekend():
		return fmt.Errorf("%s is a weekday, which is worked anyway", d)
	}
	// A holiday on a weekend is no fault: tables list whole holidays, weekend and all.
	t.Exceptions[d] = kind
	return nil
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
	for _, d := range t.dates() {
		fmt.Fprintf(&b, "%s %s\n", d, t.Exceptions[d])
	}
	return []byte(b.String())
}
