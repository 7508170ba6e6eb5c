//go:build linux

package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFigures(t *testing.T) {
	require.Zero(t, percentile(nil, 50))
	require.Equal(t, time.Duration(2), percentile([]time.Duration{3, 1, 2}, 50))
	require.Equal(t, time.Duration(3), percentile([]time.Duration{3, 1, 2}, 99))
	require.Equal(t, "BENCH pn532 ratio=1.250 own=1.000ms floor=0.800ms", line("pn532", time.Millisecond, 800*time.Microsecond))
	require.Equal(t, "BENCH pn532 ratio=0.000 own=1.000ms floor=0.000ms", line("pn532", time.Millisecond, 0))
}

func TestAShortRun(t *testing.T) {
	m, err := measure(t.Context(), 60)
	require.NoError(t, err)
	require.Len(t, m.own, 60)
	require.Len(t, m.bare, 60)
	require.Len(t, m.slept, 2)
	for _, d := range m.slept {
		require.GreaterOrEqual(t, d, firstSleep+secondSleep)
	}
	var out bytes.Buffer
	require.NoError(t, bench(t.Context(), &out, 1, time.Hour))
	require.Regexp(t, `BENCH pn532 ratio=\d+\.\d{3} own=\d+\.\d{3}ms floor=\d+\.\d{3}ms\n$`, out.String())
	require.ErrorContains(t, bench(t.Context(), &out, 1, -time.Hour), "want at most")
}
