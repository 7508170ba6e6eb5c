package town

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"sync"
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
	var mu sync.Mutex
	var all Tally
	t.Run("seeds", func(t *testing.T) { // returns when the last of the parallel ones has
		for seed := range uint64(*seedsFlag) {
			t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
				t.Parallel()
				out, err := Run(t.Context(), Config{Seed: seed + 1, Taps: *tapsFlag, Dir: t.TempDir()})
				require.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				all.Add(out.Tally)
			})
		}
	})
	t.Logf("%d towns: %+v", *seedsFlag, all)
	if *seedsFlag >= 100 && *tapsFlag >= 500 {
		// A town in which a thing never happens proves nothing about it.
		counts := reflect.ValueOf(all)
		for i := range counts.NumField() {
			require.NotZero(t, counts.Field(i).Int(), "no %s in any town", counts.Type().Field(i).Name)
		}
	}
}

// TestOneSeedIsOneRun runs one seed twice: every event is the same.
func TestOneSeedIsOneRun(t *testing.T) {
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
