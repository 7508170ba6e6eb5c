package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/internal/ids"
)

// Plan is the parties of a scheme, by their names.
type Plan map[string]Party

type (
	yamlPlan struct {
		Places  []yamlPlace `yaml:"places"`
		Parties []yamlParty `yaml:"parties"`
	}
	yamlPlace struct {
		ID       string   `yaml:"id"`
		Through  string   `yaml:"through"`
		Weekend  []string `yaml:"weekend"`
		Holidays []string `yaml:"holidays"`
		Workdays []string `yaml:"workdays"`
	}
	yamlParty struct {
		ID     string `yaml:"id"`
		Place  string `yaml:"place"`
		Zone   string `yaml:"time_zone"`
		CutOff string `yaml:"cut_off"`
		Days   string `yaml:"days"`
		Term   string `yaml:"term"`
	}
)

// ParsePlan reads places and parties in YAML, strictly, and reports all faults at once:
//
//	places:
//	  - id: china
//	    through: 2026-12-31
//	    weekend: [saturday, sunday] # the default
//	    holidays: [2026-10-01 to 2026-10-07]
//	    workdays: [2026-10-10]
//	parties:
//	  - {id: bus, place: china, time_zone: Asia/Shanghai, cut_off: "23:30", days: calendar, term: T+1}
//
// Without cut_off a day ends at midnight; without days every day is a clearing day; without term it is T+1. zone finds a
// time zone by its name, as [time.LoadLocation] does.
func ParsePlan(raw []byte, zone func(string) (*time.Location, error)) (Plan, error) {
	var y yamlPlan
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&y); err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("calendar: more than one YAML document")
	}
	var faults []error
	bad := func(where string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("calendar: %s: %w", where, err))
		}
	}
	places := map[string]Table{}
	for i, p := range y.Places {
		where := fmt.Sprintf("places[%d]", i)
		if _, twice := places[p.ID]; twice {
			bad(where+".id", fmt.Errorf("%s is there twice", p.ID))
		}
		bad(where+".id", ids.Check(p.ID))
		places[p.ID] = p.table(func(field string, err error) { bad(where+"."+field, err) })
	}
	plan := Plan{}
	for i, p := range y.Parties {
		where := fmt.Sprintf("parties[%d]", i)
		if _, twice := plan[p.ID]; twice {
			bad(where+".id", fmt.Errorf("%s is there twice", p.ID))
		}
		plan[p.ID] = p.party(places, zone, func(field string, err error) { bad(where+"."+field, err) })
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return plan, nil
}

func (y yamlPlace) table(bad func(string, error)) Table {
	t := Table{Exceptions: map[Date]Kind{}}
	var err error
	if t.Through, err = ParseDate(y.Through); err != nil {
		bad("through", fmt.Errorf("how far the table reaches: %w", err))
	}
	if y.Weekend != nil {
		if t.Weekend, err = parseWeekend(y.Weekend); err != nil {
			bad("weekend", err)
		}
	}
	for _, list := range []struct {
		field string
		kind  Kind
		dates []string
	}{{"holidays", Holiday, y.Holidays}, {"workdays", Workday, y.Workdays}} {
		for i, text := range list.dates {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			dates, err := parseDates(text)
			if err != nil {
				bad(field, err)
			}
			for _, d := range dates {
				if err := t.except(d, list.kind); err != nil {
					bad(field, err)
				}
			}
		}
	}
	for _, err := range t.beyond() {
		bad("through", err)
	}
	return t
}

// longestHoliday bounds what one entry may list; a longer one is a typing error.
const longestHoliday = 31

// parseDates reads one date, or "2026-10-01 to 2026-10-07".
func parseDates(text string) ([]Date, error) {
	first, last, several := strings.Cut(text, " to ")
	from, err := ParseDate(first)
	if err != nil {
		return nil, err
	}
	if !several {
		return []Date{from}, nil
	}
	to, err := ParseDate(last)
	if err != nil {
		return nil, err
	}
	if to < from || from.Add(longestHoliday) <= to {
		return nil, fmt.Errorf("%s: want an earlier and a later date, at most %d days", text, longestHoliday)
	}
	var out []Date
	for d := from; d <= to; d = d.Add(1) {
		out = append(out, d)
	}
	return out, nil
}

func (y yamlParty) party(places map[string]Table, zone func(string) (*time.Location, error), bad func(string, error)) Party {
	p := Party{ID: y.ID, Days: Calendar, Term: Term{Unit: Working, Days: 1}, Zone: time.UTC}
	if err := ids.Check(y.ID); err != nil {
		bad("id", err)
	}
	var known bool
	if p.Table, known = places[y.Place]; !known {
		bad("place", fmt.Errorf("%q is none of the places", y.Place))
	}
	if y.Zone == "" || y.Zone == "Local" { // Local is another zone on each machine
		bad("time_zone", errors.New("want an IANA name such as Asia/Shanghai"))
	} else if found, err := zone(y.Zone); err != nil {
		bad("time_zone", err)
	} else {
		p.Zone = found
	}
	var err error
	if y.CutOff != "" {
		if p.CutOff, err = ParseCutOff(y.CutOff); err != nil {
			bad("cut_off", err)
		}
	}
	if y.Term != "" {
		if p.Term, err = ParseTerm(y.Term); err != nil {
			bad("term", err)
		}
	}
	switch y.Days {
	case "", "calendar":
	case "working":
		p.Days = Working
	default:
		bad("days", fmt.Errorf("%q: want calendar or working", y.Days))
	}
	return p
}
