package desfiredriver

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/money"
)

var (
	zone  = time.FixedZone("UTC+8", 8*3600)
	at    = time.Date(2026, 11, 25, 8, 0, 0, 0, zone)
	ours  = terminal{0, 0, 0, 0, 0x10, 0x01}
	other = terminal{0, 0, 0, 0, 0x10, 0x02}
)

func some(k purse.Kind, minute int) purse.Order {
	return purse.Order{
		Kind: k, Amount: money.Minor(200), Marked: money.Minor(600), At: at.Add(time.Duration(minute) * time.Minute),
		Place: purse.Place{Line: [2]byte{0, 7}, Station: [2]byte{2, byte(minute)}},
	}
}

// after is the record after orders a minute apart, the first by other, the rest by ours.
func after(t require.TestingT, kinds ...purse.Kind) record {
	r, err := parseRecord(FirstRecord())
	require.NoError(t, err)
	for i, k := range kinds {
		by := ours
		if i == 0 {
			by = other
		}
		r, err = r.next(some(k, i), by, uint16(i))
		require.NoError(t, err)
		r, err = parseRecord(r.bytes())
		require.NoError(t, err)
	}
	return r
}

// TestTheBytesOfARecord spells one out as docs/card-desfire.md has it.
func TestTheBytesOfARecord(t *testing.T) {
	require.Equal(t, "20"+strings.Repeat("00", 29)+"ffff", hex.EncodeToString(FirstRecord()))
	r := after(t, purse.Enter, purse.BusRide, purse.Sale)
	r.attempt = 0x0A0B
	require.Equal(t, strings.Join([]string{
		"25",           // version 1, sale, trip open
		"000000001001", // terminal
		"6b062578",     // the sale
		"0a0b",         // attempt
		"00070200",     // entry: line, station
		"6b062500",     // and time
		"549a",         // SHA-256 of the other terminal's number
		"000258",       // marked fare
		"00070201",     // ride: line, station
		"003c",         // a minute before the sale
	}, ""), hex.EncodeToString(r.bytes()))
}

func TestTheTripIsCarriedOn(t *testing.T) {
	mark := func(by terminal, minute int) string {
		return purse.MarkOf(by[:], purseTime(some(0, minute).At))
	}
	in := after(t, purse.Enter).tripTold(zone, ours)
	require.Equal(t, purse.Trip{Open: true, Marked: money.Minor(600), Entry: purse.Point{Place: some(0, 0).Place, At: at, Mark: mark(other, 0)}}, in)

	carried := after(t, purse.Enter, purse.BusRide, purse.Sale, purse.Sale)
	require.Equal(t, mark(other, 0), carried.tripTold(zone, other).Entry.Mark, "who wrote it knows it again")
	theirs := carried.tripTold(zone, ours)
	require.NotEqual(t, mark(ours, 0), theirs.Entry.Mark)
	require.NotEqual(t, mark(other, 0), theirs.Entry.Mark)
	theirs.Entry.Mark = in.Entry.Mark
	require.Equal(t, in, theirs)
	require.Equal(t, purse.Ride{Bus: true, Point: purse.Point{Place: some(0, 1).Place, At: some(0, 1).At}}, carried.rideTold(zone))

	require.Equal(t, purse.Ride{}, after(t, purse.BusRide, purse.Enter).rideTold(zone), "an entry is newer than the ride")
	out := after(t, purse.Enter, purse.Leave, purse.BusRide).tripTold(zone, ours)
	require.Equal(t, purse.Trip{Left: true, Exit: purse.Point{Place: some(0, 1).Place, At: some(0, 1).At, Mark: mark(ours, 1)}}, out)
	require.Equal(t, purse.Trip{Left: true, Exit: out.Exit}, after(t, purse.Sale, purse.LeaveUnmet).tripTold(zone, ours))
	require.Equal(t, purse.Trip{Exit: out.Exit}, after(t, purse.Enter, purse.CloseTrip).tripTold(zone, ours))
	require.True(t, after(t, purse.Enter, purse.CloseTrip, purse.Enter).tripTold(zone, ours).Open)
	require.Equal(t, purse.Trip{}, after(t, purse.Sale, purse.BusRide).tripTold(zone, ours))
	require.NotEqual(t, ours.short(), other.short())
}

func TestARideGrowsOld(t *testing.T) {
	for _, c := range []struct {
		later time.Duration
		ride  bool
		at    time.Duration
	}{
		{time.Hour, true, 0}, {65534 * time.Second, true, 0}, {65535 * time.Second, false, 0}, {48 * time.Hour, false, 0},
		{-time.Minute, true, -time.Minute}, // a clock that is behind
	} {
		r := after(t, purse.BusRide)
		o := some(purse.Sale, 0)
		o.At = at.Add(c.later)
		r, err := r.next(o, ours, 1)
		require.NoError(t, err)
		ride := r.rideTold(zone)
		require.Equal(t, c.ride, ride.Bus, c.later)
		if c.ride {
			require.True(t, ride.At.Equal(at.Add(c.at)), "%v: %v", c.later, ride.At)
		}
	}
}

func TestOrdersThatNoRecordHolds(t *testing.T) {
	for says, change := range map[string]func(o *purse.Order){
		"kind 0":           func(o *purse.Order) { o.Kind = 0 },
		"kind 7":           func(o *purse.Order) { o.Kind = 7 },
		"no time":          func(o *purse.Order) { o.At = time.Time{} },
		"is no time":       func(o *purse.Order) { o.At = time.Date(2107, 1, 1, 0, 0, 0, 0, zone) },
		"to 167772.15":     func(o *purse.Order) { o.Marked = money.Minor(1 << 24) },
		"marked fare of -": func(o *purse.Order) { o.Marked = money.Minor(-1) },
	} {
		o := some(purse.Enter, 0)
		change(&o)
		_, err := after(t).next(o, ours, 1)
		require.ErrorContains(t, err, says)
	}
}

// TestRecordsSurviveTheirBytes, and those of another version or kind are refused.
func TestRecordsSurviveTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), recordSize, recordSize).Draw(t, "record")
		r, err := parseRecord(raw)
		require.Equal(t, raw[0]>>5 == 1 && raw[0]>>2&7 != 7, err == nil)
		if err == nil {
			require.Equal(t, raw, r.bytes())
		}
	})
	for _, n := range []int{0, 31, 33} {
		_, err := parseRecord(make([]byte, n))
		require.ErrorContains(t, err, "want 32")
	}
}

// TestNoTwoAttemptsHaveOneRecord: of one terminal, in one second, for one order.
func TestNoTwoAttemptsHaveOneRecord(t *testing.T) {
	seen := map[string]bool{}
	for n := range math.MaxUint16 + 1 {
		r, err := after(t).next(some(purse.Sale, 0), ours, uint16(n))
		require.NoError(t, err)
		require.False(t, seen[string(r.bytes())])
		seen[string(r.bytes())] = true
	}
}

// FuzzRecord: whatever is on a card is told or refused, and the next record can be made from it.
func FuzzRecord(f *testing.F) {
	f.Add(FirstRecord(), byte(1))
	f.Add(make([]byte, recordSize), byte(2))
	f.Add(after(f, purse.Enter, purse.BusRide, purse.Sale).bytes(), byte(4))
	f.Fuzz(func(t *testing.T, raw []byte, kind byte) {
		r, err := parseRecord(raw)
		if err != nil {
			return
		}
		require.Equal(t, raw, r.bytes())
		trip := r.tripTold(zone, ours)
		require.False(t, trip.Open && trip.Left)
		_ = r.rideTold(zone)
		if next, err := r.next(some(purse.Kind(kind), 0), ours, 1); err == nil {
			require.Len(t, next.bytes(), recordSize)
			require.Equal(t, purse.Kind(kind) == purse.Enter || trip.Open && !next.wroteTrip(), next.tripTold(zone, ours).Open)
		}
	})
}
