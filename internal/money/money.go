// Package money holds [Amount], an exact sum of money in minor units (fen, cents).
//
// Amount's field is unexported so that a+b, a*1.1 and int(a) do not compile: every sum goes through a
// method that reports overflow. The package knows no currency: a scheme has one, named in its profile,
// and every currency a purse family of ours can hold has two decimals (PBOC amounts are in fen).
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Amount is a signed sum of minor units. The zero value is zero money.
type Amount struct{ minor int64 }

// ErrOverflow says that a result does not fit an Amount. It means a program fault or a hostile record, never a
// large sum of real money: the range is more than 92 quadrillion currency units.
var ErrOverflow = errors.New("money: result out of range")

// Minor makes an Amount of n minor units: Minor(250) is 2.50.
func Minor(n int64) Amount { return Amount{n} }

// Minor returns the count of minor units, for codecs and storage.
func (a Amount) Minor() int64 { return a.minor }

// Add returns a+b, or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	s := a.minor + b.minor
	if (s > a.minor) != (b.minor > 0) && b.minor != 0 {
		return Amount{}, ErrOverflow
	}
	return Amount{s}, nil
}

// Sub returns a−b, or ErrOverflow. The result may be negative.
func (a Amount) Sub(b Amount) (Amount, error) {
	d := a.minor - b.minor
	if (d < a.minor) != (b.minor > 0) && b.minor != 0 {
		return Amount{}, ErrOverflow
	}
	return Amount{d}, nil
}

// Neg returns −a. The most negative Amount has no negation; it is returned as an error.
func (a Amount) Neg() (Amount, error) {
	if a.minor == math.MinInt64 {
		return Amount{}, ErrOverflow
	}
	return Amount{-a.minor}, nil
}

// Sum adds all, or reports ErrOverflow.
func Sum(all ...Amount) (Amount, error) {
	var total Amount
	for _, a := range all {
		var err error
		if total, err = total.Add(a); err != nil {
			return Amount{}, err
		}
	}
	return total, nil
}

// MulRatio returns a·num/den rounded half away from zero, as fee standards state it, with num ≥ 0 and den > 0.
// The product is 128 bits wide, so only a result out of range fails.
func (a Amount) MulRatio(num, den int64) (Amount, error) {
	if num < 0 || den <= 0 {
		return Amount{}, fmt.Errorf("money: ratio %d/%d: want num ≥ 0, den > 0", num, den)
	}
	neg := a.minor < 0
	mag := uint64(a.minor)
	if neg {
		mag = -mag
	}
	hi, lo := bits.Mul64(mag, uint64(num))
	lo, carry := bits.Add64(lo, uint64(den)/2, 0)
	hi += carry
	if hi >= uint64(den) {
		return Amount{}, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, uint64(den))
	// den/2 was added before the division; for an odd den the half is rounded down, which is exact:
	// the remainder can never sit on a half.
	return signed(q, neg)
}

// signed makes an Amount of a magnitude and a sign. The range has one more value below zero than above.
func signed(mag uint64, neg bool) (Amount, error) {
	switch {
	case neg && mag <= 1<<63:
		return Amount{int64(-mag)}, nil
	case !neg && mag <= math.MaxInt64:
		return Amount{int64(mag)}, nil
	}
	return Amount{}, ErrOverflow
}

// Cmp returns −1, 0 or +1 as a is below, equal to or above b.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a.minor < b.minor:
		return -1
	case a.minor > b.minor:
		return 1
	}
	return 0
}

// IsZero reports a == 0.
func (a Amount) IsZero() bool { return a.minor == 0 }

// Sign returns −1, 0 or +1.
func (a Amount) Sign() int { return a.Cmp(Amount{}) }

// String prints two decimals and no thousands separators: "-12.05".
func (a Amount) String() string {
	sign, mag := "", uint64(a.minor)
	if a.minor < 0 {
		sign, mag = "-", -mag
	}
	return fmt.Sprintf("%s%d.%02d", sign, mag/100, mag%100)
}

// Parse reads what String prints; decimals may be left out ("12") or be one or two digits.
func Parse(s string) (Amount, error) {
	bad := func() (Amount, error) {
		return Amount{}, fmt.Errorf("money: %q is no amount: want digits with at most two decimals, such as 12.50", s)
	}
	rest, neg := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(rest, ".")
	if whole == "" || len(frac) > 2 || (dotted && frac == "") {
		return bad()
	}
	for len(frac) < 2 {
		frac += "0"
	}
	var n uint64
	for _, c := range whole + frac {
		if c < '0' || c > '9' {
			return bad()
		}
		// Above 2^63 no further digit fits, whatever the sign.
		if n > (1<<63-uint64(c-'0'))/10 {
			return Amount{}, fmt.Errorf("money: %q: %w", s, ErrOverflow)
		}
		n = n*10 + uint64(c-'0')
	}
	a, err := signed(n, neg)
	if err != nil {
		return Amount{}, fmt.Errorf("money: %q: %w", s, err)
	}
	return a, nil
}

// MarshalText makes JSON and YAML carry the decimal string, which no reader turns into a float by accident.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the decimal string.
func (a *Amount) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
