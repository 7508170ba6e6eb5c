package pn532

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

// stay is one stay of a card in the field. It outlives the sessions with the card.
type stay struct {
	target target
	seen   time.Time // when the first look that found it was done
	missed int       // looks in a row that did not find it

	once sync.Once
	gone chan struct{}
}

func newStay(t target) *stay { return &stay{target: t, seen: time.Now(), gone: make(chan struct{})} }

func (s *stay) leave() { s.once.Do(func() { close(s.gone) }) }

func (s *stay) hasLeft() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// card is one session.
type card struct {
	r      *Reader
	stay   *stay
	target target
	epoch  uint64          // of the chip, when the card was activated
	life   context.Context // ends with the session
	end    context.CancelFunc

	over   bool // under r.mu: a command failed
	closed bool // under r.mu
}

// notSupported is what readers answer to a command for a card that takes none: function not supported (PC/SC part 3).
var notSupported = []byte{0x6A, 0x81}

// Transmit implements apdu.Transmitter. A card that does not speak ISO/IEC 14443-4, an old ticket say, is answered for with 6A81, as
// PC/SC readers do: nothing can be sent to it.
func (c *card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if err := c.ready(ctx, command); err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	if !c.target.isoDEP {
		return notSupported, nil
	}
	ctx, done, err := c.r.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	defer done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if err := c.ready(ctx, command); err != nil { // meanwhile Removed may have found it gone
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	if c.r.chip.state != ready || c.r.chip.epoch != c.epoch {
		c.fail()
		return nil, fmt.Errorf("%w: the reader has lost the card", apdu.ErrNotSent)
	}
	response, err := c.r.chip.exchange(ctx, c.target.number, command)
	if err != nil {
		c.fail()
	}
	return response, err
}

func (c *card) ready(ctx context.Context, command []byte) error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	switch {
	case c.closed:
		return errors.New("session closed")
	case c.over, c.stay.hasLeft():
		return errors.New("no card in the field")
	case len(command) == 0:
		return errors.New("empty command")
	}
	return ctx.Err()
}

func (c *card) fail() {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.over = true
}

// Seen implements reader.Seer.
func (c *card) Seen() time.Time { return c.stay.seen }

// Removed implements reader.Card. While the session is open the card is asked in a way that leaves the session as it is; afterwards the
// field is switched off and looked into.
func (c *card) Removed(ctx context.Context) error {
	for {
		if c.stay.hasLeft() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.r.observe(ctx); err == nil && c.stay.hasLeft() {
			return nil
		}
		err := c.r.pause(ctx, presenceEvery)
		if errors.Is(err, reader.ErrClosed) {
			return nil
		}
	}
}

// observe looks once whether the card is still there.
func (r *Reader) observe(ctx context.Context) error {
	ctx, done, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.mu.Lock()
	open := r.open != nil && !r.open.over && r.open.target.isoDEP && r.open.epoch == r.chip.epoch
	r.mu.Unlock()
	if !open || r.chip.state != ready {
		_, _, err := r.look(ctx)
		return err
	}
	// Stopping it in the middle would end the session; it takes a few milliseconds.
	there, err := r.chip.present(r.life)
	if err == nil && !there {
		r.noteLost()
	}
	return err
}

// Close implements reader.Card. A card that has left is no error, nor a reader that is lost: its field is off then.
func (c *card) Close(d reader.Disposition) error {
	c.r.mu.Lock()
	if c.closed {
		c.r.mu.Unlock()
		return nil
	}
	c.closed = true
	c.end()
	c.r.mu.Unlock()
	defer func() {
		c.r.mu.Lock()
		defer c.r.mu.Unlock()
		if c.r.open == c {
			c.r.open = nil
		}
	}()
	if d == reader.Leave {
		return nil
	}
	ctx, done, err := c.r.take(context.Background())
	if err != nil {
		return nil // the reader is closed, and its field off
	}
	defer done()
	if c.r.chip.state != ready || !c.r.chip.field {
		return nil // it is mended, or the field made fresh, before the next look
	}
	if err := c.r.chip.setField(ctx, false); err != nil && c.r.chip.state == ready {
		return err
	}
	return nil
}
