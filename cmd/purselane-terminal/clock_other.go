//go:build !linux

package main

import (
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// clockState cannot ask this system whether anything keeps its clock.
func clockState() (wire.ClockState, time.Duration) {
	return wire.ClockState_CLOCK_HOLDOVER, 2 * time.Second
}
