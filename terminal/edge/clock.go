package edge

import (
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

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
