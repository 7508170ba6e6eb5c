package edge

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// LaneState is what a lane does now. Names are an outside contract.
type LaneState string

// States of a lane.
const (
	LaneIdle     LaneState = "idle"     // not served by Run, or a till that is asked for nothing
	LaneWaiting  LaneState = "waiting"  // for a card
	LaneCard     LaneState = "card"     // a card is served
	LaneRemoving LaneState = "removing" // the card has been served and is still there
	LaneLost     LaneState = "lost"     // the reader is gone; it is waited for
	LaneFailing  LaneState = "failing"  // the reader fails; it is tried again
)

// LaneHealth is how a lane does.
type LaneHealth struct {
	State  LaneState
	Since  time.Time
	Reader string
	Err    error // of lost and failing
}

// waitSlice is how long a lane waits for its reader at a time, so that one that hangs is told from one that nobody comes to.
const waitSlice = 20 * time.Second

// backSlice is the same for a reader that was lost or failed: how late it may be noticed that it is back.
const backSlice = 2 * time.Second

// Limits of a lane without progress: after them the reader hangs, or the disk does.
const (
	waitPatience  = waitSlice + 20*time.Second
	visitPatience = visitLimit + 2*samLimit + 20*time.Second
)

// laneWatch is a lane's state and when it last got on. Its time is the machine's monotonic clock, because it measures.
type laneWatch struct {
	mu     sync.Mutex
	health LaneHealth
	beat   time.Time
}

// set notes a state; at is the terminal's time.
func (w *laneWatch) set(s LaneState, reader string, err error, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beat = time.Now()
	if w.health.State != s || w.health.Since.IsZero() {
		w.health.Since = at
	}
	w.health.State, w.health.Reader, w.health.Err = s, reader, err
}

// get returns the state and the time since the lane last got on.
func (w *laneWatch) get() (LaneHealth, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health, time.Since(w.beat)
}

// Lanes are the lanes' states.
func (t *Terminal) Lanes() []LaneHealth {
	out := make([]LaneHealth, len(t.lanes))
	for i := range t.lanes {
		if out[i], _ = t.lanes[i].get(); out[i].State == "" {
			out[i].State, out[i].Since = LaneIdle, t.booted
		}
	}
	return out
}

// Alive is nil while every lane that Run serves and the journal get on. A reader that is unplugged gets on: it is waited for. A watchdog is fed by it.
func (t *Terminal) Alive() error {
	var all []error
	for i := range t.lanes {
		h, still := t.lanes[i].get()
		patience := waitPatience
		switch h.State {
		case "", LaneIdle:
			continue
		case LaneCard:
			patience = visitPatience
		}
		if still > patience {
			all = append(all, fmt.Errorf("lane %d: %s for %v without progress: reader %q or the disk hangs", i, h.State, still.Round(time.Second), h.Reader))
		}
	}
	if _, err := t.journal.Stats(); err != nil { // a disk that hangs keeps us here, which says it too
		all = append(all, err)
	}
	return errors.Join(all...)
}

// ErrNoReopen says that a lane's reader cannot be opened anew.
var ErrNoReopen = errors.New("the lane's reader cannot be opened anew")

// Restart closes a lane's reader and opens it again, between two cards, while Run serves the lane.
func (t *Terminal) Restart(lane int) error {
	switch {
	case lane < 0 || lane >= len(t.cfg.Lanes):
		return fmt.Errorf("terminal: lane %d: there are %d: %w", lane, len(t.cfg.Lanes), ErrNoLane)
	case t.cfg.Lanes[lane].Reopen == nil:
		return fmt.Errorf("terminal: lane %d: %w", lane, ErrNoReopen)
	}
	select {
	case t.restarts[lane] <- struct{}{}:
	default: // one is asked for already
	}
	return nil
}
