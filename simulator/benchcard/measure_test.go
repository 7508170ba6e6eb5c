package main

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

func TestALine(t *testing.T) {
	r := result{"card-software", 1500 * time.Nanosecond, time.Microsecond}
	require.Equal(t, "BENCH card-software ratio=1.500 own=1.500us floor=1.000us", r.String())
	require.Zero(t, result{"x", 1, 0}.ratio())
	require.InDelta(t, 1e6, perSecond(time.Microsecond), 1)
	require.Zero(t, perSecond(0))
	require.Equal(t, time.Duration(2), middle([]time.Duration{3, 1, 2}))
	require.Zero(t, middle(nil))
}

func TestOwnAndFloorTakeTurns(t *testing.T) {
	var order string
	_, err := inTurns("x", 0, 1, func() error { order += "o"; return nil }, func() error { order += "f"; return nil })
	require.NoError(t, err)
	require.Equal(t, "ofofofofofof", order)
	_, err = inTurns("x", 0, 1, func() error { return nil }, func() error { return errWrong })
	require.ErrorIs(t, err, errWrong)
}

// TestTheFloorDoesTheSameWork: the bare loops check every TAC, so a floor that did less would not pass.
func TestTheFloorDoesTheSameWork(t *testing.T) {
	for name, f := range map[string]func(time.Duration) (result, error){"software": measureSoftware, "cached": measureCached, "SM4": measureSM4} {
		r, err := f(0)
		require.NoError(t, err, name)
		require.Positive(t, r.own, name)
		require.Positive(t, r.floor, name)
	}
	for name, f := range map[string]func(time.Duration) ([]result, error){"cryptograms": measureCryptograms, "transaction MACs": measureCommits} {
		all, err := f(0)
		require.NoError(t, err, name)
		require.Len(t, all, 2, name)
		for _, r := range all {
			require.Positive(t, r.own, r.name)
			require.Positive(t, r.floor, r.name)
		}
	}
	cryptograms, err := makeCryptograms(1)
	require.NoError(t, err)
	cryptograms[0].ac[0] ^= 1
	require.ErrorIs(t, verifyCryptograms(keys.NewSoft(masters()), cryptograms)(), errWrong)
	require.ErrorIs(t, freshCryptograms(cryptograms), errWrong)
	commits, err := makeCommits(1)
	require.NoError(t, err)
	commits[0].evidence.TMV[0] ^= 1
	recheck, err := recheckAll(keys.NewSoft(masters()), commits)
	require.NoError(t, err)
	require.ErrorIs(t, recheck(), keys.ErrBadMAC)
	require.ErrorIs(t, freshCommits(commits), errWrong)
	all, err := makeTaps(1)
	require.NoError(t, err)
	all[0].tac[0] ^= 1
	require.True(t, errors.Is(verifyAll(keys.NewSoft(masters()), all)(), errWrong))
}
