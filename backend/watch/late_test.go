package watch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

// honestDay is twelve taps of three cards at two terminals, every one of them as it should be.
func honestDay() (all []tap) {
	seqs := map[ids.TerminalID]uint64{}
	for n := range int64(12) {
		t := []ids.TerminalID{"gate-1", "bus-2"}[n/3%2] // each card goes from one to the other, in an hour
		seqs[t]++
		all = append(all, tap{terminal: t, seq: seqs[t], card: byte(n%3) + 1, counter: uint32(n / 3), before: 100_00 - n/3*100, amount: 1_00, second: n*1200 - 20_000})
	}
	return all
}

// TestHonestRecordsThatComeLate: in any order, days apart, an honest day may look suspicious while it is not whole, and never after.
func TestHonestRecordsThatComeLate(t *testing.T) {
	d := &databases{dir: t.TempDir()}
	cleared := map[shadowaccount.Code]int{}
	rapid.Check(t, func(r *rapid.T) {
		s := newScheme(r, emptystore.At(t, d.next()), store.Options{})
		defer s.store.Close()
		for _, p := range rapid.Permutation(honestDay()).Draw(r, "arrival") {
			s.send(p)
			s.clock.Advance(time.Duration(rapid.IntRange(0, 5).Draw(r, "days")) * 24 * time.Hour)
			if rapid.Bool().Draw(r, "look") {
				s.pass()
			}
		}
		s.clock.Advance(30 * 24 * time.Hour)
		s.pass()
		require.Empty(r, s.codes(store.FindingOpen))
		for _, f := range s.findings(store.FindingCleared) {
			cleared[f.Code]++
		}
	})
	for _, code := range []shadowaccount.Code{shadowaccount.FindAgedGap, shadowaccount.FindRecordsMissing} {
		require.NotZero(t, cleared[code], "%s: the draws never lead there", code)
	}
}

// TestACardThatTerminalsCallByAToken is found by the number that it stands for.
func TestACardThatTerminalsCallByAToken(t *testing.T) {
	s := start(t, store.Options{})
	alias := ids.CardNumber{0: 0xEE, 9: 1}
	raw, err := proto.Marshal(&wire.Record{Version: 1, Terminal: "bus-2", Epoch: 1, Seq: 1, Tap: 1, Family: "ec", CardNumber: alias[:],
		TerminalTimeMs: noon.UnixMilli(), ClockErrorMs: 1, ClockState: wire.ClockState_CLOCK_GOOD})
	require.NoError(t, err)
	require.NoError(t, s.store.Update(s.ctx, func(tx *store.Tx) error {
		if _, err := tx.Keep(s.ctx, store.Arrived{Terminal: "bus-2", Epoch: 1, FirstSeq: 1, Records: [][]byte{raw}, Envelope: raw, At: noon, Day: "2026-11-24"}); err != nil {
			return err
		}
		pending, err := tx.PendingRecords(s.ctx, 10)
		if err != nil {
			return err
		}
		claim := shadowaccount.Claim{Tap: ids.TapID{Terminal: "bus-2", Epoch: 1, Tap: 1}, Seq: 1, At: noon.UnixMilli(), Merchant: "line", Amount: money.Minor(60_00),
			Before: money.Minor(100_00), After: money.Minor(40_00), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: "d"}
		return tx.PostGroup(s.ctx, store.Group{Day: "2026-11-24", AtMS: noon.UnixMilli(), Token: func(ids.CardNumber) string { return "unused" }},
			[]store.Verified{{Pending: pending[0], Card: number(1), Family: "ec", Alias: &alias, Claim: claim, Kind: 1}})
	}))
	require.Equal(t, 1, s.pass().Records)
	require.Equal(t, []string{"card 1 OVER_LIMIT 0@bus-2/1/1"}, s.codes(store.FindingOpen))
}

// TestTwoWatchesAtOnce end where one does: each looks again at what the other was faster with.
func TestTwoWatchesAtOnce(t *testing.T) {
	s := start(t, store.Options{})
	for _, p := range badDay {
		s.send(p)
	}
	s.deny(3)
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		w, err := watch.New(s.store, s.clock, settings, nil)
		require.NoError(t, err)
		both.Go(func() { _, errs[i] = w.Pass(s.ctx) })
	}
	both.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	require.ElementsMatch(t, ofBadDay, s.codes(store.FindingOpen))
	require.Empty(t, s.codes(store.FindingCleared))
}

// TestRunLooksUntilItIsStopped: it catches up and sweeps by itself, and says why it ended.
func TestRunLooksUntilItIsStopped(t *testing.T) {
	s := start(t, store.Options{})
	s.send(badDay...)
	s.deny(3)
	ctx, stop := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- s.watch.Run(ctx) }()
	require.Eventually(t, func() bool { return len(s.codes(store.FindingOpen)) == len(ofBadDay) }, time.Minute, 5*time.Millisecond)
	stop()
	require.ErrorIs(t, <-done, context.Canceled)
}

// TestEveryCodeOfALoadIsExplained: the catalogue cannot import the service that has them.
func TestEveryCodeOfALoadIsExplained(t *testing.T) {
	for _, code := range []string{topup.FindConflict, topup.FindBadTAC, topup.FindAfterReturn, topup.FindCounterBack, topup.FindContradiction, topup.FindAuthFailed, topup.FindECAuthFailed} {
		e, ok := shadowaccount.Explain(shadowaccount.Code(code))
		require.True(t, ok, code)
		require.Equal(t, shadowaccount.Alarm, e.Severity, "each is about money that was paid")
	}
}
