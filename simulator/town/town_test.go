package town

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "replay this one town, with every event printed")
	seedsFlag = flag.Int("seeds", 100, "how many towns to live through")
	tapsFlag  = flag.Int("taps", 500, "presentations each town begins with")
)

// TestTown lives through many towns, each of its own seed, or through the one that -seed names.
func TestTown(t *testing.T) {
	if *seedFlag != 0 {
		out, err := Run(t.Context(), Config{Seed: *seedFlag, Taps: *tapsFlag, Dir: t.TempDir(), Log: os.Stdout})
		require.NoError(t, err)
		t.Logf("%+v", out)
		return
	}
	for seed := range uint64(*seedsFlag) {
		t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
			t.Parallel()
			out, err := Run(t.Context(), Config{Seed: seed + 1, Taps: *tapsFlag, Dir: t.TempDir()})
			require.NoError(t, err)
			t.Logf("%+v", out)
		})
	}
}

// TestTownOfOneSeedIsOneTown runs one seed twice: every event is the same.
func TestTownOfOneSeedIsOneTown(t *testing.T) {
	t.Parallel()
	first, err := Run(t.Context(), Config{Seed: 4711, Taps: 200, Dir: t.TempDir()})
	require.NoError(t, err)
	second, err := Run(t.Context(), Config{Seed: 4711, Taps: 200, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, first, second)
	other, err := Run(t.Context(), Config{Seed: 4712, Taps: 200, Dir: t.TempDir()})
	require.NoError(t, err)
	require.NotEqual(t, first.Digest, other.Digest)
}
