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
	"github.com/purselane/purselane/uplink/wire"
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
		work := &lane{t: t, index: i, reader: l.Reader, retry: retryLeast, watch: &t.lanes[i]}
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
	watch  *laneWatch

	noSignals bool // its reader has none, and that was logged
}

// is notes what the lane does.
func (l *lane) is(s LaneState, err error) {
	l.watch.set(s, l.reader.Name(), err, l.t.cfg.Clock.Now())
}

// serve serves every card until ctx ends.
func (l *lane) serve(ctx context.Context) {
	for {
		card, err := l.wait(ctx)
		if err != nil {
			l.is(LaneIdle, nil)
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
	l.is(LaneWaiting, nil)
	t.watches[l.index].waiting = time.Now()
	for ctx.Err() == nil { // a reader may return a card that is there before it looks at ctx
		card, restart, err := l.waitSome(ctx)
		switch {
		case err == nil:
			l.retry = retryLeast
			l.is(LaneCard, nil)
			t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Card: true})
			return card, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case restart:
			t.cfg.Log.Info("reader is opened anew, as asked", "reader", l.reader.Name())
			l.reopen()
			l.is(LaneWaiting, nil)
		case errors.Is(err, context.DeadlineExceeded): // the reader answers, and nobody comes
			l.quiet()
		case errors.Is(err, reader.ErrTwoCards):
			t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OneCardPlease, Reason: err.Error()}})
		case errors.Is(err, reader.ErrReaderLost):
			t.cfg.Log.Warn("reader lost: waiting for it", "reader", l.reader.Name(), "err", err)
			l.is(LaneLost, err)
			t.show(Event{Lane: l.index, At: t.cfg.Clock.Now(), Result: tap.Result{Outcome: tap.OutOfService, Reason: err.Error()}, Err: err})
		default:
			t.cfg.Log.Error("reader fails", "reader", l.reader.Name(), "err", err, "again", l.retry)
			l.is(LaneFailing, err)
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

// quiet notes that the reader has been waited on for a while without a card or a fault. One that was lost or failed is back then, if it does
// not say otherwise, and that is shown: nobody comes to a door that is out of service.
func (l *lane) quiet() {
	was, _ := l.watch.get()
	if was.State == LaneLost {
		why := was.Err
		if watched, ok := l.reader.(reader.Watched); ok {
			why = watched.Lost()
		}
		if why != nil {
			l.is(LaneLost, why)
			return
		}
	}
	l.is(LaneWaiting, nil)
	if was.State == LaneWaiting {
		return
	}
	l.retry = retryLeast
	l.t.cfg.Log.Info("reader is back", "reader", l.reader.Name())
	if l.t.OutOfUse() == nil { // else all lanes are told when that is over
		l.t.show(Event{Lane: l.index, At: l.t.cfg.Clock.Now(), Ready: true})
	}
}

// waitSome waits for a card for a while, which is short while the reader is to come back. It ends sooner when the reader is to be opened anew.
func (l *lane) waitSome(ctx context.Context) (card reader.Card, restart bool, err error) {
	slice := waitSlice
	if was, _ := l.watch.get(); was.State == LaneLost || was.State == LaneFailing {
		slice = backSlice
	}
	some, cancel := context.WithTimeout(ctx, slice)
	defer cancel()
	asked := make(chan bool, 1)
	go func() {
		select {
		case <-l.t.restarts[l.index]:
			asked <- true
			cancel()
		case <-some.Done():
			asked <- false
		}
	}()
	card, err = l.reader.Wait(some)
	cancel()
	if restart = <-asked; restart && err == nil { // a card came first: it is served, and then the reader is opened anew
		select {
		case l.t.restarts[l.index] <- struct{}{}:
		default:
		}
	}
	return card, restart, err
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
	l.signal(ctx, card, result.Outcome)
	d := reader.Reset // the card forgets the session
	if failed == nil && result.Outcome.Pass() {
		d = reader.Leave
	}
	if err := card.Close(d); err != nil {
		l.t.cfg.Log.Warn("close the card", "reader", l.reader.Name(), "err", err)
	}
	for ctx.Err() == nil {
		l.is(LaneRemoving, nil)
		some, cancel := context.WithTimeout(ctx, waitSlice)
		err := card.Removed(some)
		cancel()
		if err == nil {
			return
		}
	}
}

// signal shows an outcome by the reader's own light and buzzer, where it has them.
func (l *lane) signal(ctx context.Context, card reader.Card, o tap.Outcome) {
	s, ok := card.(reader.Signaller)
	if !ok {
		return
	}
	p := o.Pattern(l.t.cfg.Profile)
	if err := s.Signal(context.WithoutCancel(ctx), reader.Signal{Light: p.Light, On: p.On, Off: p.Off, Repeats: p.Repeats, Beep: p.Beep}); err != nil && !l.noSignals {
		l.noSignals = true
		l.t.cfg.Log.Info("reader gives no signal", "reader", l.reader.Name(), "err", err)
	}
}

// keepHouse does what nobody waits for: it prunes what has a receipt and asks failed parts whether they work again.
func (t *Terminal) keepHouse(ctx context.Context) {
	var pruned uint64    // looked at with this many receipts
	var rolled time.Time // looked at then
	out := t.tellState(false)
	link := client.State(-1)
	for sleep(ctx, houseEvery) {
		out = t.tellState(out)
		link = t.logLink(link)
		rolled = t.rollDaily(rolled)
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

// rollEvery is how often a new day is looked for; rollRecords is how many records a file of the journal has at most, or a day is long.
const (
	rollEvery   = time.Minute
	rollRecords = 20_000
)

// rollDaily begins a new file of the journal when a new day, where the terminal is, finds records of an older one in it. It waits for a moment in which no card is
// there, because it syncs a few times.
func (t *Terminal) rollDaily(looked time.Time) time.Time {
	now := t.cfg.Clock.Now()
	if now.Sub(looked).Abs() < rollEvery {
		return looked
	}
	for _, l := range t.Lanes() {
		if l.State == LaneCard {
			return looked
		}
	}
	begun, err := t.journal.Begun()
	if err == nil && !begun.IsZero() {
		var s journal.Stats
		s, err = t.journal.Stats()
		said, _ := t.cfg.ClockState()
		newDay := judgeClock(now, t.newest(), said) != wire.ClockState_CLOCK_BAD && day(begun, t.tap.Location) < day(now, t.tap.Location)
		if err == nil && (newDay || s.Records >= rollRecords) {
			err = t.journal.Roll()
			t.cfg.Log.Info("journal: a new file", "files", s.Files+1, "err", err)
		}
	}
	if err != nil && !errors.Is(err, journal.ErrFull) {
		t.fail(err)
	}
	return now
}

// day is a date as a number that sorts.
func day(at time.Time, where *time.Location) int {
	y, m, d := at.In(where).Date()
	return y*10000 + int(m)*100 + d
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
