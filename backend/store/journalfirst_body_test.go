package store

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

func drawBody(r *rapid.T) journalBody {
	text := rapid.SampledFrom([]string{"", "bus-1", "bus-2", "m", "2026-11-25", "a rule"})
	minor := rapid.Custom(func(r *rapid.T) money.Amount { return money.Minor(rapid.Int64().Draw(r, "minor")) })
	var out journalBody
	for range rapid.IntRange(0, 3).Draw(r, "cards") {
		c := journalCard{change: minor.Draw(r, "change"), missing: rapid.Int().Draw(r, "missing"), end: shadowaccount.End{Complete: rapid.Uint32().Draw(r, "complete"),
			Next: rapid.Uint32().Draw(r, "next"), Tail: minor.Draw(r, "tail"), LoadsFrom: rapid.IntRange(-1, 70000).Draw(r, "loads from")}, records: []journalRecord{}}
		copy(c.number[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(r, "number"))
		for range rapid.IntRange(0, 2).Draw(r, "findings") {
			c.findings = append(c.findings, shadowaccount.Finding{Code: shadowaccount.FindDenied, Counter: rapid.Uint32().Draw(r, "counter"), Detail: text.Draw(r, "detail")})
			c.gaps = append(c.gaps, shadowaccount.Gap{First: rapid.Uint32().Draw(r, "first"), Last: rapid.Uint32().Draw(r, "last"), Value: minor.Draw(r, "value")})
			c.explained = append(c.explained, rapid.Uint16().Draw(r, "explained"))
		}
		for range rapid.IntRange(0, 3).Draw(r, "records") {
			n := rapid.Uint64()
			c.records = append(c.records, journalRecord{day: text.Draw(r, "day"), receivedMS: rapid.Int64().Draw(r, "received"), counter: rapid.Uint32().Draw(r, "counter"), kind: rapid.Int32().Draw(r, "kind"), rule: text.Draw(r, "rule"),
				claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: ids.TerminalID(text.Draw(r, "tap's terminal")), Epoch: n.Draw(r, "tap's epoch"), Tap: n.Draw(r, "tap")}, Seq: n.Draw(r, "claim's seq"),
					At: rapid.Int64().Draw(r, "at"), Merchant: ids.MerchantID(text.Draw(r, "merchant")), Amount: minor.Draw(r, "amount"), Before: minor.Draw(r, "before"), After: minor.Draw(r, "after"),
					Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Flags: shadowaccount.FlagWrongSAM, Debit: text.Draw(r, "debit")}})
		}
		out = append(out, c)
	}
	return out
}

// TestAGroupIsReadAsItWasWritten: every field of it.
func TestAGroupIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		was := drawBody(r)
		raw := was.encode()
		is, err := decodeJournal(raw)
		require.NoError(r, err)
		require.Equal(r, was, is)
		for cut := range raw {
			_, err := decodeJournal(raw[:cut])
			require.ErrorIs(r, err, errJournal, "a part of it")
		}
		_, err = decodeJournal(append(raw, 0))
		require.ErrorIs(r, err, errJournal, "more than it")
	})
}

// FuzzJournal: whatever stands in a row, it is read or refused.
func FuzzJournal(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{journalVersion, 0})
	f.Add([]byte{journalVersion, 200, 1, 1, 1})
	f.Add(journalBody{{number: ids.CardNumber{1}, end: shadowaccount.End{LoadsFrom: -1}, records: []journalRecord{{day: "2026-11-25", receivedMS: 1, rule: "r"}}}}.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := decodeJournal(raw)
		if err != nil {
			return
		}
		again, err := decodeJournal(body.encode())
		require.NoError(t, err)
		require.Equal(t, body, again)
	})
}
