package tap_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// reads is what a terminal's clock shows, and what it says of itself.
type reads struct {
	off   time.Duration // of the truth
	state wire.ClockState
	bound time.Duration
}

var exact = reads{state: wire.ClockState_CLOCK_GOOD}

// presentBy is a presentation at a terminal by such a clock.
func (m *terminal) presentBy(t tb, r *rider, c reads) tap.Result {
	t.Helper()
	request := m.place
	request.Now, request.Clock, request.ClockErr = m.w.now.Add(c.off), c.state, c.bound
	field := epcard.Present(r.Card, epcard.Tear{})
	result, err := m.tap.Purchase(context.Background(), field, request)
	require.NoError(t, err)
	field.Leave()
	r.note(t)
	return result
}

// TestWhatAClockMayChargeBy is a trip of that length, left by a clock like that.
func TestWhatAClockMayChargeBy(t *testing.T) {
	const good, holdover, bad = wire.ClockState_CLOCK_GOOD, wire.ClockState_CLOCK_HOLDOVER, wire.ClockState_CLOCK_BAD
	for _, c := range []struct {
		name   string
		worst  string
		stayed time.Duration
		clock  reads
		amount money.Amount
		rule   string
	}{
		{"in time", "holdover", time.Hour, exact, money.Minor(3_00), "metro-pair"},
		{"too long by a good clock", "holdover", 5 * time.Hour, exact, money.Minor(9_00), "metro-pair+over-time"},
		{"by one in holdover", "holdover", 5 * time.Hour, reads{state: holdover, bound: time.Minute}, money.Minor(9_00), "metro-pair+over-time"},
		{"by one in holdover, where only a good one may", "good", 5 * time.Hour, reads{state: holdover, bound: time.Second}, money.Minor(3_00), "metro-pair+time-unsure"},
		{"by one whose bound is too large", "holdover", 5 * time.Hour, reads{state: holdover, bound: 3 * time.Minute}, money.Minor(3_00), "metro-pair+time-unsure"},
		{"by a bad one", "holdover", 5 * time.Hour, reads{state: bad, bound: time.Second}, money.Minor(3_00), "metro-pair+time-unsure"},
		{"by a bad one that is a year ahead", "holdover", time.Hour, reads{off: 365 * 24 * time.Hour, state: bad}, money.Minor(3_00), "metro-pair+time-unsure"},
		{"by one in holdover, within its bound", "holdover", 4*time.Hour + 3*time.Minute, reads{state: holdover, bound: time.Minute}, money.Minor(3_00), "metro-pair+time-unsure"},
		{"and beyond it", "holdover", 4*time.Hour + 3*time.Minute + time.Second, reads{state: holdover, bound: time.Minute}, money.Minor(9_00), "metro-pair+over-time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t.TempDir())
			defer w.close()
			w.profile.Limits.TimeFares.WorstClock = c.worst
			in, out := w.terminal(t, inHarbor), w.terminal(t, outMark)
			r := w.rider(t, nil)
			require.Equal(t, tap.Granted, in.presentBy(t, r, exact).Outcome)
			w.now = w.now.Add(c.stayed)
			result := out.presentBy(t, r, c.clock)
			require.Equal(t, tap.Granted, result.Outcome, result.Reason)
			require.Equal(t, c.amount, result.Amount)
			require.Equal(t, c.rule, out.records(t)[0].GetFareRule())
		})
	}
}

// TestNoClockOvercharges: gates with clocks of every kind, each true to what it says of itself. A bad one may show anything. Nobody pays
// more than by exact clocks.
func TestNoClockOvercharges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "town")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		w := newTown(dir)
		defer w.close()
		clock := func(name string) reads {
			state := rapid.SampledFrom([]wire.ClockState{wire.ClockState_CLOCK_GOOD, wire.ClockState_CLOCK_HOLDOVER, wire.ClockState_CLOCK_BAD}).Draw(t, name)
			bound := time.Duration(rapid.Int64Range(0, int64(5*time.Minute)).Draw(t, name+" bound"))
			most := bound
			if state == wire.ClockState_CLOCK_BAD {
				most = 1000 * time.Hour
			}
			return reads{time.Duration(rapid.Int64Range(-int64(most), int64(most)).Draw(t, name+" off")), state, bound}
		}
		stayed := time.Duration(rapid.Int64Range(int64(3*time.Hour), int64(5*time.Hour)).Draw(t, "stayed"))
		fair, err := w.profile.Fares.MetroExit(harbour, market, stayed)
		require.NoError(t, err)

		in, out := w.terminal(t, inHarbor), w.terminal(t, outMark)
		r := w.rider(t, nil)
		entered := in.presentBy(t, r, clock("in"))
		if entered.Outcome == tap.OutOfService { // the rider goes to another gate
			require.Empty(t, r.debits)
			entered = in.presentBy(t, r, exact)
		}
		require.Equal(t, tap.Granted, entered.Outcome, entered.Reason)
		w.now = w.now.Add(stayed)
		left := out.presentBy(t, r, clock("out"))
		require.True(t, left.Outcome.Pass(), left.Reason)
		require.LessOrEqual(t, r.taken(0).Cmp(fair.Amount), 0, "%v after %v", r.taken(0), stayed)
	})
}

// TestASecondTapByABadClock: a card that has paid comes to another reader a moment later.
func TestASecondTapByABadClock(t *testing.T) {
	bad := func(off time.Duration) reads { return reads{off: off, state: wire.ClockState_CLOCK_BAD} }
	for _, c := range []struct {
		name  string
		place tap.Request
		after time.Duration
		clock reads
		want  tap.Outcome
	}{
		{"the other door, whose clock has stood still for a week", bus, time.Second, bad(-7 * 24 * time.Hour), tap.AlreadyPaid},
		{"the other door, a minute behind", bus, time.Second, bad(-time.Minute), tap.AlreadyPaid},
		{"yesterday's ride is another one", bus, 24 * time.Hour, bad(-time.Hour), tap.Granted},
		{"the other door, as far off as it says", bus, 40 * time.Second, reads{state: wire.ClockState_CLOCK_HOLDOVER, bound: 10 * time.Second}, tap.AlreadyPaid},
		{"and later than that", bus, 41 * time.Second, reads{state: wire.ClockState_CLOCK_HOLDOVER, bound: 10 * time.Second}, tap.Granted},
		{"the other gate in, a week behind", inHarbor, time.Second, bad(-7 * 24 * time.Hour), tap.AlreadyPaid},
		{"the other gate in, a week ahead", inHarbor, time.Second, bad(7 * 24 * time.Hour), tap.AlreadyPaid},
		{"the other gate out, a week ahead", outMark, time.Second, bad(7 * 24 * time.Hour), tap.AlreadyPaid},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t.TempDir())
			defer w.close()
			r := w.rider(t, nil)
			if c.place == outMark {
				require.Equal(t, tap.Granted, w.terminal(t, inHarbor).presentBy(t, r, exact).Outcome)
			}
			require.Equal(t, tap.Granted, w.terminal(t, c.place).presentBy(t, r, exact).Outcome)
			had := len(r.debits)
			w.now = w.now.Add(c.after)
			result := w.terminal(t, c.place).presentBy(t, r, c.clock)
			require.Equal(t, c.want, result.Outcome, result.Reason)
			if c.want == tap.AlreadyPaid {
				require.Len(t, r.debits, had)
			}
		})
	}
}

// TestAnEntryIsNotWrittenByABadClock where another gate would charge by it; and is where none would.
func TestAnEntryIsNotWrittenByABadClock(t *testing.T) {
	bad := reads{off: -5 * time.Hour, state: wire.ClockState_CLOCK_BAD}
	w := newTown(t.TempDir())
	defer w.close()
	in := w.terminal(t, inHarbor)
	r := w.rider(t, nil)
	result := in.presentBy(t, r, bad)
	require.Equal(t, tap.OutOfService, result.Outcome)
	require.Contains(t, result.Reason, "clock")
	require.Empty(t, in.records(t))
	w.profile.Fares.Metro.OverTime = money.Amount{}
	require.Equal(t, tap.Granted, in.presentBy(t, r, bad).Outcome)
}

// TestADateByABadClock: a card is refused only if it is out of date whatever the time may be.
func TestADateByABadClock(t *testing.T) {
	from, until := [4]byte{0x20, 0x26, 0x11, 0x20}, [4]byte{0x20, 0x26, 0x11, 0x24}
	day := 24 * time.Hour
	bad := func(off time.Duration) reads { return reads{off: off, state: wire.ClockState_CLOCK_BAD} }
	for _, c := range []struct {
		name  string
		clock reads
		want  tap.Outcome
	}{
		{"in its time", exact, tap.Granted},
		{"expired", reads{off: day, state: wire.ClockState_CLOCK_GOOD}, tap.RefusedExpired},
		{"a minute after midnight, by a clock that may be a minute off", reads{off: 15*time.Hour + 31*time.Minute, state: wire.ClockState_CLOCK_HOLDOVER, bound: time.Minute + time.Second}, tap.Granted},
		{"and by an exact one", reads{off: 15*time.Hour + 31*time.Minute, state: wire.ClockState_CLOCK_GOOD}, tap.RefusedExpired},
		{"too new", reads{off: -5 * day, state: wire.ClockState_CLOCK_GOOD}, tap.RefusedNotYetValid},
		{"too new for a bad clock, which lags", bad(-50 * day), tap.Granted},
		{"expired even for a bad clock", bad(day), tap.RefusedExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t.TempDir())
			defer w.close()
			r := w.rider(t, func(s *personalise.CardSpec) { s.Start, s.Expiry = from, until })
			result := w.terminal(t, bus).presentBy(t, r, c.clock)
			require.Equal(t, c.want, result.Outcome, result.Reason)
		})
	}
}
