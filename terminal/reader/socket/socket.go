// Package socket is a reader for virtual cards that needs no C: it listens on a TCP port and speaks the driver's side of the
// vpcd protocol, so that what plugs into pcscd's virtual reader plugs into a terminal.
//
// Start with [Listen]. One card at a time: a second connection waits until the first card has left. Anyone who can
// connect is a card, so listen on the loopback address unless you mean it.
package socket

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

// pollEvery is how often the presence of a card is checked by asking for its ATR, as pcscd does. A card that closes its
// connection is noticed at once; the poll finds one whose machine has died.
const pollEvery = 400 * time.Millisecond

// DefaultTimeout is how long an answer may take when Options does not say. No purse command takes a tenth of it.
const DefaultTimeout = 5 * time.Second

// Options of Listen.
type Options struct {
	Name    string        // default: "socket " and the address
	Timeout time.Duration // for one answer of the card; default DefaultTimeout
}

// Reader is a listening virtual reader.
type Reader struct {
	name    string
	timeout time.Duration
	ln      net.Listener
	ended   sync.WaitGroup // the accept loop

	mu      sync.Mutex
	slot    *slot // the connected card, nil for none
	open    bool  // a session is open
	closed  bool
	changed chan struct{} // closed and renewed at every change of the above
}

var _ reader.Reader = (*Reader)(nil)

// Listen opens the reader on a TCP address such as "127.0.0.1:35963" (port 0: any).
func Listen(addr string, o Options) (*Reader, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("socket reader: %w", err)
	}
	r := &Reader{name: o.Name, timeout: o.Timeout, ln: ln, changed: make(chan struct{})}
	if r.name == "" {
		r.name = "socket " + ln.Addr().String()
	}
	if r.timeout <= 0 {
		r.timeout = DefaultTimeout
	}
	r.ended.Go(r.accept)
	return r, nil
}

// Name implements reader.Reader.
func (r *Reader) Name() string { return r.name }

// Addr is where cards connect.
func (r *Reader) Addr() net.Addr { return r.ln.Addr() }

// accept takes one connection after the other until the reader is closed.
func (r *Reader) accept() {
	delay := time.Duration(0)
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			if r.isClosed() {
				return
			}
			// Out of file descriptors or the like: it may pass, and must not burn the processor until then.
			delay = min(delay+50*time.Millisecond, time.Second)
			time.Sleep(delay)
			continue
		}
		delay = 0
		s := newSlot(conn, r.timeout)
		if !r.setSlot(s) {
			s.drop()
			return
		}
		s.read()
		r.setSlot(nil)
	}
}

func (r *Reader) isClosed() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.closed }

// setSlot reports false when the reader is closed.
func (r *Reader) setSlot(s *slot) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slot = s
	r.change()
	return !r.closed
}

// change wakes all who wait. The caller holds mu.
func (r *Reader) change() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Wait implements reader.Reader.
func (r *Reader) Wait(ctx context.Context) (reader.Card, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, changed, err := r.take()
		if err != nil {
			return nil, err
		}
		if s != nil {
			if s.start(ctx) == nil {
				return &card{r: r, slot: s}, nil
			}
			// What connected is no card, or left again.
			s.drop()
			r.release()
			changed = s.gone
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// take opens the session with the card in the slot; without one it says what to wait for.
func (r *Reader) take() (*slot, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, reader.ErrClosed
	case r.open:
		return nil, nil, reader.ErrBusy
	case r.slot == nil || r.slot.isGone():
		return nil, r.changed, nil
	}
	r.open = true
	return r.slot, nil, nil
}

func (r *Reader) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = false
	r.change()
}

// Close implements reader.Reader.
func (r *Reader) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if r.slot != nil {
		r.slot.drop()
	}
	r.change()
	r.mu.Unlock()
	err := r.ln.Close()
	r.ended.Wait()
	return err
}

// card is one session with the card in a slot.
type card struct {
	r    *Reader
	slot *slot

	mu     sync.Mutex
	closed bool
}

// Transmit implements apdu.Transmitter.
func (c *card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, errSessionClosed
	}
	return c.slot.transmit(ctx, command)
}

// Seen implements reader.Seer.
func (c *card) Seen() time.Time { return c.slot.seen }

// Removed implements reader.Card.
func (c *card) Removed(ctx context.Context) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-c.slot.gone:
			return nil
		default:
		}
		select {
		case <-c.slot.gone:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
			// A failed poll has dropped the slot; the next turn sees it.
			_, _ = c.slot.ask(context.WithoutCancel(ctx), []byte{vpcdproto.ATR})
		}
	}
}

// Close implements reader.Card.
func (c *card) Close(d reader.Disposition) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	defer c.r.release()
	var err error
	switch d {
	case reader.Reset:
		err = c.slot.tell(vpcdproto.Reset)
	case reader.Unpower:
		err = c.slot.tell(vpcdproto.Off)
	}
	if c.slot.isGone() {
		return nil // there is no card to leave in any state
	}
	return err
}
