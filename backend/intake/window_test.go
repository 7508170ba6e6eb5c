package intake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

func slots(t require.TestingT, w intake.Windows) intake.Slots {
	s, err := intake.NewSlots(w)
	require.NoError(t, err)
	return s
}

var evening = time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)

func TestSlotsLieOneBehindTheOther(t *testing.T) {
	s := slots(t, intake.Windows{Rate: 1000, AtOnce: 5000, Small: 100})
	for i, want := range []time.Duration{0, 0, 5 * time.Second, 10 * time.Second} {
		require.Equal(t, want, s.Ask(bus(i), 5000, evening), "bus %d", i)
	}
	require.Zero(t, s.Ask("late", 100, evening), "a small backlog never waits")
	require.Equal(t, 15*time.Second+100*time.Millisecond, s.Ask("next", 5000, evening), "and still counts")
	require.Equal(t, 10*time.Second, s.Ask("idle", 5000, evening.Add(10*time.Second+100*time.Millisecond)), "the line moves on with time")
	require.Zero(t, s.Ask("morning", 50_000, evening.Add(9*time.Hour)), "an empty line is open to any backlog")
}

func TestATerminalKeepsItsSlot(t *testing.T) {
	s := slots(t, intake.Windows{Rate: 1000, AtOnce: 5000})
	for i := range 22 {
		s.Ask(bus(i), 5000, evening)
	}
	require.Equal(t, 105*time.Second-5*time.Second, s.Ask(bus(21), 5000, evening), "a hello whose answer was lost")
	later := evening.Add(40 * time.Second)
	require.Equal(t, 60*time.Second, s.Ask(bus(21), 5000, later), "a program that was restarted")
	require.Equal(t, 60*time.Second, s.Left(bus(21), later))
	require.Zero(t, s.Left("stranger", later))

	require.Equal(t, 60*time.Second, s.Ask(bus(21), 9000, later), "more than before, in the same place")
	require.Equal(t, 69*time.Second, s.Ask("next", 1000, later), "but those behind it make room")

	in := evening.Add(124 * time.Second) // a quarter of its wait late, as a sender may be
	require.Zero(t, s.Ask(bus(21), 9000, in))
	require.Zero(t, s.Left(bus(21), in))
	require.Zero(t, s.Ask(bus(0), 100, evening), "carried by hand meanwhile")
}

func TestSlotsThatAreOverAreForgotten(t *testing.T) {
	s := slots(t, intake.Windows{Rate: 1000, AtOnce: 5000})
	for i := range 100 {
		s.Ask(bus(i), 5000, evening)
	}
	require.Equal(t, 100, s.Remembered())
	s.Left("anybody", evening.Add(time.Hour))
	require.Zero(t, s.Remembered())
}

// TestAClockThatIsSetBackHoldsNobody: a line promised in another time would silence a fleet for as long as the clock was wrong.
func TestAClockThatIsSetBackHoldsNobody(t *testing.T) {
	s := slots(t, intake.Windows{})
	s.Ask("bus-1", 5000, evening.AddDate(1, 0, 0))
	require.Zero(t, s.Ask("bus-2", 5000, evening))
	require.Zero(t, s.Left("bus-1", evening))
	require.Equal(t, time.Second, s.Ask("bus-3", 5000, evening.Add(-time.Second)), "hellos that overtake each other are no clock set back")
}

// TestSlotsBoundWhatComes draws hellos at random: no wait is above an hour, an answer given twice is the same, and the records whose slots begin
// within any span are what the rate allows in it, what may come at once, and one backlog that is begun.
func TestSlotsBoundWhatComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := intake.Windows{Rate: rapid.IntRange(10, 5000).Draw(t, "rate"), AtOnce: rapid.IntRange(1, 20_000).Draw(t, "at once"), Small: 1}
		s := slots(t, w)
		now, largest := evening, 0
		type promise struct {
			from    time.Time
			records int
		}
		var all []promise
		for i := range rapid.IntRange(1, 40).Draw(t, "hellos") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			backlog := rapid.IntRange(2, 30*w.Rate).Draw(t, "backlog")
			wait := s.Ask(bus(i), backlog, now)
			require.True(t, wait >= 0 && wait <= time.Hour, wait)
			require.Equal(t, wait, s.Ask(bus(i), backlog, now), "asked twice")
			require.Equal(t, wait, s.Left(bus(i), now))
			if wait < time.Hour { // else it is told the rest when it comes
				all, largest = append(all, promise{now.Add(wait), backlog}), max(largest, backlog)
			}
		}
		for _, from := range all {
			for _, to := range all {
				span, records := to.from.Sub(from.from), 0
				for _, p := range all {
					if !p.from.Before(from.from) && !p.from.After(to.from) {
						records += p.records
					}
				}
				if most := span.Seconds()*float64(w.Rate) + float64(w.AtOnce+largest) + 1; span >= 0 && float64(records) > most {
					t.Fatalf("%d records in %v: at most %.0f may come", records, span, most)
				}
			}
		}
	})
}

func bus(i int) ids.TerminalID { return ids.TerminalID(fmt.Sprintf("bus-%d", i)) }

func TestAReceiptAsksForAPauseThatGrowsWithWhatIsNotPosted(t *testing.T) {
	for unposted, want := range map[int]time.Duration{
		0: 0, 200_000: 0, 200_001: time.Second, 210_000: 5 * time.Second, 400_000: 100 * time.Second, 1_000_000_000: time.Hour,
	} {
		got, err := intake.Windows{}.Pause(unposted)
		require.NoError(t, err)
		require.Equal(t, want, got, unposted)
	}
	_, err := intake.NewSlots(intake.Windows{Rate: -1})
	require.ErrorContains(t, err, "windows.rate: -1: want")
}

// TestATerminalThatIgnoresItsSlotLosesNothing sends at once what it was asked to keep for later.
func TestATerminalThatIgnoresItsSlotLosesNothing(t *testing.T) {
	s := start(t, store.Options{})
	s.opt.Windows = intake.Windows{Rate: 1, AtOnce: 1, Small: 1}
	require.NoError(t, s.store.Close())
	s.open(store.Options{})
	hello := func(id string, last uint64) uplink.Committed {
		c, err := s.pipe.Hello(s.ctx, &wire.Hello{Terminal: id, Epoch: 7, LastSeq: last}, s.clock.Now())
		require.NoError(t, err)
		return c
	}
	require.Zero(t, hello("bus-1", 100).RetryAfter)
	require.Equal(t, 99*time.Second, hello("bus-2", 2).RetryAfter)
	s.clock.Advance(9 * time.Second)
	c := s.send("bus-2", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	require.EqualValues(t, 1, c.Through)
	require.Equal(t, 90*time.Second, c.RetryAfter, "it is told again")
	s.drain()
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	require.Zero(t, hello("bus-2", 2).RetryAfter, "what is left is small")
}

func TestReceiptsTellTerminalsToPauseWhilePostingIsBehind(t *testing.T) {
	s := start(t, store.Options{})
	s.opt.Windows = intake.Windows{Rate: 1, Unposted: 2}
	require.NoError(t, s.store.Close())
	s.open(store.Options{})
	send := func(i int) uplink.Committed {
		return s.send("bus-1", tap{tap: uint64(i) + 1, card: 1, counter: uint16(i), before: 10_00 - int64(i)*1_00, amount: 1_00})
	}
	for i, want := range []time.Duration{0, 0, time.Second, 2 * time.Second} {
		require.Equal(t, want, send(i).RetryAfter, "batch %d", i)
		s.clock.Advance(time.Second)
	}
	require.Equal(t, 3*time.Second, send(4).RetryAfter)
	s.drain()
	require.Equal(t, 3*time.Second, send(5).RetryAfter, "counted within this second")
	s.clock.Advance(time.Second)
	require.Zero(t, send(6).RetryAfter)
	s.drain()
	require.Equal(t, "3.00", s.card(1).Shadow.String())
	s.proveBooks()
}
