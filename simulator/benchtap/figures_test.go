package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentiles(t *testing.T) {
	times := func(n int) []time.Duration {
		var out []time.Duration
		for i := n; i > 0; i-- { // not in order
			out = append(out, time.Duration(i))
		}
		return out
	}
	cases := []struct {
		n, p int
		want time.Duration
	}{
		{0, 50, 0}, {1, 50, 1}, {1, 99, 1}, {2, 50, 1}, {3, 50, 2}, {4, 50, 2}, {100, 50, 50}, {100, 99, 99}, {101, 99, 100}, {1000, 99, 990}, {10, 0, 1}, {10, 100, 10},
	}
	for _, c := range cases {
		in := times(c.n)
		require.Equal(t, c.want, percentile(in, c.p), "%+v", c)
		require.Equal(t, times(c.n), in, "the times are left as they are")
	}
	require.Equal(t, time.Duration(50), median(times(100)))
}

func TestALine(t *testing.T) {
	require.Equal(t, "BENCH tap ratio=1.250 own=1.000ms floor=0.800ms", line("tap", time.Millisecond, 800*time.Microsecond))
	require.Equal(t, "BENCH tap ratio=0.000 own=1.000ms floor=0.000ms", line("tap", time.Millisecond, 0), "nothing is nothing times a floor of nothing")
}

// TestTheOwnShareLeavesTheCardOut counts by a clock of its own: the card's and the SAM's time is not the terminal's, but a
// command that goes while the intent is written hides behind the disk and stays.
func TestTheOwnShareLeavesTheCardOut(t *testing.T) {
	now := time.Unix(0, 0)
	step := func(_ context.Context, command []byte) ([]byte, error) {
		now = now.Add(7 * time.Millisecond)
		return []byte{0x90, 0x00}, nil
	}
	away := &meter{now: func() time.Time { return now }}
	card := &timed{t: transmitFunc(step), meter: away, hidden: duringBegin}
	for _, command := range [][]byte{{0x00, 0xA4, 4, 0}, {0x80, 0x50, 3, 2}, {0x80, 0xDC, 0, 0xF0}, {0x80, 0x54, 1, 0}} {
		now = now.Add(time.Millisecond) // the terminal thinks
		_, err := card.Transmit(t.Context(), command)
		require.NoError(t, err)
	}
	spent, commands := away.take()
	require.Equal(t, 3*7*time.Millisecond, spent)
	require.Equal(t, 4, commands)
	spent, commands = away.take()
	require.Zero(t, spent)
	require.Zero(t, commands)
}

type transmitFunc func(context.Context, []byte) ([]byte, error)

func (f transmitFunc) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return f(ctx, command)
}

func TestAShortRun(t *testing.T) {
	s, err := newStand(t.TempDir())
	require.NoError(t, err)
	defer s.close()
	m, err := s.run(t.Context(), 5, time.Minute)
	require.NoError(t, err)
	require.Len(t, m.own, 5)
	require.Len(t, m.commits, 5)
	require.Len(t, m.fsyncs, 5)
	for i := range m.own {
		require.Positive(t, m.own[i])
		require.Positive(t, m.away[i])
		require.Positive(t, m.commits[i])
	}
	require.Equal(t, uint64(5+warmUp), s.journal.LastSeq(), "one record a ride")
	require.NoError(t, s.journal.Verify())
	require.Greater(t, s.recordSize, 200)
}
