package fee

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/purselane/purselane/internal/money"
)

// Basis is what a fee is charged on: one transaction, or all of a merchant's day. All of it is negative for a refund; in
// a day in which purchases were taken back, it is the difference.
type Basis struct {
	Gross money.Amount
	Count int64
	Each  []Each // the transactions that make up Gross and Count, for charges per transaction; others do not read it
	Month Sum    // what the month came to before this basis, for charges per month; others do not read it
}

// Each is a number of transactions of one amount. Count is negative for those taken back; Amount is not.
type Each struct {
	Amount money.Amount
	Count  int64
}

// Sum is a number of transactions and what they add up to.
type Sum struct {
	Gross money.Amount
	Count int64
}

// Part is what one kind of fee gets.
type Part struct {
	Kind   string       `json:"kind"`
	Amount money.Amount `json:"amount"`
	Side   Side         `json:"side,omitempty"` // who bears it; empty: the standard's side
	To     string       `json:"to,omitempty"`   // the party that gets it; empty: the scheme
	Tax    bool         `json:"tax,omitempty"`  // it is the tax on the others
}

// Quote is the fee on one basis. Total = Inside + Outside = sum of Parts + Residue.
type Quote struct {
	Total   money.Amount
	Inside  money.Amount // what the payee bears
	Outside money.Amount // what the payer bears
	Parts   []Part       // in the order of the standard's charges, then the tax of each side
	Residue money.Amount // rounding: what the parts, each rounded, miss of the total, rounded once a side
}

// Split is a payment cut up: PayerPays = PayeeGets + Total.
type Split struct {
	PayerPays money.Amount
	PayeeGets money.Amount
	Quote
}

// ErrBasis says that a basis contradicts itself or lacks what a charge reads.
var ErrBasis = errors.New("the basis does not tell what the charge needs")

// Split quotes the fee on b and lays it on the sides that bear it.
func (s Standard) Split(b Basis) (Split, error) {
	q, err := s.Quote(b)
	if err != nil {
		return Split{}, err
	}
	out := Split{Quote: q}
	if out.PayeeGets, err = b.Gross.Sub(q.Inside); err != nil {
		return Split{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	if out.PayerPays, err = b.Gross.Add(q.Outside); err != nil {
		return Split{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	return out, nil
}

// Quote works out the fee on b. The standard should have passed Check.
func (s Standard) Quote(b Basis) (Quote, error) { return s.quote(b, nil) }

func (s Standard) quote(b Basis, say *working) (Quote, error) {
	q, err := s.parts(b, say)
	if err != nil {
		return Quote{}, fmt.Errorf("fee standard %q: %w", s.Name, err)
	}
	return q, nil
}

func (s Standard) parts(b Basis, say *working) (Quote, error) {
	var q Quote
	unit := s.unit()
	inside, outside := newSpan(), newSpan()
	part := func(p Part, v *span) error {
		var err error
		if p.Amount, err = v.round(s.Rounding, unit.size); err != nil {
			return fmt.Errorf("kind %s: %w", p.Kind, err)
		}
		q.Parts = append(q.Parts, p)
		return nil
	}
	for _, c := range s.Charges {
		v, err := c.span(b, say.of(c))
		if err != nil {
			return Quote{}, fmt.Errorf("kind %s: %w", c.Kind, err)
		}
		if s.sideOf(c) == Outside {
			outside.add(v)
		} else {
			inside.add(v)
		}
		if err := part(Part{Kind: c.Kind, Side: c.Side, To: c.To}, v.times(unit.fee)); err != nil {
			return Quote{}, err
		}
	}
	if s.Tax != nil {
		for _, side := range s.sides() {
			v := inside
			if side == Outside {
				v = outside
			}
			if err := part(Part{Kind: s.Tax.Kind, Side: side, Tax: true}, v.times(unit.tax)); err != nil {
				return Quote{}, err
			}
		}
	}
	return s.total(q, inside, outside)
}

// total rounds each side's fee once, and names what the parts miss of it.
func (s Standard) total(q Quote, inside, outside *span) (Quote, error) {
	unit := s.unit()
	whole := new(big.Int).Add(unit.fee, unit.tax)
	var err error
	if q.Inside, err = inside.times(whole).round(s.Rounding, unit.size); err != nil {
		return Quote{}, err
	}
	if q.Outside, err = outside.times(whole).round(s.Rounding, unit.size); err != nil {
		return Quote{}, err
	}
	if q.Total, err = q.Inside.Add(q.Outside); err != nil {
		return Quote{}, err
	}
	q.Residue = q.Total
	for _, p := range q.Parts {
		if q.Residue, err = q.Residue.Sub(p.Amount); err != nil {
			return Quote{}, err
		}
	}
	return q, nil
}

// unit is how a standard counts: every exact figure is an integer number of size-ths of a minor unit. A charge of v
// millionths is v·fee of them, its tax v·tax.
type unit struct{ fee, tax, size *big.Int }

// unit has no fraction for a tax that comes on top (fee + fee·ppm/million) nor for one that is in the charge
// (charge·million/(million+ppm) is the fee).
func (s Standard) unit() unit {
	u := unit{fee: million, tax: new(big.Int), size: new(big.Int).Mul(million, million)}
	if s.Tax == nil {
		return u
	}
	u.tax = big.NewInt(s.Tax.PPM)
	if s.Tax.Included {
		u.size = new(big.Int).Mul(million, new(big.Int).Add(million, u.tax))
	}
	return u
}

// span is an exact figure before a basis and with it; what the basis is charged is the difference. Both ends are
// rounded, not the difference: so the days of a month add up to the month.
type span struct{ before, after *big.Int }

func newSpan() *span { return &span{new(big.Int), new(big.Int)} }

func (v *span) add(w *span) {
	v.before.Add(v.before, w.before)
	v.after.Add(v.after, w.after)
}

func (v *span) times(n *big.Int) *span {
	return &span{new(big.Int).Mul(v.before, n), new(big.Int).Mul(v.after, n)}
}

func (v *span) round(r Rounding, size *big.Int) (money.Amount, error) {
	d := new(big.Int).Sub(rounded(v.after, r, size), rounded(v.before, r, size))
	if !d.IsInt64() {
		return money.Amount{}, money.ErrOverflow
	}
	return money.Minor(d.Int64()), nil
}

// rounded is v/size by the rule, on the magnitude, so that a refund mirrors the charge.
func rounded(v *big.Int, r Rounding, size *big.Int) *big.Int {
	q, rest := new(big.Int).QuoRem(new(big.Int).Abs(v), size, new(big.Int))
	half := rest.Lsh(rest, 1).Cmp(size)
	if r != Down && half > 0 || half == 0 && (r == "" || r == HalfUp || r == HalfEven && q.Bit(0) == 1) {
		q.Add(q, big.NewInt(1))
	}
	if v.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

var million = big.NewInt(MaxPPM)

// span is the charge in millionths of a minor unit, which no rate of ours can cut any finer.
func (c Charge) span(b Basis, say *steps) (*span, error) {
	v := newSpan()
	gross, count := big.NewInt(b.Gross.Minor()), big.NewInt(b.Count)
	switch c.per() {
	case Day:
		v.after = c.exact(gross, count, say)
	case Month:
		g, n := big.NewInt(b.Month.Gross.Minor()), big.NewInt(b.Month.Count)
		say.add("the month with it, less the month before it, which was %v in %d:", b.Month.Gross, b.Month.Count)
		v.before = c.exact(g, n, nil)
		v.after = c.exact(gross.Add(gross, g), count.Add(count, n), say)
	case Transaction:
		for _, e := range b.Each {
			if e.Amount.Sign() < 0 {
				return nil, fmt.Errorf("%w: transactions of %v: want the amount as it was, and a negative count for those taken back", ErrBasis, e.Amount)
			}
			amount, n := big.NewInt(e.Amount.Minor()), big.NewInt(e.Count)
			say.add("%d of %v, each:", e.Count, e.Amount)
			one := c.exact(amount, big.NewInt(1), say)
			v.after.Add(v.after, one.Mul(one, n))
			gross.Sub(gross, amount.Mul(amount, n))
			count.Sub(count, n)
		}
		if gross.Sign() != 0 || count.Sign() != 0 {
			return nil, fmt.Errorf("%w: it is charged per transaction, and the transactions told do not add up to %v in %d", ErrBasis, b.Gross, b.Count)
		}
	default:
		return nil, fmt.Errorf("per %q: want %s, %s or %s", c.Per, Transaction, Day, Month)
	}
	return v, nil
}

// exact is the charge on one scope. It works on magnitudes and puts the sign back, so that a refund mirrors the charge.
func (c Charge) exact(gross, count *big.Int, say *steps) *big.Int {
	v := new(big.Int)
	switch c.Model {
	case Flat:
		v.Mul(millionths(c.Flat), count)
		say.add("%v for each of %v", c.Flat, count)
	case Rate:
		v.Mul(gross, big.NewInt(c.PPM))
		if say != nil {
			say.add("%s of %s", percent(c.PPM), amountText(gross))
		}
	case TierProgressive:
		v = c.progressive(gross, count, say)
	case TierWhole:
		v = c.whole(gross, count, say)
	}
	return c.clamp(v, gross, count, say)
}

// measure is what a tier's bands are drawn by: its magnitude and its sign.
func (c Charge) measure(gross, count *big.Int) (*big.Int, int) {
	m := gross
	if c.By == ByCount {
		m = count
	}
	return new(big.Int).Abs(m), m.Sign()
}

func (c Charge) progressive(gross, count *big.Int, say *steps) *big.Int {
	v, below := new(big.Int), new(big.Int)
	mag, sign := c.measure(gross, count)
	for i, band := range c.Bands {
		if mag.Cmp(below) <= 0 {
			break
		}
		upper := mag
		if up := big.NewInt(c.edge(band)); up.Sign() > 0 && up.Cmp(mag) < 0 {
			upper = up
		}
		slice := new(big.Int).Sub(upper, below)
		if c.By == ByCount {
			v.Add(v, new(big.Int).Mul(slice, millionths(band.Each)))
		} else {
			v.Add(v, new(big.Int).Mul(slice, big.NewInt(band.PPM)))
		}
		v.Add(v, millionths(band.Flat))
		say.band(c, i, slice)
		below = upper
	}
	return signed(v, sign)
}

func (c Charge) whole(gross, count *big.Int, say *steps) *big.Int {
	mag, sign := c.measure(gross, count)
	for i, band := range c.Bands {
		if up := big.NewInt(c.edge(band)); up.Sign() > 0 && mag.Cmp(up) > 0 {
			continue
		}
		v := signed(millionths(band.Flat), sign)
		v.Add(v, new(big.Int).Mul(gross, big.NewInt(band.PPM)))
		v.Add(v, new(big.Int).Mul(count, millionths(band.Each)))
		say.band(c, i, mag)
		return v
	}
	return new(big.Int)
}

// clamp holds a charge between minimum and maximum, by magnitude. Nothing is charged where there was no business.
func (c Charge) clamp(v, gross, count *big.Int, say *steps) *big.Int {
	if gross.Sign() == 0 && count.Sign() == 0 {
		return v
	}
	mag, sign := new(big.Int).Abs(v), v.Sign()
	if low := millionths(c.Min); mag.Cmp(low) < 0 {
		mag = low
		if sign = gross.Sign(); sign == 0 {
			sign = count.Sign()
		}
		say.add("raised to the minimum of %v", c.Min)
	}
	if high := millionths(c.Max); high.Sign() > 0 && mag.Cmp(high) > 0 {
		mag = high
		say.add("cut to the maximum of %v", c.Max)
	}
	return signed(mag, sign)
}

func signed(mag *big.Int, sign int) *big.Int {
	v := new(big.Int).Set(mag)
	switch {
	case sign < 0:
		v.Neg(v)
	case sign == 0:
		v.SetInt64(0)
	}
	return v
}

func millionths(a money.Amount) *big.Int {
	return new(big.Int).Mul(big.NewInt(a.Minor()), million)
}
