package fee_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

const schedule = `
terms:
  - from: 2026-01-01
    standards:
      - {name: old, side: inside, charges: [{kind: service, model: rate, ppm: 6000}]}
  - from: 2026-06-16
    standards:
      - name: new
        side: inside
        rounding: half-even
        tax: {kind: vat, ppm: 60000, included: true}
        charges:
          - {kind: service, model: rate, ppm: 5000, per: month, min: 30.00, max: 2000.00}
          - kind: volume
            model: tier-progressive
            per: month
            by: count
            bands: [{up_to_count: 1000, each: 0.10}, {each: 0.05}]
  - {from: 2026-12-01, standards: []}
until: 2027-06-30
`

func TestWhichTermIsInForce(t *testing.T) {
	s, err := fee.Parse([]byte(schedule))
	require.NoError(t, err)
	for _, tc := range []struct{ day, from, month string }{
		{"2026-01-01", "2026-01-01", "2026-01-01"},
		{"2026-06-15", "2026-01-01", "2026-06-01"},
		{"2026-06-16", "2026-06-16", "2026-06-16"}, // a month counts anew with a term that begins in it
		{"2026-07-01", "2026-06-16", "2026-07-01"},
		{"2026-11-30", "2026-06-16", "2026-11-01"},
		{"2027-06-30", "2026-12-01", "2027-06-01"},
	} {
		term, err := s.On(calendar.Date(tc.day))
		require.NoError(t, err, tc.day)
		require.Equal(t, tc.from, string(term.From), tc.day)
		require.Equal(t, tc.month, string(term.MonthStart(calendar.Date(tc.day))), tc.day)
	}
	for _, day := range []calendar.Date{"2025-12-31", "2027-07-01"} {
		_, err := s.On(day)
		require.ErrorIs(t, err, fee.ErrNotInForce, day)
	}
	term, err := s.On("2026-12-01")
	require.NoError(t, err)
	require.Empty(t, term.Standards, "no fees, which is not the same as no term")
}

func TestAllFaultsOfAScheduleAtOnce(t *testing.T) {
	_, err := fee.Parse([]byte(`
terms:
  - from: 2026-02-30
    standards:
      - {name: a, side: inside, charges: [{kind: service, model: rate, ppm: 5000, min: 1.005}]}
      - {name: b, side: beside, charges: [{kind: service, model: flat, flat: lots}]}
  - from: 2026-06-01
    standards: []
  - from: 2026-06-01
    standards:
      - {name: c, side: inside, charges: [{kind: x, model: tier-whole, bands: [{up_to: 1e3, ppm: 1}, {flat: 0.001}]}]}
until: 2026-01-01
`))
	for _, want := range []string{
		"terms[0].from", "terms[0].standards[0].charges[0].min", `"1.005"`, `side "beside"`, "terms[0].standards[1].charges[0].flat", `"lots"`,
		`kind "service" is in two standards`, "terms[2].from: 2026-06-01 is not after", "terms[2].standards[0].charges[0].bands[0].up_to",
		"terms[2].standards[0].charges[0].bands[1].flat", "until: 2026-01-01 is before",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestParseIsStrict(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":       "",
		"no terms":      "terms: []",
		"unknown field": "terms: [{from: 2026-01-01, standards: [], rate: 5}]",
		"two documents": "terms: [{from: 2026-01-01, standards: []}]\n---\nterms: []",
		"a list":        "[]",
	} {
		_, err := fee.Parse([]byte(raw))
		require.Error(t, err, name)
	}
}

// What parses can be printed, read again as the same, and asked.
func FuzzParse(f *testing.F) {
	f.Add([]byte(schedule))
	f.Add([]byte("terms: [{from: 2026-01-01, standards: [{name: a, side: outside, charges: [{kind: s, model: flat, flat: 0.20, per: transaction}]}]}]"))
	f.Add([]byte("terms: [{from: 2026-01-01, standards: []}]\nuntil: 2025-01-01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := fee.Parse(raw)
		if err != nil {
			return
		}
		require.NoError(t, s.Check())
		printed, err := yaml.Marshal(s)
		require.NoError(t, err)
		again, err := fee.Parse(printed)
		require.NoError(t, err, "%s", printed)
		reprinted, err := yaml.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(printed), string(reprinted))
		for _, st := range s.Terms[0].Standards {
			_, err := st.Explain(fee.Basis{Gross: amt("12.34"), Count: 2, Each: []fee.Each{{Amount: amt("6.17"), Count: 2}}})
			if !errors.Is(err, money.ErrOverflow) {
				require.NoError(t, err)
			}
		}
	})
}
