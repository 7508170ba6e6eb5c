//go:build pcsc

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ebfe/scard"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

// Available says whether the program was built with PC/SC.
const Available = true

// Delays before a card that could not be opened is tried again, doubled from the first to the last: it is still powering
// up, another program has it, or the driver has not yet given back a command of a session before.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Second
)

// Reader is one PC/SC reader.
type Reader struct {
	o       Options
	monitor *monitor
	// connecting holds one token while a call of SCardConnect is under way: on a stalled reader it can take for ever, and
	// calls given up must not pile up.
	connecting chan struct{}

	mu     sync.Mutex
	told   uint64 // losses told to the caller of Wait
	open   *card  // the session, nil for none
	closed chan struct{}

	quiet     bool  // its own beep has been turned off
	noSignals error // it has refused a signal
}

var _ reader.Reader = (*Reader)(nil)

// Open starts to watch a reader. It needs neither pcscd nor the reader to be there yet: Wait tells.
func Open(o Options) (reader.Reader, error) {
	if err := checkSignals(o.Signals); err != nil {
		return nil, fmt.Errorf("pcsc: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Reader{
		o: o, monitor: startMonitor(o.Name, o.Log), connecting: make(chan struct{}, 1), closed: make(chan struct{}),
	}, nil
}

// List returns the names of the readers that PC/SC has now.
func List() ([]string, error) {
	ctx, err := scard.EstablishContext()
	if err != nil {
		return nil, called("SCardEstablishContext", err)
	}
	defer ctx.Release()
	return list(ctx)
}

// Name is the reader's full name while it is there, and what it was asked for as otherwise.
func (r *Reader) Name() string {
	if v, _ := r.monitor.look(); v.name != "" {
		return v.name
	}
	if r.o.Name != "" {
		return r.o.Name
	}
	return "PC/SC reader"
}

var _ reader.Watched = (*Reader)(nil)

// Lost implements reader.Watched.
func (r *Reader) Lost() error {
	v, _ := r.monitor.look()
	switch {
	case v.name != "":
		return nil
	case v.losses > 0:
		return v.why
	}
	return errors.New("not found yet")
}

// Wait implements reader.Reader.
func (r *Reader) Wait(ctx context.Context) (reader.Card, error) {
	delay := firstRetry
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, changed := r.monitor.look()
		if err := r.refuse(v); err != nil {
			return nil, err
		}
		var retry <-chan time.Time
		if v.present {
			c, err := r.connect(ctx, v)
			if err == nil {
				return c, nil
			}
			r.o.Log.Debug("card cannot be opened yet", "reader", v.name, "err", err)
			retry = time.After(delay)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.closed:
		case <-changed:
			delay = firstRetry
		case <-retry:
			delay = min(2*delay, lastRetry)
		}
	}
}

// refuse says why no card can be waited for, and marks a loss as told.
func (r *Reader) refuse(v view) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		return reader.ErrClosed
	default:
	}
	if r.open != nil {
		return reader.ErrBusy
	}
	if v.losses > r.told {
		r.told = v.losses
		if v.name == "" { // else it has come back meanwhile
			return fmt.Errorf("%w: %w", reader.ErrReaderLost, v.why)
		}
	}
	return nil
}

// connect opens the card exclusively, on a context of its own. It runs apart, since SCardConnect blocks on a reader
// that another card has stalled; one that was given up cleans up behind itself.
func (r *Reader) connect(ctx context.Context, v view) (reader.Card, error) {
	timeout := time.NewTimer(r.o.Timeout)
	defer timeout.Stop()
	late := fmt.Errorf("SCardConnect took more than %v", r.o.Timeout)
	select {
	case r.connecting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timeout.C:
		return nil, late
	}
	done, given := make(chan error), make(chan struct{})
	defer close(given)
	var s *session
	go func() {
		defer func() { <-r.connecting }()
		opened, err := connect(v.name)
		s = opened
		select {
		case done <- err:
		case <-given:
			if err == nil {
				_ = opened.end(scard.LeaveCard) // nothing was sent to it
			}
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
		return r.begin(s, v)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timeout.C:
		return nil, late
	}
}

// begin makes s the reader's open session, unless the reader was closed meanwhile.
func (r *Reader) begin(s *session, v view) (reader.Card, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		_ = s.end(scard.LeaveCard)
		return nil, reader.ErrClosed
	default:
	}
	r.open = &card{r: r, session: s, left: v.left, seen: v.seen}
	return r.open, nil
}

// Close implements reader.Reader.
func (r *Reader) Close() error {
	r.mu.Lock()
	select {
	case <-r.closed:
		r.mu.Unlock()
		return nil
	default:
	}
	close(r.closed)
	open := r.open
	r.mu.Unlock()
	r.monitor.end()
	if open != nil {
		return open.Close(reader.Reset) // else the exclusive handle would keep the next program out
	}
	return nil
}

// session is a PC/SC context with one connected card.
type session struct {
	mu       sync.Mutex // one call at a time; held for as long as the driver holds the call
	ctx      *scard.Context
	card     *scard.Card
	answered bool // the last command, however late
}

func connect(name string) (*session, error) {
	ctx, err := scard.EstablishContext()
	if err != nil {
		return nil, called("SCardEstablishContext", err)
	}
	card, err := ctx.Connect(name, scard.ShareExclusive, scard.ProtocolAny)
	if err != nil {
		_ = ctx.Release()
		return nil, called("SCardConnect", err)
	}
	return &session{ctx: ctx, card: card}, nil
}

func (s *session) transmit(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	response, err := s.card.Transmit(command)
	s.answered = err == nil && len(response) >= 2
	return response, err
}

// end gives the handle and the context back, as soon as no call is under way. Releasing the context also ends a handle
// that could not be disconnected.
func (s *session) end(d scard.Disposition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release(d)
}

// endLate is end after a command that was given up. A card that answered after all is left as d says; any other is left
// alone, see [card.disposition].
func (s *session) endLate(d func() scard.Disposition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	disposition := scard.LeaveCard
	if s.answered {
		disposition = d()
	}
	_ = s.release(disposition)
}

func (s *session) release(d scard.Disposition) error {
	return errors.Join(called("SCardDisconnect", s.card.Disconnect(d)), called("SCardReleaseContext", s.ctx.Release()))
}

// card is one session as the terminal sees it.
type card struct {
	r       *Reader
	session *session
	left    uint64 // the monitor's count when the card was there
	seen    time.Time

	mu      sync.Mutex
	closed  bool
	gone    bool // a command failed
	stalled bool // a command is still with the driver
}

// Transmit implements apdu.Transmitter.
func (c *card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if err := c.ready(ctx, command); err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	type result struct {
		response []byte
		err      error
	}
	done := make(chan result, 1)
	go func() {
		response, err := c.session.transmit(command)
		done <- result{response, err}
	}()
	timeout := time.NewTimer(c.r.o.Timeout)
	defer timeout.Stop()
	var why error
	select {
	case got := <-done:
		switch {
		case got.err != nil:
			c.fail(false)
			return nil, transmitError(got.err)
		case len(got.response) < 2:
			// How pcscd reports a card that leaves in the middle of a command: no error, no bytes.
			c.fail(false)
			return nil, fmt.Errorf("%w: response of %d bytes", apdu.ErrNoAnswer, len(got.response))
		}
		return got.response, nil
	case <-ctx.Done():
		why = ctx.Err()
	case <-timeout.C:
		why = fmt.Errorf("no answer within %v", c.r.o.Timeout)
	}
	c.fail(true)
	return nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, why)
}

func (c *card) ready(ctx context.Context, command []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errors.New("session closed")
	case c.gone:
		return errors.New("no card in the field")
	case len(command) < 4:
		return fmt.Errorf("command of %d bytes", len(command)) // the binding panics on none
	}
	return ctx.Err()
}

func (c *card) fail(stalled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone, c.stalled = true, stalled
}

// Seen implements reader.Seer.
func (c *card) Seen() time.Time { return c.seen }

// Removed implements reader.Card.
func (c *card) Removed(ctx context.Context) error {
	for {
		v, changed := c.r.monitor.look()
		if v.left != c.left || v.name == "" {
			return nil
		}
		select {
		case <-changed:
		case <-c.r.closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements reader.Card. The handle and context of a card that is gone are thrown away without complaint; those of
// a stalled command when the driver gives them back: nothing in PC/SC takes a command away from a driver.
func (c *card) Close(d reader.Disposition) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	defer func() {
		c.r.mu.Lock()
		c.r.open = nil
		c.r.mu.Unlock()
	}()
	if c.stalled {
		go c.session.endLate(func() scard.Disposition { return c.disposition(d) })
		return nil
	}
	err := c.session.end(c.disposition(d))
	if c.gone || c.hasLeft() {
		return nil
	}
	return err
}

// disposition is what to ask of PC/SC. A card that has left is left alone: pcscd carries a reset out on whatever is in the
// slot by then. That is the next card, and when it answers before pcscd has looked at the slot, pcscd takes it for present
// without having seen it come, never sees it leave, and goes on saying "present" of an empty slot.
func (c *card) disposition(d reader.Disposition) scard.Disposition {
	if c.hasLeft() {
		return scard.LeaveCard
	}
	return map[reader.Disposition]scard.Disposition{
		reader.Leave: scard.LeaveCard, reader.Reset: scard.ResetCard, reader.Unpower: scard.UnpowerCard,
	}[d]
}

func (c *card) hasLeft() bool {
	v, _ := c.r.monitor.look()
	return v.left != c.left
}
