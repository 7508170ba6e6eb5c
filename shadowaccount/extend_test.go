package shadowaccount_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// history is what a card has behind it, drawn from small domains.
type history struct {
	card   shadowaccount.Card
	claims []shadowaccount.Counted
	loads  []shadowaccount.Load
}

func drawCounted(r *rapid.T, counter uint32) shadowaccount.Counted {
	before := rapid.Int64Range(0, 12).Draw(r, "before") * 100
	amount := rapid.Int64Range(0, 2).Draw(r, "amount") * 100
	after := before - amount
	if rapid.IntRange(0, 9).Draw(r, "arithmetic") == 0 {
		after++
	}
	return shadowaccount.Counted{Counter: counter, Status: shadowaccount.Stands, Claim: shadowaccount.Claim{
		Tap: ids.TapID{Terminal: "t", Epoch: 1, Tap: uint64(counter)}, Seq: uint64(counter), At: rapid.Int64Range(0, 4).Draw(r, "at"),
		Before: money.Minor(before), Amount: money.Minor(amount), After: money.Minor(after), Proof: shadowaccount.ProofGood,
		Flags: rapid.SampledFrom([]shadowaccount.Flags{0, 0, 0, shadowaccount.FlagWrongSAM}).Draw(r, "flags")}}
}

func drawHistory(r *rapid.T) history {
	h := history{card: shadowaccount.Card{Issued: rapid.IntRange(0, 4).Draw(r, "issued") > 0, Opening: uint32(rapid.IntRange(0, 2).Draw(r, "opening")),
		Shadow: money.Minor(rapid.Int64Range(-1, 5).Draw(r, "shadow")), BlockedAt: rapid.Int64Range(0, 4).Draw(r, "blocked"),
		Chain: rapid.SampledFrom([]shadowaccount.Chain{shadowaccount.Dense, shadowaccount.Sparse}).Draw(r, "chain")}}
	counter := h.card.Opening
	for range rapid.IntRange(0, 5).Draw(r, "claims") {
		counter += uint32(rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2}).Draw(r, "step"))
		c := drawCounted(r, counter)
		c.Claim.Seq += 100 * uint64(len(h.claims))
		c.Status = rapid.SampledFrom([]shadowaccount.Status{shadowaccount.Stands, shadowaccount.Stands, shadowaccount.Stands, shadowaccount.Stands,
			shadowaccount.Inferred, shadowaccount.Open, shadowaccount.Clone, shadowaccount.BadTAC, shadowaccount.Void}).Draw(r, "status")
		h.claims = append(h.claims, c)
	}
	for i := range rapid.IntRange(0, 3).Draw(r, "loads") {
		h.loads = append(h.loads, drawLoad(r, 2*i))
	}
	return h
}

func drawLoad(r *rapid.T, counter int) shadowaccount.Load {
	return load(uint16(counter), rapid.Int64Range(0, 6).Draw(r, "load")*100, rapid.Bool().Draw(r, "loaded"))
}

// TestToExtendIsToAuditTheWhole: debits at the end of any chain, after any loads that the audit allows, lead to what the audit of the whole says.
func TestToExtendIsToAuditTheWhole(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(r *rapid.T) {
		for range 30 { // histories are small, and each way must come up
			extendAndAudit(r, seen)
		}
	})
	for _, want := range []string{"whole", "gap", "explained", "loads", "vain", "sparse", "BALANCE_UP", "BALANCE_DOWN", "ARITHMETIC", "WRONG_SAM", "DENIED_TAP", "UNKNOWN_CARD", "CLONE"} {
		require.True(t, seen[want], "no run had %s", want)
	}
}

func extendAndAudit(r *rapid.T, seen map[string]bool) {
	h := drawHistory(r)
	was, err := shadowaccount.AuditCard(h.card, h.claims, h.loads)
	require.NoError(r, err)
	if was.LoadsFrom < 0 {
		seen["whole"] = true
		return
	}
	for range 2 { // after an extension it can be extended again
		for range rapid.IntRange(0, 2).Draw(r, "new loads") {
			if counter := rapid.IntRange(was.LoadsFrom, was.LoadsFrom+4).Draw(r, "load counter"); !slices.ContainsFunc(h.loads, func(l shadowaccount.Load) bool { return int(l.Counter) == counter }) {
				h.loads = append(h.loads, drawLoad(r, counter))
			}
		}
		for i := range h.loads { // whether a load is proved may change at any time, and one that no balance has shown may be taken back
			h.loads[i].Loaded = h.loads[i].Loaded || rapid.Bool().Draw(r, "proved")
		}
		h.loads = slices.DeleteFunc(h.loads, func(l shadowaccount.Load) bool {
			return int(l.Counter) >= was.LoadsFrom && rapid.IntRange(0, 5).Draw(r, "taken back") == 0
		})
		slices.SortFunc(h.loads, func(a, b shadowaccount.Load) int { return int(a.Counter) - int(b.Counter) })
		var debits []shadowaccount.Counted
		counter, tail := was.Next, was.Tail
		for range rapid.IntRange(1, 2).Draw(r, "debits") {
			if h.card.Chain == shadowaccount.Sparse || rapid.IntRange(0, 4).Draw(r, "gap") == 0 {
				counter += uint32(rapid.IntRange(0, 2).Draw(r, "step"))
			}
			d := drawCounted(r, counter)
			if rapid.Bool().Draw(r, "follows") {
				d.Claim.Before = tail
			}
			debits, counter, tail = append(debits, d), counter+1, d.Claim.After
		}
		end := shadowaccount.End{Complete: was.Complete, Next: was.Next, Tail: was.Tail, LoadsFrom: was.LoadsFrom}
		var above []shadowaccount.Load
		if end.Asks(debits) {
			for _, l := range h.loads {
				if int(l.Counter) >= end.LoadsFrom {
					above = append(above, l)
				}
			}
		}
		more, ok, err := end.Extend(h.card, debits, above)
		require.NoError(r, err)
		require.True(r, ok)
		h.claims = append(h.claims, debits...)
		now, err := shadowaccount.AuditCard(h.card, h.claims, h.loads)
		require.NoError(r, err)
		more.Gaps = slices.Concat(was.Gaps, more.Gaps)
		require.ElementsMatch(r, now.Findings, slices.Concat(was.Findings, more.Findings))
		explained := func(all []uint16) (out []uint16) { // of loads that are proved nobody asks
			for _, l := range h.loads {
				if !l.Loaded && slices.Contains(all, l.Counter) {
					out = append(out, l.Counter)
				}
			}
			return out
		}
		require.Equal(r, explained(now.Explained), explained(slices.Concat(was.Explained, more.Explained)))
		more.Findings, more.Explained = now.Findings, now.Explained
		require.Equal(r, now.Gaps, more.Gaps)
		more.Gaps = now.Gaps
		require.Equal(r, now, more)
		for _, f := range now.Findings {
			seen[string(f.Code)] = true
		}
		for what, is := range map[string]bool{"gap": len(now.Gaps) > 0, "explained": len(now.Explained) > 0, "loads": now.LoadsFrom > 0, "vain": now.LoadsFrom < 0, "sparse": h.card.Chain == shadowaccount.Sparse} {
			seen[what] = seen[what] || is
		}
		if was = now; was.LoadsFrom < 0 {
			return
		}
	}
}

func TestOnlyAProvedDebitAfterAllOthersExtends(t *testing.T) {
	end := shadowaccount.End{Complete: 4, Next: 4, Tail: money.Minor(9_00)}
	card := shadowaccount.Card{Issued: true}
	good := slot(4, 9_00, 1_00)
	good.Claim.Proof = shadowaccount.ProofGood
	_, ok, err := end.Extend(card, []shadowaccount.Counted{good}, nil)
	require.NoError(t, err)
	require.True(t, ok)
	for name, change := range map[string]func(e *shadowaccount.End, card *shadowaccount.Card, c *shadowaccount.Counted){
		"an audit that cannot go on": func(e *shadowaccount.End, _ *shadowaccount.Card, _ *shadowaccount.Counted) { e.LoadsFrom = -1 },
		"a negative shadow": func(_ *shadowaccount.End, card *shadowaccount.Card, _ *shadowaccount.Counted) {
			card.Shadow = money.Minor(-1)
		},
		"a counter that is taken": func(_ *shadowaccount.End, _ *shadowaccount.Card, c *shadowaccount.Counted) { c.Counter = 3 },
		"the last counter there is": func(_ *shadowaccount.End, _ *shadowaccount.Card, c *shadowaccount.Counted) {
			c.Counter = math.MaxUint32
		},
		"no proof": func(_ *shadowaccount.End, _ *shadowaccount.Card, c *shadowaccount.Counted) {
			c.Claim.Proof = shadowaccount.ProofNone
		},
		"a debit counted elsewhere": func(_ *shadowaccount.End, _ *shadowaccount.Card, c *shadowaccount.Counted) { c.Claim.Spent = true },
		"a claim that is open": func(_ *shadowaccount.End, _ *shadowaccount.Card, c *shadowaccount.Counted) {
			c.Status = shadowaccount.Open
		},
	} {
		e, k, c := end, card, good
		change(&e, &k, &c)
		_, ok, err := e.Extend(k, []shadowaccount.Counted{c}, nil)
		require.NoError(t, err)
		require.False(t, ok, name)
	}
}
