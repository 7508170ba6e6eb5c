package fare_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/money"
)

func yuan(n int64) money.Amount { return money.Minor(n * 100) }

// Stations of the test's network. Going up to the hill costs more than coming down.
var harbour, market, hill, nowhere = fare.Code{1, 1}, fare.Code{1, 2}, fare.Code{1, 3}, fare.Code{9, 9}

func tables() fare.Tables {
	return fare.Tables{
		Bus: []fare.BusLine{{Line: fare.Code{0, 7}, Name: "7", Fare: yuan(2)}, {Line: fare.Code{0, 8}, Name: "8", Fare: money.Amount{}}},
		Metro: fare.Metro{
			Stations: []fare.Station{{Code: harbour}, {Code: market}, {Code: hill}},
			Pairs: []fare.Pair{
				{From: harbour, To: market, Fare: yuan(3)}, {From: market, To: hill, Fare: yuan(5)}, {From: hill, To: market, Fare: yuan(4)},
				{From: harbour, To: hill, Fare: yuan(6)},
			},
			SameStation: yuan(1), MissingEntry: yuan(9), OverTime: yuan(7), MaxStay: 2 * time.Hour,
		},
	}
}

func TestBus(t *testing.T) {
	q, err := tables().BusFlat(fare.Code{0, 7})
	require.NoError(t, err)
	require.Equal(t, fare.Quote{Amount: yuan(2), Rule: "bus-flat"}, q)
	q, err = tables().BusFlat(fare.Code{0, 8})
	require.NoError(t, err)
	require.True(t, q.Amount.IsZero(), "a free line is a line")
	_, err = tables().BusFlat(fare.Code{0, 9})
	require.ErrorIs(t, err, fare.ErrNoLine)
}

func TestMetroEntryMarksTheHighestFareFromThere(t *testing.T) {
	for at, want := range map[fare.Code]int64{harbour: 6, market: 5, hill: 6} {
		q, err := tables().MetroEntry(at)
		require.NoError(t, err)
		require.True(t, q.Amount.IsZero())
		require.Equal(t, "metro-entry", q.Rule)
		require.Equal(t, yuan(want), q.Marked, "%v", at)
	}
	_, err := tables().MetroEntry(nowhere)
	require.ErrorIs(t, err, fare.ErrNoPair)
}

func TestMetroExit(t *testing.T) {
	cases := []struct {
		name        string
		entry, exit fare.Code
		stayed      time.Duration
		want        int64
		rule        string
	}{
		{"a pair", harbour, market, 20 * time.Minute, 3, "metro-pair"},
		{"the same pair the other way", market, harbour, 20 * time.Minute, 3, "metro-pair"},
		{"a pair with a fare of its own each way, up", market, hill, time.Minute, 5, "metro-pair"},
		{"and down", hill, market, time.Minute, 4, "metro-pair"},
		{"the same station", market, market, time.Minute, 1, "metro-same-station"},
		{"to the second in time", harbour, hill, 2 * time.Hour, 6, "metro-pair"},
		{"too long inside", harbour, hill, 2*time.Hour + time.Second, 13, "metro-pair+over-time"},
		{"too long at one station", hill, hill, 5 * time.Hour, 8, "metro-same-station+over-time"},
		{"clocks that differ", harbour, market, -time.Hour, 3, "metro-pair"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, err := tables().MetroExit(c.entry, c.exit, c.stayed)
			require.NoError(t, err)
			require.Equal(t, fare.Quote{Amount: yuan(c.want), Rule: c.rule}, q)
		})
	}
	_, err := tables().MetroExit(nowhere, market, 0)
	require.ErrorIs(t, err, fare.ErrNoPair)
	untimed := tables()
	untimed.Metro.MaxStay = 0
	q, err := untimed.MetroExit(harbour, market, 100*time.Hour)
	require.NoError(t, err)
	require.Equal(t, yuan(3), q.Amount, "without max_stay nobody stays too long")
}

func TestMetroMissingEntry(t *testing.T) {
	require.Equal(t, fare.Quote{Amount: yuan(9), Rule: "metro-missing-entry"}, tables().MetroMissingEntry())
}

func TestEveryFaultOfTheTables(t *testing.T) {
	require.Empty(t, tables().Check())
	cases := []struct {
		name   string
		change func(*fare.Tables)
		says   string
	}{
		{"a line twice", func(f *fare.Tables) { f.Bus[1].Line = f.Bus[0].Line }, "fares.bus[1]: line 0007 stands twice"},
		{"a negative fare", func(f *fare.Tables) { f.Bus[1].Fare = yuan(-1) }, "fares.bus[1].fare: -1.00"},
		{"a slip of the comma", func(f *fare.Tables) { f.Bus[1].Fare = yuan(20000) }, "fares.bus[1].fare: 20000.00"},
		{"a station twice", func(f *fare.Tables) { f.Metro.Stations[1].Code = harbour }, "fares.metro.stations[1]: station 0101 stands twice"},
		{"a pair of strangers", func(f *fare.Tables) { f.Metro.Pairs[0].From = nowhere }, "both must be in fares.metro.stations"},
		{"a pair of one", func(f *fare.Tables) { f.Metro.Pairs[0].To = harbour }, "use same_station"},
		{"a pair twice", func(f *fare.Tables) { f.Metro.Pairs[3] = f.Metro.Pairs[0] }, "fares.metro.pairs[3]: 0101 to 0102 stands twice"},
		{"a pair missing", func(f *fare.Tables) { f.Metro.Pairs = f.Metro.Pairs[:3] }, "no fare between 0101 and 0103"},
		{"same station", func(f *fare.Tables) { f.Metro.SameStation = yuan(-1) }, "fares.metro.same_station"},
		{"missing entry", func(f *fare.Tables) { f.Metro.MissingEntry = yuan(-1) }, "fares.metro.missing_entry"},
		{"over time", func(f *fare.Tables) { f.Metro.OverTime = yuan(-1) }, "fares.metro.over_time"},
		{"max stay", func(f *fare.Tables) { f.Metro.MaxStay = -1 }, "fares.metro.max_stay"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := tables()
			c.change(&f)
			require.ErrorContains(t, errors.Join(f.Check()...), c.says)
		})
	}
}

func TestCodes(t *testing.T) {
	var c fare.Code
	require.NoError(t, c.UnmarshalText([]byte("01ab")))
	require.Equal(t, "01AB", c.String())
	raw, err := json.Marshal(map[string]fare.Code{"at": c})
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"01AB"}`, string(raw))
	for _, bad := range []string{"", "1", "01AB0", "01ABCD", "zzzz"} {
		require.ErrorContains(t, c.UnmarshalText([]byte(bad)), "four hexadecimal digits", bad)
	}
}

// TestANetworkThatChecksQuotesEveryTrip draws networks: one that Check accepts has a fare for every trip, and no trip by a
// single pair costs more than the entry marked for it.
func TestANetworkThatChecksQuotesEveryTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "stations")
		var f fare.Tables
		for i := range n {
			f.Metro.Stations = append(f.Metro.Stations, fare.Station{Code: fare.Code{1, byte(i)}})
			for j := range n {
				// The first way is there or not, the way back too.
				if i != j && rapid.IntRange(0, 3).Draw(t, fmt.Sprint(i, j)) > 0 {
					f.Metro.Pairs = append(f.Metro.Pairs, fare.Pair{From: fare.Code{1, byte(i)}, To: fare.Code{1, byte(j)},
						Fare: money.Minor(rapid.Int64Range(0, 1000).Draw(t, "fare"))})
				}
			}
		}
		whole := len(f.Check()) == 0
		gap := false
		for _, a := range f.Metro.Stations {
			for _, b := range f.Metro.Stations {
				q, err := f.MetroExit(a.Code, b.Code, 0)
				if err != nil {
					gap = true
					continue
				}
				if in, err := f.MetroEntry(a.Code); err == nil && q.Amount.Cmp(in.Marked) > 0 {
					t.Fatalf("%v to %v costs %v, marked %v", a.Code, b.Code, q.Amount, in.Marked)
				}
			}
		}
		if whole == gap {
			t.Fatalf("check says whole=%v, a trip without fare: %v", whole, gap)
		}
	})
}
