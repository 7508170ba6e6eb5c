package calendar_test

import (
	"os"
	"testing"
	"time"
	_ "time/tzdata" // the clocks of the test are the same on every machine

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/shadowaccount/calendar"
)

// plan is the parties that the tests speak of, each with the calendar of its place.
func plan(t *testing.T) map[string]calendar.Party {
	t.Helper()
	out := map[string]calendar.Party{}
	for _, p := range []struct{ id, place, zone, cutOff, days, term string }{
		{"bus", "china", "Asia/Shanghai", "23:30", "", "T+1"},
		{"night-bus", "china", "Asia/Shanghai", "27:00", "", "D+1"},
		{"shop", "china", "Asia/Shanghai", "24:00", "working", "T+1"},
		{"tram", "target", "Europe/Berlin", "26:30", "", "T+1"},
		{"tube", "england", "Europe/London", "25:30", "", "T+2"},
		{"ferry", "friday", "Africa/Cairo", "24:00", "", "T+1"},
	} {
		raw, err := os.ReadFile("testdata/" + p.place + ".txt")
		require.NoError(t, err)
		party := calendar.Party{ID: p.id}
		party.Table, err = calendar.Parse(raw)
		require.NoError(t, err)
		party.Zone, err = time.LoadLocation(p.zone)
		require.NoError(t, err)
		party.CutOff, err = calendar.ParseCutOff(p.cutOff)
		require.NoError(t, err)
		party.Term, err = calendar.ParseTerm(p.term)
		require.NoError(t, err)
		party.Days = calendar.Calendar
		if p.days == "working" {
			party.Days = calendar.Working
		}
		out[p.id] = party
	}
	return out
}

func TestDueByRealCalendars(t *testing.T) {
	p := plan(t)
	for _, tc := range []struct{ place, day, term, want string }{
		{"bus", "2026-02-13", "T+1", "2026-02-14"}, // the Saturday before Spring Festival is worked
		{"bus", "2026-02-14", "T+1", "2026-02-24"}, // nine days of holiday
		{"bus", "2026-02-14", "D+1", "2026-02-15"},
		{"bus", "2026-02-27", "T+1", "2026-02-28"},
		{"bus", "2026-02-28", "T+1", "2026-03-02"},
		{"bus", "2025-12-31", "T+1", "2026-01-04"}, // a Sunday that is worked
		{"bus", "2026-09-24", "T+1", "2026-09-28"},
		{"bus", "2026-09-30", "T+3", "2026-10-10"},
		{"tram", "2026-04-02", "T+1", "2026-04-07"}, // Easter
		{"tram", "2026-04-02", "D+1", "2026-04-03"},
		{"tram", "2026-12-24", "T+1", "2026-12-28"},
		{"tram", "2026-12-31", "T+1", "2027-01-04"},
		{"tram", "2027-03-25", "T+1", "2027-03-30"},
		{"tube", "2026-12-24", "T+1", "2026-12-29"}, // Boxing Day falls on a Saturday and is taken on Monday
		{"tube", "2027-12-24", "T+1", "2027-12-29"},
		{"tube", "2026-05-01", "T+1", "2026-05-05"}, // where the euro rests on Friday, England on Monday
		{"tram", "2026-04-30", "T+1", "2026-05-04"},
		{"ferry", "2026-11-26", "T+1", "2026-11-28"}, // a Saturday that is worked
		{"ferry", "2026-11-28", "T+1", "2026-11-29"}, // Sunday is a day like others
		{"ferry", "2026-12-03", "T+1", "2026-12-06"},
	} {
		term, err := calendar.ParseTerm(tc.term)
		require.NoError(t, err)
		party := p[tc.place]
		party.Term = term
		due, err := party.Due(calendar.Date(tc.day))
		require.NoError(t, err)
		require.Equal(t, tc.want, string(due), "%s of %s at the %s", tc.term, tc.day, tc.place)
	}
	due, err := p["tube"].Due("2026-12-24")
	require.NoError(t, err)
	require.Equal(t, "2026-12-30", string(due), "the party's own term")
	_, err = p["bus"].Due("2026-12-31")
	require.ErrorIs(t, err, calendar.ErrBeyond, "the holidays of 2027 are not entered")
}

func TestWhichDayAnArrivalBelongsTo(t *testing.T) {
	p := plan(t)
	for _, tc := range []struct{ party, arrives, want string }{
		{"bus", "2026-11-24T23:29:59.999+08:00", "2026-11-24"},
		{"bus", "2026-11-24T23:30:00+08:00", "2026-11-25"}, // at the cut-off is after it
		{"bus", "2026-11-24T15:30:00Z", "2026-11-25"},      // the same moment
		{"bus", "2026-11-24T00:00:00+08:00", "2026-11-24"},
		{"night-bus", "2026-11-25T02:59:59+08:00", "2026-11-24"},
		{"night-bus", "2026-11-25T03:00:00+08:00", "2026-11-25"},
		{"shop", "2026-10-01T12:00:00+08:00", "2026-10-08"}, // no clearing day in the holiday
		{"shop", "2026-10-10T12:00:00+08:00", "2026-10-10"}, // and one on the Saturday that is worked
		{"bus", "2026-10-01T12:00:00+08:00", "2026-10-01"},
		// Berlin puts the clock forward on 2026-03-29 at 02:00, so 02:30 is never shown: the 28th ends with the jump.
		{"tram", "2026-03-29T01:59:59+01:00", "2026-03-28"},
		{"tram", "2026-03-29T03:00:00+02:00", "2026-03-29"},
		// And back on 2026-10-25 at 03:00, so 02:30 is shown twice: the 24th ends with the first.
		{"tram", "2026-10-25T02:29:59+02:00", "2026-10-24"},
		{"tram", "2026-10-25T02:30:00+02:00", "2026-10-25"},
		{"tram", "2026-10-25T02:29:59+01:00", "2026-10-25"},
		// London the same, an hour earlier on the wall.
		{"tube", "2027-03-28T00:59:59Z", "2027-03-27"},
		{"tube", "2027-03-28T02:00:00+01:00", "2027-03-28"},
		// Cairo goes forward at midnight of 2026-04-24: the day before ends as the clock shows 01:00.
		{"ferry", "2026-04-23T23:59:59+02:00", "2026-04-23"},
		{"ferry", "2026-04-24T01:00:00+03:00", "2026-04-24"},
	} {
		at, err := time.Parse(time.RFC3339Nano, tc.arrives)
		require.NoError(t, err)
		day, err := p[tc.party].DayOf(at)
		require.NoError(t, err)
		require.Equal(t, tc.want, string(day), "%s at %s", tc.party, tc.arrives)
	}
	beyond, err := time.Parse(time.DateOnly, "2027-01-05")
	require.NoError(t, err)
	_, err = p["shop"].DayOf(beyond)
	require.ErrorIs(t, err, calendar.ErrBeyond)
}

// Clocks that go forward and back, by an hour or by half of one, at midnight, in the south, over a whole day.
var zones = []string{"Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana"}

// Nothing is lost and nothing counted twice, whatever the cut-off: each moment lies between the ends of the day before and of
// its own day, and days do not run backwards.
func TestEachMomentBelongsToOneDay(t *testing.T) {
	var loaded []*time.Location
	for _, name := range zones {
		z, err := time.LoadLocation(name)
		require.NoError(t, err)
		loaded = append(loaded, z)
	}
	first := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	rapid.Check(t, func(t *rapid.T) {
		p := calendar.Party{Zone: rapid.SampledFrom(loaded).Draw(t, "zone"), CutOff: calendar.CutOff(time.Duration(rapid.IntRange(0, 36*60).Draw(t, "cut-off")) * time.Minute)}
		at := time.Unix(rapid.Int64Range(first, last).Draw(t, "at"), 0)
		if rapid.Bool().Draw(t, "at a jump") { // where mistakes live
			if start, _ := at.In(p.Zone).ZoneBounds(); !start.IsZero() {
				at = start.Add(time.Duration(rapid.IntRange(-4*3600, 4*3600).Draw(t, "from it")) * time.Second)
			}
		}
		day, err := p.DayOf(at)
		require.NoError(t, err)
		require.True(t, at.Before(p.Cut(day)), "%v before the end of %s, %v", at, day, p.Cut(day))
		require.False(t, at.Before(p.Cut(day.Add(-1))), "%v not before the end of the day before %s", at, day)

		later, err := p.DayOf(at.Add(time.Duration(rapid.IntRange(0, 100*3600).Draw(t, "later")) * time.Second))
		require.NoError(t, err)
		require.GreaterOrEqual(t, later, day)

		// The end of a day is a moment at which its clock goes from before the cut-off to the cut-off or past it.
		wall := func(x time.Time) string { return x.In(p.Zone).Format("2006-01-02 15:04:05") }
		reading := day.Start(time.UTC).Add(time.Duration(p.CutOff))
		if p.CutOff == 0 {
			reading = day.Start(time.UTC).Add(24 * time.Hour)
		}
		cut := p.Cut(day)
		require.GreaterOrEqual(t, wall(cut), reading.Format("2006-01-02 15:04:05"))
		require.Less(t, wall(cut.Add(-time.Second)), reading.Format("2006-01-02 15:04:05"))
	})
}

func TestCutOffs(t *testing.T) {
	for _, s := range []string{"00:01", "23:30", "24:00", "27:00", "36:00"} {
		c, err := calendar.ParseCutOff(s)
		require.NoError(t, err, s)
		require.Equal(t, s, c.String())
	}
	require.Equal(t, "24:00", calendar.CutOff(0).String())
	for _, s := range []string{"", "00:00", "3:00", "23:60", "36:01", "99:00", "23:30:00", "+1:00", "23.30", "2330"} {
		_, err := calendar.ParseCutOff(s)
		require.Error(t, err, "%q", s)
	}
}
