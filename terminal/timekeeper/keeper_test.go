package timekeeper_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/timekeeper"
	"github.com/purselane/purselane/uplink/wire"
)

var (
	_ clock.Clock       = (*timekeeper.Keeper)(nil)
	_ edge.Timekeeper   = (*timekeeper.Keeper)(nil)
	_ timekeeper.System = (*machine)(nil)
)

const (
	good     = wire.ClockState_CLOCK_GOOD
	holdover = wire.ClockState_CLOCK_HOLDOVER
	bad      = wire.ClockState_CLOCK_BAD
)

// machine is a machine whose true time is the test bubble's clock.
type machine struct {
	mu    sync.Mutex
	start time.Time     // of this boot
	off   time.Duration // of its clock
	kept  bool
	bound time.Duration
	rtc   time.Duration // off the truth; -1: there is none
	boot  string
}

func newMachine() *machine { return &machine{start: time.Now(), rtc: -1, boot: "first"} }

func (m *machine) Elapsed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.start)
}
func (m *machine) Wall() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return time.Now().Add(m.off) }
func (m *machine) Boot() string    { m.mu.Lock(); defer m.mu.Unlock(); return m.boot }

func (m *machine) Kept() (time.Time, time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.off), m.bound, m.kept
}

func (m *machine) RTC() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rtc == -1 {
		return 0
	}
	return time.Now().Add(m.rtc).Unix()
}

// set changes it while it runs.
func (m *machine) set(change func(m *machine)) { m.mu.Lock(); change(m); m.mu.Unlock() }

// bubble is a test in a time of its own, of these days: it would begin in 2000.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * 365 * 24 * time.Hour)
		f(t)
	})
}

// truth checks a keeper against the true time, and that it is in that state.
func truth(t *testing.T, k *timekeeper.Keeper, want wire.ClockState) {
	t.Helper()
	g := k.Time()
	require.Equal(t, want, g.State, g)
	require.LessOrEqual(t, g.At.Sub(time.Now()).Abs(), g.Bound, g)
}

// run runs a keeper until stop is called.
func run(t *testing.T, k *timekeeper.Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { k.Run(ctx) })
	return func() { cancel(); all.Wait() }
}

// TestADay is a keeper whose time service comes, goes, and comes back, while somebody sets the machine's clock.
func TestADay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine()
		var said bytes.Buffer
		k := timekeeper.New(timekeeper.Config{System: m, Log: slog.New(slog.NewTextHandler(&said, nil))})
		require.Equal(t, bad, k.Time().State)
		require.Equal(t, timekeeper.MaxBound, k.Time().Bound, "it may be anything")
		require.Equal(t, time.Now(), k.Now(), "it is the machine's")
		defer run(t, k)()

		m.set(func(m *machine) { m.kept, m.bound = true, 100*time.Millisecond })
		time.Sleep(20 * time.Second)
		truth(t, k, good)
		before := k.Now()
		m.set(func(m *machine) { m.kept, m.off = false, -time.Hour })
		time.Sleep(20 * time.Second)
		truth(t, k, good)
		require.Equal(t, 20*time.Second, k.Now().Sub(before), "a clock that is set back is not followed")
		time.Sleep(12 * time.Hour)
		truth(t, k, holdover)
		m.set(func(m *machine) { m.kept, m.off = true, 0 })
		time.Sleep(20 * time.Second)
		truth(t, k, good)

		m.set(func(m *machine) { m.off = 3 * time.Hour })
		time.Sleep(20 * time.Second)
		truth(t, k, bad)
		require.Contains(t, k.Time().String(), "time service: it is 3h0m0s off")
		k.ServerTime(time.Now().Add(-400*time.Millisecond), k.Elapsed()-time.Second, k.Elapsed())
		require.Equal(t, timekeeper.Backend, k.Time().By)
		m.set(func(m *machine) { m.off = 0 })
		time.Sleep(20 * time.Second)
		truth(t, k, good)
		require.Contains(t, said.String(), "clock: good, by the time service")
		require.Contains(t, said.String(), "clock: bad, by the")
	})
}

// TestTheBackendAlone is a machine that nobody keeps: receipts tell the time, as exactly as their round trip.
func TestTheBackendAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine()
		m.off = -3000 * time.Hour
		k := timekeeper.New(timekeeper.Config{System: m})
		require.Equal(t, bad, k.Time().State)
		sent := k.Elapsed()
		time.Sleep(100 * time.Millisecond)
		at := time.Now()
		time.Sleep(1900 * time.Millisecond) // all of it on the way back
		k.ServerTime(at.Truncate(time.Millisecond), sent, k.Elapsed())
		truth(t, k, good)
		require.InDelta(t, 1500, k.Time().Bound.Milliseconds(), 5, "half the round trip, and the backend's own error")
		time.Sleep(5 * time.Second)
		sent = k.Elapsed()
		at = time.Now()
		time.Sleep(9 * time.Second)
		k.ServerTime(at, sent, k.Elapsed())
		truth(t, k, good)
		k.ServerTime(time.Unix(0, 0), sent, sent-1)
		truth(t, k, good)
		require.Empty(t, k.Time().Suspects, "a stopwatch of another life is no word")
	})
}

// TestAMachineThatWasOff goes on by its RTC, whatever that shows.
func TestAMachineThatWasOff(t *testing.T) {
	const zone = 8 * time.Hour // an RTC in local time
	for _, c := range []struct {
		name   string
		reboot bool
		change func(m *machine)
		by     timekeeper.Source
	}{
		{"the RTC has counted on", true, func(*machine) {}, timekeeper.LastKnown},
		{"there is no RTC", true, func(m *machine) { m.rtc = -1 }, timekeeper.Nobody},
		{"its battery is empty", true, func(m *machine) { m.rtc, m.off = -5000*time.Hour, -5000*time.Hour }, timekeeper.Nobody},
		{"somebody has set the machine's clock", true, func(m *machine) { m.off = time.Hour }, timekeeper.Nobody},
		{"the same boot", false, func(m *machine) { m.rtc, m.off = -1, time.Hour }, timekeeper.LastKnown},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMachine()
				m.rtc, m.kept, m.bound = zone, true, 100*time.Millisecond
				cfg := timekeeper.Config{System: m, File: filepath.Join(t.TempDir(), "clock")}
				k := timekeeper.New(cfg)
				stop := run(t, k)
				time.Sleep(15 * time.Minute)
				stop()
				last := k.Now()

				time.Sleep(9 * time.Hour)
				m.kept = false
				if c.reboot {
					m.boot, m.start = "second", time.Now()
				}
				c.change(m)
				k = timekeeper.New(cfg)
				require.Equal(t, c.by, k.Time().By, k.Time())
				if c.by == timekeeper.LastKnown {
					truth(t, k, holdover)
				} else {
					require.Equal(t, bad, k.Time().State)
				}
				require.False(t, k.Now().Before(last), "it goes back across a restart")
			})
		})
	}
}

// TestABadClockIsNotSaved: what was known before is worth more.
func TestABadClockIsNotSaved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "clock")
		stop := run(t, timekeeper.New(timekeeper.Config{System: newMachine(), File: file}))
		time.Sleep(time.Hour)
		stop()
		_, err := os.Stat(file)
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

// TestADamagedFileIsAsGoodAsNone, and so is a place where none can be written: the log says so.
func TestADamagedFileIsAsGoodAsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "clock")
		require.NoError(t, os.WriteFile(file, []byte(`{"version":1,"at_ms":-5}`), 0o600))
		var said bytes.Buffer
		m := newMachine()
		m.kept = true
		k := timekeeper.New(timekeeper.Config{System: m, File: file, Log: slog.New(slog.NewTextHandler(&said, nil))})
		require.Equal(t, good, k.Time().State)
		require.Contains(t, said.String(), "what was known before is lost")

		said.Reset()
		k = timekeeper.New(timekeeper.Config{System: m, File: filepath.Join(t.TempDir(), "no", "clock"), Log: slog.New(slog.NewTextHandler(&said, nil))})
		stop := run(t, k)
		time.Sleep(time.Second)
		stop()
		require.Contains(t, said.String(), "cannot be saved")
	})
}

// TestTheNewestRecordHoldsTheClock: a journal of yesterday, and a clock of last year.
func TestTheNewestRecordHoldsTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine()
		k := timekeeper.New(timekeeper.Config{System: m, Settings: timekeeper.Settings{Unkept: 5 * time.Second}})
		state, bound := k.State()
		require.Equal(t, holdover, state)
		require.Equal(t, 5*time.Second, bound.Round(time.Millisecond))
		newest := time.Now().Add(24 * time.Hour)
		k.NotBefore(newest)
		require.Equal(t, newest.UnixNano(), k.Now().UnixNano())
		state, _ = k.State()
		require.Equal(t, bad, state)
		require.Contains(t, k.Time().String(), "24h0m0s ahead")
	})
}
