package edge

import (
	"time"

	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/uplink/client"
	"github.com/purselane/purselane/uplink/wire"
)

// Timekeeper is a clock that watches itself; terminal/timekeeper has one.
type Timekeeper interface {
	clock.Clock
	// State is how good the clock is, and the bound of its error.
	State() (wire.ClockState, time.Duration)
	// Elapsed is a stopwatch that nobody can set.
	Elapsed() time.Duration
	// NotBefore is told the time of the newest record when the journal is opened.
	NotBefore(newest time.Time)
	// ServerTime is told the backend's time, read at some moment between two of Elapsed.
	ServerTime(at time.Time, sent, heard time.Duration)
}

// teach has a timekeeper told what the terminal learns of the time, and reads its stopwatch.
func teach(k Timekeeper, newest time.Time, sender *client.SenderConfig) time.Duration {
	if k == nil {
		return 0
	}
	k.NotBefore(newest)
	sender.Elapsed = k.Elapsed
	sender.ServerTime = func(t client.ServerTime) { k.ServerTime(t.At, t.Sent, t.Heard) }
	return k.Elapsed()
}

// sinceBoot is the time since Open by a stopwatch, where there is one.
func (t *Terminal) sinceBoot(now time.Time) time.Duration {
	if t.cfg.Time != nil {
		return t.cfg.Time.Elapsed() - t.opened
	}
	return now.Sub(t.booted)
}

// unwatchedClock is the state of a clock that nobody watches.
func unwatchedClock() (wire.ClockState, time.Duration) {
	return wire.ClockState_CLOCK_HOLDOVER, 2 * time.Second
}

// oldestNow is before any terminal ran this program. A clock that shows less has lost its battery.
var oldestNow = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// backStep is how far a clock may be set back by those who keep it without being called bad.
const backStep = time.Minute

// judgeClock is the clock's state, given what is said of it and the time of the newest record it was trusted for.
func judgeClock(now, newest time.Time, said wire.ClockState) wire.ClockState {
	if now.Before(oldestNow) || now.Before(newest.Add(-backStep)) {
		return wire.ClockState_CLOCK_BAD
	}
	return said
}

// JudgeClock is the clock's state at now, given what is said of it.
func (t *Terminal) JudgeClock(now time.Time, said wire.ClockState) wire.ClockState {
	return judgeClock(now, t.newest(), said)
}
