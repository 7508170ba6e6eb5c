package edge

import (
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/link"
	"github.com/purselane/purselane/terminal/tap"
)

// Linked are the terminals that this one is linked with; package link has it.
type Linked interface {
	// Note tells the others of a ride that was let pass.
	Note(card ids.CardNumber, line, station [2]byte, granted bool)
	// Recent is the newest ride of a card that another let pass on that line within the window of one trip.
	Recent(card ids.CardNumber, line [2]byte) (link.Seen, bool)
	// Peers lists the others that have ever spoken.
	Peers() []link.Peer
}

// rides are those that this terminal's readers have let pass within the window of one trip. It is a help for cards without ride records: a restart forgets it.
type rides struct {
	window time.Duration

	mu   sync.Mutex
	paid map[ids.CardNumber]ride
	next time.Time // when the old ones are dropped
}

type ride struct {
	line fare.Code
	lane int
	at   time.Time
}

func newRides(window time.Duration) *rides {
	return &rides{window: window, paid: map[ids.CardNumber]ride{}}
}

func (r *rides) note(card ids.CardNumber, line fare.Code, lane int, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !at.Before(r.next) || r.next.Sub(at) > 2*r.window { // or the clock was set back
		r.next = at.Add(r.window)
		for c, old := range r.paid {
			if at.Sub(old.at).Abs() > r.window {
				delete(r.paid, c)
			}
		}
	}
	r.paid[card] = ride{line, lane, at}
}

func (r *rides) find(card ids.CardNumber, line fare.Code, now time.Time) (ride, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, found := r.paid[card]
	return x, found && x.line == line && now.Sub(x.at).Abs() <= r.window
}

// paid implements tap.Terminal's question.
func (t *Terminal) paid(card ids.CardNumber, line fare.Code) (string, bool) {
	if r, found := t.rides.find(card, line, t.cfg.Clock.Now()); found {
		return fmt.Sprintf("this terminal's reader %d", r.lane), true
	}
	if t.cfg.Linked == nil {
		return "", false
	}
	if s, found := t.cfg.Linked.Recent(card, line); found {
		return "terminal " + string(s.Terminal), true
	}
	return "", false
}

// noteRide remembers a ride that was let pass, and tells the others. One that was paid before was noted then.
func (t *Terminal) noteRide(lane int, r tap.Request, result tap.Result) {
	if r.Mode != tap.BusFlat || !result.Outcome.Pass() || result.Outcome == tap.AlreadyPaid || result.Card == (ids.CardNumber{}) {
		return
	}
	t.rides.note(result.Card, r.Line, lane, r.Now)
	if t.cfg.Linked != nil {
		t.cfg.Linked.Note(result.Card, r.Line, r.Station, true)
	}
}
