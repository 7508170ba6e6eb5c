package intake

import (
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// Windows spread the terminals of a fleet that comes home at once, and slow all of them when posting falls behind. They are
// advice: whatever a terminal sends is accepted, in its slot or not.
type Windows struct {
	// Rate is how many records a second the slots are laid out for. It must be below what the machine posts.
	//
	// Default 2000.
	Rate int `yaml:"rate"`

	// AtOnce is how many records may be on their way before anybody has to wait.
	//
	// Default 5000.
	AtOnce int `yaml:"at_once"`

	// Small is a backlog that never waits: taps of a terminal that was away for a moment.
	//
	// Default 200.
	Small int `yaml:"small"`

	// Unposted is how many accepted records may wait to be posted before receipts ask terminals to pause.
	//
	// Default 200000.
	Unposted int `yaml:"unposted"`
}

// maxWindow is the longest wait told. A terminal obeys no longer one; it then sends a few batches and is told the rest.
const maxWindow = time.Hour

// Check says what is out of range.
func (w Windows) Check() error {
	for _, f := range []struct {
		name string
		v    int
	}{{"rate", w.Rate}, {"at_once", w.AtOnce}, {"small", w.Small}, {"unposted", w.Unposted}} {
		if f.v < 0 {
			return fmt.Errorf("windows.%s: %d: want 1 or more, or none for the default", f.name, f.v)
		}
	}
	return nil
}

func (w *Windows) setDefaults() error {
	if err := w.Check(); err != nil {
		return err
	}
	setDefault(&w.Rate, 2000)
	setDefault(&w.AtOnce, 5000)
	setDefault(&w.Small, 200)
	setDefault(&w.Unposted, 200_000)
	return nil
}

func setDefault(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

// takes is how long a number of records occupies the line at the rate.
func (w Windows) takes(records int) time.Duration {
	return time.Duration(float64(records) / float64(w.Rate) * float64(time.Second))
}

// pause is how long a terminal should hold back while so many accepted records wait to be posted: what those above the limit
// take at the rate.
func (w Windows) pause(unposted int) time.Duration {
	if unposted <= w.Unposted {
		return 0
	}
	return clampWait(max(w.takes(unposted-w.Unposted), time.Second))
}

func clampWait(d time.Duration) time.Duration { return min(max(d, 0), maxWindow) }

// slots lays the backlogs of terminals one behind the other on a line of time. It is memory only: after a restart the line is
// empty, and terminals that still wait keep the time they were told.
type slots struct {
	w Windows

	mu    sync.Mutex
	last  time.Time // of the newest question
	end   time.Time // the line is promised up to here
	of    map[ids.TerminalID]slot
	swept time.Time
}

// slot is a terminal's place on the line.
type slot struct {
	from, until time.Time // a terminal comes up to a quarter of its wait later than it was told, and has it until then
	records     int
}

func newSlots(w Windows) *slots { return &slots{w: w, of: map[ids.TerminalID]slot{}} }

// backwards is how far a question may lie before the newest one: they come side by side. More means that the clock was set
// back, and then every promise is void, because it would be kept in another time.
const backwards = time.Minute

// ask gives a terminal with a backlog of records its slot, and returns how long it should wait for it, an hour at most. Asked
// again before its slot is over it gets the same one.
func (s *slots) ask(t ids.TerminalID, backlog int, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(now)
	if backlog <= s.w.Small {
		delete(s.of, t)
		s.occupy(backlog, now)
		return 0
	}
	if has, ok := s.of[t]; ok && now.Before(has.until) {
		if more := backlog - has.records; more > 0 { // it stays where it is; those behind it make room
			s.occupy(more, now)
			has.records, has.until = backlog, has.until.Add(s.w.takes(more))
			s.of[t] = has
		}
		return clampWait(has.from.Sub(now))
	}
	wait := max(max(s.end.Sub(now), 0)-s.w.takes(s.w.AtOnce), 0) // the end may lie ages back
	s.occupy(backlog, now)
	s.of[t] = slot{from: now.Add(wait), until: now.Add(wait + wait/4 + s.w.takes(backlog)), records: backlog}
	return clampWait(wait)
}

// left is how long a terminal that has a slot should still wait for it, zero without one.
func (s *slots) left(t ids.TerminalID, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(now)
	return clampWait(s.of[t].from.Sub(now))
}

// occupy adds records to the end of the line.
func (s *slots) occupy(records int, now time.Time) {
	if s.end.Before(now) {
		s.end = now
	}
	s.end = s.end.Add(s.w.takes(records))
}

// look forgets what is over.
func (s *slots) look(now time.Time) {
	if now.Before(s.last.Add(-backwards)) {
		s.end, s.swept, s.last = now, now, now
		clear(s.of)
	}
	if now.After(s.last) {
		s.last = now
	}
	if now.Sub(s.swept) < backwards {
		return
	}
	s.swept = now
	for t, has := range s.of {
		if !now.Before(has.until) {
			delete(s.of, t)
		}
	}
}
