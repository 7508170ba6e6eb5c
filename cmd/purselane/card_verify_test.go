package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// TestWhatCanBeSaidOfADebit: a debit is verified by a TAC that was made anew over all that its record says, and never by what only looks
// alike or by what the books have as their verdict.
func TestWhatCanBeSaidOfADebit(t *testing.T) {
	n := ids.CardNumber{9: 1}
	at := ep.DateTime{0x20, 0x26, 0x11, 0x24, 0x08, 0x30, 0x00}
	psam := ep.TerminalNumber{5: 3}
	// The card's counter is 8: it has made 8 debits, the newest with counter 7 before it.
	log := ep.LogRecord{Counter: 7, Amount: money.Minor(200), Type: ep.TypeComposite, Terminal: psam, At: at}
	tap := bookedTap{
		Tap:    store.Tap{Counter: 7, Amount: money.Minor(200), Proof: shadowaccount.ProofGood},
		record: intake.EPDebit{Card: n, Counter: 7, Amount: money.Minor(200), Type: ep.TypeComposite, SAM: psam, At: at, TAC: &ep.MAC{1}, Good: true},
	}
	but := func(change func(b *bookedTap)) bookedTap {
		out := tap
		change(&out)
		return out
	}
	other := but(func(b *bookedTap) { b.record.Amount = money.Minor(300) })
	unproved := but(func(b *bookedTap) {
		b.Proof, b.record.Good, b.record.TAC, b.problem = shadowaccount.ProofNone, false, nil, "no TAC came with it"
	})
	cases := []struct {
		name    string
		counter uint16
		known   bool
		taps    []bookedTap
		verdict string
		why     string
	}{
		{"no backend", 7, false, nil, notProvable, "PSAM's serial"},
		{"not arrived", 7, true, nil, notProvable, "no record of it yet"},
		{"logged before the increment", 7, true, []bookedTap{tap}, verified, "made anew"},
		{"logged after it", 8, true, []bookedTap{tap}, verified, "made anew"},
		{"arrived without a TAC", 7, true, []bookedTap{unproved}, notProvable, "no TAC came with it"},
		{"another amount", 7, true, []bookedTap{other}, wrong, "another debit"},
		{"another second", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.At[6]++ })}, wrong, "another debit"},
		{"another PSAM", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.SAM[5]++ })}, wrong, "another debit"},
		{"another type", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.Type = ep.TypePurchase })}, wrong, "another debit"},
		{"another card's record", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.Card[9]++ })}, wrong, "another card"},
		{"another TAC than the card's", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.TAC = &ep.MAC{9} })}, wrong, "another TAC"},
		{"a TAC that the books took for good", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.Good, b.problem = false, "its TAC does not verify" })}, wrong, "the books have a good TAC"},
		{"a key that is gone", 7, true, []bookedTap{but(func(b *bookedTap) { b.record.Good, b.record.NoKey, b.problem = false, true, "no key" })}, notProvable, "no key"},
		{"a record that is gone", 7, true, []bookedTap{but(func(b *bookedTap) { b.record, b.problem = intake.EPDebit{}, "not kept" })}, notProvable, "not kept"},
		{"a bad TAC", 7, true, []bookedTap{but(func(b *bookedTap) {
			b.Proof, b.record.Good, b.problem = shadowaccount.ProofBad, false, "its TAC does not verify"
		})}, notProvable, "does not verify"},
		{"a clone beside it", 7, true, []bookedTap{other, tap, unproved}, verified, "made anew"},
		{"a bad one and one that says nothing", 7, true, []bookedTap{other, unproved}, wrong, "another debit"},
		{"a log ahead of the counter", 9, true, []bookedTap{tap}, wrong, "the card's counter is 8"},
		{"a log behind the counter", 5, true, []bookedTap{tap}, notProvable, "not in this log"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := log
			l.Counter = c.counter
			s := shown{public: ep.Public{CardNumber: n}, log: []ep.LogRecord{l}, online: proved{at: -1},
				offline: proved{at: 0, next: 8, proof: &ep.Proof{TAC: ep.MAC{1}, MAC2: ep.MAC{2}}}}
			var v verdict
			s.judgeDebit(backendBooks{known: c.known, taps: map[uint32][]bookedTap{7: c.taps}}, 0, &v)
			require.Equal(t, c.verdict, v.Verdict, v.Why)
			require.Contains(t, v.Why, c.why)
		})
	}
}
