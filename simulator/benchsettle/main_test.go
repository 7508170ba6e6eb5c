package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// What is measured closes: every tap is in the day, the books prove it, and each acquirer gets its files.
func TestTheMeasuredDayIsWhole(t *testing.T) {
	const taps = 700
	ctx, dir := t.Context(), t.TempDir()
	s, err := store.Open(ctx, filepath.Join(dir, "scheme.db"), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, fill(ctx, s, taps))
	require.NoError(t, closeDay(ctx, s, dir))
	require.NoError(t, sign(ctx, s, dir))
	out, err := settlement.Load(ctx, s, clearing)
	require.NoError(t, err)
	require.Equal(t, settlement.Tally{Count: taps, Amount: money.Minor(taps * fare)}, out.Report.Totals.Accepted)
	require.Len(t, out.Report.Acquirers, len(acquirers))
	require.False(t, out.Report.Totals.MerchantFees.IsZero())
	for _, f := range out.Files() {
		body, err := os.ReadFile(filepath.Join(dir, f.Name))
		require.NoError(t, err)
		require.Equal(t, string(f.Body), string(body), f.Name)
	}
	signed, err := filepath.Glob(filepath.Join(dir, "*.sig"))
	require.NoError(t, err)
	require.Len(t, signed, 9)
	require.NoError(t, s.View(ctx, func(tx *store.Tx) error {
		faults, err := tx.VerifyBooks(ctx)
		require.Empty(t, faults)
		return err
	}))
}

func TestTheGreatestMemoryOfAProcess(t *testing.T) {
	n, err := peakIn("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  512 kB\nVmRSS:\t  400 kB\n")
	require.NoError(t, err)
	require.EqualValues(t, 512<<10, n)
	_, err = peakIn("Name:\tx\n")
	require.ErrorContains(t, err, "VmHWM")
	if _, err := os.Stat("/proc/self/status"); err == nil {
		n, err = peakRSS()
		require.NoError(t, err)
		require.Greater(t, n, int64(1<<20))
	}
}

func TestWhatIsNotMeasured(t *testing.T) {
	require.ErrorContains(t, bench(t.Context(), 3), "want 4 or more")
	require.ErrorContains(t, run(t.Context(), "dance", t.TempDir(), 4), "want fill, close or sign")
}
