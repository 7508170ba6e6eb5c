package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/shadowaccount/calendar"
)

// A long holiday of the usual shape: seven days off, a Saturday worked to make up for it.
const golden = `
through 2026-12-31
2026-10-01 holiday National Day
2026-10-02 holiday
2026-10-03 holiday   # a Saturday, listed all the same
2026-10-04 holiday
2026-10-05 holiday
2026-10-06 holiday
2026-10-07 holiday
2026-10-10 workday   Saturday, for 10-07
`

func table(t *testing.T) calendar.Table {
	t.Helper()
	out, err := calendar.Parse([]byte(golden))
	require.NoError(t, err)
	return out
}

func TestDueOverALongHoliday(t *testing.T) {
	tab := table(t)
	for _, tc := range []struct {
		name, day, term, want string
	}{
		{"T+1 on a plain Tuesday", "2026-11-24", "T+1", "2026-11-25"},
		{"D+1 on a plain Tuesday", "2026-11-24", "D+1", "2026-11-25"},
		{"T+1 on a Friday waits for Monday", "2026-11-27", "T+1", "2026-11-30"},
		{"D+1 on a Friday is Saturday", "2026-11-27", "D+1", "2026-11-28"},
		{"T+1 before the holiday waits for its end", "2026-09-30", "T+1", "2026-10-08"},
		{"D+1 before the holiday is its first day", "2026-09-30", "D+1", "2026-10-01"},
		{"T+1 in the middle of the holiday", "2026-10-04", "T+1", "2026-10-08"},
		{"T+2 counts working days only", "2026-09-30", "T+2", "2026-10-09"},
		{"T+3 counts the worked Saturday", "2026-09-30", "T+3", "2026-10-10"},
		{"T+1 of the Friday before a worked Saturday", "2026-10-09", "T+1", "2026-10-10"},
		{"T+1 of the worked Saturday", "2026-10-10", "T+1", "2026-10-12"},
		{"T+0 on a working day is the day", "2026-11-24", "T+0", "2026-11-24"},
		{"T+0 on a holiday is the next working day", "2026-10-01", "T+0", "2026-10-08"},
		{"D+0 is the day whatever it is", "2026-10-01", "D+0", "2026-10-01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			term, err := calendar.ParseTerm(tc.term)
			require.NoError(t, err)
			got, err := tab.Due(calendar.Date(tc.day), term)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
		})
	}
}

func TestBeyondTheTableIsAnErrorAndNoGuess(t *testing.T) {
	_, err := table(t).Due("2026-12-31", calendar.Term{Unit: calendar.Working, Days: 1})
	require.ErrorIs(t, err, calendar.ErrBeyond)
	require.ErrorContains(t, err, "2027-01-01")

	due, err := calendar.Table{}.Due("2026-12-31", calendar.Term{Unit: calendar.Working, Days: 1})
	require.NoError(t, err, "the plain week reaches for ever")
	require.Equal(t, calendar.Date("2027-01-01"), due)
}

func TestParseNamesEveryFault(t *testing.T) {
	_, err := calendar.Parse([]byte("2026-02-30 holiday\n2026-03-02 workday\n2026-03-03\n2026-03-04 feast\n2026-03-05 holiday\n2026-03-05 holiday\n"))
	for _, want := range []string{"line 1", "line 2", "worked anyway", "line 3", "line 4", `"feast"`, "line 6", "twice", "through"} {
		require.ErrorContains(t, err, want)
	}
	_, err = calendar.Parse([]byte("through 2026-12-31\nweekend friday saturday\nweekend friday\n2026-11-29 workday\n"))
	require.ErrorContains(t, err, "line 3: want one line weekend")
	require.ErrorContains(t, err, "line 4: 2026-11-29 is a weekday")
	_, err = calendar.Parse([]byte("through 2026-01-01\n2026-05-01 holiday\n"))
	require.ErrorContains(t, err, "beyond")
}

func TestTermsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "T", "T+", "T1", "T+-1", "T+01", "X+1", "T+100", "D+1 "} {
		_, err := calendar.ParseTerm(s)
		require.Error(t, err, "%q", s)
	}
}

func TestADateStartsAtMidnightOfItsPlace(t *testing.T) {
	loc := time.FixedZone("CST", 8*3600)
	start := calendar.Date("2026-11-24").Start(loc)
	require.Equal(t, "2026-11-23T16:00:00Z", start.UTC().Format(time.RFC3339))
	require.Equal(t, calendar.Date("2026-11-24"), calendar.DateOf(start))
}

func TestTAlwaysFallsOnAWorkingDayAndNeverBeforeD(t *testing.T) {
	tab, err := calendar.Parse([]byte(golden))
	require.NoError(t, err)
	tab.Through = ""
	rapid.Check(t, func(t *rapid.T) {
		day := calendar.Date("2026-09-01").Add(rapid.IntRange(0, 120).Draw(t, "day"))
		n := rapid.IntRange(1, 10).Draw(t, "n")
		due, err := tab.Due(day, calendar.Term{Unit: calendar.Working, Days: n})
		require.NoError(t, err)
		works, err := tab.IsWorking(due)
		require.NoError(t, err)
		require.True(t, works)
		d, err := tab.Due(day, calendar.Term{Unit: calendar.Calendar, Days: n})
		require.NoError(t, err)
		require.LessOrEqual(t, d, due)
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("through 2026-12-31\n"))
	f.Add([]byte("2026-11-28 workday\nweekend friday saturday\nthrough 2026-12-31\n"))
	f.Add([]byte("through through\n2026-10-01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tab, err := calendar.Parse(raw)
		if err != nil {
			return
		}
		again, err := calendar.Parse(tab.Text())
		require.NoError(t, err)
		require.Equal(t, tab, again)
	})
}
