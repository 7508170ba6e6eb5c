// Package inproc is a reader whose cards are values of the same process: for the demo, the simulated town and tests.
//
// Start with [New] and [Reader.Present]. No time passes in it and it starts no goroutine.
package inproc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

// powered is a card that knows power and reset. A Transmitter that is none is left alone.
type powered interface {
	Power(on bool)
	Reset()
}

// Reader is an in-process reader. Present and Withdraw may be called from any goroutine.
type Reader struct {
	name string

	mu      sync.Mutex
	field   []*presence
	told    bool // of the two cards in the field
	open    *card
	closed  bool
	changed chan struct{} // closed and renewed at every change of the above
}

var _ reader.Reader = (*Reader)(nil)

// presence is one stay of a card in the field. It outlives the sessions with the card.
type presence struct {
	t    apdu.Transmitter
	seen time.Time
	left bool          // under Reader.mu
	gone chan struct{} // closed with left
}

// leave ends the stay. The caller holds Reader.mu.
func (p *presence) leave() {
	if !p.left {
		p.left = true
		close(p.gone)
	}
}

// New makes a reader with nothing in its field.
func New(name string) *Reader { return &Reader{name: name, changed: make(chan struct{})} }

// Name returns the name given to New.
func (r *Reader) Name() string { return r.name }

// change wakes all who wait. The caller holds mu.
func (r *Reader) change() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Present puts a card into the field, beside any that are there.
func (r *Reader) Present(t apdu.Transmitter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.field = append(r.field, &presence{t: t, seen: time.Now(), gone: make(chan struct{})})
	r.told = false
	r.change()
}

// Withdraw takes all cards out of the field. A command under way keeps running in the card, and its answer is lost.
func (r *Reader) Withdraw() {
	r.mu.Lock()
	out := r.field
	r.field = nil
	r.told = false
	for _, p := range out {
		p.leave()
	}
	r.change()
	r.mu.Unlock()
	// Outside the lock: a card in the middle of a command takes its power loss when it is done with it.
	for _, p := range out {
		if t, is := p.t.(powered); is {
			t.Power(false)
		}
	}
}

// Wait implements reader.Reader.
func (r *Reader) Wait(ctx context.Context) (reader.Card, error) {
	for {
		c, changed, err := r.take()
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// take opens the one card in the field; with nothing to return it says what to wait for.
func (r *Reader) take() (reader.Card, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, reader.ErrClosed
	case r.open != nil:
		return nil, nil, reader.ErrBusy
	case len(r.field) > 1 && !r.told:
		r.told = true
		return nil, nil, reader.ErrTwoCards
	case len(r.field) != 1:
		return nil, r.changed, nil
	}
	c := &card{r: r, presence: r.field[0]}
	if t, is := c.t.(powered); is {
		t.Power(true)
	}
	r.open = c
	return c, nil, nil
}

// Close implements reader.Reader.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		for _, p := range r.field {
			p.leave()
		}
		r.change()
	}
	return nil
}

// card is one session.
type card struct {
	*presence
	r      *Reader
	closed bool // under r.mu
}

// Transmit implements apdu.Transmitter.
func (c *card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if err := c.ready(ctx, command); err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	response, err := c.t.Transmit(ctx, command)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, apdu.ErrNotSent) && !errors.Is(err, apdu.ErrNoAnswer):
		err = fmt.Errorf("%w: %w", apdu.ErrNoAnswer, err)
	case err == nil && c.left:
		err = fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
	case err == nil && len(response) < 2:
		err = fmt.Errorf("%w: response of %d bytes", apdu.ErrNoAnswer, len(response))
	}
	if err != nil {
		c.drop()
		return nil, err
	}
	return response, nil
}

func (c *card) ready(ctx context.Context, command []byte) error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	switch {
	case c.closed:
		return errors.New("session closed")
	case c.left:
		return errors.New("no card in the field")
	case len(command) == 0:
		return errors.New("empty command")
	}
	return ctx.Err()
}

// drop takes a card that failed out of the field. The caller holds r.mu.
func (c *card) drop() {
	c.leave()
	c.r.field = slices.DeleteFunc(c.r.field, func(p *presence) bool { return p == c.presence })
	c.r.change()
}

// Seen implements reader.Seer.
func (c *card) Seen() time.Time { return c.seen }

// Removed implements reader.Card.
func (c *card) Removed(ctx context.Context) error {
	select {
	case <-c.gone:
		return nil
	default:
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements reader.Card.
func (c *card) Close(d reader.Disposition) error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.r.open = nil
	if t, is := c.t.(powered); is && !c.left {
		switch d {
		case reader.Reset:
			t.Reset()
		case reader.Unpower:
			t.Power(false)
		}
	}
	c.r.change()
	return nil
}
