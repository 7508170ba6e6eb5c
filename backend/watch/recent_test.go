package watch_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

// TestAQuietCardHasNoNewCrowd: whatever was known of a card, and in whatever order its taps come, a new tap that makes a crowd with any others is never quiet.
func TestAQuietCardHasNoNewCrowd(t *testing.T) {
	limits := shadowaccount.Limits{Taps: 3, Window: 10 * time.Millisecond}
	crowded := func(all []int64, news []int64) bool {
		all = slices.Sorted(slices.Values(all))
		for i := 3; i < len(all); i++ {
			if all[i]-all[i-3] <= 10 && slices.ContainsFunc(news, func(at int64) bool { return all[i-3] <= at && at <= all[i] }) {
				return true
			}
		}
		return false
	}
	quiets := 0
	rapid.Check(t, func(r *rapid.T) {
		recent := watch.NewRecent(limits)
		old := slices.Sorted(slices.Values(rapid.SliceOfN(rapid.Int64Range(0, 200), 1, 12).Draw(r, "taps before")))
		known := old[max(0, len(old)-rapid.IntRange(1, recent.Keep()).Draw(r, "known")):]
		recent.Know(number(1), slices.Clone(known)...)
		all := slices.Clone(old)
		at := known[len(known)-1]
		for range rapid.IntRange(1, 8).Draw(r, "groups") {
			var news []int64
			for range rapid.IntRange(1, 3).Draw(r, "taps") {
				at += rapid.Int64Range(-8, 12).Draw(r, "later")
				news = append(news, max(at, 0))
			}
			all = append(all, news...)
			quiet, knows := recent.Quiet(number(1), news...)
			require.True(r, knows)
			if quiet {
				quiets++
				require.False(r, crowded(all, news), "%v among %v", news, all)
			}
		}
	})
	require.NotZero(t, quiets)
}

func TestWhatTheWatchIsNotSureOf(t *testing.T) {
	limits := shadowaccount.Limits{Taps: 2, Window: 10 * time.Millisecond, Amount: map[string]money.Amount{"": money.Minor(1)}}
	recent := watch.NewRecent(limits)
	is := func(wantQuiet, wantKnown bool, card byte, times ...int64) {
		t.Helper()
		quiet, known := recent.Quiet(number(card), times...)
		require.Equal(t, wantQuiet, quiet)
		require.Equal(t, wantKnown, known)
	}
	is(false, false, 1, 100)
	recent.Know(number(1), 50, 100)
	is(true, true, 1, 200)
	is(true, true, 1, 205)
	is(false, true, 1, 209)      // three in ten
	is(false, true, 1, 20)       // before all that is known
	is(true, true, 1, -5, 1<<62) // no times at all
	is(true, true, 1)            // no tap
	recent.Know(number(2), 50)   // one of many
	is(false, true, 2, 60)       // with one that is not known it would be a crowd
	require.Equal(t, 4, recent.Keep())
	low := watch.NewRecent(shadowaccount.Limits{Amount: map[string]money.Amount{"": money.Minor(1), "ec": money.Minor(0)}})
	low.Know(number(1))
	quiet, _ := low.Quiet(number(1), 5)
	require.True(t, quiet, "one unit is within the limit")
}

// TestCardsThatTapSeldomAreForgotten: two generations are known by heart, and who taps again stays.
func TestCardsThatTapSeldomAreForgotten(t *testing.T) {
	s := watch.NewRecent(shadowaccount.Limits{})
	s.Remember(2)
	for card := byte(1); card <= 5; card++ {
		s.Know(number(card))
		_, known := s.Quiet(number(1), int64(card)*1000)
		require.True(t, known, "it taps again and again")
	}
	var left []ids.CardNumber
	for card := byte(1); card <= 5; card++ {
		if s.Knows(number(card)) {
			left = append(left, number(card))
		}
	}
	require.Equal(t, []ids.CardNumber{number(1), number(4), number(5)}, left)
}
