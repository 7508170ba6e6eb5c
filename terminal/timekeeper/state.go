package timekeeper

import (
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// Settings are the limits of a keeper. Zero fields get the defaults.
type Settings struct {
	// DriftPPM is by how much the machine's stopwatch, and its RTC while it is off, may go wrong, in millionths. Default 100: 8.6 s a day.
	DriftPPM int
	// Good is the largest bound of a good clock. Default 2 s.
	Good time.Duration
	// Holdover is the largest bound of one in holdover; above it the clock is bad. Default 10 min.
	Holdover time.Duration
	// Step is the largest correction that one source alone is believed. Default 1 min.
	Step time.Duration
	// Backend is how wrong the backend's own clock may be. Default 500 ms.
	Backend time.Duration
	// Unkept is how wrong the machine's clock may be while no time service keeps it, by the operator's word. Zero: nobody knows, and
	// it is not believed.
	Unkept time.Duration
}

func (s Settings) filled() Settings {
	if s.DriftPPM == 0 {
		s.DriftPPM = 100
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&s.Good, 2 * time.Second}, {&s.Holdover, 10 * time.Minute}, {&s.Step, time.Minute}, {&s.Backend, 500 * time.Millisecond}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return s
}

// stateOf is how good a clock is.
//
//	told | sources contradict | bound           | state
//	no   |                    |                 | bad: nobody has told the time
//	yes  |                    | above Holdover  | bad
//	yes  | yes                | up to Holdover  | holdover
//	yes  | no                 | above Good      | holdover
//	yes  | no                 | up to Good      | good
func (s Settings) stateOf(told, contradicted bool, bound time.Duration) wire.ClockState {
	switch {
	case !told || bound > s.Holdover:
		return wire.ClockState_CLOCK_BAD
	case contradicted || bound > s.Good:
		return wire.ClockState_CLOCK_HOLDOVER
	}
	return wire.ClockState_CLOCK_GOOD
}
