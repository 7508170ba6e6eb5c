package timekeeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// memory is what a keeper knows when the machine goes off: the file's content, version 1.
type memory struct {
	Version   int    `json:"version"`
	AtMS      int64  `json:"at_ms"`      // Unix milliseconds
	BoundMS   int64  `json:"bound_ms"`   //
	Boot      string `json:"boot"`       // the machine's name of that boot; empty: it has none
	ElapsedMS int64  `json:"elapsed_ms"` // of that boot's stopwatch
	RTC       int64  `json:"rtc"`        // what the RTC showed, Unix seconds; 0: there is none
	GivenMS   int64  `json:"given_ms"`   // the last time given: nothing older is given any more
}

// errMemory says that a file is not what a keeper writes.
var errMemory = errors.New("not a clock file of version 1")

func parseMemory(raw []byte) (m memory, err error) {
	if err := json.Unmarshal(raw, &m); err != nil {
		return memory{}, fmt.Errorf("%w: %w", errMemory, err)
	}
	for _, ms := range []int64{m.AtMS, m.GivenMS} {
		if ms < Oldest.UnixMilli() || ms > Oldest.AddDate(200, 0, 0).UnixMilli() {
			return memory{}, fmt.Errorf("%w: a time of %d ms", errMemory, ms)
		}
	}
	if m.Version != 1 || m.BoundMS < 0 || m.BoundMS >= MaxBound.Milliseconds() || m.ElapsedMS < 0 || m.ElapsedMS > maxElapsed.Milliseconds() || m.RTC < 0 || m.RTC > maxRTC {
		return memory{}, errMemory
	}
	return m, nil
}

const (
	maxElapsed = 100 * 365 * 24 * time.Hour
	maxRTC     = 1 << 36
	// rtcTick is what two looks at a clock of whole seconds may be wrong by together.
	rtcTick = 2 * time.Second
)

// machineFacts is what the machine shows at a start.
type machineFacts struct {
	boot    string
	elapsed time.Duration
	rtc     int64 // 0: there is none
	wall    time.Time
}

// recall is what is known at a start from what was known before, or why nothing is. The same boot's stopwatch has counted on; after another
// boot the RTC has, as a stopwatch: what it shows need not be right, nor in UTC.
func (m memory) recall(f machineFacts, s Settings) (Reading, error) {
	r := Reading{Source: LastKnown, At: time.UnixMilli(m.AtMS), Bound: time.Duration(m.BoundMS)*time.Millisecond + time.Millisecond, Elapsed: f.elapsed}
	then := time.Duration(m.ElapsedMS) * time.Millisecond
	sameBoot := m.Boot != "" && m.Boot == f.boot && f.elapsed >= then
	var passed time.Duration
	switch {
	case sameBoot:
		passed = f.elapsed - then
	case m.RTC == 0 || f.rtc == 0:
		return Reading{}, errors.New("no RTC has counted on while the machine was off")
	case f.rtc < m.RTC:
		return Reading{}, errors.New("the RTC went back while the machine was off: look at its battery")
	default:
		passed = min(time.Duration(f.rtc-m.RTC), maxElapsed/time.Second) * time.Second
		r.Bound += rtcTick
	}
	r.At = r.At.Add(passed)
	r.Bound = min(r.Bound+drift(passed, s.DriftPPM), MaxBound-1)
	// The kernel sets its clock by the RTC at a boot. If that is far from what the RTC has counted to, somebody has set the RTC in between.
	if off := f.wall.Sub(r.At); !sameBoot && off.Abs() > r.Bound+s.Step {
		return Reading{}, fmt.Errorf("the machine's clock is %v off what the RTC has counted to: one of them was set", off.Round(time.Second))
	}
	return r, nil
}
