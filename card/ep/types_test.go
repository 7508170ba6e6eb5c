package ep_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

func TestDateTimes(t *testing.T) {
	shanghai := time.FixedZone("UTC+8", 8*3600)
	utc := time.Date(2024, 1, 15, 0, 30, 0, 999, time.UTC)
	d, err := ep.DateTimeOf(utc.In(shanghai))
	require.NoError(t, err)
	require.Equal(t, dateTime(t, "20240115083000"), d, "the wall clock of the scheme")
	back, err := d.Time(shanghai)
	require.NoError(t, err)
	require.True(t, back.Equal(utc.Truncate(time.Second)))

	rapid.Check(t, func(t *rapid.T) {
		want := time.Date(rapid.IntRange(0, 9999).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 31).Draw(t, "day"),
			rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 59).Draw(t, "second"), 0, time.UTC)
		if want.Year() > 9999 {
			return
		}
		d, err := ep.DateTimeOf(want)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%04d", want.Year())+want.Format("0102150405"), upper(d[:]))
		got, err := d.Time(time.UTC)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})

	for _, bad := range []string{
		"00000000000000", "20240001000000", "20241301000000", "20240100000000", "20240230000000", "20230229000000",
		"20240115240000", "20240115006000", "20240115000060", "2024011500000A", "FFFFFFFFFFFFFF",
	} {
		_, err := dateTime(t, bad).Time(time.UTC)
		require.Error(t, err, bad)
	}
	for _, year := range []int{-1, 10000} {
		_, err := ep.DateTimeOf(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		require.ErrorContains(t, err, "does not fit")
	}
}

func TestAmounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2), rapid.Int64Range(0xFFFFFFFE, 0x100000001)).Draw(t, "minor")
		var raw [4]byte
		err := ep.PutAmount(raw[:], money.Minor(n))
		if n < 0 || n > 0xFFFFFFFF {
			require.ErrorContains(t, err, "does not fit four bytes")
			require.Zero(t, raw)
			return
		}
		require.NoError(t, err)
		require.Equal(t, money.Minor(n), ep.GetAmount(raw[:]))
		require.Equal(t, money.Minor(n&0x7FFFFFFF), ep.GetBalance(raw[:]), "cards in the field set the top bit")
	})
	require.Equal(t, money.Minor(0x164E), ep.GetBalance(unhex(t, "8000164E")))
	require.Equal(t, money.Minor(0xFFFFFFFF), ep.MaxAmount())
}

func TestTheCardsBalanceIsMasked(t *testing.T) {
	balance, err := purse(t.Context(), &answers{t: t, give: []string{"8000164E 9000"}}).Balance(t.Context())
	require.NoError(t, err)
	require.Equal(t, money.Minor(0x164E), balance)
	init, err := purse(t.Context(), &answers{t: t, give: []string{"8000164E 0010 FFFFFF 02 01 01020304 9000"}}).InitPurchase(t.Context(), ep.TypePurchase, 1, one, term)
	require.NoError(t, err)
	require.Equal(t, ep.PurchaseInit{Balance: money.Minor(0x164E), Counter: 0x10, Overdraft: 0xFFFFFF, Version: 2, Algorithm: 1, Random: [4]byte{1, 2, 3, 4}}, init)
}

// TestTerminalNumbersInEightBytes: 0000 stands before it, and after it in some code (conflict C6).
func TestTerminalNumbersInEightBytes(t *testing.T) {
	number := ep.TerminalNumber{0x30, 0x00, 0x89, 0x00, 0x03, 0x40}
	require.Equal(t, [8]byte(unhex(t, "0000300089000340")), ep.Terminal8(number))
	require.Equal(t, number, ep.TerminalOf8([8]byte(unhex(t, "0000300089000340"))))
	require.Equal(t, number, ep.TerminalOf8([8]byte(unhex(t, "3000890003400000"))))
	rapid.Check(t, func(t *rapid.T) {
		n := ep.TerminalNumber(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "number"))
		require.Equal(t, n, ep.TerminalOf8(ep.Terminal8(n)))
	})
	require.Equal(t, "300089000340", number.String())
	require.Equal(t, "FAC44D37", ep.MAC{0xFA, 0xC4, 0x4D, 0x37}.String())
}

func TestFactors(t *testing.T) {
	p := public82(t)
	require.Equal(t, "0203040506070809", fmt.Sprintf("%X", p.Serial()))
	require.Equal(t, [][8]byte{p.Serial()}, p.Factors(1))
	require.Equal(t, [][8]byte{p.Issuer, p.Serial()}, p.Factors(2), "issuer first")
}

// TestNoCardNumberInAPrintedFile: the file as a whole is what gets into a log line.
func TestNoCardNumberInAPrintedFile(t *testing.T) {
	p := public82(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		out := fmt.Sprintf(verb, p)
		require.Contains(t, out, "****0809", verb)
		require.NotContains(t, out, "0102030405", verb)
		require.NotContains(t, out, "2 3 4 5 6", verb)
	}
}

func TestFilesOfTheWrongLength(t *testing.T) {
	parsers := []struct {
		name   string
		size   int
		longer bool // accepted: cards with more in the file exist
		parse  func([]byte) error
	}{
		{"EF 15", 30, true, func(b []byte) error { _, err := ep.ParsePublic(b); return err }},
		{"EF 17", 60, true, func(b []byte) error { _, err := ep.ParseManagement(b); return err }},
		{"EF 18", 23, false, func(b []byte) error { _, err := ep.ParseLogRecord(b); return err }},
		{"EF 1A", 128, false, func(b []byte) error { _, err := ep.ParseMetroTrip(b); return err }},
		{"EF 1E", 48, false, func(b []byte) error { _, err := ep.ParseTripHistory(b); return err }},
	}
	for _, p := range parsers {
		for _, n := range []int{0, 1, p.size - 1, p.size, p.size + 1, 256} {
			err := p.parse(make([]byte, n))
			if n == p.size || n > p.size && p.longer {
				require.NoError(t, err, "%s of %d bytes", p.name, n)
				continue
			}
			require.ErrorIs(t, err, ep.ErrMalformed, "%s of %d bytes", p.name, n)
			require.ErrorContains(t, err, p.name)
			require.ErrorContains(t, err, fmt.Sprintf("want %d", p.size))
		}
	}
}

func TestRecordsNeverWritten(t *testing.T) {
	l, err := ep.ParseLogRecord(make([]byte, 23))
	require.NoError(t, err)
	require.True(t, l.Empty())
	h, err := ep.ParseTripHistory(make([]byte, 48))
	require.NoError(t, err)
	require.True(t, h.Empty())
	m, err := ep.ParseMetroTrip(make([]byte, 128))
	require.NoError(t, err)
	require.Zero(t, m)
	require.False(t, m.Open())
}

// TestOnlyTheMetroRecordIsRead: the bytes of another record mean other things, and a fare would be computed from them.
func TestOnlyTheMetroRecordIsRead(t *testing.T) {
	entered := strings.Repeat("00", 10) + "01" + strings.Repeat("00", 113)
	cases := []struct {
		name, head string
		open, ok   bool
	}{
		{"metro", "27017D01", true, true},
		{"not valid", "27017D00", false, true},
		{"bus", "27027D01", false, false},
		{"another length", "27017E01", false, false},
		{"another flag", "27017D02", false, false},
		{"no identifier", "00007D01", false, false},
	}
	for _, c := range cases {
		m, err := ep.ParseMetroTrip(unhex(t, c.head+entered))
		if !c.ok {
			require.ErrorIs(t, err, ep.ErrMalformed, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.open, m.Open(), c.name)
	}
	for state, open := range map[byte]bool{ep.TripInitial: false, ep.TripEntered: true, ep.TripLeft: false, ep.TripEntryCorrected: true, ep.TripExitCorrected: false, 9: false} {
		require.Equal(t, open, ep.MetroTrip{State: state}.Open(), state)
	}
}
