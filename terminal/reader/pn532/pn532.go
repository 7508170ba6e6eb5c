package pn532

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/reader"
)

const (
	// lookEvery is the time from one look into an empty field to the next.
	lookEvery = 25 * time.Millisecond
	// presenceEvery is the time between two looks at a card that is to leave.
	presenceEvery = 40 * time.Millisecond
	// misses is how many looks in a row must miss a card before it has left: one at the edge of the field comes and goes.
	misses = 2
	// calm is how many looks in a row must find one card after two were there: cards in a wallet come and go too.
	calm = 3
	// refreshAfter is how long an empty field is looked at before the chip is set up anew. Some chips grow deaf over hours.
	refreshAfter = 5 * time.Minute
	// leaveWithin is the time for the last commands to the chip.
	leaveWithin = 500 * time.Millisecond

	firstRetry = 100 * time.Millisecond // between two tries to find a lost reader, doubled up to the last
	lastRetry  = 2 * time.Second
)

// errHot is what Wait tells while the antenna rests.
var errHot = errors.New("the PN532 is overloaded: its antenna rests for 10 s; look for metal near it, and at its cooling")

// Reader is one PN532.
type Reader struct {
	o    Options
	turn chan struct{} // holds one token while someone speaks to the chip
	chip *chip         // belongs to whoever has the turn
	seen time.Time     // the last card, or the last time that the chip was set up; belongs to whoever has the turn

	life context.Context // ends with the reader
	end  context.CancelFunc

	mu      sync.Mutex
	open    *card // the session, nil for none
	stay    *stay // the card that is or was last in the field
	crowded int   // looks that must find one card before it is served, after there were two
	missing error // why the reader is lost, once that is told
}

var _ reader.Reader = (*Reader)(nil)

// Open makes a reader at a serial port. Neither the port nor the chip need to be there yet: Wait tells. It fails on options
// that no PN532 can have.
func Open(o Options) (*Reader, error) { return open(o, openLow) }

// openLow opens a port whose adapter hands bytes over at once.
func openLow(o Options) func(string) (port, error) {
	return func(path string) (port, error) {
		p, err := openPort(path)
		if err != nil {
			return nil, err
		}
		if held, err := lowLatency(ttyClass, path); err != nil {
			o.Log.Warn("the serial adapter holds bytes: each exchange takes that much longer, twice", "port", path, "latency_timer_ms", held, "err", err)
		}
		return p, nil
	}
}

func open(o Options, opener func(Options) func(string) (port, error)) (*Reader, error) {
	if o.Port == "" {
		return nil, fmt.Errorf("pn532: no port: name one; there are %s", listed(Ports()))
	}
	if err := CheckBaud(o.Baud); err != nil {
		return nil, fmt.Errorf("pn532: %w", err)
	}
	o = o.withDefaults()
	r := &Reader{o: o, turn: make(chan struct{}, 1), chip: &chip{o: o, log: o.Log, open: opener(o)}}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Name implements reader.Reader.
func (r *Reader) Name() string { return r.o.Name }

// Wait implements reader.Reader.
func (r *Reader) Wait(ctx context.Context) (reader.Card, error) {
	retry := firstRetry
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.refuse(); err != nil {
			return nil, err
		}
		start := time.Now()
		pause := lookEvery
		c, err := r.meet(ctx)
		switch {
		case ctx.Err() != nil || r.life.Err() != nil:
			if c != nil {
				_ = c.Close(reader.Leave) // nothing was sent to it
			}
			continue // the top says why
		case c != nil:
			return c, nil
		case errors.Is(err, reader.ErrTwoCards):
			return nil, err
		case err != nil && r.tellLost(err):
			return nil, fmt.Errorf("%w: %w", reader.ErrReaderLost, err)
		case err != nil:
			pause, retry = retry, min(2*retry, lastRetry)
		default:
			retry = firstRetry
		}
		_ = r.pause(ctx, time.Until(start.Add(pause)))
	}
}

// pause waits for d, or until ctx or the reader ends.
func (r *Reader) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.life.Done():
		return reader.ErrClosed
	}
}

func (r *Reader) refuse() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.life.Err() != nil:
		return reader.ErrClosed
	case r.open != nil:
		return reader.ErrBusy
	}
	return nil
}

// take gets the turn to speak to the chip. The context it returns ends with the reader too; done gives the turn back.
func (r *Reader) take(ctx context.Context) (both context.Context, done func(), err error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-r.life.Done():
		return nil, nil, reader.ErrClosed
	}
	both, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.life, cancel)
	return both, func() { stop(); cancel(); <-r.turn }, nil
}

// meet looks into the field once, and opens the session with the one card that is there. Without a card to serve it returns
// nil.
func (r *Reader) meet(ctx context.Context) (*card, error) {
	ctx, done, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	t, n, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case n > 1:
		told := r.crowded > 0
		r.crowded = calm
		if told {
			return nil, nil
		}
		return nil, reader.ErrTwoCards
	case n == 0:
		r.crowded = 0
		return nil, nil
	case r.crowded > 1:
		r.crowded--
		return nil, nil
	}
	r.crowded = 0
	r.open = &card{r: r, stay: r.stay, target: t, epoch: r.chip.epoch}
	r.open.life, r.open.end = context.WithCancel(r.life)
	return r.open, nil
}

// look mends the chip if need be, looks into the field and notes who has come and who has left. The caller has the turn.
func (r *Reader) look(ctx context.Context) (t target, n int, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			r.noteLost()
		}
	}()
	if rest := time.Until(r.chip.hot); rest > 0 {
		if r.chip.field && r.chip.state == ready {
			_ = r.chip.setField(ctx, false) // it has done so itself
		}
		return target{}, 0, errHot
	}
	// What is wrong is mended first, each time from a higher rung, and told only when it cannot be.
	for range rungs {
		if err = r.chip.mend(ctx); err != nil {
			return target{}, 0, err
		}
		if t, n, err = r.chip.look(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			return target{}, 0, err
		}
		r.o.Log.Debug("PN532: look into the field", "port", r.o.Port, "err", err)
		r.chip.distrust()
	}
	if err != nil {
		return target{}, 0, err
	}
	r.chip.trouble = 0
	r.note(t, n)
	return t, n, r.refresh(ctx, n)
}

// refresh sets a chip up anew that has seen nothing for long.
func (r *Reader) refresh(ctx context.Context, n int) error {
	now := time.Now()
	if n > 0 || r.seen.IsZero() {
		r.seen = now
	}
	if now.Sub(r.seen) < refreshAfter {
		return nil
	}
	r.seen = now
	r.o.Log.Debug("PN532: nothing seen for long, set up anew", "port", r.o.Port)
	return r.chip.bringUp(ctx)
}

// note keeps the books of stays: n cards are in the field, t is the first of them.
func (r *Reader) note(t target, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing = nil
	switch {
	case n == 0 && r.stay != nil:
		if r.stay.missed++; r.stay.missed >= misses {
			r.stay.leave()
			r.stay = nil
		}
	case n > 1 && r.stay != nil && r.stay.target.surelyNotAmong(t):
		r.stay.leave() // two others have come
		r.stay = nil
	case n == 1:
		if r.stay != nil && r.stay.target.surelyOther(t) {
			r.stay.leave()
			r.stay = nil
		}
		if r.stay == nil {
			r.stay = newStay(t)
		}
		r.stay.missed = 0
	}
}

// noteLost ends the stay of a card at a reader that is lost.
func (r *Reader) noteLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stay != nil {
		r.stay.leave()
		r.stay = nil
	}
	if r.open != nil {
		r.open.over = true
	}
}

// tellLost reports whether the loss is news.
func (r *Reader) tellLost(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.missing == nil
	r.missing = err
	return news
}

var _ reader.Watched = (*Reader)(nil)

// Lost implements reader.Watched: what was wrong at the last look into the field.
func (r *Reader) Lost() error { r.mu.Lock(); defer r.mu.Unlock(); return r.missing }

// Close implements reader.Reader. It leaves the chip with its field off and at its first speed.
func (r *Reader) Close() error {
	r.mu.Lock()
	if r.life.Err() != nil {
		r.mu.Unlock()
		return nil
	}
	r.end()
	if r.open != nil {
		r.open.over = true
	}
	if r.stay != nil {
		r.stay.leave()
	}
	r.mu.Unlock()
	r.turn <- struct{}{} // whoever has the turn is ended by life
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if r.chip.state == doubtful {
		_ = r.chip.mend(ctx) // else the next program would find it at a speed it does not expect
	}
	return r.chip.leave(ctx)
}
