package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// visitLimit ends a visit that a card drags on: it may hold the SAM that the other lanes wait for. What is unknown then is
// settled like any other unknown outcome.
const visitLimit = 10 * time.Second

// ErrNoAmount says that a lane of mode Sale was shown a card without being asked to sell anything.
var ErrNoAmount = errors.New("a lane that sells amounts is asked with Sell")

// Present serves one presentation of one card at a lane and shows what came of it. The error is the terminal's own
// failure, or a wrong lane; the result is then OutOfService and nobody may pass. ctx ends a visit like a card that leaves, so
// end it only for that: Run lets a visit in progress finish.
func (t *Terminal) Present(ctx context.Context, lane int, card apdu.Transmitter) (tap.Result, error) {
	r, err := t.request(lane)
	if err == nil && r.Mode == tap.Sale {
		err = fmt.Errorf("terminal: lane %d: %w", lane, ErrNoAmount)
	}
	if err != nil {
		return tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, err
	}
	return t.serve(ctx, lane, card, r, nil)
}

// request is what a lane asks for now.
func (t *Terminal) request(lane int) (tap.Request, error) {
	if lane < 0 || lane >= len(t.cfg.Lanes) {
		return tap.Request{}, fmt.Errorf("terminal: lane %d: there are %d: %w", lane, len(t.cfg.Lanes), ErrNoLane)
	}
	now := t.cfg.Clock.Now()
	said, bound := t.cfg.ClockState()
	l := t.cfg.Lanes[lane]
	return tap.Request{
		Mode: l.Mode, Line: l.Line, Station: l.Station,
		Now: now, Clock: judgeClock(now, t.newest(), said), ClockErr: bound, Monotonic: t.sinceBoot(now),
	}, nil
}

// serve is one visit: the tap with the lane's drivers and this visit's own view of the journal, and what follows from its outcome.
func (t *Terminal) serve(ctx context.Context, lane int, card apdu.Transmitter, r tap.Request, only *Sale) (tap.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	clock := &t.watches[lane]
	clock.begin(card)
	book := &guard{Journal: timedJournal{t.journal, clock}, request: r.RequestID, only: only}
	terminal := t.tap
	terminal.Drivers, terminal.Journal = t.drivers[lane], book

	before := t.journal.LastSeq()
	result, err := terminal.Purchase(ctx, timedCard{card, clock}, r)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		result.Outcome, result.Reason, result.Tap, err = refused.outcome, refused.reason, refused.tap, nil
	case err != nil:
		result.Outcome, result.Reason = tap.OutOfService, err.Error()
		t.fail(err)
	case result.Outcome == tap.Granted || result.Outcome == tap.GrantedLow:
		t.healed("a sale went through") // journal and SAM have both just worked
	}
	if t.journal.LastSeq() != before {
		t.noteNewest(r)
		t.notify()
	}
	t.noteRide(lane, r, result)
	t.show(Event{Lane: lane, At: r.Now, Took: t.cfg.Clock.Now().Sub(r.Now), Phases: clock.phases(), Result: result, Err: err})
	return result, err
}

// newest is the time of the newest record whose clock was not bad.
func (t *Terminal) newest() time.Time { t.mu.Lock(); defer t.mu.Unlock(); return t.newestAt }

func (t *Terminal) noteNewest(r tap.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Clock != wire.ClockState_CLOCK_BAD && r.Now.After(t.newestAt) {
		t.newestAt = r.Now
	}
}
