package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

func TestALine(t *testing.T) {
	r := result{"verify-bitsliced", []reading{{1, 3}, {500, 4000}, {1, 20}}}
	require.Equal(t, "BENCH verify-bitsliced ratio=8.000 own=0.500us floor=4.000us", r.String())
	require.Equal(t, "verify-bitsliced: 2000000 verifications a second and core; bare loop 250000; readings 3.00 8.00 20.00", r.says())
	require.Zero(t, result{}.ratio())
	require.Zero(t, perSecond(0))
	require.Equal(t, time.Duration(2), middle([]time.Duration{3, 1, 2}))
}

func TestOwnAndFloorTakeTurns(t *testing.T) {
	var order string
	l := line{"x", 1, func() error { order += "o"; return nil }, func() error { order += "f"; return nil }}
	r, err := l.measure(0)
	require.NoError(t, err)
	require.Len(t, r.readings, readings)
	require.Len(t, order, 2*turns*(readings+1))
	require.Equal(t, "ofofofofof", order[:2*turns])
	l.floor = func() error { return errWrong }
	_, err = l.measure(0)
	require.ErrorIs(t, err, errWrong)
}

// TestTheFloorDoesTheSameWork: own and floor check every TAC, so one that did less would not see that one is wrong.
func TestTheFloorDoesTheSameWork(t *testing.T) {
	for _, l := range lines() {
		r, err := l.measure(0)
		require.NoError(t, err, l.name)
		require.Positive(t, r.ratio(), l.name)
	}
	for _, algorithm := range []byte{0, 4} {
		jobs, err := makeJobs(9, algorithm)
		require.NoError(t, err)
		jobs[8].TAC[3] ^= 1
		require.Error(t, verify(keys.NewSoft(masters), jobs)())
		if algorithm == 0 {
			require.ErrorIs(t, straight(jobs)(), errWrong)
			require.ErrorIs(t, held(jobs)(), errWrong)
		} else {
			require.ErrorIs(t, straightSM4(jobs)(), errWrong)
		}
	}
}

func TestTheBar(t *testing.T) {
	require.ErrorContains(t, bench(0, 1e9), "want at least")
}
