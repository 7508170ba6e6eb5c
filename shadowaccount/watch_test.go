package shadowaccount_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
)

var (
	sunday = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	usual  = shadowaccount.Limits{
		Taps: 3, Window: 10 * time.Minute, Amount: map[string]money.Amount{"": money.Minor(50_00), "desfire": money.Minor(20_00)},
		Speed: 200, Places: map[string]shadowaccount.Place{
			"east": {Latitude: 31, Longitude: 121, Radius: 500}, "west": {Latitude: 31, Longitude: 120}, "near": {Latitude: 31, Longitude: 121.001},
		},
		UnknownAge: 72 * time.Hour, GapAge: 72 * time.Hour, ClockSlack: time.Minute,
	}
)

// seen is a proved debit at a minute of Sunday, the clock within a second, that came a minute later.
func seen(counter uint32, minute int, place string) shadowaccount.Seen {
	at := sunday.Add(time.Duration(minute) * time.Minute).UnixMilli()
	c := claim("a", at, 1_00, completed, good)
	c.Tap.Tap = uint64(counter)
	return shadowaccount.Seen{Counted: shadowaccount.Counted{Counter: counter, Claim: c, Status: shadowaccount.Stands}, Place: place,
		Stamp: shadowaccount.Stamp{Tap: uint64(counter), AtMS: at, ErrorMS: 1000, Sure: shadowaccount.Bounded, ReceivedMS: at + 60_000}}
}

func with(s shadowaccount.Seen, change func(*shadowaccount.Seen)) shadowaccount.Seen {
	change(&s)
	return s
}

func list(v uint64) func(*shadowaccount.Seen) {
	return func(s *shadowaccount.Seen) { s.DenyVersion = v }
}

func TestWhatTheWatchFindsOfACard(t *testing.T) {
	open := func(s *shadowaccount.Seen) {
		s.Status, s.Claim.Said, s.Claim.Proof = shadowaccount.Open, unknown, none
	}
	unsure := func(s *shadowaccount.Seen) { s.Sure = shadowaccount.NotSure }
	slow := func(s *shadowaccount.Seen) { s.ErrorMS = 14 * 60_000 }
	forged := func(s *shadowaccount.Seen) { s.Claim.Proof, s.Status = bad, shadowaccount.BadTAC }
	type notes map[shadowaccount.Code][]string
	for name, c := range map[string]struct {
		card shadowaccount.Watched
		days int // from Sunday
		want notes
	}{
		"an honest day": {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), seen(2, 3, "near"), seen(3, 6, "east")}}},
		"four taps in ten minutes": {
			card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(2, 3, ""), seen(3, 6, ""), seen(4, 10, "")}},
			want: notes{shadowaccount.FindVelocity: {"1@a/1/1"}}},
		"four taps in eleven minutes":       {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(2, 3, ""), seen(3, 6, ""), seen(4, 11, "")}}},
		"one of the four was called off":    {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), with(seen(2, 3, ""), func(s *shadowaccount.Seen) { s.Claim.Said, s.Claim.Proof = shadowaccount.SaidVoided, none }), seen(3, 6, ""), seen(4, 10, "")}}},
		"of one of the four nobody is sure": {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), with(seen(2, 3, ""), unsure), seen(3, 6, ""), seen(4, 10, "")}}},
		"one of the four is a forgery":      {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), with(seen(2, 3, ""), forged), seen(3, 6, ""), seen(4, 10, "")}}},
		"two bursts, the first of many taps": {
			card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(2, 1, ""), seen(3, 2, ""), seen(4, 3, ""), seen(5, 12, ""), seen(6, 13, ""),
				seen(7, 60, ""), seen(8, 61, ""), seen(9, 62, ""), seen(10, 63, "")}},
			want: notes{shadowaccount.FindVelocity: {"1@a/1/1", "7@a/1/7"}}},
		"too much at once": {
			card: shadowaccount.Watched{Taps: []shadowaccount.Seen{with(seen(1, 0, ""), func(s *shadowaccount.Seen) { s.Claim.Amount = money.Minor(50_01) }), with(seen(2, 0, ""), func(s *shadowaccount.Seen) { s.Claim.Amount = money.Minor(50_00) })}},
			want: notes{shadowaccount.FindOverLimit: {"1@a/1/1"}}},
		"a family of its own limit": {
			card: shadowaccount.Watched{Family: "desfire", Taps: []shadowaccount.Seen{with(seen(1, 0, ""), func(s *shadowaccount.Seen) { s.Claim.Amount = money.Minor(20_01) })}},
			want: notes{shadowaccount.FindOverLimit: {"1@a/1/1"}}},
		// 95 km less 500 m at 200 km/h is 28 min 27 s.
		"twenty-eight minutes to the west": {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), seen(2, 28, "west")}}, want: notes{shadowaccount.FindTravel: {"2@a/1/2"}}},
		"twenty-nine":                      {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), seen(2, 29, "west")}}},
		"the clocks may be wrong by more":  {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{with(seen(1, 0, "east"), slow), with(seen(2, 1, "west"), slow)}}},
		"a clock that nobody is sure of":   {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), with(seen(2, 1, "west"), unsure)}}},
		"a place that nobody knows":        {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), seen(2, 1, "south")}}},
		"a doubtful clock between two good ones hides nothing": {
			card: shadowaccount.Watched{Taps: []shadowaccount.Seen{seen(1, 0, "east"), with(seen(2, 5, "near"), slow), seen(3, 10, "west")}}, want: notes{shadowaccount.FindTravel: {"3@a/1/3"}}},
		"a time that is none": {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{with(seen(1, 0, "east"), func(s *shadowaccount.Seen) { s.AtMS = math.MinInt64 }), with(seen(2, 0, "west"), func(s *shadowaccount.Seen) { s.AtMS = math.MaxInt64 })}}},

		"denied, and the terminal had the list": {
			card: shadowaccount.Watched{Denial: &shadowaccount.Denial{Version: 7, AtMS: sunday.UnixMilli()}, Taps: []shadowaccount.Seen{with(seen(1, 5, ""), list(7)), with(seen(2, 50, ""), list(9))}},
			want: notes{shadowaccount.FindDeniedAcquirer: {"1@a/1/1", "2@a/1/2"}}},
		"denied, and the terminal had an older one, or none": {
			card: shadowaccount.Watched{Denial: &shadowaccount.Denial{Version: 7, AtMS: sunday.UnixMilli()}, Taps: []shadowaccount.Seen{with(seen(1, 5, ""), list(6)), seen(2, 50, "")}},
			want: notes{shadowaccount.FindDeniedIssuer: {"1@a/1/1", "2@a/1/2"}}},
		"before it was denied, as far as the clock tells": {
			card: shadowaccount.Watched{Denial: &shadowaccount.Denial{Version: 7, AtMS: sunday.UnixMilli()}, Taps: []shadowaccount.Seen{with(seen(1, -5, ""), list(6)), with(with(seen(2, 5, ""), list(6)), slow)}}},
		"a list that no longer names it": {
			card: shadowaccount.Watched{Denial: &shadowaccount.Denial{Version: 7, Until: 9, AtMS: sunday.UnixMilli()}, Taps: []shadowaccount.Seen{with(seen(1, 5, ""), list(9)), with(seen(2, 50, ""), list(8))}},
			want: notes{shadowaccount.FindDeniedAcquirer: {"2@a/1/2"}}},
		"denied, and nothing was taken": {
			card: shadowaccount.Watched{Denial: &shadowaccount.Denial{Version: 7, AtMS: sunday.UnixMilli()}, Taps: []shadowaccount.Seen{with(seen(1, 5, ""), func(s *shadowaccount.Seen) { s.Status, s.DenyVersion = shadowaccount.Void, 7 })}}},

		"an unknown tap, young":  {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{with(seen(1, 0, ""), open)}}, days: 2},
		"an unknown tap, old":    {card: shadowaccount.Watched{Taps: []shadowaccount.Seen{with(seen(1, 0, ""), open)}}, days: 4, want: notes{shadowaccount.FindAgedUnknown: {"1@a/1/1"}}},
		"a gap, young":           {card: shadowaccount.Watched{Gaps: []shadowaccount.Gap{{First: 2, Last: 3}}, Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(4, 0, "")}}, days: 2},
		"a gap, old":             {card: shadowaccount.Watched{Gaps: []shadowaccount.Gap{{First: 2, Last: 3}}, Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(4, 0, "")}}, days: 4, want: notes{shadowaccount.FindAgedGap: {"2-3"}}},
		"a gap that is news yet": {card: shadowaccount.Watched{Gaps: []shadowaccount.Gap{{First: 2, Last: 3}}, Taps: []shadowaccount.Seen{seen(1, 0, ""), seen(4, 3*24*60, "")}}, days: 4},
	} {
		t.Run(name, func(t *testing.T) {
			var got notes
			for _, n := range shadowaccount.WatchCard(c.card, sunday.AddDate(0, 0, c.days), usual) {
				if got == nil {
					got = notes{}
				}
				require.NotEmpty(t, n.Detail)
				got[n.Code] = append(got[n.Code], n.Item)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestNoLimitsFindNothing(t *testing.T) {
	taps := []shadowaccount.Seen{seen(1, 0, "east"), seen(2, 0, "west"), seen(3, 0, "east"), seen(4, 0, "west")}
	require.Empty(t, shadowaccount.WatchCard(shadowaccount.Watched{Gaps: []shadowaccount.Gap{{First: 0, Last: 0}}, Taps: taps}, sunday.AddDate(1, 0, 0), shadowaccount.Limits{}))
}

// TestTheWatchKnowsNoOrder shuffles what came.
func TestTheWatchKnowsNoOrder(t *testing.T) {
	found := map[shadowaccount.Code]int{}
	rapid.Check(t, func(r *rapid.T) {
		taps := rapid.SliceOfNDistinct(rapid.Custom(func(r *rapid.T) shadowaccount.Seen {
			s := seen(uint32(rapid.IntRange(1, 9).Draw(r, "counter")), rapid.IntRange(0, 40).Draw(r, "minute"), rapid.SampledFrom([]string{"east", "west", "near", ""}).Draw(r, "place"))
			s.Claim.Tap.Terminal = rapid.SampledFrom([]ids.TerminalID{"a", "b"}).Draw(r, "terminal")
			s.Claim.Amount = money.Minor(rapid.SampledFrom([]int64{1_00, 60_00}).Draw(r, "amount"))
			s.ErrorMS = rapid.SampledFrom([]int64{0, 1000, 600_000}).Draw(r, "error")
			s.Status = rapid.SampledFrom([]shadowaccount.Status{shadowaccount.Stands, shadowaccount.Open, shadowaccount.Void, shadowaccount.Clone}).Draw(r, "status")
			s.DenyVersion = rapid.Uint64Range(0, 3).Draw(r, "list")
			return s
		}), 0, 12, func(s shadowaccount.Seen) ids.TapID { return s.Claim.Tap }).Draw(r, "taps")
		card := shadowaccount.Watched{Taps: taps, Gaps: []shadowaccount.Gap{{First: 4, Last: 4}}, Denial: &shadowaccount.Denial{Version: 2, AtMS: sunday.UnixMilli()}}
		one := shadowaccount.WatchCard(card, sunday.AddDate(0, 0, 4), usual)
		card.Taps = rapid.Permutation(taps).Draw(r, "shuffled")
		require.Equal(r, one, shadowaccount.WatchCard(card, sunday.AddDate(0, 0, 4), usual))
		items := map[shadowaccount.Note]bool{}
		for _, n := range one {
			found[n.Code]++
			n.Detail = ""
			require.False(r, items[n], "one cause, one note: %v", n)
			items[n] = true
		}
	})
	for _, code := range []shadowaccount.Code{shadowaccount.FindVelocity, shadowaccount.FindOverLimit, shadowaccount.FindTravel, shadowaccount.FindDeniedAcquirer, shadowaccount.FindDeniedIssuer, shadowaccount.FindAgedUnknown, shadowaccount.FindAgedGap} {
		require.NotZero(t, found[code], "%s: the draws never lead there", code)
	}
}

func TestClocksThatGoBackAndAhead(t *testing.T) {
	at := func(tap uint64, second int64) shadowaccount.Stamp {
		return shadowaccount.Stamp{Tap: tap, AtMS: sunday.UnixMilli() + second*1000, ErrorMS: 1000, Sure: shadowaccount.Bounded}
	}
	require.Empty(t, shadowaccount.ClockBack(1, []shadowaccount.Stamp{at(1, 0), at(2, 5), at(4, 0)}, usual), "5 s back, of two clocks with 1 s and a slack of 60")
	back := []shadowaccount.Stamp{at(1, 0), at(2, 100), at(3, 37), at(4, 37)}
	want := []shadowaccount.Note{{Code: shadowaccount.FindClockBack, Item: "f/3", Detail: "tap 3 is 1m3s earlier than tap 2"}}
	require.Equal(t, want, shadowaccount.ClockBack(15, back, usual))
	rapid.Check(t, func(r *rapid.T) {
		require.Equal(r, want, shadowaccount.ClockBack(15, rapid.Permutation(back).Draw(r, "shuffled"), usual))
	})
	back[2].Sure = shadowaccount.NotSure
	require.Equal(t, "f/4", shadowaccount.ClockBack(15, back, usual)[0].Item, "one that is not sure stands between")

	s := at(1, 10)
	s.ReceivedMS = sunday.UnixMilli()
	require.EqualValues(t, 9000, s.Ahead(), "less its error")
	s.Sure = shadowaccount.NotSure
	require.Zero(t, s.Ahead())
}

func TestHoles(t *testing.T) {
	require.Empty(t, shadowaccount.Holes(nil))
	require.Empty(t, shadowaccount.Holes([]uint64{7, 8, 8, 9}))
	require.Equal(t, []shadowaccount.Hole{{3, 6}, {10, 10}}, shadowaccount.Holes([]uint64{11, 2, 9, 8, 7, 2}))
	require.Equal(t, []shadowaccount.Hole{{1, math.MaxUint64 - 1}}, shadowaccount.Holes([]uint64{0, math.MaxUint64}))
	require.EqualValues(t, 4, shadowaccount.Hole{First: 3, Last: 6}.Len())
}
