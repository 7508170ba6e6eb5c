package fee

import (
	"fmt"
	"math/big"

	"github.com/purselane/purselane/internal/money"
)

// Basis is what a fee is charged on: one transaction, or all of a merchant's day. Both are negative for a refund; in
// a day in which purchases were taken back, they are the difference.
type Basis struct {
	Gross money.Amount
	Count int64
}

// Part is what one kind of fee gets.
type Part struct {
	Kind   string       `json:"kind"`
	Amount money.Amount `json:"amount"`
}

// Quote is the fee on one basis. Total = sum of Parts + Residue.
type Quote struct {
	Total   money.Amount
	Parts   []Part       // in the order of the standard's charges
	Residue money.Amount // rounding: what the parts, each rounded, miss of the total, rounded once
}

// Split is a payment cut up: PayerPays = PayeeGets + Total.
type Split struct {
	PayerPays money.Amount
	PayeeGets money.Amount
	Quote
}

// Split quotes the fee on b and lays it on the side that bears it.
func (s Standard) Split(b Basis) (Split, error) {
	q, err := s.Quote(b)
	if err != nil {
		return Split{}, err
	}
	out := Split{PayerPays: b.Gross, PayeeGets: b.Gross, Quote: q}
	switch s.Side {
	case Inside:
		out.PayeeGets, err = b.Gross.Sub(q.Total)
	case Outside:
		out.PayerPays, err = b.Gross.Add(q.Total)
	default:
		err = fmt.Errorf("side %q is neither inside nor outside", s.Side)
	}
	if err != nil {
		return Split{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	return out, nil
}

// Quote works out the fee on b. The standard should have passed Check.
func (s Standard) Quote(b Basis) (Quote, error) {
	var q Quote
	exact := new(big.Int)
	parts := money.Amount{}
	for _, c := range s.Charges {
		v := c.exact(b)
		exact.Add(exact, v)
		part, err := round(v)
		if err != nil {
			return Quote{}, fmt.Errorf("fee standard %q, kind %s: %w", s.Name, c.Kind, err)
		}
		q.Parts = append(q.Parts, Part{c.Kind, part})
		if parts, err = parts.Add(part); err != nil {
			return Quote{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
		}
	}
	var err error
	if q.Total, err = round(exact); err != nil {
		return Quote{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	if q.Residue, err = q.Total.Sub(parts); err != nil {
		return Quote{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	return q, nil
}

var million = big.NewInt(MaxPPM)

// exact is the charge in millionths of a minor unit, which no rate of ours can cut any finer. It works on magnitudes
// and puts the sign back, so that a refund mirrors the charge.
func (c Charge) exact(b Basis) *big.Int {
	gross := big.NewInt(b.Gross.Minor())
	mag := new(big.Int).Abs(gross)
	v := new(big.Int)
	negative := gross.Sign() < 0
	switch c.Model {
	case Flat:
		// The count decides the sign here: a day may take back two small purchases and sell a large one.
		v.Mul(millionths(c.Flat), big.NewInt(b.Count))
		negative = v.Sign() < 0
		v.Abs(v)
	case Rate:
		v.Mul(mag, big.NewInt(c.PPM))
	case TierProgressive:
		below := new(big.Int)
		for _, band := range c.Bands {
			if mag.Cmp(below) <= 0 {
				break
			}
			slice := new(big.Int).Sub(mag, below)
			if up := big.NewInt(band.UpTo.Minor()); up.Sign() > 0 {
				if width := new(big.Int).Sub(up, below); slice.Cmp(width) > 0 {
					slice = width
				}
				below = up
			} else {
				below = mag
			}
			v.Add(v, slice.Mul(slice, big.NewInt(band.PPM)))
			v.Add(v, millionths(band.Flat))
		}
	case TierWhole:
		for _, band := range c.Bands {
			if up := big.NewInt(band.UpTo.Minor()); up.Sign() > 0 && mag.Cmp(up) > 0 {
				continue
			}
			if mag.Sign() > 0 {
				v.Mul(mag, big.NewInt(band.PPM))
				v.Add(v, millionths(band.Flat))
			}
			break
		}
	}
	if b.Count != 0 || gross.Sign() != 0 {
		if low := millionths(c.Min); v.Cmp(low) < 0 {
			v = low
			negative = gross.Sign() < 0 || gross.Sign() == 0 && b.Count < 0
		}
		if high := millionths(c.Max); high.Sign() > 0 && v.Cmp(high) > 0 {
			v = high
		}
	}
	if negative {
		v.Neg(v)
	}
	return v
}

func millionths(a money.Amount) *big.Int {
	return new(big.Int).Mul(big.NewInt(a.Minor()), million)
}

// round brings millionths back to minor units, half away from zero.
func round(v *big.Int) (money.Amount, error) {
	mag := new(big.Int).Abs(v)
	mag.Add(mag, big.NewInt(MaxPPM/2))
	mag.Quo(mag, million)
	if v.Sign() < 0 {
		mag.Neg(mag)
	}
	if !mag.IsInt64() {
		return money.Amount{}, money.ErrOverflow
	}
	return money.Minor(mag.Int64()), nil
}
