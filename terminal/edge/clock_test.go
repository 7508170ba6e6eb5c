package edge_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// watchedClock is a timekeeper that writes down what it is told.
type watchedClock struct {
	*clock.Manual
	elapsed time.Duration
	newest  time.Time
	server  []time.Time
	trips   []time.Duration
}

func (c *watchedClock) State() (wire.ClockState, time.Duration) {
	return wire.ClockState_CLOCK_GOOD, 30 * time.Millisecond
}
func (c *watchedClock) Elapsed() time.Duration { return c.elapsed }
func (c *watchedClock) NotBefore(t time.Time)  { c.newest = t }
func (c *watchedClock) ServerTime(at time.Time, sent, heard time.Duration) {
	c.server, c.trips = append(c.server, at), append(c.trips, heard-sent)
}

// TestATimekeeperIsToldWhatTheTerminalLearns of the time: the newest record when it starts, and the backend's time by receipts.
func TestATimekeeperIsToldWhatTheTerminalLearns(t *testing.T) {
	public, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	heard, backend, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	keeper := &watchedClock{Manual: clock.NewManual(noon), elapsed: time.Hour}
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.Time = keeper
		cfg.DeviceKey, cfg.BackendKey = device, heard
	})
	require.Zero(t, keeper.newest, "there is no record")
	keeper.elapsed += 5 * time.Second
	keeper.Advance(time.Hour) // a clock that was corrected
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	r := w.records()[0]
	require.Equal(t, wire.ClockState_CLOCK_GOOD, r.GetClockState())
	require.EqualValues(t, 30, r.GetClockErrorMs())
	require.Equal(t, (5 * time.Second).Nanoseconds(), r.GetMonotonicNs(), "by the stopwatch, whatever was done to the clock")

	w.Sender().OnConnect(noon)
	out, _, err := w.Sender().Due(noon)
	require.NoError(t, err)
	require.Len(t, out, 1)
	hello, err := wire.OpenHello(public, out[0].Raw)
	require.NoError(t, err)
	keeper.elapsed += 2 * time.Second
	raw, err := wire.SealReceipt(backend, &wire.Receipt{Terminal: "bus-1", Epoch: hello.GetEpoch(), HelloNonce: hello.GetNonce(), ServerTimeMs: noon.UnixMilli()})
	require.NoError(t, err)
	require.NoError(t, w.Sender().OnReceipt(noon, raw))
	require.Len(t, keeper.server, 1)
	require.True(t, keeper.server[0].Equal(noon))
	require.Equal(t, []time.Duration{2 * time.Second}, keeper.trips)

	w.kill()
	require.True(t, keeper.newest.Equal(noon.Add(time.Hour)), "the newest record: %v", keeper.newest)
}
