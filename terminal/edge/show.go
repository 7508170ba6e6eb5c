package edge

import (
	"time"

	"github.com/purselane/purselane/terminal/tap"
)

// AllLanes is the lane of an event that concerns the whole terminal.
const AllLanes = -1

// Event is one outcome, for lights, screens and logs.
//
// Run also tells when the whole terminal goes out of service, for whatever reason, with an OutOfService on AllLanes, and
// when it sells again, with Ready; so lights need not wait for a rider to find out. A lane whose reader is lost or fails is out of service alone, and
// ready when the reader is back.
type Event struct {
	Lane    int // index into Config.Lanes, or AllLanes
	At      time.Time
	Phases  Phases        // parts of Took
	Took    time.Duration // from the card in the field to the outcome, by Config.Clock
	Result  tap.Result
	Pattern tap.Pattern // of Result.Outcome, as the profile has it
	Ready   bool        // it, or the lane alone, sells again; Result and Pattern are zero
	Card    bool        // a card is there, and its outcome follows; Result and Pattern are zero
	Err     error       // the terminal itself has failed: the outcome is out of service
}

func (t *Terminal) show(e Event) {
	e.Pattern = e.Result.Outcome.Pattern(t.cfg.Profile)
	t.shown.Lock()
	defer t.shown.Unlock()
	if !e.Ready && !e.Card {
		t.counts[e.Result.Outcome]++
	}
	t.cfg.Show(e)
}
