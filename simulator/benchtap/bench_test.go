package main

import (
	"bytes"
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

// TestTheOwnShareLeavesTheCardOut counts by a clock of its own: the card's and the SAM's time is not the terminal's.
func TestTheOwnShareLeavesTheCardOut(t *testing.T) {
	now := time.Unix(0, 0)
	step := transmitFunc(func(context.Context, []byte) ([]byte, error) {
		now = now.Add(7 * time.Millisecond)
		return []byte{0x90, 0x00}, nil
	})
	away := &meter{now: func() time.Time { return now }}
	card := &timedCard{t: step, meter: away}
	for _, command := range [][]byte{{0x00, 0xA4, 4, 0}, {0x80, 0x50, 3, 2}, {0x80, 0xDC, 0, 0xF0}, {0x80, 0x54, 1, 0}} {
		now = now.Add(time.Millisecond) // the terminal thinks
		_, err := card.Transmit(t.Context(), command)
		require.NoError(t, err)
	}
	sam := timedSAM{step}
	_, err := sam.Transmit(context.WithValue(t.Context(), meterKey{}, away), nil)
	require.NoError(t, err)
	_, err = sam.Transmit(t.Context(), nil) // of nobody's ride
	require.NoError(t, err)
	spent, commands := away.read()
	require.Equal(t, 5*7*time.Millisecond, spent)
	require.Equal(t, 5, commands)
	away.start()
	spent, commands = away.read()
	require.Zero(t, spent)
	require.Zero(t, commands)
}

type transmitFunc func(context.Context, []byte) ([]byte, error)

func (f transmitFunc) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return f(ctx, command)
}

func TestAShortRun(t *testing.T) {
	for _, k := range kinds {
		m, err := measure(t.Context(), t.TempDir(), k.lanes, k.open, 5, time.Minute)
		if k.line == "tap-vpcd" {
			require.ErrorIs(t, err, errSkipped, "make bench-tap runs it in a namespace")
			continue
		}
		require.NoError(t, err, k.line)
		require.GreaterOrEqual(t, len(m.own), 5)
		for _, times := range [][]time.Duration{m.own, m.away, m.commits, m.fsyncs} {
			require.Len(t, times, len(m.own))
			for _, took := range times {
				require.Positive(t, took)
			}
		}
		require.Greater(t, m.recordSize, 200)
		require.Greater(t, m.commands, 8)
	}
}

func TestTheLinesAndTheBar(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, bench(t.Context(), &out, t.TempDir(), 1, time.Minute, 0.001), "want at most 0.00")
	for _, name := range []string{"tap", "tap-p99", "tap-fsync", "tap-one", "tap-pn532", "tap-pn532-p99"} {
		require.Regexp(t, `(?m)^BENCH `+name+` ratio=\d+\.\d{3} own=\d+\.\d{3}ms floor=\d+\.\d{3}ms$`, out.String())
	}
	require.Regexp(t, `(?m)^BENCH tap-vpcd skipped: needs a pcscd`, out.String())
}
