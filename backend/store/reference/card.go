package reference

import (
	"cmp"
	"math"
	"slices"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// tap is one tap's claim to one counter.
type tap struct {
	counter uint32
	claim   shadowaccount.Claim
	status  shadowaccount.Status
	kind    int32
	rule    string
}

// card works one card out: its row, and what its taps are worth in the books.
func (m *Model) card(n ids.CardNumber, records []Looked) (Card, []books.Line, error) {
	out := Card{Status: m.status(n), Family: "ep"}
	if len(records) > 0 && records[0].Family != "" {
		out.Family = records[0].Family
	}
	issued, known := m.issued[n]
	if known {
		out.Opening = issued.OpeningCounter
		if issued.Family != "" {
			out.Family = issued.Family
		}
	}
	if at, blocked := m.blocked[n]; blocked {
		out.BlockedMS = at.UnixMilli()
	}
	chain := shadowaccount.ChainOf(out.Family)

	var loads []shadowaccount.Load
	var err error
	for _, l := range m.loads[n] {
		loads = append(loads, l)
		if l.Loaded {
			if out.Shadow, err = out.Shadow.Add(l.Amount); err != nil {
				return out, nil, err
			}
		}
	}

	taps := merged(records)
	for _, t := range taps {
		t.claim.Decision = m.decided[Tapped{n, t.counter, t.claim.Tap}]
	}
	spend(taps)
	decide(taps, chain, shadowaccount.ExplainedBy(loads))

	var lines []books.Line
	var counted []shadowaccount.Counted
	for _, t := range taps {
		does, change, err := shadowaccount.Effects(shadowaccount.Claim{}, shadowaccount.Nothing, t.claim, t.status)
		if err != nil {
			return out, nil, err
		}
		lines = append(lines, does...)
		if out.Shadow, err = out.Shadow.Add(change); err != nil {
			return out, nil, err
		}
		counted = append(counted, shadowaccount.Counted{Counter: t.counter, Claim: t.claim, Status: t.status})
		c := t.claim
		out.Claims = append(out.Claims, Claim{Counter: t.counter, Tap: c.Tap, Seq: c.Seq, AtMS: c.At, Merchant: c.Merchant, Amount: c.Amount, Before: c.Before, After: c.After,
			Said: c.Said, Proof: c.Proof, Status: t.status, Kind: t.kind, Rule: t.rule})
	}
	audit, err := shadowaccount.AuditCard(shadowaccount.Card{Issued: known, Opening: out.Opening, OpeningBalance: money.Amount{}, Shadow: out.Shadow, BlockedAt: out.BlockedMS,
		Chain: chain}, counted, loads)
	if err != nil {
		return out, nil, err
	}
	out.Complete, out.Next, out.Tail, out.Gaps, out.Findings, out.Explained = audit.Complete, audit.Next, audit.Tail, audit.Gaps, audit.Findings, audit.Explained
	for _, g := range audit.Gaps {
		out.Missing += g.Missing(chain)
	}
	slices.Sort(out.Explained)
	slices.SortFunc(out.Findings, func(a, b shadowaccount.Finding) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Counter, b.Counter))
	})
	return out, lines, nil
}

// merged puts the records of each tap together, one claim a tap and counter, by counter, terminal, epoch and tap.
func merged(records []Looked) []*tap {
	type name struct {
		counter uint32
		id      ids.TapID
	}
	by := map[name]*tap{}
	var out []*tap
	for _, r := range records {
		k := name{r.Counter, r.Claim.Tap}
		if t := by[k]; t != nil {
			t.claim = shadowaccount.Merge(t.claim, r.Claim)
			continue
		}
		by[k] = &tap{counter: r.Counter, claim: r.Claim, kind: r.Kind, rule: r.Rule}
		out = append(out, by[k])
	}
	slices.SortFunc(out, func(a, b *tap) int {
		x, y := a.claim.Tap, b.claim.Tap
		return cmp.Or(cmp.Compare(a.counter, b.counter), cmp.Compare(x.Terminal, y.Terminal), cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Tap, y.Tap))
	})
	return out
}

// spend marks the claims whose debit belongs to another.
func spend(taps []*tap) {
	by := map[string][]*tap{}
	for _, t := range taps {
		if t.claim.Debit != "" {
			by[t.claim.Debit] = append(by[t.claim.Debit], t)
		}
	}
	for _, same := range by {
		owner := shadowaccount.Spend(claims(same))
		for i, t := range same {
			t.claim.Spent = i != owner
		}
	}
}

// decide gives each claim its status, slot by slot.
func decide(taps []*tap, chain shadowaccount.Chain, explained shadowaccount.Explained) {
	slots := map[uint32][]*tap{}
	for _, t := range taps {
		slots[t.counter] = append(slots[t.counter], t)
	}
	for counter, slot := range slots {
		statuses := shadowaccount.Decide(claims(slot), after(taps, slots, counter, chain), explained)
		for i, t := range slot {
			t.status = statuses[i]
		}
	}
}

// after is what is known of the slot after one: on a dense chain the next number, on a sparse one the nearest that says anything.
func after(taps []*tap, slots map[uint32][]*tap, counter uint32, chain shadowaccount.Chain) shadowaccount.Next {
	if chain == shadowaccount.Dense {
		if counter == math.MaxUint32 {
			return shadowaccount.Next{}
		}
		return shadowaccount.NextFrom(claims(slots[counter+1]))
	}
	for _, t := range taps { // by counter
		if t.counter <= counter {
			continue
		}
		if next := shadowaccount.NextFrom(claims(slots[t.counter])); next.Known {
			next.Apart = true
			return next
		}
	}
	return shadowaccount.Next{}
}

func claims(taps []*tap) []shadowaccount.Claim {
	out := make([]shadowaccount.Claim, len(taps))
	for i, t := range taps {
		out[i] = t.claim
	}
	return out
}
