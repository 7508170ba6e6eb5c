package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALine(t *testing.T) {
	r := result{"posting-bare", 1000, []time.Duration{50 * time.Millisecond, time.Hour, 40 * time.Millisecond}, []time.Duration{25 * time.Millisecond}}
	require.Equal(t, "BENCH posting-bare ratio=0.500 own=20000/s floor=40000/s", r.String())
	require.Equal(t, "posting-bare: 20000 records a second, floor 40000, 3 groups of 1000 each", r.says())
	require.Zero(t, result{}.ratio())
	require.Zero(t, result{}.perSecond(nil))
}

func TestOwnAndFloorTakeTurns(t *testing.T) {
	var order string
	turn := func(name string) func() (time.Duration, error) {
		return func() (time.Duration, error) { order += name; return 1, nil }
	}
	r, err := line{name: "x", records: 1, own: turn("o"), floor: turn("f")}.measure(0)
	require.NoError(t, err)
	require.Len(t, r.own, groups)
	require.Equal(t, "ofofof", order[:6])
	boom := errors.New("boom")
	_, err = line{own: turn("o"), floor: func() (time.Duration, error) { return 0, boom }}.measure(0)
	require.ErrorIs(t, err, boom)
}

// TestEachLineLeavesSoundBooks: what is measured posts what it says; the end of a line recomputes the books.
func TestEachLineLeavesSoundBooks(t *testing.T) {
	for _, make := range []func(context.Context, string, int) (line, error){bareLine, pipelineLine, acceptLine, duplicatesLine, hotLine, flagsLine} {
		l, err := make(t.Context(), t.TempDir(), 50)
		require.NoError(t, err)
		own, err := l.own()
		require.NoError(t, err, l.name)
		require.Positive(t, own)
		floor, err := l.floor()
		require.NoError(t, err, l.name)
		require.Positive(t, floor)
		require.NoError(t, endOf(l, nil), l.name)
	}
}

func TestRowsAreMeasuredAtEachSize(t *testing.T) {
	sizes, err := sizesOf("2000,5000")
	require.NoError(t, err)
	l, err := rowsLine(sizes)(t.Context(), t.TempDir(), 50)
	require.NoError(t, err)
	r, err := l.measure(0)
	require.NoError(t, err)
	require.Len(t, r.own, groups)
	require.Len(t, r.floors, groups)
	require.NotEqual(t, r.own, r.floors)
	require.NoError(t, endOf(l, nil))
	for _, wrong := range []string{"", "5", "5,5", "0,5", "a,5", "5,4", "5,"} {
		_, err := sizesOf(wrong)
		require.Error(t, err, wrong)
	}
}
