package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatAProcessWrites(t *testing.T) {
	before, err := written()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(t.TempDir(), "file"), make([]byte, 1<<20), 0o600))
	after, err := written()
	require.NoError(t, err)
	require.GreaterOrEqual(t, after.since(before).calls, int64(1<<20))

	w, err := parseIO("rchar: 5\nwchar: 12\nread_bytes: 0\nwrite_bytes: 4096\ncancelled_write_bytes: 3\n")
	require.NoError(t, err)
	require.Equal(t, wrote{calls: 12, dirtied: 4096}, w)
	for _, text := range []string{"", "wchar: 12\n", "wchar: x\nwrite_bytes: 1\n"} {
		_, err := parseIO(text)
		require.ErrorContains(t, err, "/proc/self/io", text)
	}
	require.InDelta(t, 23.36, perYear(32_000, 2000), 0.001)
}
