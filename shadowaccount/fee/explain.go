package fee

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/purselane/purselane/internal/money"
)

// Explain writes out how the fee on b comes about, a line a step, for people who dispute it. It is no contract.
func (s Standard) Explain(b Basis) (string, error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	var w working
	q, err := s.quote(b, &w)
	if err != nil {
		return "", err
	}
	split, err := s.Split(b)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	rounding := s.Rounding
	if rounding == "" {
		rounding = HalfUp
	}
	line := func(what string, a money.Amount) { fmt.Fprintf(&out, "  %-44s %12v\n", what, a) }
	fmt.Fprintf(&out, "fee standard %s on %v in %d transactions, rounded %s\n", s.Name, b.Gross, b.Count, rounding)
	for i, p := range q.Parts {
		line(s.label(p), p.Amount)
		if i < len(w.charges) {
			for _, step := range w.charges[i].lines {
				fmt.Fprintf(&out, "    %s\n", step)
			}
		}
	}
	line("rounding", q.Residue)
	line("fee", q.Total)
	if s.Monthly() {
		out.WriteString("  of the day's money the payee gets all; the fee is taken by the first day that is closed of a later month\n")
	}
	line("the payer pays", split.PayerPays)
	line("the payee gets", split.PayeeGets)
	return out.String(), nil
}

// label names a part: kind, who bears it, who gets it, and how a tax is stated.
func (s Standard) label(p Part) string {
	side := p.Side
	if side == "" {
		side = s.Side
	}
	out := p.Kind + ", " + string(side)
	if p.To != "" {
		out += ", to " + p.To
	}
	switch {
	case p.Tax && s.Tax.Included:
		out += ", tax of " + percent(s.Tax.PPM) + " in the charges"
	case p.Tax:
		out += ", tax of " + percent(s.Tax.PPM) + " on top"
	}
	return out
}

// percent prints parts per million with no zeros at the end: 5000 is "0.5 %".
func percent(ppm int64) string {
	s := fmt.Sprintf("%d.%04d", ppm/10_000, ppm%10_000)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " %"
}

// working collects the steps of each charge. A nil one collects nothing: a quote that nobody reads formats nothing.
type working struct{ charges []*steps }

func (w *working) of(Charge) *steps {
	if w == nil {
		return nil
	}
	w.charges = append(w.charges, &steps{})
	return w.charges[len(w.charges)-1]
}

type steps struct{ lines []string }

func (s *steps) add(format string, args ...any) {
	if s != nil {
		s.lines = append(s.lines, fmt.Sprintf(format, args...))
	}
}

// band says what one band of a tier charges on a slice, which is in minor units or transactions.
func (s *steps) band(c Charge, i int, slice *big.Int) {
	if s == nil {
		return
	}
	b := c.Bands[i]
	upper := "and above"
	if up := c.edge(b); up != 0 {
		upper = "up to " + c.edgeText(up)
	}
	text := fmt.Sprintf("band %d (%s), %s:", i+1, upper, c.sliceText(slice))
	if b.PPM != 0 {
		text += " " + percent(b.PPM)
	}
	if !b.Each.IsZero() {
		text += fmt.Sprintf(" %v each", b.Each)
	}
	if !b.Flat.IsZero() {
		text += fmt.Sprintf(" and %v once", b.Flat)
	}
	s.lines = append(s.lines, text)
}

func (c Charge) sliceText(slice *big.Int) string {
	if c.By == ByCount {
		return slice.String() + " transactions"
	}
	return amountText(slice)
}

// amountText prints minor units that may be more than an Amount holds.
func amountText(minor *big.Int) string {
	if minor.IsInt64() {
		return money.Minor(minor.Int64()).String()
	}
	return minor.String() + " minor units"
}
