package shadowaccount_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

func TestFamiliesAndTheirChains(t *testing.T) {
	require.Equal(t, shadowaccount.Dense, shadowaccount.ChainOf("ep"))
	require.Equal(t, shadowaccount.Sparse, shadowaccount.ChainOf("ec"))
	require.Equal(t, shadowaccount.Sparse, shadowaccount.ChainOf("desfire"))
}

// TestAnUnknownTapOnASparseChain: a later balance of the card tells, and the counter does not.
func TestAnUnknownTapOnASparseChain(t *testing.T) {
	torn := claim("a", 1, 2_00, unknown, none)
	torn.Before, torn.After = money.Minor(10_00), money.Minor(8_00)
	for name, c := range map[string]struct {
		next  int64
		loads []shadowaccount.Load
		want  shadowaccount.Status
	}{
		"the balance fell by it":               {8_00, nil, shadowaccount.Inferred},
		"the balance has not moved":            {10_00, nil, shadowaccount.Void},
		"it fell by less":                      {9_00, nil, shadowaccount.Open},
		"it fell by more":                      {7_00, nil, shadowaccount.Open},
		"it fell by it, and a load came":       {13_00, []shadowaccount.Load{load(0, 5_00, true)}, shadowaccount.Inferred},
		"it has not moved, and a load came":    {15_00, []shadowaccount.Load{load(0, 5_00, true)}, shadowaccount.Void},
		"a load that is not known to be there": {13_00, []shadowaccount.Load{load(0, 5_00, false)}, shadowaccount.Open},
		"as it was, though a load of it fits":  {10_00, []shadowaccount.Load{load(0, 2_00, true)}, shadowaccount.Void},
		"fallen by it, though a load fits":     {8_00, []shadowaccount.Load{load(0, 2_00, true)}, shadowaccount.Inferred},
		"two loads, and both readings fit":     {15_00, []shadowaccount.Load{load(0, 5_00, true), load(1, 2_00, true)}, shadowaccount.Open},
	} {
		t.Run(name, func(t *testing.T) {
			next := shadowaccount.Next{Known: true, Apart: true, Before: money.Minor(c.next)}
			require.Equal(t, []shadowaccount.Status{c.want}, shadowaccount.Decide([]shadowaccount.Claim{torn}, next, shadowaccount.ExplainedBy(c.loads)))
			require.Equal(t, []shadowaccount.Status{shadowaccount.Open}, shadowaccount.Decide([]shadowaccount.Claim{torn}, shadowaccount.Next{Apart: true}, shadowaccount.ExplainedBy(c.loads)))
		})
	}
}

func TestTheChainOfASparseCard(t *testing.T) {
	card := shadowaccount.Card{Issued: true, Opening: 5, OpeningBalance: money.Minor(10_00), Chain: shadowaccount.Sparse}
	for name, c := range map[string]struct {
		slots    []shadowaccount.Counted
		loads    []shadowaccount.Load
		complete uint32
		gaps     []shadowaccount.Gap
		codes    []shadowaccount.Code
	}{
		"numbers that no debit used": {slots: []shadowaccount.Counted{slot(9, 10_00, 1_00), slot(70000, 9_00, 1_00)}, complete: 70001},
		"value that is missing": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(10, 6_50, 1_00)}, complete: 7,
			gaps: []shadowaccount.Gap{{First: 7, Last: 9, Value: money.Minor(2_50)}}},
		"a load between": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(10, 14_00, 1_00)}, loads: []shadowaccount.Load{load(8, 5_00, true)}, complete: 11},
		"a load that may have come shows nothing": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(10, 14_00, 1_00)},
			loads: []shadowaccount.Load{load(8, 5_00, false)}, complete: 11},
		"a load and a debit that is missing": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(10, 12_00, 1_00)}, loads: []shadowaccount.Load{load(8, 5_00, true)},
			complete: 7, gaps: []shadowaccount.Gap{{First: 7, Last: 9, Value: money.Minor(-3_00)}}},
		"a rise that no loads make": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(10, 15_00, 1_00)}, loads: []shadowaccount.Load{load(8, 5_00, true)},
			complete: 11, codes: []shadowaccount.Code{shadowaccount.FindBalanceUp}},
		"a fall with no number between": {slots: []shadowaccount.Counted{slot(6, 10_00, 1_00), slot(7, 8_00, 1_00)}, complete: 8,
			codes: []shadowaccount.Code{shadowaccount.FindBalanceDown}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := shadowaccount.AuditCard(card, c.slots, c.loads)
			require.NoError(t, err)
			require.Equal(t, c.complete, a.Complete)
			require.Equal(t, c.gaps, a.Gaps)
			require.Empty(t, a.Explained)
			var codes []shadowaccount.Code
			for _, f := range a.Findings {
				codes = append(codes, f.Code)
			}
			require.Equal(t, c.codes, codes)
			for _, g := range a.Gaps {
				require.Equal(t, 1, g.Missing(shadowaccount.Sparse))
				require.Equal(t, 3, g.Missing(shadowaccount.Dense))
			}
		})
	}
}

// TestASparseCardThatLosesNoRecordHasNoGap: whatever numbers its debits have, a card all of whose records came is in order.
func TestASparseCardThatLosesNoRecordHasNoGap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		card := shadowaccount.Card{Issued: true, OpeningBalance: money.Minor(100_00), Chain: shadowaccount.Sparse}
		var slots []shadowaccount.Counted
		var loads []shadowaccount.Load
		counter, balance := uint32(0), int64(100_00)
		for range rapid.IntRange(0, 8).Draw(r, "events") {
			counter += rapid.Uint32Range(1, 5).Draw(r, "step")
			if rapid.Bool().Draw(r, "load") {
				loads = append(loads, load(uint16(counter), 7_00, true))
				balance += 7_00
				continue
			}
			slots = append(slots, slot(counter, balance, 3_00))
			balance -= 3_00
		}
		a, err := shadowaccount.AuditCard(card, rapid.Permutation(slots).Draw(r, "slots"), loads)
		require.NoError(r, err)
		require.Empty(r, a.Gaps)
		require.Empty(r, a.Findings)
	})
}
