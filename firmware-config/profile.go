// Package firmwareconfig is what is pushed to terminals: the signed, versioned profile with its card settings, limits and fares.
//
// Start with [OpenSigned]: a terminal reads no profile whose signature it has not checked. [ParseProfile] reads the
// plain YAML and reports every fault at once, because a field engineer gets one trip.
package firmwareconfig

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/money"
)

// Hex is bytes written as hexadecimal digits.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("%q: want hexadecimal digits, two a byte", text)
	}
	*h = raw
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) {
	return []byte(strings.ToUpper(hex.EncodeToString(h))), nil
}

// Profile is a terminal's desired behaviour. docs/profile.md is the page for operators.
type Profile struct {
	Version    uint64    `yaml:"version"`     // rises with each change
	Scheme     string    `yaml:"scheme"`      // whose it is
	Currency   string    `yaml:"currency"`    // ISO 4217 letters
	TimeZone   string    `yaml:"time_zone"`   // IANA name; purse times are local
	ValidUntil time.Time `yaml:"valid_until"` // hard expiry; zero: none

	Card     Card          `yaml:"card"`
	Operator Operator      `yaml:"operator"`
	Limits   Limits        `yaml:"limits"`
	SameTrip time.Duration `yaml:"same_trip"` // the same card for the same line or gate within it is one trip
	Fares    fare.Tables   `yaml:"fares"`

	Signals Signals `yaml:"signals"` // what differs from DefaultSignals

	DESFire *DESFire `yaml:"desfire"` // left out: the scheme has no DESFire cards
	EC      *EC      `yaml:"ec"`      // left out: the scheme takes no electronic cash
}

// Card says how the purse of this scheme differs from others (purse facts chapter 12).
type Card struct {
	AIDs       []Hex  `yaml:"aids"`        // tried in order
	KeyLevels  int    `yaml:"key_levels"`  // 1: serial; 2: issuer, then serial
	KeyIndex   byte   `yaml:"key_index"`   // purchase key index
	LogCounter string `yaml:"log_counter"` // "before" or "after" the increment (C1)
	Readback   string `yaml:"readback"`    // "full", "balance" or "none"
	Management bool   `yaml:"management"`  // read EF 17 (T-Union)

	Variant Variant `yaml:"variant"` // left out: the recommended one
}

// Operator is who accepts, as written into trip records.
type Operator struct {
	City        Hex `yaml:"city"`        // 2 bytes
	Institution Hex `yaml:"institution"` // 8 bytes
	Code        Hex `yaml:"code"`        // 2 bytes, EF 1E bytes 14 and 15
}

// Limits bound what a terminal sells without a link and to whom.
type Limits struct {
	MaxRecords       uint64        `yaml:"max_records"`         // unreceipted records; 0: none
	MaxAge           time.Duration `yaml:"max_age"`             // of the oldest unreceipted record; 0: none
	MaxValue         money.Amount  `yaml:"max_value"`           // of the unreceipted records together; 0.00: none
	LowBalance       money.Amount  `yaml:"low_balance"`         // below it the rider is told
	MetroMinBalance  money.Amount  `yaml:"metro_min_balance"`   // to enter
	MaxBalance       money.Amount  `yaml:"max_balance"`         // after a load
	SellWithBadClock bool          `yaml:"sell_with_bad_clock"` // else a terminal whose clock is bad is out of service
	TimeFares        TimeFares     `yaml:"time_fares"`          // left out: the recommended one
}

//go:embed sample.yaml
var sample []byte

// Sample returns a small whole profile: two bus lines, a five-station metro, a shop. The demo runs on it.
func Sample() *Profile {
	p, err := ParseProfile(sample)
	if err != nil {
		panic(err) // a test reads it too
	}
	return p
}

// SampleYAML returns the text of Sample.
func SampleYAML() []byte { return bytes.Clone(sample) }

// ParseProfile reads a profile in YAML, strictly: an unknown field is a fault. It returns every fault found, each with
// its field and what to do.
func ParseProfile(raw []byte) (*Profile, error) {
	p := Profile{Card: Card{Variant: RecommendedVariant()}, Limits: Limits{TimeFares: RecommendedTimeFares()}}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty: \"purselane profile sample\" prints a whole one")
		}
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("profile: more than one YAML document")
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// Check returns every fault of the profile at once.
func (p *Profile) Check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("profile: "+format, args...)) }
	if p.Version == 0 {
		bad("version: want a number above 0 that rises with each change")
	}
	if p.Scheme == "" {
		bad("scheme: want the scheme's name")
	}
	if len(p.Currency) != 3 || strings.Trim(p.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		bad("currency: %q: want three letters such as CNY", p.Currency)
	}
	if p.TimeZone == "" {
		bad("time_zone: want an IANA name such as Asia/Shanghai")
	} else if _, err := time.LoadLocation(p.TimeZone); err != nil {
		bad("time_zone: %v", err)
	}
	if len(p.Card.AIDs) == 0 {
		bad("card.aids: want at least one application identifier")
	}
	for i, a := range p.Card.AIDs {
		if len(a) < 5 || len(a) > 16 {
			bad("card.aids[%d]: %d bytes: want 5 to 16", i, len(a))
		}
	}
	if p.Card.KeyLevels != 1 && p.Card.KeyLevels != 2 {
		bad("card.key_levels: %d: want 1 (serial) or 2 (issuer, serial)", p.Card.KeyLevels)
	}
	oneOf := func(field, got string, want ...string) {
		for _, w := range want {
			if got == w {
				return
			}
		}
		bad("%s: %q: want one of %s", field, got, strings.Join(want, ", "))
	}
	oneOf("card.log_counter", p.Card.LogCounter, "before", "after")
	oneOf("card.readback", p.Card.Readback, "full", "balance", "none")
	all = append(all, p.Card.Variant.faults()...)
	all = append(all, p.DESFire.faults()...)
	all = append(all, p.EC.faults()...)
	all = append(all, p.Limits.TimeFares.faults()...)
	all = append(all, p.Signals.faults()...)
	size := func(field string, h Hex, n int) {
		if len(h) != n {
			bad("%s: %d bytes: want %d", field, len(h), n)
		}
	}
	size("operator.city", p.Operator.City, 2)
	size("operator.institution", p.Operator.Institution, 8)
	size("operator.code", p.Operator.Code, 2)
	if p.SameTrip < 0 || p.SameTrip > time.Hour {
		bad("same_trip: %v: want 0s to 1h", p.SameTrip)
	}
	positive := func(field string, a money.Amount) {
		if a.Sign() < 0 {
			bad("%s: %v: want 0.00 or more", field, a)
		}
	}
	positive("limits.max_value", p.Limits.MaxValue)
	positive("limits.low_balance", p.Limits.LowBalance)
	positive("limits.metro_min_balance", p.Limits.MetroMinBalance)
	positive("limits.max_balance", p.Limits.MaxBalance)
	if p.Limits.MaxAge < 0 {
		bad("limits.max_age: %v: want 0s or more", p.Limits.MaxAge)
	}
	for _, err := range p.Fares.Check() {
		bad("%w", err)
	}
	return errors.Join(all...)
}

// Location is the time zone of purse times.
func (p *Profile) Location() *time.Location {
	l, err := time.LoadLocation(p.TimeZone)
	if err != nil {
		return time.UTC // Check has refused such a profile
	}
	return l
}
