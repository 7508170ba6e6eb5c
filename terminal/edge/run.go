package edge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/tap"
)

const (
	houseEvery = 2 * time.Second // between two looks at what is not urgent
	pruneAtOne = 500             // records deleted in one commit
	retryLeast = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Run serves the readers and the uplink until ctx ends, and returns nil then. A visit in progress is finished first. A reader
// that fails is tried again and ends nobody else; a SAM or a journal that fails puts the terminal out of service until it works again.
// Only a damaged journal ends Run before its time, with journal.ErrDamaged: it must be opened again, after it was moved aside.
func (t *Terminal) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i, l := range t.cfg.Lanes {
		if l.Reader != nil && l.Mode != tap.Sale {
			all.Go(func() { t.runLane(ctx, i) })
		}
	}
	if t.link != nil {
		all.Go(func() { _ = t.link.Run(ctx) }) // it returns nil: no failure of the link ends it
	}
	all.Go(func() { t.keepHouse(ctx) })
	select {
	case <-ctx.Done():
	case <-t.broken:
		cancel()
	}
	all.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.damage
}

// runLane serves the cards of one reader until ctx ends.
func (t *Terminal) runLane(ctx context.Context, lane int) {
	l := t.cfg.Lanes[lane]
	r, retry := l.Reader, retryLeast
	for ctx.Err() == nil {
		card, err := r.Wait(ctx)
		switch {
		case err == nil:
			retry = retryLeast
			t.meet(ctx, lane, r, card)
		case ctx.Err() != nil:
		case errors.Is(err, reader.ErrTwoCards):
			t.show(Event{Lane: lane, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OneCardPlease, Reason: err.Error()}})
		case errors.Is(err, reader.ErrReaderLost):
			t.cfg.Log.Warn("reader lost: waiting for it", "reader", r.Name(), "err", err)
			t.show(Event{Lane: lane, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
		default:
			t.cfg.Log.Error("reader fails", "reader", r.Name(), "err", err, "again", retry)
			t.show(Event{Lane: lane, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
			sleep(ctx, retry)
			retry = min(2*retry, retryMost)
			r = t.reopen(l, r)
		}
	}
}

// reopen makes a failing reader anew where that is possible.
func (t *Terminal) reopen(l Lane, old reader.Reader) reader.Reader {
	if l.Reopen == nil {
		return old
	}
	if err := old.Close(); err != nil {
		t.cfg.Log.Warn("close the failing reader", "reader", old.Name(), "err", err)
	}
	r, err := l.Reopen()
	if err != nil {
		t.cfg.Log.Error("reader cannot be opened", "reader", old.Name(), "err", err)
		return old
	}
	return r
}

// meet serves one card and waits until it has left. Whoever tells the terminal to stop does not end a visit: that would be one
// more card with an unknown outcome. A card that is to be presented again must leave first too, so that one that lies at the
// edge of the field is not debited while its owner thinks it is gone.
func (t *Terminal) meet(ctx context.Context, lane int, r reader.Reader, card reader.Card) {
	result, err := t.Present(context.WithoutCancel(ctx), lane, card)
	end := reader.Reset // the card forgets the session
	if err == nil && result.Outcome.Pass() {
		end = reader.Leave
	}
	if err := card.Close(end); err != nil {
		t.cfg.Log.Warn("close the card", "reader", r.Name(), "err", err)
	}
	_ = card.Removed(ctx) // its only error is that ctx has ended
}

// keepHouse does what nobody waits for: it prunes what has a receipt and asks failed parts whether they work again.
func (t *Terminal) keepHouse(ctx context.Context) {
	var pruned uint64 // looked at with this many receipts
	for sleep(ctx, houseEvery) {
		if acked := t.journal.AckedSeq(); acked != pruned {
			switch n, err := t.journal.Prune(pruneAtOne); {
			case err != nil:
				t.cfg.Log.Error("prune the journal", "err", err)
			case n < pruneAtOne: // else there is more to do
				pruned = acked
			}
		}
		if err := t.Failure(); err == nil || errors.Is(err, journal.ErrFull) {
			continue // a full journal shows that it is not full any more by the next sale
		}
		if t.probe(ctx) == nil {
			t.healed("its parts answer again")
		}
	}
}

// sleep waits and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
