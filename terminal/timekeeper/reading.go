package timekeeper

import (
	"fmt"
	"math"
	"time"
)

// Source is who tells a time.
type Source int

// Sources.
const (
	Nobody    Source = iota
	Kernel           // the machine's clock while a time service keeps it (NTP, PTP, GNSS), by the kernel's own word
	Backend          // a signed receipt that answers what was just sent
	LastKnown        // what was known before this start, counted on by the same boot's stopwatch or by the RTC
	Machine          // the machine's clock while nobody keeps it, by the operator's word
)

// String is the source's name, for logs and pages.
func (s Source) String() string {
	switch s {
	case Nobody:
		return "nobody"
	case Kernel:
		return "time service"
	case Backend:
		return "backend"
	case LastKnown:
		return "last known time"
	case Machine:
		return "machine's clock"
	}
	return fmt.Sprintf("Source(%d)", int(s))
}

// strong sources are told the time by somebody; the others only count on from what was once known.
func (s Source) strong() bool { return s == Kernel || s == Backend }

// weight is what a source's word counts where two contradict.
func (s Source) weight() int {
	if s.strong() {
		return 2
	}
	return 1
}

// Reading is one source's word: at that moment of the stopwatch the true time was within Bound of At.
type Reading struct {
	Source  Source
	At      time.Time
	Bound   time.Duration
	Elapsed time.Duration
}

// MaxBound is the largest bound, and stands for "nobody knows": it is what a record can carry.
const MaxBound = math.MaxUint32 * time.Millisecond

// span is when something may be, both ends included.
type span struct{ from, to time.Time }

func (s span) meets(o span) bool { return !s.to.Before(o.from) && !o.to.Before(s.from) }

// with is the span that holds both.
func (s span) with(o span) span {
	if o.from.Before(s.from) {
		s.from = o.from
	}
	if o.to.After(s.to) {
		s.to = o.to
	}
	return s
}

// on is the reading at a later moment: as much later, and as much less certain as the stopwatch may go wrong by.
func (r Reading) on(elapsed time.Duration, driftPPM int) Reading {
	passed := elapsed - r.Elapsed
	r.At, r.Elapsed = r.At.Add(passed), elapsed
	r.Bound = min(r.Bound+drift(passed, driftPPM), MaxBound)
	return r
}

func (r Reading) span() span { return span{r.At.Add(-r.Bound), r.At.Add(r.Bound)} }

// drift is how far a stopwatch may go wrong in that time, rounded up: a millionth more, because the time passed is by that stopwatch.
func drift(passed time.Duration, ppm int) time.Duration {
	return passed.Abs()/1_000_000*time.Duration(ppm+1) + time.Duration(ppm)
}
