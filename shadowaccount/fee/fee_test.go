package fee_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
)

func amt(s string) money.Amount {
	a, err := money.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

var bands = []fee.Band{
	{UpTo: amt("100.00"), PPM: 10_000},
	{UpTo: amt("1000.00"), PPM: 5_000, Flat: amt("0.20")},
	{PPM: 1_000, Flat: amt("0.50")},
}

func one(c fee.Charge) fee.Standard {
	c.Kind = "service"
	return fee.Standard{Name: "test", Side: fee.Inside, Charges: []fee.Charge{c}}
}

func TestModelsAtTheirEdges(t *testing.T) {
	rate := func(ppm int64) fee.Charge { return fee.Charge{Model: fee.Rate, PPM: ppm} }
	progressive := fee.Charge{Model: fee.TierProgressive, Bands: bands}
	whole := fee.Charge{Model: fee.TierWhole, Bands: bands}
	for _, tc := range []struct {
		name   string
		charge fee.Charge
		gross  string
		count  int64
		want   string
	}{
		{"flat is charged for each transaction", fee.Charge{Model: fee.Flat, Flat: amt("0.03")}, "100.00", 7, "0.21"},
		{"flat for no transaction is nothing", fee.Charge{Model: fee.Flat, Flat: amt("0.03")}, "0.00", 0, "0.00"},
		{"a rate of 0.5 % on a thousand", rate(5000), "1000.00", 400, "5.00"},
		{"just below half a cent rounds down", rate(5000), "0.99", 1, "0.00"},
		{"exactly half a cent rounds away from zero", rate(5000), "1.00", 1, "0.01"},
		{"half a cent of a refund rounds away from zero too", rate(5000), "-1.00", -1, "-0.01"},
		{"a rate on the day, not on each tap: 300 taps of 0.99", rate(5000), "297.00", 300, "1.49"},
		{"progressive in the first band", progressive, "99.99", 1, "1.00"},
		{"progressive at the edge, which belongs to the lower band", progressive, "100.00", 1, "1.00"},
		{"progressive just above the edge pays the next band's flat", progressive, "100.01", 1, "1.20"},
		{"progressive at the second edge", progressive, "1000.00", 1, "5.70"},
		{"progressive in the last band", progressive, "2000.00", 1, "7.20"},
		{"whole in the first band", whole, "99.99", 1, "1.00"},
		{"whole at the edge, which belongs to the lower band", whole, "100.00", 1, "1.00"},
		{"whole just above the edge: all of it at the next rate", whole, "100.01", 1, "0.70"},
		{"whole at the second edge", whole, "1000.00", 1, "5.20"},
		{"whole in the last band", whole, "2000.00", 1, "2.50"},
		{"a tier on nothing is nothing", whole, "0.00", 0, "0.00"},
		{"the minimum lifts a small fee", fee.Charge{Model: fee.Rate, PPM: 5000, Min: amt("0.10")}, "1.00", 1, "0.10"},
		{"the minimum is for a day with business only", fee.Charge{Model: fee.Rate, PPM: 5000, Min: amt("0.10")}, "0.00", 0, "0.00"},
		{"the maximum caps a large fee", fee.Charge{Model: fee.Rate, PPM: 5000, Max: amt("3.00")}, "10000.00", 1, "3.00"},
		{"the cap holds for a refund", fee.Charge{Model: fee.Rate, PPM: 5000, Max: amt("3.00")}, "-10000.00", -1, "-3.00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := one(tc.charge)
			require.NoError(t, s.Check())
			q, err := s.Quote(fee.Basis{Gross: amt(tc.gross), Count: tc.count})
			require.NoError(t, err)
			require.Equal(t, tc.want, q.Total.String())
		})
	}
}

func TestWhoBearsTheFee(t *testing.T) {
	for _, model := range []fee.Charge{
		{Kind: "m", Model: fee.Flat, Flat: amt("0.50")},
		{Kind: "m", Model: fee.Rate, PPM: 5000},
		{Kind: "m", Model: fee.TierProgressive, Bands: []fee.Band{{PPM: 5000}}},
		{Kind: "m", Model: fee.TierWhole, Bands: []fee.Band{{PPM: 5000}}},
	} {
		s := fee.Standard{Name: "both", Side: fee.Inside, Charges: []fee.Charge{model}}
		purchase, refund := fee.Basis{Gross: amt("100.00"), Count: 1}, fee.Basis{Gross: amt("-100.00"), Count: -1}

		in, err := s.Split(purchase)
		require.NoError(t, err)
		require.Equal(t, []string{"100.00", "99.50", "0.50"}, []string{in.PayerPays.String(), in.PayeeGets.String(), in.Total.String()}, "inside, %s", model.Model)

		s.Side = fee.Outside
		out, err := s.Split(purchase)
		require.NoError(t, err)
		require.Equal(t, []string{"100.50", "100.00", "0.50"}, []string{out.PayerPays.String(), out.PayeeGets.String(), out.Total.String()}, "outside, %s", model.Model)

		back, err := s.Split(refund)
		require.NoError(t, err)
		require.Equal(t, []string{"-100.50", "-100.00", "-0.50"}, []string{back.PayerPays.String(), back.PayeeGets.String(), back.Total.String()}, "refund outside, %s", model.Model)

		s.Side = fee.Inside
		back, err = s.Split(refund)
		require.NoError(t, err)
		require.Equal(t, []string{"-100.00", "-99.50", "-0.50"}, []string{back.PayerPays.String(), back.PayeeGets.String(), back.Total.String()}, "refund inside, %s", model.Model)
	}
}

// Three kinds of a third of a cent each: the merchant pays one cent, no kind gets any, and the cent has a name.
func TestTheResidueOfRoundingIsNamed(t *testing.T) {
	s := fee.Standard{Name: "three", Side: fee.Inside, Charges: []fee.Charge{
		{Kind: "scheme", Model: fee.Rate, PPM: 3333}, {Kind: "switch", Model: fee.Rate, PPM: 3333}, {Kind: "clearing", Model: fee.Rate, PPM: 3334},
	}}
	q, err := s.Quote(fee.Basis{Gross: amt("1.00"), Count: 1})
	require.NoError(t, err)
	require.Equal(t, "0.01", q.Total.String())
	require.Equal(t, "0.01", q.Residue.String())
	for _, p := range q.Parts {
		require.True(t, p.Amount.IsZero(), p.Kind)
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	err := fee.Standard{Side: "both", Charges: []fee.Charge{
		{Kind: "a b", Model: fee.Rate, PPM: -1},
		{Kind: "x", Model: "stage"},
		{Kind: "x", Model: fee.Flat, PPM: 5, Flat: amt("-1.00")},
		{Kind: "y", Model: fee.TierWhole, Bands: []fee.Band{{UpTo: amt("5.00")}, {UpTo: amt("4.00"), PPM: 2_000_000}}},
		{Kind: "z", Model: fee.Rate, PPM: 1, Min: amt("2.00"), Max: amt("1.00")},
		{Kind: "t", Model: fee.TierProgressive},
		{Kind: "vat", Model: fee.Flat, By: "size", Per: "year", Side: "above", To: "a b"},
		{Kind: "n", Model: fee.TierProgressive, By: fee.ByCount, Bands: []fee.Band{{UpTo: amt("5.00"), PPM: 7}, {UpToCount: 3}}},
		{Kind: "p", Model: fee.TierProgressive, Bands: []fee.Band{{Each: amt("0.10")}}},
	}, Rounding: "up", Tax: &fee.Tax{Kind: "vat"}}.Check()
	for _, want := range []string{"needs a name", `side "both"`, "kind:", "ppm -1", `model "stage"`, "twice", "takes no ppm", "negative",
		"leave up_to out", "ppm 2000000", "min 2.00 is above max 1.00", "needs bands",
		`rounding "up"`, "tax: ppm 0", "charge 7 (vat): the kind is there twice", `by "size"`, "only a tier has by", `per "year"`, `side "above"`, "to: character",
		"ends its bands with up_to_count", "leave up_to_count out", "takes each, and no ppm", "takes no each"} {
		require.ErrorContains(t, err, want)
	}
}

func TestASumTooLargeIsAnErrorAndNotAnotherSum(t *testing.T) {
	s := one(fee.Charge{Model: fee.Flat, Flat: money.Minor(math.MaxInt64)})
	_, err := s.Quote(fee.Basis{Gross: amt("1.00"), Count: 2})
	require.ErrorIs(t, err, money.ErrOverflow)
}

func genStandard(t *rapid.T) fee.Standard {
	side := rapid.SampledFrom([]fee.Side{fee.Inside, fee.Outside})
	s := fee.Standard{Name: "any", Side: side.Draw(t, "side"), Rounding: rapid.SampledFrom([]fee.Rounding{"", fee.HalfUp, fee.HalfEven, fee.Down}).Draw(t, "rounding")}
	if rapid.Bool().Draw(t, "taxed") {
		s.Tax = &fee.Tax{Kind: "vat", PPM: rapid.Int64Range(1, fee.MaxPPM).Draw(t, "tax"), Included: rapid.Bool().Draw(t, "included")}
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "charges") {
		c := genCharge(t)
		c.Kind = string(rune('a' + i))
		c.Side = rapid.SampledFrom([]fee.Side{"", fee.Inside, fee.Outside}).Draw(t, "charge side")
		c.To = rapid.SampledFrom([]string{"", "agent"}).Draw(t, "to")
		s.Charges = append(s.Charges, c)
	}
	return s
}

func genCharge(t *rapid.T) fee.Charge {
	c := fee.Charge{
		Model: rapid.SampledFrom([]fee.Model{fee.Flat, fee.Rate, fee.TierProgressive, fee.TierWhole}).Draw(t, "model"),
		Per:   rapid.SampledFrom([]fee.Scope{"", fee.Transaction, fee.Day, fee.Month}).Draw(t, "per"),
	}
	ppm := rapid.Int64Range(0, fee.MaxPPM)
	cents := rapid.Int64Range(0, 500)
	sum := func(what string) money.Amount { return money.Minor(cents.Draw(t, what)) }
	switch c.Model {
	case fee.Flat:
		c.Flat = sum("flat")
	case fee.Rate:
		c.PPM = ppm.Draw(t, "ppm")
	default:
		c.By = rapid.SampledFrom([]fee.Measure{"", fee.ByAmount, fee.ByCount}).Draw(t, "by")
		band := func() fee.Band {
			b := fee.Band{Flat: sum("flat")}
			if c.Model == fee.TierWhole || c.By != fee.ByCount {
				b.PPM = ppm.Draw(t, "ppm")
			}
			if c.Model == fee.TierWhole || c.By == fee.ByCount {
				b.Each = sum("each")
			}
			return b
		}
		up := int64(0)
		for range rapid.IntRange(0, 3).Draw(t, "bands") {
			b := band()
			if c.By == fee.ByCount {
				up += rapid.Int64Range(1, 100).Draw(t, "width")
				b.UpToCount = up
			} else {
				up += rapid.Int64Range(1, 100_000).Draw(t, "width")
				b.UpTo = money.Minor(up)
			}
			c.Bands = append(c.Bands, b)
		}
		c.Bands = append(c.Bands, band())
	}
	if rapid.Bool().Draw(t, "has min") {
		c.Min = sum("min")
	}
	if rapid.Bool().Draw(t, "has max") {
		c.Max = money.Minor(c.Min.Minor() + 1 + cents.Draw(t, "max"))
	}
	return c
}

// genBasis draws a day of purchases, some of them taken back, with what the month had before.
func genBasis(t *rapid.T) fee.Basis {
	b := fee.Basis{Month: fee.Sum{Gross: money.Minor(rapid.Int64Range(-1_000_000, 1_000_000).Draw(t, "month")), Count: rapid.Int64Range(-500, 500).Draw(t, "of month")}}
	for range rapid.IntRange(0, 5).Draw(t, "amounts") {
		e := fee.Each{Amount: money.Minor(rapid.Int64Range(0, 200_000).Draw(t, "amount")), Count: rapid.Int64Range(-20, 100).Draw(t, "count")}
		b.Each = append(b.Each, e)
		b.Gross = money.Minor(b.Gross.Minor() + e.Amount.Minor()*e.Count)
		b.Count += e.Count
	}
	return b
}

func negative(b fee.Basis) fee.Basis {
	out := fee.Basis{Gross: money.Minor(-b.Gross.Minor()), Count: -b.Count, Month: fee.Sum{Gross: money.Minor(-b.Month.Gross.Minor()), Count: -b.Month.Count}}
	for _, e := range b.Each {
		out.Each = append(out.Each, fee.Each{Amount: e.Amount, Count: -e.Count})
	}
	return out
}

func TestEverySplitAddsUpAndEveryRefundMirrorsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genStandard(t)
		require.NoError(t, s.Check())
		b := genBasis(t)
		split, err := s.Split(b)
		require.NoError(t, err)

		parts := split.Residue
		for _, p := range split.Parts {
			parts, err = parts.Add(p.Amount)
			require.NoError(t, err)
		}
		require.Equal(t, split.Total, parts, "total = parts + residue")
		require.Equal(t, split.Total.Minor(), split.Inside.Minor()+split.Outside.Minor())
		require.Equal(t, b.Gross.Minor(), split.PayeeGets.Minor()+split.Inside.Minor(), "the payee bears what is inside")
		require.Equal(t, b.Gross.Minor(), split.PayerPays.Minor()-split.Outside.Minor(), "the payer bears what is outside")
		sum, err := split.PayeeGets.Add(split.Total)
		require.NoError(t, err)
		require.Equal(t, split.PayerPays, sum, "payer pays = payee gets + fee")
		// Each part and each side is off by less than a minor unit at each end of the month, and there are as many ends.
		require.Less(t, max(split.Residue.Minor(), -split.Residue.Minor()), int64(2*len(split.Parts)+4), "a residue is rounding and nothing more")

		back, err := s.Split(negative(b))
		require.NoError(t, err)
		require.Equal(t, -split.Total.Minor(), back.Total.Minor(), "a refund gives back what was charged")
		require.Equal(t, -split.PayeeGets.Minor(), back.PayeeGets.Minor())

		text, err := s.Explain(b)
		require.NoError(t, err)
		require.Contains(t, text, split.Total.String())
	})
}

// However a month is cut into days, its days are charged what the month comes to, and no kind more than its maximum.
func TestTheDaysOfAMonthAddUpToTheMonth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genStandard(t)
		for i := range s.Charges {
			s.Charges[i].Per = fee.Month
		}
		var month fee.Sum
		var total, inside int64
		parts := make([]int64, 0)
		for range rapid.IntRange(1, 8).Draw(t, "days") {
			b := genBasis(t)
			b.Month = month
			q, err := s.Quote(b)
			require.NoError(t, err)
			total += q.Total.Minor()
			inside += q.Inside.Minor()
			parts = append(parts, make([]int64, len(q.Parts)-len(parts))...)
			for i, p := range q.Parts {
				parts[i] += p.Amount.Minor()
			}
			month = fee.Sum{Gross: money.Minor(month.Gross.Minor() + b.Gross.Minor()), Count: month.Count + b.Count}
		}
		whole, err := s.Quote(fee.Basis{Gross: month.Gross, Count: month.Count})
		require.NoError(t, err)
		require.Equal(t, whole.Total.Minor(), total)
		require.Equal(t, whole.Inside.Minor(), inside)
		for i, p := range whole.Parts {
			require.Equal(t, p.Amount.Minor(), parts[i], p.Kind)
			if i < len(s.Charges) && s.Charges[i].Max.Sign() > 0 {
				require.LessOrEqual(t, max(parts[i], -parts[i]), s.Charges[i].Max.Minor(), "maximum of a month")
			}
		}
	})
}

// A larger sum costs no less; the one model that does not promise it is the whole tier, whose point it is.
func TestMoreBusinessCostsNoLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genStandard(t)
		for i := range s.Charges {
			if s.Charges[i].Model == fee.TierWhole {
				s.Charges[i] = fee.Charge{Kind: s.Charges[i].Kind, Model: fee.Rate, PPM: 5}
			}
			if s.Charges[i].Per == fee.Transaction {
				s.Charges[i].Per = fee.Day
			}
		}
		b := fee.Basis{Gross: money.Minor(rapid.Int64Range(0, 1_000_000).Draw(t, "gross")), Count: rapid.Int64Range(0, 500).Draw(t, "count"),
			Month: fee.Sum{Gross: money.Minor(rapid.Int64Range(0, 1_000_000).Draw(t, "month")), Count: rapid.Int64Range(0, 500).Draw(t, "of month")}}
		more := b
		more.Gross = money.Minor(b.Gross.Minor() + rapid.Int64Range(0, 1_000_000).Draw(t, "more"))
		more.Count += rapid.Int64Range(0, 100).Draw(t, "more transactions")
		small, err := s.Quote(b)
		require.NoError(t, err)
		large, err := s.Quote(more)
		require.NoError(t, err)
		require.GreaterOrEqual(t, large.Inside.Minor(), small.Inside.Minor())
		require.GreaterOrEqual(t, large.Outside.Minor(), small.Outside.Minor())
		for i := range small.Parts {
			require.GreaterOrEqual(t, large.Parts[i].Amount.Minor(), small.Parts[i].Amount.Minor())
		}
	})
}

// Sums of any size are charged rightly or refused, never charged another sum.
func TestNoSumIsTooLarge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genStandard(t)
		for i := range s.Charges {
			if s.Charges[i].Per == fee.Transaction {
				s.Charges[i].Per = fee.Month
			}
		}
		any64 := rapid.Int64()
		b := fee.Basis{Gross: money.Minor(any64.Draw(t, "gross")), Count: any64.Draw(t, "count"),
			Month: fee.Sum{Gross: money.Minor(any64.Draw(t, "month")), Count: any64.Draw(t, "of month")}}
		split, err := s.Split(b)
		if err != nil {
			require.ErrorIs(t, err, money.ErrOverflow)
			return
		}
		parts, err := money.Sum(split.PayeeGets, split.Total)
		require.NoError(t, err)
		require.Equal(t, split.PayerPays, parts)
	})
}

func TestATransactionsChargeWantsTheTransactions(t *testing.T) {
	s := one(fee.Charge{Model: fee.Rate, PPM: 5000, Per: fee.Transaction})
	for name, b := range map[string]fee.Basis{
		"none told":         {Gross: amt("10.00"), Count: 1},
		"too few":           {Gross: amt("10.00"), Count: 2, Each: []fee.Each{{Amount: amt("10.00"), Count: 1}}},
		"another sum":       {Gross: amt("10.00"), Count: 1, Each: []fee.Each{{Amount: amt("9.00"), Count: 1}}},
		"a negative amount": {Gross: amt("-10.00"), Count: 1, Each: []fee.Each{{Amount: amt("-10.00"), Count: 1}}},
	} {
		_, err := s.Quote(b)
		require.ErrorIs(t, err, fee.ErrBasis, name)
	}
}
