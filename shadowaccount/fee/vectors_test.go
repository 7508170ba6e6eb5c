package fee_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
)

type vector struct {
	Name, Note string
	Standard   fee.Standard
	Basis      struct {
		Gross money.Amount
		Count int64
		Each  [][2]string
		Month []string
	}
	Parts        []string
	Residue      money.Amount
	Payer, Payee string
}

func number(t *testing.T, s string) (n int64) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(s), &n))
	return n
}

func (v vector) basis(t *testing.T) fee.Basis {
	b := fee.Basis{Gross: v.Basis.Gross, Count: v.Basis.Count}
	for _, e := range v.Basis.Each {
		b.Each = append(b.Each, fee.Each{Amount: amt(e[0]), Count: number(t, e[1])})
	}
	if len(v.Basis.Month) == 2 {
		b.Month = fee.Sum{Gross: amt(v.Basis.Month[0]), Count: number(t, v.Basis.Month[1])}
	}
	return b
}

func TestTheWorkedFees(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.yaml")
	require.NoError(t, err)
	var all []vector
	require.NoError(t, yaml.Unmarshal(raw, &all))
	require.NotEmpty(t, all)
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			require.NoError(t, v.Standard.Check())
			split, err := v.Standard.Split(v.basis(t))
			require.NoError(t, err)
			var parts []string
			for _, p := range split.Parts {
				parts = append(parts, p.Kind+" "+p.Amount.String())
			}
			require.Equal(t, v.Parts, parts)
			require.Equal(t, v.Residue, split.Residue, "residue")
			require.Equal(t, v.Payer, split.PayerPays.String(), "the payer pays")
			require.Equal(t, v.Payee, split.PayeeGets.String(), "the payee gets")
		})
	}
}

// Worked by hand: service 3·0.10 + 0.50; volume 3.06 − 2.85; the tax of the month 0.23 − 0.17.
const explained = `fee standard city on 106.00 in 4 transactions, rounded half-even
  service, inside                                      0.80
    3 of 2.00, each:
    0.6 % of 2.00
    raised to the minimum of 0.10
    1 of 100.00, each:
    0.6 % of 100.00
    cut to the maximum of 0.50
  volume, inside, to hub                               0.21
    the month with it, less the month before it, which was 950.00 in 60:
    band 1 (up to 1000.00), 1000.00: 0.3 %
    band 2 (and above), 56.00: 0.1 %
  booking, outside, to agent                           0.20
    0.05 for each of 4
  vat, inside, tax of 6 % on top                       0.06
  vat, outside, tax of 6 % on top                      0.01
  rounding                                             0.00
  fee                                                  1.28
  the payer pays                                     106.21
  the payee gets                                     104.93
`

func TestAFeeIsExplained(t *testing.T) {
	s := fee.Standard{Name: "city", Side: fee.Inside, Rounding: fee.HalfEven, Tax: &fee.Tax{Kind: "vat", PPM: 60_000}, Charges: []fee.Charge{
		{Kind: "service", Model: fee.Rate, PPM: 6000, Per: fee.Transaction, Min: amt("0.10"), Max: amt("0.50")},
		{Kind: "volume", Model: fee.TierProgressive, Per: fee.Month, To: "hub", Bands: []fee.Band{{UpTo: amt("1000.00"), PPM: 3000}, {PPM: 1000}}},
		{Kind: "booking", Model: fee.Flat, Flat: amt("0.05"), Side: fee.Outside, To: "agent"},
	}}
	text, err := s.Explain(fee.Basis{Gross: amt("106.00"), Count: 4, Month: fee.Sum{Gross: amt("950.00"), Count: 60},
		Each: []fee.Each{{Amount: amt("2.00"), Count: 3}, {Amount: amt("100.00"), Count: 1}}})
	require.NoError(t, err)
	require.Equal(t, explained, text)

	s.Side = "both"
	_, err = s.Explain(fee.Basis{})
	require.ErrorContains(t, err, "want inside or outside", "a standard that does not check is not explained")
}
