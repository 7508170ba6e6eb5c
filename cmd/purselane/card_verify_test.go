package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// TestWhatCanBeSaidOfADebit: a debit is verified by the backend's good TAC alone, and never by what only looks alike.
func TestWhatCanBeSaidOfADebit(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, zone)
	purse, err := ep.DateTimeOf(at)
	require.NoError(t, err)
	// The card's counter is 8: it has made 8 debits, the newest with counter 7 before it.
	record := ep.LogRecord{Counter: 7, Amount: money.Minor(200), Type: ep.TypeComposite, At: purse}
	tap := store.Tap{Counter: 7, Amount: money.Minor(200), AtMS: at.UnixMilli() + 400, Proof: shadowaccount.ProofGood}
	other, late, unproved := tap, tap, tap
	other.Amount, late.AtMS, unproved.Proof = money.Minor(300), tap.AtMS+1000, shadowaccount.ProofNone
	otherUnproved := other
	otherUnproved.Proof = shadowaccount.ProofBad
	cases := []struct {
		name    string
		counter uint16
		known   bool
		taps    []store.Tap
		verdict string
		why     string
	}{
		{"no backend", 7, false, nil, notProvable, "PSAM's serial"},
		{"not arrived", 7, true, nil, notProvable, "no record of it yet"},
		{"logged before the increment", 7, true, []store.Tap{tap}, verified, "the backend verified"},
		{"logged after it", 8, true, []store.Tap{tap}, verified, "the backend verified"},
		{"arrived without a TAC", 7, true, []store.Tap{unproved}, notProvable, "without a good TAC"},
		{"another amount, proved", 7, true, []store.Tap{other}, wrong, "another debit"},
		{"another second, proved", 7, true, []store.Tap{late}, wrong, "another debit"},
		{"another amount, a bad TAC", 7, true, []store.Tap{otherUnproved}, notProvable, "without a good TAC"},
		{"a clone beside it", 7, true, []store.Tap{other, tap}, verified, "the backend verified"},
		{"a log ahead of the counter", 9, true, []store.Tap{tap}, wrong, "the card's counter is 8"},
		{"a log behind the counter", 5, true, []store.Tap{tap}, notProvable, "not in this log"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := record
			l.Counter = c.counter
			s := shown{log: []ep.LogRecord{l}, offline: proved{at: 0, next: 8, proof: &ep.Proof{TAC: ep.MAC{1}, MAC2: ep.MAC{2}}}, online: proved{at: -1}}
			var v verdict
			s.judgeDebit(backendBooks{known: c.known, at: zone, taps: map[uint32][]store.Tap{7: c.taps}}, 0, &v)
			require.Equal(t, c.verdict, v.Verdict, v.Why)
			require.Contains(t, v.Why, c.why)
		})
	}
}
