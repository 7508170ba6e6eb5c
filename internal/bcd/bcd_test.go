package bcd_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/bcd"
)

func TestPut(t *testing.T) {
	cases := []struct {
		n    uint64
		size int
		want string // hexadecimal; empty: it does not fit
	}{
		{0, 0, "-"}, {1, 0, ""}, {0, 3, "000000"}, {7, 1, "07"}, {99, 1, "99"}, {100, 1, ""},
		{20240115083000, 7, "20240115083000"}, {1, 4, "00000001"}, {999999999999999999, 9, "999999999999999999"},
		{math.MaxUint64, 10, "18446744073709551615"}, {math.MaxUint64, 9, ""},
	}
	for _, c := range cases {
		dst := make([]byte, c.size)
		err := bcd.Put(dst, c.n)
		if c.want == "" {
			require.ErrorContains(t, err, fmt.Sprintf("does not fit %d digits", 2*c.size))
			continue
		}
		require.NoError(t, err)
		if c.want != "-" {
			require.Equal(t, c.want, fmt.Sprintf("%X", dst))
		}
	}
}

func TestGetRefusesWhatIsNoDecimal(t *testing.T) {
	for _, raw := range [][]byte{{0x1A}, {0xA1}, {0x00, 0xFF}, {0x0F}} {
		_, err := bcd.Get(raw)
		require.ErrorContains(t, err, "not decimal digits", "%X", raw)
	}
	_, err := bcd.Get(make([]byte, 10))
	require.ErrorContains(t, err, "more than 18 digits")
	n, err := bcd.Get(nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestPutAndGetAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 9).Draw(t, "size")
		limit := uint64(1)
		for range 2 * size {
			limit *= 10
		}
		n := rapid.Uint64Max(limit-1).Draw(t, "n")
		raw := make([]byte, size)
		require.NoError(t, bcd.Put(raw, n))
		got, err := bcd.Get(raw)
		require.NoError(t, err)
		require.Equal(t, n, got)
		if size > 0 {
			require.Equal(t, fmt.Sprintf("%0*d", 2*size, n), fmt.Sprintf("%X", raw))
		}
	})
}

func FuzzGet(f *testing.F) {
	f.Add([]byte{0x20, 0x24})
	f.Add([]byte{0xFF})
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := bcd.Get(raw)
		if err != nil {
			return
		}
		again := make([]byte, len(raw))
		require.NoError(t, bcd.Put(again, n))
		require.Equal(t, len(raw), len(again))
		require.Equal(t, fmt.Sprintf("%X", raw), fmt.Sprintf("%X", again))
	})
}
