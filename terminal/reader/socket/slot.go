package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

var errSessionClosed = fmt.Errorf("%w: session closed", apdu.ErrNotSent)

// slot is one connection: one stay of a card. One goroutine (read) receives; ask and tell send under mu.
type slot struct {
	conn    net.Conn
	timeout time.Duration
	seen    time.Time     // when it connected
	answers chan []byte   // at most one: the protocol is question and answer
	gone    chan struct{} // closed when the card has left
	once    sync.Once

	mu sync.Mutex // one question at a time
}

func newSlot(conn net.Conn, timeout time.Duration) *slot {
	return &slot{conn: conn, timeout: timeout, seen: time.Now(), answers: make(chan []byte, 1), gone: make(chan struct{})}
}

// drop ends the stay from our side.
func (s *slot) drop() {
	s.once.Do(func() {
		close(s.gone)
		s.conn.Close()
	})
}

func (s *slot) isGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// read receives until the card leaves. A message that nobody asked for is a fault of the card: an answer must never be
// taken for that of a later command, so the card is dropped.
func (s *slot) read() {
	defer s.drop()
	for {
		vpcdproto.QuickAck(s.conn)
		message, err := vpcdproto.Read(s.conn)
		if err != nil {
			return
		}
		select {
		case s.answers <- message:
		default:
			return
		}
	}
}

// start powers the card up cold and checks that it has an ATR.
func (s *slot) start(ctx context.Context) error {
	if err := s.tell(vpcdproto.Off); err != nil {
		return err
	}
	if err := s.tell(vpcdproto.On); err != nil {
		return err
	}
	atr, err := s.ask(ctx, []byte{vpcdproto.ATR})
	if err != nil {
		return err
	}
	if len(atr) < 2 || len(atr) > vpcdproto.MaxATR {
		return fmt.Errorf("ATR of %d bytes", len(atr))
	}
	return nil
}

// transmit carries one command APDU.
func (s *slot) transmit(ctx context.Context, command []byte) ([]byte, error) {
	if len(command) < 2 {
		// A message of one byte would be a control code to the card.
		return nil, fmt.Errorf("%w: command of %d bytes", apdu.ErrNotSent, len(command))
	}
	response, err := s.ask(ctx, command)
	if err != nil {
		return nil, err
	}
	if len(response) < 2 {
		s.drop()
		return nil, fmt.Errorf("%w: response of %d bytes", apdu.ErrNoAnswer, len(response))
	}
	return response, nil
}

// tell sends a control code that has no answer.
func (s *slot) tell(code byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(context.Background(), []byte{code})
}

// ask sends a message and waits for the answer. Its error is ErrNotSent or ErrNoAnswer. A card that does not answer in
// time is dropped: its answer might come later and be taken for another's.
func (s *slot) ask(ctx context.Context, message []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.send(ctx, message); err != nil {
		return nil, err
	}
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	var why error
	select {
	case answer := <-s.answers:
		return answer, nil
	case <-s.gone:
		select {
		case answer := <-s.answers: // the card answered and then left
			return answer, nil
		default:
		}
		why = errors.New("the card left")
	case <-ctx.Done():
		why = ctx.Err()
	case <-timer.C:
		why = fmt.Errorf("no answer within %v", s.timeout)
	}
	s.drop()
	return nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, why)
}

// send writes one message. It tells whether the card can have received it: a connection that was known to be closed, or
// took no byte, has carried nothing. The caller holds mu.
func (s *slot) send(ctx context.Context, message []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	if s.isGone() {
		return fmt.Errorf("%w: no card in the slot", apdu.ErrNotSent)
	}
	select {
	case <-s.answers:
		s.drop()
		return fmt.Errorf("%w: the card spoke without being asked", apdu.ErrNotSent)
	default:
	}
	raw, err := vpcdproto.Bytes(message)
	if err != nil {
		return fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		s.drop()
		return fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	n, err := s.conn.Write(raw)
	if err == nil {
		return nil
	}
	s.drop()
	if n == 0 {
		return fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	return fmt.Errorf("%w: %w", apdu.ErrNoAnswer, err)
}
