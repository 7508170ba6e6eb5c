package fee

import (
	"errors"
	"fmt"
	"slices"
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

// Scope says what tiers, minimum and maximum are applied to. The basis of a day is the default.
type Scope string

const (
	// Transaction: to each transaction by itself. The basis must tell them ([Basis.Each]).
	Transaction Scope = "transaction"
	// Day: to the basis as a whole, which is a merchant's day.
	Day Scope = "day"
	// Month: to the month so far. A basis is charged what the month comes to with it, less what it came to before, so the
	// days of a month add up to the charge on the month however it was cut. A minimum is taken with the month's first
	// business, and what follows uses it up.
	Month Scope = "month"
)

// Measure says what a tier's bands are drawn by.
type Measure string

const (
	// ByAmount: by gross, the default; bands end with Band.UpTo.
	ByAmount Measure = "amount"
	// ByCount: by the number of transactions; bands end with Band.UpToCount.
	ByCount Measure = "count"
)

// Collection says when a standard's fee is taken.
type Collection string

const (
	// EachDay: from what the day's business brings, the default.
	EachDay Collection = "day"
	// OnceAMonth: the payee gets the day's business whole, the fee becomes due, and what became due in a month is taken when the month is over.
	OnceAMonth Collection = "month"
)

// Rounding says how a standard goes from the exact fee to minor units.
type Rounding string

const (
	// HalfUp rounds halves away from zero; the default.
	HalfUp Rounding = "half-up"
	// HalfEven rounds halves to the even neighbour.
	HalfEven Rounding = "half-even"
	// Down drops what is below a minor unit, towards zero.
	Down Rounding = "down"
)

// MaxPPM is the highest rate a charge may have: the whole amount.
const MaxPPM = 1_000_000

// Standard is a fee standard: all that one party is charged for one kind of business.
type Standard struct {
	Name     string   `json:"name" yaml:"name"`
	Side     Side     `json:"side" yaml:"side"` // of the charges that do not say
	Rounding Rounding `json:"rounding,omitempty" yaml:"rounding,omitempty"`
	// Collect says when the fee is taken; empty: [EachDay]. What the fee comes to does not depend on it.
	Collect Collection `json:"collect,omitempty" yaml:"collect,omitempty"`
	Tax     *Tax       `json:"tax,omitempty" yaml:"tax,omitempty"`
	Charges []Charge   `json:"charges" yaml:"charges"`
}

// Tax is a tax on the fees of a standard, a part of its own.
type Tax struct {
	Kind     string `json:"kind" yaml:"kind"`
	PPM      int64  `json:"ppm" yaml:"ppm"`                               // of the fee without tax: 60000 is 6 %
	Included bool   `json:"included,omitempty" yaml:"included,omitempty"` // the charges are stated with the tax in them; else it comes on top
}

// Charge is one component of a standard. Its kind names the sub-account that it is booked to.
type Charge struct {
	Kind  string       `json:"kind" yaml:"kind"`
	Model Model        `json:"model" yaml:"model"`
	Side  Side         `json:"side,omitempty" yaml:"side,omitempty"`   // who bears it, where it is not the standard's side
	To    string       `json:"to,omitempty" yaml:"to,omitempty"`       // the party that gets it; empty: the scheme
	Per   Scope        `json:"per,omitempty" yaml:"per,omitempty"`     // empty: Day
	By    Measure      `json:"by,omitempty" yaml:"by,omitempty"`       // tiers; empty: ByAmount
	Flat  money.Amount `json:"flat,omitzero" yaml:"flat,omitempty"`    // Flat: per transaction
	PPM   int64        `json:"ppm,omitzero" yaml:"ppm,omitempty"`      // Rate: 5000 is 0.5 %
	Bands []Band       `json:"bands,omitempty" yaml:"bands,omitempty"` // tiers, lowest first
	Min   money.Amount `json:"min,omitzero" yaml:"min,omitempty"`      // least charge for a scope that is not empty
	Max   money.Amount `json:"max,omitzero" yaml:"max,omitempty"`      // most; zero is no limit
}

// Band is one tier, from just above the band before it up to and including UpTo. The last band has no upper edge
// (UpTo zero). A tier by count has UpToCount in its place.
type Band struct {
	UpTo      money.Amount `json:"up_to,omitzero" yaml:"up_to,omitempty"`
	UpToCount int64        `json:"up_to_count,omitzero" yaml:"up_to_count,omitempty"`
	PPM       int64        `json:"ppm,omitzero" yaml:"ppm,omitempty"`
	Each      money.Amount `json:"each,omitzero" yaml:"each,omitempty"` // for each transaction in the band
	Flat      money.Amount `json:"flat,omitzero" yaml:"flat,omitempty"` // charged once when the band is reached
}

// Percent is the commonest standard: one inside charge of ppm parts per million.
func Percent(name, kind string, ppm int64) Standard {
	return Standard{Name: name, Side: Inside, Charges: []Charge{{Kind: kind, Model: Rate, PPM: ppm}}}
}

// sideOf is who bears a charge.
func (s Standard) sideOf(c Charge) Side {
	if c.Side == "" {
		return s.Side
	}
	return c.Side
}

// sides are those that bear a charge, inside first.
func (s Standard) sides() (out []Side) {
	for _, side := range []Side{Inside, Outside} {
		if slices.ContainsFunc(s.Charges, func(c Charge) bool { return s.sideOf(c) == side }) {
			out = append(out, side)
		}
	}
	return out
}

// OnlyInside reports whether the payee bears all of the standard.
func (s Standard) OnlyInside() bool { return s.Side == Inside && !slices.Contains(s.sides(), Outside) }

// PerMonth reports whether a charge counts the month, so that a basis must tell what came before it.
func (s Standard) PerMonth() bool {
	return slices.ContainsFunc(s.Charges, func(c Charge) bool { return c.Per == Month })
}

// Monthly reports whether the fee is taken once a month.
func (s Standard) Monthly() bool { return s.Collect == OnceAMonth }

// Check reports all that is wrong with the standard at once.
func (s Standard) Check() error {
	if all := s.faults(); len(all) > 0 {
		return fmt.Errorf("fee standard %q: %w", s.Name, errors.Join(all...))
	}
	return nil
}

func (s Standard) faults() (all []error) {
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		bad("a fee standard needs a name")
	}
	if s.Side != Inside && s.Side != Outside {
		bad("side %q: want inside or outside", s.Side)
	}
	switch s.Rounding {
	case "", HalfUp, HalfEven, Down:
	default:
		bad("rounding %q: want %s, %s or %s", s.Rounding, HalfUp, HalfEven, Down)
	}
	switch s.Collect {
	case "", EachDay, OnceAMonth:
	default:
		bad("collect %q: want %s or %s", s.Collect, EachDay, OnceAMonth)
	}
	seen := map[string]bool{}
	if s.Tax != nil {
		if err := ids.Check(s.Tax.Kind); err != nil {
			bad("tax: kind: %w", err)
		}
		if s.Tax.PPM < 1 || s.Tax.PPM > MaxPPM {
			bad("tax: ppm %d: want 1 to %d", s.Tax.PPM, MaxPPM)
		}
		seen[s.Tax.Kind] = true
	}
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
	return all
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
		out = append(out, c.bandFaults()...)
	default:
		bad("model %q: want %s", c.Model, strings.Join([]string{string(Flat), string(Rate), string(TierProgressive), string(TierWhole)}, ", "))
	}
	if c.By != "" && c.By != ByAmount && c.By != ByCount {
		bad("by %q: want %s or %s", c.By, ByAmount, ByCount)
	}
	if c.By != "" && c.Model != TierProgressive && c.Model != TierWhole {
		bad("only a tier has by")
	}
	switch c.Per {
	case "", Transaction, Day, Month:
	default:
		bad("per %q: want %s, %s or %s", c.Per, Transaction, Day, Month)
	}
	if c.Side != "" && c.Side != Inside && c.Side != Outside {
		bad("side %q: want inside or outside, or none for the standard's", c.Side)
	}
	if c.To != "" {
		if err := ids.Check(c.To); err != nil {
			bad("to: %v", err)
		}
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

func (c Charge) bandFaults() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(c.Bands) == 0 {
		bad("a tier needs bands")
	}
	edge := "up_to"
	if c.By == ByCount {
		edge = "up_to_count"
	}
	var below int64
	for i, b := range c.Bands {
		up, other := c.edge(b), b.UpToCount
		if c.By == ByCount {
			other = b.UpTo.Minor()
		}
		switch last := i == len(c.Bands)-1; {
		case other != 0:
			bad("band %d: a tier by %s ends its bands with %s", i+1, c.by(), edge)
		case last && up != 0:
			bad("the last band ends at %s: leave %s out, so that every amount has a band", c.edgeText(up), edge)
		case !last && up <= below:
			bad("band %d ends at %s, not above the band before it (%s)", i+1, c.edgeText(up), c.edgeText(below))
		}
		if b.PPM < 0 || b.PPM > MaxPPM {
			bad("band %d: ppm %d: want 0 to %d", i+1, b.PPM, MaxPPM)
		}
		if b.Flat.Sign() < 0 || b.Each.Sign() < 0 {
			bad("band %d: flat and each may not be negative", i+1)
		}
		// A slice of a sum has no number of transactions, and a slice of transactions has no sum.
		if c.Model == TierProgressive && c.by() == ByAmount && !b.Each.IsZero() {
			bad("band %d: a progressive tier by amount takes no each", i+1)
		}
		if c.Model == TierProgressive && c.By == ByCount && b.PPM != 0 {
			bad("band %d: a progressive tier by count takes each, and no ppm", i+1)
		}
		below = up
	}
	return out
}

func (c Charge) by() Measure {
	if c.By == "" {
		return ByAmount
	}
	return c.By
}

func (c Charge) per() Scope {
	if c.Per == "" {
		return Day
	}
	return c.Per
}

// edge is a band's upper edge, in minor units or transactions; 0 is none.
func (c Charge) edge(b Band) int64 {
	if c.By == ByCount {
		return b.UpToCount
	}
	return b.UpTo.Minor()
}

func (c Charge) edgeText(edge int64) string {
	if c.By == ByCount {
		return fmt.Sprint(edge)
	}
	return money.Minor(edge).String()
}
