package health

import "time"

const (
	probesBefore  = 3   // in a row that must be good before payers are let in
	probesAgainst = 3   // in a row that fail before a cell that seemed well does not any more: one may fail by chance
	longerBy      = 1.5 // than it was ever well during this fault, so long it must be well before it is tried again
)

// spells follows how long a cell that is out is well in between, as its probes and the payers of a ramp see it. A channel that comes and goes is not tried each time that it comes:
// it must have been well for half again as long as it ever was during this fault.
type spells struct {
	good, bad int           // probes in a row
	since     time.Time     // it has been well; zero: it is not
	longest   time.Duration // it was well
}

// observe takes a probe in.
func (s *spells) observe(at time.Time, failed bool) {
	if failed {
		s.good, s.bad = 0, s.bad+1
		if s.bad >= probesAgainst {
			s.broke(at)
		}
		return
	}
	if s.good, s.bad = s.good+1, 0; s.good >= probesBefore && s.since.IsZero() {
		s.since = at
	}
}

// broke ends a spell: payers or probes have found that the cell is not well.
func (s *spells) broke(at time.Time) {
	if !s.since.IsZero() {
		s.longest = max(s.longest, at.Sub(s.since))
	}
	s.since, s.good = time.Time{}, 0
}

// long reports that the cell has been well for long enough, but at most the longest back-off.
func (s *spells) long(now time.Time, most time.Duration) bool {
	return !s.since.IsZero() && s.good >= probesBefore && now.Sub(s.since) >= min(time.Duration(longerBy*float64(s.longest)), most)
}
