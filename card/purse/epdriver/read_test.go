package epdriver

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/bcd"
)

// TestADateSortsAsItsBytes: whatever a card has for a date, it is before or after a day of the calendar as its bytes are.
func TestADateSortsAsItsBytes(t *testing.T) {
	require.Equal(t, 20261125, date([4]byte{0x20, 0x26, 0x11, 0x25}))
	require.Equal(t, 0, date([4]byte{}))
	require.Equal(t, 99999999, date([4]byte{0xFF, 0xFF, 0xFF, 0xFF}))
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.IntRange(1, 31).Draw(t, "day") + 100*rapid.IntRange(1, 12).Draw(t, "month") + 10000*rapid.IntRange(1, 9998).Draw(t, "year")
		today := make([]byte, 4)
		require.NoError(t, bcd.Put(today, uint64(day)))
		raw := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "date"))
		if rapid.Bool().Draw(t, "alike") {
			copy(raw[:rapid.IntRange(1, 4).Draw(t, "so far")], today)
		}
		require.Equal(t, bytes.Compare(raw[:], today), cmp.Compare(date(raw), day), "%X and %X", raw, today)
	})
}
