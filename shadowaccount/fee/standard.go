package fee

import (
	"errors"
	"fmt"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Side says who bears a fee.
type Side string

const (
	// Inside: the payer pays the amount, the payee gets the amount less the fee. The payee bears it.
	Inside Side = "inside"
	// Outside: the payer pays the amount plus the fee, the payee gets the amount. The payer bears it.
	Outside Side = "outside"
)

// Model says how a charge grows with what it is charged on.
type Model string

const (
	// Flat charges Charge.Flat for each transaction.
	Flat Model = "flat"
	// Rate charges Charge.PPM parts per million of the gross.
	Rate Model = "rate"
	// TierProgressive charges each slice of the gross at the rate of the band the slice lies in, as income tax does.
	TierProgressive Model = "tier-progressive"
	// TierWhole charges the whole gross at the rate of the one band it falls in.
	TierWhole Model = "tier-whole"
)

// MaxPPM is the highest rate a charge may have: the whole amount.
const MaxPPM = 1_000_000

// Standard is a fee standard: all that one party is charged for one kind of business.
type Standard struct {
	Name    string   `json:"name" yaml:"name"`
	Side    Side     `json:"side" yaml:"side"`
	Charges []Charge `json:"charges" yaml:"charges"`
}

// Charge is one component of a standard. Its kind names the sub-account that it is booked to.
type Charge struct {
	Kind  string       `json:"kind" yaml:"kind"`
	Model Model        `json:"model" yaml:"model"`
	Flat  money.Amount `json:"flat,omitzero" yaml:"flat,omitempty"`    // Flat: per transaction
	PPM   int64        `json:"ppm,omitzero" yaml:"ppm,omitempty"`      // Rate: 5000 is 0.5 %
	Bands []Band       `json:"bands,omitempty" yaml:"bands,omitempty"` // tiers, lowest first
	Min   money.Amount `json:"min,omitzero" yaml:"min,omitempty"`      // least charge for a basis that is not empty
	Max   money.Amount `json:"max,omitzero" yaml:"max,omitempty"`      // most; zero is no limit
}

// Band is one tier, from just above the band before it up to and including UpTo. The last band has no upper edge
// (UpTo zero).
type Band struct {
	UpTo money.Amount `json:"up_to,omitzero" yaml:"up_to,omitempty"`
	PPM  int64        `json:"ppm,omitzero" yaml:"ppm,omitempty"`
	Flat money.Amount `json:"flat,omitzero" yaml:"flat,omitempty"` // charged once when the gross reaches the band
}

// None charges nothing.
func None() Standard { return Standard{Name: "none", Side: Inside} }

// Percent is the commonest standard: one inside charge of ppm parts per million.
func Percent(name, kind string, ppm int64) Standard {
	return Standard{Name: name, Side: Inside, Charges: []Charge{{Kind: kind, Model: Rate, PPM: ppm}}}
}

// Check reports all that is wrong with the standard at once.
func (s Standard) Check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		bad("a fee standard needs a name")
	}
	if s.Side != Inside && s.Side != Outside {
		bad("side %q: want inside or outside", s.Side)
	}
	seen := map[string]bool{}
	for i, c := range s.Charges {
		where := fmt.Sprintf("charge %d (%s)", i+1, c.Kind)
		if err := ids.Check(c.Kind); err != nil {
			bad("charge %d: kind: %w", i+1, err)
		}
		if seen[c.Kind] {
			bad("%s: the kind is there twice", where)
		}
		seen[c.Kind] = true
		for _, f := range c.faults() {
			bad("%s: %s", where, f)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("fee standard %q: %w", s.Name, errors.Join(faults...))
	}
	return nil
}

func (c Charge) faults() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	flat, rate, bands := !c.Flat.IsZero(), c.PPM != 0, len(c.Bands) > 0
	switch c.Model {
	case Flat:
		if rate || bands {
			bad("model flat takes no ppm and no bands")
		}
	case Rate:
		if flat || bands {
			bad("model rate takes no flat and no bands")
		}
	case TierProgressive, TierWhole:
		if flat || rate {
			bad("model %s keeps ppm and flat in its bands", c.Model)
		}
		out = append(out, bandFaults(c.Bands)...)
	default:
		bad("model %q: want %s", c.Model, strings.Join([]string{string(Flat), string(Rate), string(TierProgressive), string(TierWhole)}, ", "))
	}
	if c.Flat.Sign() < 0 || c.Min.Sign() < 0 || c.Max.Sign() < 0 {
		bad("flat, min and max may not be negative")
	}
	if c.PPM < 0 || c.PPM > MaxPPM {
		bad("ppm %d: want 0 to %d", c.PPM, MaxPPM)
	}
	if !c.Max.IsZero() && c.Min.Cmp(c.Max) > 0 {
		bad("min %v is above max %v", c.Min, c.Max)
	}
	return out
}

func bandFaults(bands []Band) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(bands) == 0 {
		bad("a tier needs bands")
	}
	var below money.Amount
	for i, b := range bands {
		last := i == len(bands)-1
		switch {
		case last && !b.UpTo.IsZero():
			bad("the last band ends at %v: leave up_to out, so that every amount has a band", b.UpTo)
		case !last && b.UpTo.Cmp(below) <= 0:
			bad("band %d ends at %v, not above the band before it (%v)", i+1, b.UpTo, below)
		}
		if b.PPM < 0 || b.PPM > MaxPPM {
			bad("band %d: ppm %d: want 0 to %d", i+1, b.PPM, MaxPPM)
		}
		if b.Flat.Sign() < 0 {
			bad("band %d: flat may not be negative", i+1)
		}
		below = b.UpTo
	}
	return out
}
