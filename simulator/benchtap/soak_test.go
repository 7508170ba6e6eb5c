package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestASoakHoldsNoMoreThanAtItsBegin does some thousand taps, with new files, receipts and pruning. What a terminal holds after 1,000 of them it may hold after all,
// and no more: goroutines and open files to the last one, and memory within what one look differs from the next, which is far less than a leak of a kilobyte a tap.
func TestASoakHoldsNoMoreThanAtItsBegin(t *testing.T) {
	const taps = 6000
	var out bytes.Buffer
	all, err := soak(t.Context(), &out, soakOptions{dir: t.TempDir(), taps: taps})
	require.NoError(t, err)
	require.Len(t, all, 2, out.String())
	first, last := all[0], all[1]
	require.Equal(t, []int{1000, taps}, []int{first.taps, last.taps})
	require.LessOrEqual(t, last.goroutines, first.goroutines+2, "timers and the like come and go: %s", out.String())
	require.LessOrEqual(t, last.files, first.files+1, "of a sealed file that is read: %s", out.String())
	require.Less(t, last.heap-first.heap, int64(taps-1000)<<9, "half a kilobyte a tap: %s", out.String())
	require.Less(t, last.fileBytes, int64(8<<20), "what has receipts goes")
	require.LessOrEqual(t, last.journals, 6)
	for _, h := range all { // two commits a tap of a few pages each, and no more than that
		require.Greater(t, h.wrote.calls, int64(1000<<14), out.String())
		require.Less(t, h.wrote.calls, int64(taps)<<16, out.String())
	}
	require.Contains(t, out.String(), "6000 taps on two readers")
}

func TestTheMemoryOfAProcess(t *testing.T) {
	mine, err := rss("/proc/self/status")
	require.NoError(t, err)
	require.Greater(t, mine, int64(1<<20))
	path := filepath.Join(t.TempDir(), "status")
	require.NoError(t, os.WriteFile(path, []byte("Name:\tx\nVmRSS:\t   12 kB\n"), 0o600))
	mine, err = rss(path)
	require.NoError(t, err)
	require.Equal(t, int64(12<<10), mine)
	require.NoError(t, os.WriteFile(path, []byte("Name:\tx\n"), 0o600))
	_, err = rss(path)
	require.ErrorContains(t, err, "no VmRSS")
}
