package shadowaccount_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// slot is a standing debit of amount at a counter, with before on the card.
func slot(counter uint32, before, amount int64) shadowaccount.Counted {
	c := claim("a", int64(counter), amount, completed, good)
	c.Before, c.After = money.Minor(before), money.Minor(before-amount)
	return shadowaccount.Counted{Counter: counter, Claim: c, Status: shadowaccount.Stands}
}

func load(counter uint16, minor int64, loaded bool) shadowaccount.Load {
	return shadowaccount.Load{Counter: counter, Amount: money.Minor(minor), Loaded: loaded}
}

func inferred(s shadowaccount.Counted) shadowaccount.Counted {
	s.Status = shadowaccount.Inferred
	return s
}

func TestTheChainOfACard(t *testing.T) {
	card := shadowaccount.Card{Issued: true, Opening: 5, OpeningBalance: money.Minor(10_00)}
	type finding struct {
		code    shadowaccount.Code
		counter uint32
	}
	for name, c := range map[string]struct {
		slots          []shadowaccount.Counted
		loads          []shadowaccount.Load
		complete, next uint32
		tail           int64
		gaps           []shadowaccount.Gap
		findings       []finding
		explained      []uint16
	}{
		"a card never used":  {complete: 5, next: 5, tail: 10_00},
		"debits that follow": {slots: []shadowaccount.Counted{slot(6, 9_00, 2_00), slot(5, 10_00, 1_00)}, complete: 7, next: 7, tail: 7_00},
		"a gap, its number and its value known before its records": {
			slots:    []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(8, 6_50, 1_00)},
			complete: 6, next: 9, tail: 5_50, gaps: []shadowaccount.Gap{{First: 6, Last: 7, Value: money.Minor(2_50)}}},
		"a gap at the very start": {
			slots: []shadowaccount.Counted{slot(6, 9_00, 1_00)}, complete: 5, next: 7, tail: 8_00, gaps: []shadowaccount.Gap{{First: 5, Last: 5, Value: money.Minor(1_00)}}},
		"a zero-amount entry counts as seen": {slots: []shadowaccount.Counted{slot(5, 10_00, 0), slot(6, 10_00, 3_00)}, complete: 7, next: 7, tail: 7_00},
		"a load explains a rise": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 14_00, 1_00)}, loads: []shadowaccount.Load{load(0, 5_00, true)}, complete: 7, next: 7, tail: 13_00},
		"two loads explain a rise together": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 16_00, 1_00)}, loads: []shadowaccount.Load{load(1, 2_00, true), load(0, 5_00, true)}, complete: 7, next: 7, tail: 15_00},
		"a load explains one rise only": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 14_00, 1_00), slot(7, 18_00, 1_00)}, loads: []shadowaccount.Load{load(0, 5_00, true)},
			complete: 8, next: 8, tail: 17_00, findings: []finding{{shadowaccount.FindBalanceUp, 7}}},
		"loads do not overtake each other": {
			slots:    []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 14_00, 1_00), slot(7, 15_00, 1_00)},
			loads:    []shadowaccount.Load{load(0, 2_00, true), load(1, 5_00, true)},
			complete: 8, next: 8, tail: 14_00, findings: []finding{{shadowaccount.FindBalanceUp, 7}}},
		"a rise between two proved debits shows an uncertain load": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 14_00, 1_00)}, loads: []shadowaccount.Load{load(3, 5_00, false)},
			complete: 7, next: 7, tail: 13_00, explained: []uint16{3}},
		"an inferred debit shows no load": {
			slots: []shadowaccount.Counted{inferred(slot(5, 10_00, 1_00)), slot(6, 14_00, 1_00)}, loads: []shadowaccount.Load{load(3, 5_00, false)},
			complete: 7, next: 7, tail: 13_00},
		"a rise without a load": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 9_50, 1_00)}, complete: 7, next: 7, tail: 8_50, findings: []finding{{shadowaccount.FindBalanceUp, 6}}},
		"a fall without a debit": {
			slots: []shadowaccount.Counted{slot(5, 10_00, 1_00), slot(6, 8_50, 1_00)}, complete: 7, next: 7, tail: 7_50, findings: []finding{{shadowaccount.FindBalanceDown, 6}}},
		"a counter from before the card was issued": {
			slots: []shadowaccount.Counted{slot(4, 10_00, 1_00)}, complete: 5, next: 5, tail: 10_00, findings: []finding{{shadowaccount.FindCounterBack, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := shadowaccount.AuditCard(card, c.slots, c.loads)
			require.NoError(t, err)
			require.Equal(t, c.complete, a.Complete)
			require.Equal(t, c.next, a.Next)
			require.Equal(t, money.Minor(c.tail), a.Tail)
			require.Equal(t, c.gaps, a.Gaps)
			require.Equal(t, c.explained, a.Explained)
			var got []finding
			for _, f := range a.Findings {
				got = append(got, finding{f.Code, f.Counter})
			}
			require.Equal(t, c.findings, got)
		})
	}
}

func TestACardNeverIssuedBeginsWithWhatWasSeenFirst(t *testing.T) {
	a, err := shadowaccount.AuditCard(shadowaccount.Card{Shadow: money.Minor(-3_00)}, []shadowaccount.Counted{slot(8, 6_00, 1_00), slot(7, 8_00, 2_00)}, nil)
	require.NoError(t, err)
	require.Empty(t, a.Gaps)
	require.Len(t, a.Findings, 2)
	require.Equal(t, shadowaccount.FindUnknownCard, a.Findings[0].Code)
	require.Equal(t, shadowaccount.FindNegativeShadow, a.Findings[1].Code)
}

func TestTheHighestCounterDoesNotOverflow(t *testing.T) {
	const last = math.MaxUint32 // a DESFire card's
	a, err := shadowaccount.AuditCard(shadowaccount.Card{Issued: true, Opening: last - 1, OpeningBalance: money.Minor(9_00)},
		[]shadowaccount.Counted{slot(last-1, 9_00, 1_00), slot(last, 8_00, 1_00)}, nil)
	require.NoError(t, err)
	require.EqualValues(t, last, a.Next)
	require.Empty(t, a.Gaps)
	require.Empty(t, a.Findings)
}

func TestTheAuditKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.SliceOfNDistinct(rapid.Custom(func(r *rapid.T) shadowaccount.Counted {
			return slot(uint32(rapid.IntRange(3, 9).Draw(r, "counter")), rapid.Int64Range(5, 12).Draw(r, "before")*100, rapid.Int64Range(0, 2).Draw(r, "amount")*100)
		}), 0, 6, func(c shadowaccount.Counted) uint32 { return c.Counter }).Draw(r, "slots")
		loads := []shadowaccount.Load{load(0, 1_00, true), load(1, 2_00, true), load(2, 1_00, false)}
		card := shadowaccount.Card{Issued: true, Opening: 4, OpeningBalance: money.Minor(9_00)}
		one, err := shadowaccount.AuditCard(card, slots, loads)
		require.NoError(r, err)
		other, err := shadowaccount.AuditCard(card, rapid.Permutation(slots).Draw(r, "slots"), rapid.Permutation(loads).Draw(r, "loads"))
		require.NoError(r, err)
		require.Equal(r, one, other)
	})
}

func TestArrivalLabels(t *testing.T) {
	g := claim("a", 1, 1_00, completed, good)
	spent := g
	spent.Spent = true
	for name, c := range map[string]struct {
		claim   shadowaccount.Claim
		news    bool
		status  shadowaccount.Status
		counter uint32
		want    shadowaccount.Label
	}{
		"a forged TAC":                      {claim("a", 1, 1_00, completed, bad), true, shadowaccount.BadTAC, 9, shadowaccount.LabelBadMAC},
		"a forged TAC that tells no more":   {claim("a", 1, 1_00, completed, bad), false, shadowaccount.Open, 9, shadowaccount.LabelBadMAC},
		"nothing new":                       {g, false, shadowaccount.Stands, 9, shadowaccount.LabelSame},
		"a second debit with one counter":   {g, true, shadowaccount.Clone, 9, shadowaccount.LabelReuse},
		"a debit told twice":                {spent, true, shadowaccount.Void, 9, shadowaccount.LabelReuse},
		"below the complete part":           {g, true, shadowaccount.Stands, 3, shadowaccount.LabelStale},
		"into a gap":                        {g, true, shadowaccount.Stands, 5, shadowaccount.LabelLate},
		"the next counter, or one above it": {g, true, shadowaccount.Stands, 7, shadowaccount.LabelOK},
	} {
		require.Equal(t, c.want, shadowaccount.LabelOf(c.claim, c.news, c.status, c.counter, 4, 7), name)
	}
}
