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
	}}.Check()
	for _, want := range []string{"needs a name", `side "both"`, "kind:", "ppm -1", `model "stage"`, "twice", "takes no ppm", "negative",
		"leave up_to out", "ppm 2000000", "min 2.00 is above max 1.00", "needs bands"} {
		require.ErrorContains(t, err, want)
	}
}

func TestASumTooLargeIsAnErrorAndNotAnotherSum(t *testing.T) {
	s := one(fee.Charge{Model: fee.Flat, Flat: money.Minor(math.MaxInt64)})
	_, err := s.Quote(fee.Basis{Gross: amt("1.00"), Count: 2})
	require.ErrorIs(t, err, money.ErrOverflow)
}

func genStandard(t *rapid.T) fee.Standard {
	s := fee.Standard{Name: "any", Side: rapid.SampledFrom([]fee.Side{fee.Inside, fee.Outside}).Draw(t, "side")}
	for i := range rapid.IntRange(0, 4).Draw(t, "charges") {
		c := fee.Charge{Kind: string(rune('a' + i)), Model: rapid.SampledFrom([]fee.Model{fee.Flat, fee.Rate, fee.TierProgressive, fee.TierWhole}).Draw(t, "model")}
		ppm := rapid.Int64Range(0, fee.MaxPPM)
		cents := rapid.Int64Range(0, 500)
		switch c.Model {
		case fee.Flat:
			c.Flat = money.Minor(cents.Draw(t, "flat"))
		case fee.Rate:
			c.PPM = ppm.Draw(t, "ppm")
		default:
			up := int64(0)
			for range rapid.IntRange(0, 3).Draw(t, "bands") {
				up += rapid.Int64Range(1, 100_000).Draw(t, "width")
				c.Bands = append(c.Bands, fee.Band{UpTo: money.Minor(up), PPM: ppm.Draw(t, "ppm"), Flat: money.Minor(cents.Draw(t, "flat"))})
			}
			c.Bands = append(c.Bands, fee.Band{PPM: ppm.Draw(t, "ppm"), Flat: money.Minor(cents.Draw(t, "flat"))})
		}
		if rapid.Bool().Draw(t, "has min") {
			c.Min = money.Minor(cents.Draw(t, "min"))
		}
		if rapid.Bool().Draw(t, "has max") {
			c.Max = money.Minor(c.Min.Minor() + 1 + cents.Draw(t, "max"))
		}
		s.Charges = append(s.Charges, c)
	}
	return s
}

func TestEverySplitAddsUpAndEveryRefundMirrorsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genStandard(t)
		require.NoError(t, s.Check())
		b := fee.Basis{Gross: money.Minor(rapid.Int64Range(-1_000_000, 1_000_000).Draw(t, "gross")), Count: rapid.Int64Range(-50, 500).Draw(t, "count")}
		split, err := s.Split(b)
		require.NoError(t, err)

		parts := split.Residue
		for _, p := range split.Parts {
			parts, err = parts.Add(p.Amount)
			require.NoError(t, err)
		}
		require.Equal(t, split.Total, parts, "total = parts + residue")
		sum, err := split.PayeeGets.Add(split.Total)
		require.NoError(t, err)
		require.Equal(t, split.PayerPays, sum, "payer pays = payee gets + fee")
		require.LessOrEqual(t, max(split.Residue.Minor(), -split.Residue.Minor()), int64(len(s.Charges)), "a residue is rounding and nothing more")

		back, err := s.Split(fee.Basis{Gross: money.Minor(-b.Gross.Minor()), Count: -b.Count})
		require.NoError(t, err)
		require.Equal(t, -split.Total.Minor(), back.Total.Minor(), "a refund gives back what was charged")
	})
}
