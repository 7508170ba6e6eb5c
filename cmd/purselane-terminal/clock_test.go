package main

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/timekeeper"
	"github.com/purselane/purselane/uplink/wire"
)

var _ timekeeper.System = machine{}

// TestTheMachine asks the real one: whatever it has, it does not contradict itself.
func TestTheMachine(t *testing.T) {
	m := newMachine()
	first := m.Elapsed()
	require.Positive(t, m.Elapsed())
	require.GreaterOrEqual(t, m.Elapsed(), first)
	if at, bound, kept := m.Kept(); kept {
		require.LessOrEqual(t, m.Wall().Sub(at).Abs(), time.Second, "both are the machine's clock")
		require.Positive(t, bound)
	}
	require.Equal(t, m.Boot(), newMachine().Boot())
	if runtime.GOOS == "linux" {
		require.NotEmpty(t, m.Boot())
	}
	require.GreaterOrEqual(t, m.RTC(), int64(0))
}

// TestATerminalRunsOnItsKeeper that goes on where it was when it is started again.
func TestATerminalRunsOnItsKeeper(t *testing.T) {
	c := &config{dir: t.TempDir(), Journal: journalConfig{Path: "journal"}, Clock: clockConfig{UnkeptError: time.Minute}}
	var cfg edge.Config
	stop := c.openClock(t.Context(), &cfg)
	state, bound := cfg.ClockState()
	require.NotEqual(t, wire.ClockState_CLOCK_BAD, state, "the operator's word counts where there is no time service")
	require.LessOrEqual(t, bound, time.Minute+time.Second)
	require.LessOrEqual(t, time.Since(cfg.Clock.Now()).Abs(), bound)
	stop()
	require.FileExists(t, filepath.Join(c.dir, "journal.clock"))

	c.Clock.UnkeptError = 0
	now := c.clockNow()
	require.NotEqual(t, wire.ClockState_CLOCK_BAD, now.State, "%v", now)
	require.Contains(t, now.String(), "clock: ")
}

func TestWhatIsWrongWithAClock(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 11 * time.Minute} {
		var f faults
		clockConfig{UnkeptError: d}.check(&f)
		require.Len(t, f, 1)
		require.ErrorContains(t, f[0], "clock.unkept_error")
	}
	var f faults
	clockConfig{UnkeptError: 10 * time.Minute}.check(&f)
	require.Empty(t, f)
}
