package main

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/purselane/purselane/uplink/wire"
)

// clockState asks the kernel whether something keeps its clock, and how wrong it may be. A kernel that does not tell, or
// that nobody keeps, is in holdover.
func clockState() (wire.ClockState, time.Duration) {
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	bound := time.Duration(x.Maxerror) * time.Microsecond
	if err != nil || state == unix.TIME_ERROR {
		return wire.ClockState_CLOCK_HOLDOVER, max(bound, 2*time.Second)
	}
	return wire.ClockState_CLOCK_GOOD, bound
}
