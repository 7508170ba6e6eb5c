package scenario_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/scenario"
)

const issued = "steps:\n  - {do: issue, card: a, number: \"31050000000000000001\"}\n"

func TestStoriesThatAreNone(t *testing.T) {
	for says, text := range map[string]string{
		"no steps":                    "name: nothing\n",
		"more than one YAML document": issued + "---\n" + issued,
		"field amout not found":       issued + "  - {do: load, card: a, amout: \"1.00\"}\n",
		"step 2, fly: do: want":       issued + "  - {do: fly, card: a}\n",
		"no such card was issued":     issued + "  - {do: tap, card: b, lane: bus}\n",
		"want a name of its own":      issued + "  - {do: issue, card: a, number: \"31050000000000000002\"}\n",
		"number":                      "steps:\n  - {do: issue, card: a, number: \"31\"}\n",
		`lane "tram"`:                 issued + "  - {do: tap, card: a, lane: tram}\n",
		"a till want an amount":       issued + "  - {do: tap, card: a, lane: till}\n",
		"other steps neither":         issued + "  - {do: tap, card: a, lane: bus, key: k, amount: \"1.00\"}\n",
		"a time above 0s":             "steps:\n  - {do: wait}\n",
		`tear: "SELECT"`:              issued + "  - {do: tap, card: a, lane: bus, tear: {at: SELECT}}\n",
		"at a load or tap":            issued + "  - {do: history, card: a, tear: {at: DEBIT}}\n",
	} {
		_, err := scenario.Parse([]byte(text))
		require.ErrorContains(t, err, says, text)
	}
}

// TestWhatDiffersIsTold: a story that expects otherwise fails at that step, with both values.
func TestWhatDiffersIsTold(t *testing.T) {
	const start = issued + "  - {do: load, card: a, key: k, amount: \"10.00\"}\n"
	for says, step := range map[string]string{
		"step 3, tap abus: outcome is granted, want already-paid": "  - {do: tap, card: a, lane: bus, expect: {outcome: already-paid}}\n",
		"amount is 2.00, want 3.00":                               "  - {do: tap, card: a, lane: bus, expect: {amount: \"3.00\"}}\n",
		"balance is 8.00, want 10.00":                             "  - {do: tap, card: a, lane: bus, expect: {balance: \"10.00\"}}\n",
		"settled is , want voided":                                "  - {do: tap, card: a, lane: bus, expect: {settled: voided}}\n",
		"log is load 10.00, want load 9.00":                       "  - {do: history, card: a, expect: {log: [load 9.00]}}\n",
		"trips is , want single 2.00":                             "  - {do: history, card: a, expect: {trips: [single 2.00]}}\n",
		"records is 0, want 1":                                    "  - {do: books, card: a, expect: {records: 1}}\n",
		"records is not known, want 1":                            "  - {do: history, card: a, expect: {records: 1}}\n",
		"shadow is 10.00, want 0.00":                              "  - {do: books, card: a, expect: {shadow: \"0.00\"}}\n",
	} {
		s, err := scenario.Parse([]byte(start + step))
		require.NoError(t, err, step)
		require.ErrorContains(t, scenario.Run(t.Context(), s, scenario.InProcess(), t.TempDir()), says)
	}
}
