package watch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
)

// rulesOfAll are what different schemes hold usual.
var rulesOfAll = map[string]watch.Settings{
	"usual":      {},
	"this one":   settings,
	"no places":  {VelocityTaps: 3, MaxAmount: money.Minor(50_00)},
	"bursts off": {VelocityTaps: -1, MaxSpeed: 200, Places: settings.Places},
	"families":   {VelocityTaps: 1, VelocityMinutes: 1, MaxAmounts: map[string]money.Amount{"ep": money.Minor(20_00), "ec": money.Minor(30_00)}},
}

// TestAPlainCardIsOneOfWhomTheLongWayFindsNothing: over random histories that go wrong in every way, a card is passed over only if reading all its taps finds nothing and changes nothing, now and
// long after; and what stands open in the end is what reading every card the long way finds.
func TestAPlainCardIsOneOfWhomTheLongWayFindsNothing(t *testing.T) {
	d := &databases{dir: t.TempDir()}
	passed, found := map[string]int{}, map[shadowaccount.Code]int{}
	rapid.Check(t, func(r *rapid.T) {
		s := newScheme(r, emptystore.At(t, d.next()), store.Options{})
		defer s.store.Close()
		name := rapid.SampledFrom([]string{"usual", "this one", "no places", "bursts off", "families"}).Draw(r, "rules")
		var err error
		s.watch, err = watch.New(s.store, s.clock, rulesOfAll[name], nil)
		require.NoError(r, err)
		s.watch.Remember(rapid.IntRange(1, 3).Draw(r, "cards by heart"))
		seqs := map[ids.TerminalID]uint64{}
		counters, left := map[byte]uint32{}, map[byte]int64{1: 100_00, 2: 100_00, 3: 100_00}
		second := int64(-40_000)
		for range rapid.IntRange(1, 6).Draw(r, "groups") {
			var group []tap
			for range rapid.IntRange(1, 6).Draw(r, "taps") {
				p := tap{terminal: rapid.SampledFrom([]ids.TerminalID{"gate-1", "bus-2"}).Draw(r, "terminal"), card: byte(rapid.IntRange(1, 3).Draw(r, "card")),
					amount: rapid.SampledFrom([]int64{1, 1, 1, 100, 21_00, 51_00}).Draw(r, "amount"), unknown: rapid.IntRange(0, 9).Draw(r, "unknown") == 0,
					list: rapid.Uint64Range(0, 6).Draw(r, "list"), spot: rapid.Bool().Draw(r, "spot")}
				if second += rapid.SampledFrom([]int64{1, 100, 5_000, 5_000}).Draw(r, "later"); rapid.IntRange(0, 9).Draw(r, "missing") == 0 {
					counters[p.card]++
					left[p.card]--
				}
				seqs[p.terminal]++
				p.seq, p.counter, p.before, p.second = seqs[p.terminal], counters[p.card], left[p.card], second
				if rapid.IntRange(0, 9).Draw(r, "copy") != 0 {
					counters[p.card]++
					left[p.card] -= p.amount
				}
				group = append(group, p)
			}
			s.send(group...)
			if rapid.IntRange(0, 9).Draw(r, "deny") == 0 {
				s.deny(byte(rapid.IntRange(1, 3).Draw(r, "denied")))
			}
			s.clock.Advance(time.Duration(rapid.IntRange(0, 4).Draw(r, "days")) * 24 * time.Hour)
			if rapid.Bool().Draw(r, "look") {
				s.pass()
			}
			s.plainAsTheLongWay(r, name, passed)
		}
		s.pass()
		s.plainAsTheLongWay(r, name, passed)
		long, quick := s.longWay(), []string{}
		for _, f := range s.findings(store.FindingOpen) {
			if f.Kind == store.OfCard {
				quick = append(quick, fmt.Sprint(f.Subject, f.Note))
				found[f.Code]++
			}
		}
		require.ElementsMatch(r, long, quick)
		s.clock.Advance(400 * 24 * time.Hour)
		s.plainAsTheLongWay(r, name, passed)
	})
	if pgtest.Postgres {
		return // fewer runs are made there
	}
	for name := range rulesOfAll {
		require.NotZero(t, passed[name], "no card was plain under the rules %s", name)
	}
	for _, code := range []shadowaccount.Code{shadowaccount.FindVelocity, shadowaccount.FindOverLimit, shadowaccount.FindTravel, shadowaccount.FindDeniedAcquirer, shadowaccount.FindAgedGap} {
		require.NotZero(t, found[code], "%s: the draws never lead there", code)
	}
}

// plainAsTheLongWay counts the plain cards, each of whom the long way must pass too.
func (s *scheme) plainAsTheLongWay(t require.TestingT, rules string, passed map[string]int) {
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) error {
		all := []ids.CardNumber{number(1), number(2), number(3), number(99)}
		plain, err := s.watch.Plain(s.ctx, tx, all)
		require.NoError(t, err)
		require.NotContains(t, plain, number(99), "a card that is not registered")
		for n := range plain {
			notes, err := s.watch.Card(s.ctx, tx, n)
			require.NoError(t, err)
			require.Len(t, notes, 1)
			require.Empty(t, notes[0].Found)
			changes, err := tx.NotesChange(s.ctx, notes[0])
			require.NoError(t, err)
			require.False(t, changes)
			passed[rules]++
		}
		return nil
	}))
}

// longWay is what is found about the cards by reading every one of their taps.
func (s *scheme) longWay() []string {
	out := []string{}
	require.NoError(s.t, s.store.View(s.ctx, func(tx *store.Tx) error {
		for card := byte(1); card <= 3; card++ {
			notes, err := s.watch.Card(s.ctx, tx, number(card))
			require.NoError(s.t, err)
			for _, f := range notes[0].Found {
				out = append(out, fmt.Sprint(notes[0].Subject, f))
			}
		}
		return nil
	}))
	return out
}

// TestACardThatIsPlainAgainIsLookedAt: what stood open about it is cleared by the look at the record that explains it, without a sweep.
func TestACardThatIsPlainAgainIsLookedAt(t *testing.T) {
	s := start(t, store.Options{})
	s.send(tap{terminal: "bus-2", seq: 1, card: 2, counter: 0, before: 100_00, amount: 2_00, second: -5000, unknown: true})
	s.clock.Advance(7 * 24 * time.Hour)
	s.pass()
	require.Equal(t, []string{"card 2 AGED_UNKNOWN 0@bus-2/" + epoch + "/1"}, s.codes(store.FindingOpen))
	s.send(tap{terminal: "bus-2", seq: 2, card: 2, counter: 1, before: 98_00, amount: 1_00, second: 400_000})
	r, err := s.watch.Catch(s.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, r.Cleared)
	require.Empty(t, s.codes(store.FindingOpen))
}
