package edge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
)

const (
	houseEvery = 2 * time.Second // between two looks at what is not urgent
	pruneAtOne = 500             // records deleted in one commit
	retryLeast = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Run serves the readers and the uplink until ctx ends, and returns nil then. A visit in progress is finished first. A reader
// that fails is tried again and ends nobody else; a SAM or a journal that fails puts the terminal out of service until it works again.
// Only the journal ends Run before its time: damaged, with journal.ErrDamaged, it must be moved aside; with journal.ErrUncertain
// it must be opened again, which tells more.
func (t *Terminal) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i, l := range t.cfg.Lanes {
		if l.Reader == nil {
			continue
		}
		work := &lane{t: t, index: i, reader: l.Reader, retry: retryLeast}
		if l.Mode == tap.Sale {
			all.Go(func() { work.sell(ctx) })
		} else {
			all.Go(func() { work.serve(ctx) })
		}
	}
	if t.link != nil {
		all.Go(func() { _ = t.link.Run(ctx) }) // it returns nil: no failure of the link ends it
	}
	if t.cfg.Pool != nil {
		all.Go(func() { _ = t.cfg.Pool.Run(ctx) }) // its only error is that ctx has ended
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

// lane is a lane's reader at work. It belongs to one goroutine.
type lane struct {
	t      *Terminal
	index  int
	reader reader.Reader
	retry  time.Duration // before the next try of a reader that fails
}

// serve serves every card until ctx ends.
func (l *lane) serve(ctx context.Context) {
	for {
		card, err := l.wait(ctx)
		if err != nil {
			return
		}
		// Whoever tells the terminal to stop does not end a visit: that would be one more card with an unknown outcome.
		result, err := l.t.Present(context.WithoutCancel(ctx), l.index, card)
		l.end(ctx, card, result, err)
	}
}

// wait returns the next card. Its only error is that ctx has ended: whatever else happens to the reader is shown, and tried
// again.
func (l *lane) wait(ctx context.Context) (reader.Card, error) {
	t := l.t
	for ctx.Err() == nil { // a reader may return a card that is there before it looks at ctx
		card, err := l.reader.Wait(ctx)
		switch {
		case err == nil:
			l.retry = retryLeast
			return card, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, reader.ErrTwoCards):
			t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OneCardPlease, Reason: err.Error()}})
		case errors.Is(err, reader.ErrReaderLost):
			t.cfg.Log.Warn("reader lost: waiting for it", "reader", l.reader.Name(), "err", err)
			t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
		default:
			t.cfg.Log.Error("reader fails", "reader", l.reader.Name(), "err", err, "again", l.retry)
			if l.retry == retryLeast { // shown once, and logged each time
				t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
			}
			sleep(ctx, l.retry)
			l.retry = min(2*l.retry, retryMost)
			l.reopen()
		}
	}
	return nil, ctx.Err()
}

// reopen makes a failing reader anew where that is possible.
func (l *lane) reopen() {
	again := l.t.cfg.Lanes[l.index].Reopen
	if again == nil {
		return
	}
	name := l.reader.Name()
	if err := l.reader.Close(); err != nil {
		l.t.cfg.Log.Warn("close the failing reader", "reader", name, "err", err)
	}
	r, err := again()
	if err != nil {
		l.t.cfg.Log.Error("reader cannot be opened", "reader", name, "err", err)
		return
	}
	l.reader = r
}

// end closes the session and waits until the card has left. A card that is to be presented again must leave first too, so
// that one that lies at the edge of the field is not debited while its owner thinks it is gone.
func (l *lane) end(ctx context.Context, card reader.Card, result tap.Result, failed error) {
	d := reader.Reset // the card forgets the session
	if failed == nil && result.Outcome.Pass() {
		d = reader.Leave
	}
	if err := card.Close(d); err != nil {
		l.t.cfg.Log.Warn("close the card", "reader", l.reader.Name(), "err", err)
	}
	_ = card.Removed(ctx) // its only error is that ctx has ended
}

// keepHouse does what nobody waits for: it prunes what has a receipt and asks failed parts whether they work again.
func (t *Terminal) keepHouse(ctx context.Context) {
	var pruned uint64 // looked at with this many receipts
	out := t.tellState(false)
	link := client.State(-1)
	for sleep(ctx, houseEvery) {
		out = t.tellState(out)
		link = t.logLink(link)
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
			out = t.tellState(out)
		}
	}
}

// logLink logs what the link does when that is news: an engineer looks there first, and the library connects in silence.
func (t *Terminal) logLink(was client.State) client.State {
	if t.link == nil {
		return was
	}
	s := t.link.Stats()
	if s.State != was {
		t.cfg.Log.Info("uplink", "state", s.State, "without_receipt", s.Backlog)
	}
	return s.State
}

// tellState shows whether the terminal is out of service when that is news, and returns whether it is.
func (t *Terminal) tellState(was bool) bool {
	err := t.OutOfUse()
	switch now := t.cfg.Clock.Now(); {
	case err != nil && !was:
		t.show(Event{Lane: AllLanes, At: now, Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
	case err == nil && was:
		t.show(Event{Lane: AllLanes, At: now, Ready: true})
	}
	return err != nil
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
