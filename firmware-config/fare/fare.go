// Package fare is the fare rules: what a boarding, an entry and an exit cost. It is pure: tables, places and times in, a quote out.
//
// Start with [Tables.BusFlat], [Tables.MetroEntry] and [Tables.MetroExit]. Rules belong to operators; every special case (same
// station, missing entry, missing exit, too long inside) is a named amount in the tables, and the quote names the rule that gave it.
package fare

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Code is a line's or station's two bytes on the card; their meaning is the city's own. Text form: four hexadecimal
// digits.
type Code [2]byte

// String prints four hexadecimal digits.
func (c Code) String() string { return strings.ToUpper(hex.EncodeToString(c[:])) }

// MarshalText implements encoding.TextMarshaler.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Code) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(c) {
		return fmt.Errorf("code %q: want four hexadecimal digits", text)
	}
	copy(c[:], raw)
	return nil
}

// Tables are the fares of an operator.
type Tables struct {
	Bus   []BusLine `yaml:"bus"`
	Metro Metro     `yaml:"metro"`
}

// BusLine is a line with a flat fare.
type BusLine struct {
	Line Code         `yaml:"line"`
	Name string       `yaml:"name"`
	Fare money.Amount `yaml:"fare"`
}

// Metro is a line network priced by station pair.
type Metro struct {
	Stations []Station `yaml:"stations"`
	Pairs    []Pair    `yaml:"pairs"`

	// SameStation is charged for leaving where one entered.
	SameStation money.Amount `yaml:"same_station"`
	// MissingEntry is charged at an exit to a card that shows no entry.
	MissingEntry money.Amount `yaml:"missing_entry"`
	// OverTime is charged on top for staying inside longer than MaxStay.
	OverTime money.Amount  `yaml:"over_time"`
	MaxStay  time.Duration `yaml:"max_stay"`
}

// Station is a station of the network.
type Station struct {
	Code Code   `yaml:"code"`
	Name string `yaml:"name"`
}

// Pair is the fare between two stations, both ways unless the other way has a pair of its own.
type Pair struct {
	From Code         `yaml:"from"`
	To   Code         `yaml:"to"`
	Fare money.Amount `yaml:"fare"`
}

// Quote is a fare and the name of the rule that gave it.
type Quote struct {
	Amount money.Amount
	Rule   string
	// Marked, of an entry, is the highest fare from there: charged if the trip is never closed.
	Marked money.Amount
}

// Errors of a quote. They mean that a terminal's place and its tables do not fit.
var (
	ErrNoLine = errors.New("no fare for that line")
	ErrNoPair = errors.New("no fare for that pair of stations")
)

// BusFlat quotes the flat fare of a line.
func (t Tables) BusFlat(line Code) (Quote, error) {
	for _, l := range t.Bus {
		if l.Line == line {
			return Quote{Amount: l.Fare, Rule: "bus-flat"}, nil
		}
	}
	return Quote{}, fmt.Errorf("line %v: %w", line, ErrNoLine)
}

// MetroEntry quotes an entry: nothing now, and the highest fare from there as the marked fare.
func (t Tables) MetroEntry(at Code) (Quote, error) {
	q := Quote{Rule: "metro-entry"}
	known := false
	for _, p := range t.Metro.Pairs {
		if p.From == at || p.To == at {
			known = true
			if p.Fare.Cmp(q.Marked) > 0 {
				q.Marked = p.Fare
			}
		}
	}
	if !known {
		return Quote{}, fmt.Errorf("station %v: %w", at, ErrNoPair)
	}
	return q, nil
}

// MetroExit quotes an exit after an entry and a time inside. A negative time, from clocks that differ, counts as none.
func (t Tables) MetroExit(entry, exit Code, stayed time.Duration) (Quote, error) {
	q, err := t.pair(entry, exit)
	if err != nil {
		return Quote{}, err
	}
	if t.Metro.MaxStay > 0 && stayed > t.Metro.MaxStay {
		if q.Amount, err = q.Amount.Add(t.Metro.OverTime); err != nil {
			return Quote{}, err
		}
		q.Rule += "+over-time"
	}
	return q, nil
}

func (t Tables) pair(entry, exit Code) (Quote, error) {
	if entry == exit {
		return Quote{Amount: t.Metro.SameStation, Rule: "metro-same-station"}, nil
	}
	var back *Pair
	for i, p := range t.Metro.Pairs {
		if p.From == entry && p.To == exit {
			return Quote{Amount: p.Fare, Rule: "metro-pair"}, nil
		}
		if p.From == exit && p.To == entry {
			back = &t.Metro.Pairs[i]
		}
	}
	if back == nil {
		return Quote{}, fmt.Errorf("%v to %v: %w", entry, exit, ErrNoPair)
	}
	return Quote{Amount: back.Fare, Rule: "metro-pair"}, nil
}

// MetroMissingEntry quotes an exit of a card that shows no entry.
func (t Tables) MetroMissingEntry() Quote {
	return Quote{Amount: t.Metro.MissingEntry, Rule: "metro-missing-entry"}
}

// Check returns every fault of the tables at once.
func (t Tables) Check() []error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	lines := map[Code]bool{}
	for i, l := range t.Bus {
		if lines[l.Line] {
			bad("fares.bus[%d]: line %v stands twice", i, l.Line)
		}
		lines[l.Line] = true
		checkFare(bad, fmt.Sprintf("fares.bus[%d].fare", i), l.Fare)
	}
	stations := map[Code]bool{}
	for i, s := range t.Metro.Stations {
		if stations[s.Code] {
			bad("fares.metro.stations[%d]: station %v stands twice", i, s.Code)
		}
		stations[s.Code] = true
	}
	pairs := map[[2]Code]bool{}
	for i, p := range t.Metro.Pairs {
		where := fmt.Sprintf("fares.metro.pairs[%d]", i)
		if !stations[p.From] || !stations[p.To] {
			bad("%s: %v to %v: both must be in fares.metro.stations", where, p.From, p.To)
		}
		if p.From == p.To {
			bad("%s: from and to are the same station: use same_station", where)
		}
		if pairs[[2]Code{p.From, p.To}] {
			bad("%s: %v to %v stands twice", where, p.From, p.To)
		}
		pairs[[2]Code{p.From, p.To}] = true
		checkFare(bad, where+".fare", p.Fare)
	}
	for i, a := range t.Metro.Stations {
		for _, b := range t.Metro.Stations[i+1:] {
			if !pairs[[2]Code{a.Code, b.Code}] && !pairs[[2]Code{b.Code, a.Code}] {
				bad("fares.metro.pairs: no fare between %v and %v", a.Code, b.Code)
			}
		}
	}
	checkFare(bad, "fares.metro.same_station", t.Metro.SameStation)
	checkFare(bad, "fares.metro.missing_entry", t.Metro.MissingEntry)
	checkFare(bad, "fares.metro.over_time", t.Metro.OverTime)
	if t.Metro.MaxStay < 0 {
		bad("fares.metro.max_stay: %v: want a duration such as 4h", t.Metro.MaxStay)
	}
	return all
}

func checkFare(bad func(string, ...any), where string, a money.Amount) {
	if a.Sign() < 0 || a.Minor() > 1_000_000 {
		bad("%s: %v: want 0.00 to 10000.00", where, a)
	}
}
