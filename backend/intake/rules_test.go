package intake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/uplink/wire"
)

func TestAGoodTapIsPostedOnceAndOwedToTheMerchant(t *testing.T) {
	s := start(t, store.Options{})
	c := s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	require.EqualValues(t, 1, c.Through)
	require.Empty(t, c.Unreadable)
	s.drain()
	require.Equal(t, map[string]string{"float": "-18.00", "merchant:line1:pending": "-2.00", "trust": "20.00"}, s.balances())
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	require.Equal(t, "OK/accepted", s.label("bus-1", 1))
	require.Empty(t, s.codes())
	s.proveBooks()
}

func TestADuplicateChangesNothing(t *testing.T) {
	s := start(t, store.Options{})
	raw := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00})
	for range 3 {
		c, err := s.accept("bus-1", 1, raw)
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Through)
		require.Empty(t, c.Unreadable)
		s.drain()
	}
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	s.view(func(tx *store.Tx) error {
		n, err := tx.Tally(s.ctx, "duplicates")
		require.Equal(t, 2, n)
		return err
	})
	s.proveBooks()
}

func TestOneNumberWithOtherBytesIsKeptApartAndAnAlarm(t *testing.T) {
	s := start(t, store.Options{})
	first := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00})
	s.seq["bus-1"]--
	second := s.record(tap{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 9_00})
	_, err := s.accept("bus-1", 1, first)
	require.NoError(t, err)
	c, err := s.accept("bus-1", 1, second)
	require.NoError(t, err)
	require.EqualValues(t, 1, c.Through)
	require.Len(t, c.Unreadable, 1)
	s.drain()
	require.Equal(t, "8.00", s.card(1).Shadow.String(), "the first content stands")
	require.Equal(t, []string{"RECORD_CONFLICT@0"}, s.codes())
}

func TestTwoProvedDebitsWithOneCounterAreACloneWhoeverComesFirst(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		s := start(t, store.Options{})
		taps := []tap{
			{terminal: "bus-1", tap: 1, card: 1, before: 10_00, amount: 2_00, at: 10},
			{terminal: "bus-2", tap: 1, card: 1, before: 10_00, amount: 3_00, at: 20},
		}
		for _, i := range order {
			s.send(taps[i].terminal, taps[i])
			s.drain()
			s.proveBooks()
		}
		require.Equal(t, map[string]string{"bus-1/1@0": "accepted", "bus-2/1@0": "clone"}, s.statuses(1))
		require.Equal(t, map[string]string{"float": "-18.00", "merchant:line1:pending": "-2.00", "merchant:line1:held": "-3.00",
			"suspense:clone": "3.00", "trust": "20.00"}, s.balances())
		require.Equal(t, []string{"CLONE@0"}, s.codes())
	}
}

func TestAGapIsKnownBeforeItsRecordsAndClosedByThem(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 1_00}, tap{tap: 2, card: 1, counter: 3, before: 6_50, amount: 1_00})
	s.drain()
	s.view(func(tx *store.Tx) error {
		gaps, err := tx.Gaps(s.ctx, "", 10)
		require.Len(t, gaps, 1)
		require.EqualValues(t, 1, gaps[0].First)
		require.EqualValues(t, 2, gaps[0].Last)
		require.Equal(t, "2.50", gaps[0].Value.String())
		return err
	})
	require.Equal(t, 2, s.card(1).Missing)
	s.send("bus-2", tap{tap: 1, card: 1, counter: 2, before: 8_00, amount: 1_50}, tap{tap: 2, card: 1, counter: 1, before: 9_00, amount: 1_00})
	s.drain()
	c := s.card(1)
	require.Zero(t, c.Missing)
	require.EqualValues(t, 4, c.Complete)
	require.EqualValues(t, 4, c.Next)
	require.Equal(t, "5.50", c.Tail.String())
	require.Equal(t, c.Tail, c.Shadow)
	require.Equal(t, "LATE/accepted", s.label("bus-2", 1))
	require.Empty(t, s.codes())
	s.proveBooks()
}

func TestABadTACIsHeldAndNeverTouchesTheShadow(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00, forged: true})
	s.drain()
	require.Equal(t, "10.00", s.card(1).Shadow.String())
	require.Equal(t, map[string]string{"float": "-20.00", "merchant:line1:held": "-2.00", "suspense:bad-tac": "2.00", "trust": "20.00"}, s.balances())
	require.Equal(t, []string{"BAD_TAC@0"}, s.codes())
	require.Equal(t, "BAD_MAC/bad-tac", s.label("bus-1", 1))
	s.proveBooks()
}

func TestAnUnknownTapIsResolvedByTheNextCounter(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN})
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "unknown"}, s.statuses(1))
	require.Equal(t, "2.00", s.balances()["suspense:unknown"])
	s.send("bus-2", tap{tap: 1, card: 1, counter: 1, before: 8_00, amount: 1_00, at: 60})
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "inferred", "bus-2/1@1": "accepted"}, s.statuses(1))
	require.Equal(t, "7.00", s.card(1).Shadow.String())
	require.Equal(t, "-3.00", s.balances()["merchant:line1:pending"])
	require.NotContains(t, s.balances(), "suspense:unknown")
	s.proveBooks()
}

func TestATACForTheSlotBeatsAnInference(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN},
		tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 1_00, at: 60})
	s.drain()
	require.Equal(t, "inferred", s.statuses(1)["bus-1/1@0"])
	s.send("bus-2", tap{tap: 9, card: 1, counter: 0, before: 10_00, amount: 2_00, at: 30})
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "void", "bus-2/9@0": "accepted", "bus-1/2@1": "accepted"}, s.statuses(1))
	require.Equal(t, "7.00", s.card(1).Shadow.String())
	s.proveBooks()
}

func TestVoidedClosesTheUnknownOfItsTap(t *testing.T) {
	s := start(t, store.Options{})
	unknown := tap{tap: 1, card: 1, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN}
	voided := unknown
	voided.state = wire.State_STATE_VOIDED
	s.send("bus-1", unknown, voided)
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "void"}, s.statuses(1))
	require.Equal(t, map[string]string{"float": "-20.00", "trust": "20.00"}, s.balances())
}

func TestOneTACInTwoRecordsIsCountedOnce(t *testing.T) {
	s := start(t, store.Options{})
	replay := func(r *wire.Record) { r.PsamSerial = 1 }
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00}, tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 2_00, change: replay})
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "accepted", "bus-1/2@1": "void"}, s.statuses(1))
	require.Equal(t, []string{"REPLAY@1"}, s.codes())
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	s.proveBooks()
}

func TestACardNeverIssuedIsOwedToTheMerchantAndAnAlarm(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 9, counter: 5, before: 10_00, amount: 2_00}, tap{tap: 2, card: 9, counter: 4, before: 12_00, amount: 2_00})
	s.drain()
	require.Equal(t, "-4.00", s.balances()["merchant:line1:pending"])
	require.Equal(t, store.CardUnknown, s.card(9).Status)
	require.Equal(t, []string{"NEGATIVE_SHADOW@0", "UNKNOWN_CARD@4"}, s.codes())
	s.proveBooks()
}

func TestAZeroAmountEntryCountsAsSeen(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 0}, tap{tap: 2, card: 1, counter: 1, before: 10_00, amount: 3_00})
	s.drain()
	require.Empty(t, s.codes())
	require.Zero(t, s.card(1).Missing)
	require.Equal(t, "7.00", s.card(1).Shadow.String())
}

func TestAnotherPSAMIsAnAlarmAndTheDebitIsCounted(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00, change: func(r *wire.Record) { r.PsamTerminal = []byte{5: 'x'} }})
	s.drain()
	require.Equal(t, []string{"WRONG_SAM@0"}, s.codes())
	require.Equal(t, "8.00", s.card(1).Shadow.String())
}

func TestATerminalMayHaveSeveralPSAMs(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00}, tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 2_00,
		change: func(r *wire.Record) { r.PsamTerminal = []byte{4: 1, 5: '1'} }})
	s.drain()
	require.Empty(t, s.codes())
	require.Equal(t, "6.00", s.card(1).Shadow.String())
}

func TestADebitThatTwoTerminalsClaimGoesToTheOneWhosePSAMMadeIt(t *testing.T) {
	for _, order := range [][]string{{"bus-1", "gate-3"}, {"gate-3", "bus-1"}} {
		s := start(t, store.Options{})
		for _, id := range order {
			p := tap{tap: 1, card: 1, before: 10_00, amount: 2_00, at: 30}
			if id == "gate-3" { // a copy of bus-1's record, with an earlier time of its own
				p.change = func(r *wire.Record) { r.PsamTerminal, r.TerminalTimeMs = []byte{5: '1'}, noon.UnixMilli() }
			}
			s.send(ids.TerminalID(id), p)
			s.drain()
			s.proveBooks()
		}
		require.Equal(t, map[string]string{"bus-1/1@0": "accepted", "gate-3/1@0": "void"}, s.statuses(1))
		require.Equal(t, "-2.00", s.balances()["merchant:line1:pending"])
		require.NotContains(t, s.balances(), "merchant:metro:pending")
	}
}

func TestAKeyWeDoNotHaveHoldsTheClaim(t *testing.T) {
	s := start(t, store.Options{})
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00, change: func(r *wire.Record) { r.KeyVersion = 9 }})
	s.drain()
	require.Equal(t, []string{"UNKNOWN_KEY@0"}, s.codes())
	require.Equal(t, "2.00", s.balances()["suspense:bad-tac"])
	s.view(func(tx *store.Tx) error {
		v, err := tx.RecordVerdict(s.ctx, "bus-1", 7, 1)
		require.Equal(t, "we have no key of its version and algorithm", v.Reason)
		return err
	})
}

func TestATapAfterTheCardWasBlockedIsAFinding(t *testing.T) {
	s := start(t, store.Options{})
	s.update(func(tx *store.Tx) error { return tx.BlockCard(s.ctx, number(1), noon.Add(time.Minute)) })
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 1_00, at: 59}, tap{tap: 2, card: 1, counter: 1, before: 9_00, amount: 1_00, at: 61})
	s.drain()
	require.Equal(t, []string{"DENIED_TAP@1"}, s.codes())
}

func TestALoadThatTurnsOutToBeOnTheCardResolvesWhatItLeftOpen(t *testing.T) {
	s := start(t, store.Options{})
	open := shadowaccount.Load{Counter: 1, Amount: money.Minor(5_00)}
	s.update(func(tx *store.Tx) error { return tx.PutCardLoad(s.ctx, number(1), open, "order") })
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN},
		tap{tap: 2, card: 1, counter: 1, before: 13_00, amount: 1_00, at: 60})
	s.drain()
	require.Equal(t, "unknown", s.statuses(1)["bus-1/1@0"], "an inference does not rest on a load that is itself in doubt")
	s.update(func(tx *store.Tx) error { s.load(tx, 1, 1, 5_00); return nil })
	s.drain()
	require.Equal(t, "inferred", s.statuses(1)["bus-1/1@0"])
	require.Equal(t, "12.00", s.card(1).Shadow.String())
	require.Empty(t, s.codes())
	s.proveBooks()
}

func TestARiseBetweenTwoProvedDebitsShowsAnUncertainLoad(t *testing.T) {
	s := start(t, store.Options{})
	open := shadowaccount.Load{Counter: 1, Amount: money.Minor(5_00)}
	s.update(func(tx *store.Tx) error { return tx.PutCardLoad(s.ctx, number(1), open, "order-7") })
	explained := func() []store.ExplainedLoad {
		var out []store.ExplainedLoad
		s.view(func(tx *store.Tx) error {
			var err error
			out, err = tx.ExplainedLoads(s.ctx)
			return err
		})
		return out
	}
	s.send("bus-1", tap{tap: 2, card: 1, counter: 1, before: 13_00, amount: 1_00, at: 60})
	s.drain()
	require.Empty(t, explained(), "there is a gap before it")
	s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00})
	s.drain()
	require.Equal(t, []store.ExplainedLoad{{Card: number(1), Counter: 1, Ref: "order-7"}}, explained())
	require.Empty(t, s.codes())
}

func TestAForgedTACStaysAnAlarmWhenAGoodOneFollows(t *testing.T) {
	s := start(t, store.Options{})
	p := tap{tap: 1, card: 1, before: 10_00, amount: 2_00}
	forged := p
	forged.forged = true
	s.send("bus-1", forged, p)
	s.drain()
	require.Equal(t, map[string]string{"bus-1/1@0": "accepted"}, s.statuses(1))
	require.Equal(t, []string{"BAD_TAC@0"}, s.codes())
	require.Equal(t, map[string]string{"float": "-18.00", "merchant:line1:pending": "-2.00", "trust": "20.00"}, s.balances())
}

func TestBalancesThatDoNotFollowAreFindings(t *testing.T) {
	for name, c := range map[string]struct {
		second tap
		want   string
	}{
		"risen without a load":   {tap{tap: 2, card: 1, counter: 1, before: 9_00, amount: 1_00}, "BALANCE_UP@1"},
		"fallen without a debit": {tap{tap: 2, card: 1, counter: 1, before: 7_00, amount: 1_00}, "BALANCE_DOWN@1"},
		"wrong subtraction": {tap{tap: 2, card: 1, counter: 1, before: 8_00, amount: 1_00,
			change: func(r *wire.Record) { r.BalanceAfter = 8_00 }}, "ARITHMETIC@1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, store.Options{})
			s.send("bus-1", tap{tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00}, c.second)
			s.drain()
			require.Equal(t, []string{c.want}, s.codes())
		})
	}
}

func TestATapStaysWithTheMerchantItsTerminalHadWhenItsFirstRecordCame(t *testing.T) {
	s := start(t, store.Options{})
	p := tap{tap: 1, card: 1, before: 10_00, amount: 2_00, state: wire.State_STATE_UNKNOWN}
	s.send("bus-1", p)
	s.drain()
	s.update(func(tx *store.Tx) error {
		m, err := tx.Terminal(s.ctx, "bus-1")
		require.NoError(t, err)
		m.Merchant = "metro"
		return tx.PutTerminal(s.ctx, m)
	})
	p.state, p.evidence = wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_PROVE
	s.send("bus-1", p)
	s.drain()
	require.Equal(t, map[string]string{"float": "-18.00", "merchant:line1:pending": "-2.00", "trust": "20.00"}, s.balances())
	s.proveBooks()
}

func TestADebitIsCountedAgainWhereItWasSpentOnceItsOwnerProvesAnother(t *testing.T) {
	s := start(t, store.Options{})
	serial := func(n uint32) func(*wire.Record) { return func(r *wire.Record) { r.PsamSerial = n } }
	first := s.record(tap{terminal: "bus-1", tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, change: serial(8)}) // record 1 of tap 1
	again := s.record(tap{terminal: "bus-1", tap: 1, card: 1, counter: 0, before: 10_00, amount: 2_00, change: serial(7)}) // record 2 of tap 1
	other := s.record(tap{terminal: "bus-1", tap: 2, card: 1, counter: 1, before: 8_00, amount: 2_00, change: serial(7)})
	for i, want := range []map[string]string{{"bus-1/1@0": "accepted"}, {"bus-1/1@0": "accepted", "bus-1/2@1": "void"}, {"bus-1/1@0": "accepted", "bus-1/2@1": "accepted"}} {
		_, err := s.accept("bus-1", []uint64{2, 3, 1}[i], [][]byte{again, other, first}[i])
		require.NoError(t, err)
		s.drain()
		require.Equal(t, want, s.statuses(1))
	}
	require.Equal(t, "6.00", s.card(1).Shadow.String())
	s.proveBooks()
}
