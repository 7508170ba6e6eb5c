package watch

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// Settings are what a scheme holds usual; docs/findings.md is their page. Zero in a field is its default, and -1 switches a finder off.
type Settings struct {
	VelocityTaps    int `yaml:"velocity_taps"`    // of one card within VelocityMinutes; default 10
	VelocityMinutes int `yaml:"velocity_minutes"` // default 10
	MaxSpeed        int `yaml:"max_speed"`        // km/h that nobody travels faster than; default 250

	MaxAmount  money.Amount            `yaml:"max_amount"`  // of one debit; zero: no limit
	MaxAmounts map[string]money.Amount `yaml:"max_amounts"` // of one debit, by card family

	UnknownDays int `yaml:"unknown_days"` // that an unknown tap may wait for the card's next record; default 7
	GapDays     int `yaml:"gap_days"`     // that records of a card may be missing; default 7
	HoleDays    int `yaml:"hole_days"`    // that records of a terminal, or numbers of a PSAM, may be missing; default 7
	SAMHole     int `yaml:"sam_hole"`     // numbers of a PSAM in a row, below which nothing is told; default 20

	ClockSlack int `yaml:"clock_slack"` // seconds that a clock may be wrong beyond the error it owns up to; default 120

	Places []Place `yaml:"places"`
}

// Place is where terminals are.
type Place struct {
	Name      string  `yaml:"name"`     // for people; a terminal registered with the same place is here
	Spot      string  `yaml:"spot"`     // LLLL/SSSS: line and station as records have them, four hexadecimal digits each; LLLL may be * for any
	Latitude  float64 `yaml:"latitude"` // degrees, WGS 84
	Longitude float64 `yaml:"longitude"`
	Radius    int     `yaml:"radius"` // metres within which its terminals stand
}

var spotForm = regexp.MustCompile(`^([0-9A-Fa-f]{4}|\*)/[0-9A-Fa-f]{4}$`)

// Check returns every fault at once. Errors name the field.
func (s Settings) Check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("watch."+format, args...)) }
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"velocity_taps", s.VelocityTaps, 1000}, {"velocity_minutes", s.VelocityMinutes, 7 * 24 * 60}, {"max_speed", s.MaxSpeed, 10_000},
		{"unknown_days", s.UnknownDays, 3650}, {"gap_days", s.GapDays, 3650}, {"hole_days", s.HoleDays, 3650}, {"sam_hole", s.SAMHole, 1_000_000}, {"clock_slack", s.ClockSlack, 86_400},
	} {
		if f.value < -1 || f.value > f.most {
			bad("%s: %d: want 1 to %d, -1 to switch it off, or none for the usual", f.name, f.value, f.most)
		}
	}
	if s.MaxAmount.Sign() < 0 {
		bad("max_amount: %v: want more than 0.00, or none for no limit", s.MaxAmount)
	}
	for family, most := range s.MaxAmounts {
		if most.Sign() <= 0 {
			bad("max_amounts.%s: %v: want more than 0.00", family, most)
		}
	}
	names, spots := map[string]bool{}, map[string]bool{}
	for i, p := range s.Places {
		switch {
		case p.Name == "":
			bad("places[%d].name: want a name", i)
		case names[p.Name]:
			bad("places[%d].name: %s stands twice", i, p.Name)
		}
		names[p.Name] = true
		if p.Spot != "" && !spotForm.MatchString(p.Spot) {
			bad("places[%d].spot: %q: want line and station as four hexadecimal digits each, such as 0001/0102, or */0102", i, p.Spot)
		}
		if spot := strings.ToUpper(p.Spot); p.Spot != "" && spots[spot] {
			bad("places[%d].spot: %s stands twice", i, p.Spot)
		} else {
			spots[spot] = true
		}
		if math.IsNaN(p.Latitude) || p.Latitude < -90 || p.Latitude > 90 || math.IsNaN(p.Longitude) || p.Longitude < -180 || p.Longitude > 180 {
			bad("places[%d]: latitude %v, longitude %v: want degrees from -90 to 90 and from -180 to 180", i, p.Latitude, p.Longitude)
		}
		if p.Radius < 0 || p.Radius > 100_000 {
			bad("places[%d].radius: %d: want 0 to 100000 metres", i, p.Radius)
		}
	}
	return errors.Join(all...)
}

// or is a setting with its default; -1 is none.
func or(value, usual int) int {
	switch value {
	case 0:
		return usual
	case -1:
		return 0
	}
	return value
}

const day = 24 * time.Hour

// limits are the settings as the finders take them.
func (s Settings) limits() shadowaccount.Limits {
	l := shadowaccount.Limits{
		Taps: or(s.VelocityTaps, 10), Window: time.Duration(or(s.VelocityMinutes, 10)) * time.Minute, Speed: or(s.MaxSpeed, 250),
		UnknownAge: time.Duration(or(s.UnknownDays, 7)) * day, GapAge: time.Duration(or(s.GapDays, 7)) * day,
		ClockSlack: time.Duration(or(s.ClockSlack, 120)) * time.Second,
		Amount:     map[string]money.Amount{}, Places: map[string]shadowaccount.Place{},
	}
	for family, most := range s.MaxAmounts {
		l.Amount[family] = most
	}
	if s.MaxAmount.Sign() > 0 {
		l.Amount[""] = s.MaxAmount
	}
	for _, p := range s.Places {
		l.Places[p.Name] = shadowaccount.Place{Latitude: p.Latitude, Longitude: p.Longitude, Radius: p.Radius}
	}
	return l
}

// holeAge is how long records of a terminal and numbers of a PSAM may be missing; zero: for ever.
func (s Settings) holeAge() time.Duration { return time.Duration(or(s.HoleDays, 7)) * day }

// where makes what names the place of a tap: the spot in its record where that is known, else where its terminal is registered.
func (s Settings) where() func(spot, terminal string) string {
	spots := map[string]string{}
	for _, p := range s.Places {
		if p.Spot != "" {
			spots[strings.ToUpper(p.Spot)] = p.Name
		}
	}
	return func(spot, terminal string) string {
		if name := spots[spot]; name != "" {
			return name
		}
		if len(spot) == len("0000/0000") {
			if name := spots["*"+spot[4:]]; name != "" {
				return name
			}
			return "" // it was somewhere that nobody has told of, and not where the terminal was registered: a bus moves
		}
		return terminal
	}
}
