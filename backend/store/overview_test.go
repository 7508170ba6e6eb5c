package store_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

func overview(t *testing.T, s *store.Store) store.Overview {
	ov, err := s.Overview(t.Context())
	require.NoError(t, err)
	return ov
}

// seen is a claim of "bus-1" as the pipeline hands it over once verified.
func seen(seq uint64, counter uint32, before, amount int64, said shadowaccount.Said, proof shadowaccount.Proof, day string) store.Verified {
	card := ids.CardNumber{0: 0x31, 8: 0x12, 9: 0x34}
	return store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: seq, Day: day, ReceivedMS: int64(1000 + seq)}, Card: card, Levels: 1, Counter: counter, Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: seq}, Seq: seq, At: int64(seq), Merchant: "line1", Amount: money.Minor(amount),
			Before: money.Minor(before), After: money.Minor(before - amount), Said: said, Proof: proof}}
}

// scheme is a store with an acquirer, a merchant, a terminal and a card with 100.00 on it.
func scheme(t *testing.T) *store.Store {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: "bus"}))
		require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: "line1", Acquirer: "bus"}))
		require.NoError(t, tx.PutTerminal(ctx, store.Terminal{ID: "bus-1", Merchant: "line1", PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true, Place: "Line 1"}))
		card := seen(1, 1, 0, 0, 0, 0, "").Card
		require.NoError(t, tx.IssueCard(ctx, store.Card{Number: card, Token: "t1", Levels: 1}))
		lines, err := books.Move(books.AcquirerSoldLoads("bus"), books.Float, money.Minor(100_00))
		require.NoError(t, err)
		require.NoError(t, tx.Post(ctx, books.Entry{ID: "load", Kind: "load", Day: "2026-11-23", Lines: lines}))
		return tx.PutCardLoad(ctx, card, shadowaccount.Load{Amount: money.Minor(100_00), Loaded: true}, "load")
	})
	return s
}

func post(t *testing.T, s *store.Store, day string, taps ...store.Verified) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PostGroup(ctx, store.Group{Day: day}, taps) })
}

func TestAnOverviewOfNothing(t *testing.T) {
	s, _ := fresh(t)
	require.Equal(t, store.Overview{}, overview(t, s))
}

func TestAnOverviewShowsTapsWithTheirOutcome(t *testing.T) {
	s := scheme(t)
	const day = "2026-11-24"
	forged := seen(3, 1, 100_00, 4_00, shadowaccount.SaidCompleted, shadowaccount.ProofBad, day)
	forged.Claim.Flags = shadowaccount.FlagBadTAC
	post(t, s, day, seen(1, 1, 100_00, 2_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, day),
		seen(2, 2, 98_00, 3_00, shadowaccount.SaidUnknown, shadowaccount.ProofNone, day), forged)
	ov := overview(t, s)
	require.Equal(t, int64(1), ov.Cards)
	require.Equal(t, "98.00", ov.OnCards.String())
	line := func(ms int64, amount int64, outcome, verdict string) store.TapLine {
		return store.TapLine{At: time.UnixMilli(ms), Terminal: "bus-1", Place: "Line 1", Kind: "purchase", Card: "****1234", Amount: money.Minor(amount), Outcome: outcome, Verdict: verdict}
	}
	require.Equal(t, []store.TapLine{line(3, 4_00, "completed", "bad-tac"), line(2, 3_00, "unknown", "unknown"), line(1, 2_00, "completed", "accepted")}, ov.Taps, "latest first")
	require.Equal(t, []store.FindingCount{{Code: "BAD_TAC", Severity: "alarm", Open: 1}}, ov.Findings)
	require.Equal(t, []store.DayLine{{Day: day, State: "open", Accepted: store.Tally{Count: 1, Amount: money.Minor(2_00)},
		Rejected: store.Tally{Count: 1, Amount: money.Minor(4_00)}, Suspect: store.Tally{Count: 1, Amount: money.Minor(3_00)}}}, ov.Days)
	require.Equal(t, []ids.TerminalID{"bus-1"}, []ids.TerminalID{ov.Terminals[0].ID})
	total, err := books.Total(ov.Balances)
	require.NoError(t, err)
	require.True(t, total.IsZero())
	require.NotContains(t, fmt.Sprintf("%#v", ov), "3100", "no card number leaves the store")
}

func TestAnOverviewIsOneSnapshotAndBounded(t *testing.T) {
	s := scheme(t)
	var taps []store.Verified
	for i := range 30 {
		taps = append(taps, seen(uint64(i+1), uint32(i+1), 100_00-int64(i)*1_00, 1_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, "2026-11-24"))
	}
	post(t, s, "2026-11-24", taps...)
	ov := overview(t, s)
	require.Len(t, ov.Taps, 20)
	require.Equal(t, time.UnixMilli(30), ov.Taps[0].At)
	for i := range 15 {
		day := fmt.Sprintf("2026-12-%02d", i+1)
		post(t, s, day, seen(uint64(i+31), uint32(i+31), 70_00-int64(i)*1_00, 1_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, day))
	}
	ov = overview(t, s)
	require.Len(t, ov.Days, 10)
	require.Equal(t, "2026-12-15", ov.Days[0].Day)
}

func TestAnOverviewCountsFindingsOfEveryKind(t *testing.T) {
	s := scheme(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for i, content := range []byte{1, 2, 3} { // one number, three contents
			_, err := tx.Keep(ctx, store.Arrived{Terminal: "bus-1", Epoch: 1, FirstSeq: 1, Records: [][]byte{{content}}, Envelope: []byte{content}, At: time.UnixMilli(int64(i)), Day: "2026-11-24"})
			require.NoError(t, err)
		}
		for _, detail := range []string{"one", "two", "two"} {
			require.NoError(t, tx.AddLoadFinding(ctx, store.LoadFinding{Order: "o1", Code: "LOAD_BAD_TAC", Detail: detail, At: time.UnixMilli(1)}))
		}
		return nil
	})
	require.Equal(t, []store.FindingCount{{Code: "LOAD_BAD_TAC", Severity: "alarm", Open: 2}, {Code: "RECORD_CONFLICT", Severity: "alarm", Open: 2}}, overview(t, s).Findings)
}

func TestAnOverviewShowsClosedAndPaidDays(t *testing.T) {
	s := scheme(t)
	const first, second = "2026-11-23", "2026-11-24"
	post(t, s, first, seen(1, 1, 100_00, 2_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, first))
	now := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	out, err := settlement.Close(t.Context(), s, first, settlement.Options{Now: now, Location: time.UTC})
	require.NoError(t, err)
	post(t, s, second, seen(2, 2, 98_00, 3_00, shadowaccount.SaidCompleted, shadowaccount.ProofGood, second))
	closed := store.DayLine{Day: first, State: "closed", Accepted: store.Tally{Count: 1, Amount: money.Minor(2_00)}, Net: money.Minor(2_00 - 100_00), Digest: out.Digest}
	open := store.DayLine{Day: second, State: "open", Accepted: store.Tally{Count: 1, Amount: money.Minor(3_00)}}
	require.Equal(t, []store.DayLine{open, closed}, overview(t, s).Days)

	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PayDay(ctx, first, "bank-1", now) })
	closed.State = "paid"
	require.Equal(t, []store.DayLine{open, closed}, overview(t, s).Days)
}
