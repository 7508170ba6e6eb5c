package cardacquirer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Errors of a connection. None says anything about the money but those that are [channel.ErrNotSent].
var (
	errBroken  = errors.New("cardacquirer: the connection ended before the answer")
	errSilence = errors.New("cardacquirer: no answer in time")
	errTwice   = errors.New("cardacquirer: the same message is on its way already") // so it was sent
)

// reply is an answer, or why there is none.
type reply struct {
	message Message
	err     error
}

// session is one connection with what waits for answers on it.
type session struct {
	conn    net.Conn
	framing Framing
	writing sync.Mutex

	mu     sync.Mutex
	waits  map[string]chan reply
	closed bool
}

// await registers who waits for an answer. One key can be waited for once at a time.
func (s *session) await(key string) (chan reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: %w", errBroken, channel.ErrNotSent)
	}
	if s.waits[key] != nil {
		return nil, errTwice
	}
	c := make(chan reply, 1)
	s.waits[key] = c
	return c, nil
}

func (s *session) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waits, key)
}

// deliver gives an answer to who waits for it, and reports whether anybody does.
func (s *session) deliver(key string, r reply) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.waits[key]
	delete(s.waits, key)
	if c != nil {
		c <- r
	}
	return c != nil
}

// end closes the connection. Whoever waits learns that it broke.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	_ = s.conn.Close()
	for key, c := range s.waits {
		delete(s.waits, key)
		c <- reply{err: errBroken}
	}
}

// read hands out what comes until the connection ends.
func (a *Adapter) read(s *session) {
	defer s.end()
	for {
		packed, err := s.framing.Read(s.conn)
		if err != nil {
			return
		}
		m, err := Unpack(packed, a.s.MAC)
		if m.MTI == "" {
			return // not the acquirer's language
		}
		if !s.deliver(m.key(m.MTI), reply{m, err}) && err == nil {
			a.noteLate(m)
		}
	}
}

// exchange sends a message on a session and waits for its answer.
func (a *Adapter) exchange(ctx context.Context, s *session, m Message) (Message, error) {
	packed, err := Pack(m, a.s.MAC)
	if err != nil {
		return Message{}, fmt.Errorf("cardacquirer: %w: %w", err, channel.ErrNotSent)
	}
	key := m.key(Answers(m.MTI))
	answer, err := s.await(key)
	if err != nil {
		return Message{}, err
	}
	defer s.forget(key)
	s.writing.Lock()
	err = s.framing.Write(s.conn, packed)
	s.writing.Unlock()
	if err != nil {
		s.end()
		return Message{}, errBroken // a part may have left
	}
	select {
	case r := <-answer:
		if r.err != nil && !errors.Is(r.err, errBroken) {
			return Message{}, fmt.Errorf("cardacquirer: %w", r.err)
		}
		return r.message, r.err
	case <-a.s.After(a.s.Patience):
		return Message{}, errSilence
	case <-ctx.Done():
		return Message{}, fmt.Errorf("cardacquirer: %w", ctx.Err())
	}
}

// send sends a message over the session that is there, or a new one.
func (a *Adapter) send(ctx context.Context, m Message) (Message, error) {
	if err := ctx.Err(); err != nil {
		return Message{}, fmt.Errorf("cardacquirer: %w: %w", err, channel.ErrNotSent)
	}
	s, err := a.connected(ctx)
	if err != nil {
		return Message{}, err
	}
	return a.exchange(ctx, s, m)
}

// connected is a session that is signed on.
func (a *Adapter) connected(ctx context.Context) (*session, error) {
	a.connecting.Lock()
	defer a.connecting.Unlock()
	a.mu.Lock()
	s := a.session
	a.mu.Unlock()
	if s != nil {
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if !closed {
			return s, nil
		}
	}
	var errs []error
	for _, dial := range a.s.Ends {
		s, err := a.signOn(ctx, dial)
		if err == nil {
			a.mu.Lock()
			a.session = s
			a.mu.Unlock()
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("cardacquirer: no end takes us: %w", errors.Join(append(errs, channel.ErrNotSent)...))
}

func (a *Adapter) signOn(ctx context.Context, dial Dialer) (*session, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, errors.New("no connection")
	}
	s := &session{conn: conn, framing: a.s.Framing, waits: map[string]chan reply{}}
	go a.read(s)
	answer, err := a.exchange(ctx, s, a.network("001"))
	if err == nil && answer.Fields[fCode] != "00" {
		err = fmt.Errorf("sign-on was refused with code %.2q", answer.Fields[fCode])
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// network is a message about the connection: 001 sign-on, 002 sign-off, 301 echo.
func (a *Adapter) network(code string) Message {
	now := a.s.Clock.Now()
	a.mu.Lock()
	a.stan = a.stan%999999 + 1
	stan := fmt.Sprintf("%06d", a.stan)
	a.mu.Unlock()
	return Message{MTI: "0800", Fields: map[int]string{fSentAt: now.UTC().Format("0102150405"), fSTAN: stan, fTerminal: a.s.Terminal, fNetwork: code}}
}

// Echo asks whether the other end is there.
func (a *Adapter) Echo(ctx context.Context) error {
	answer, err := a.send(ctx, a.network("301"))
	if err == nil && answer.Fields[fCode] != "00" {
		err = fmt.Errorf("cardacquirer: echo was answered with code %.2q", answer.Fields[fCode])
	}
	return err
}

// Probe is an echo.
func (a *Adapter) Probe(ctx context.Context) error { return a.Echo(ctx) }

// SignOff says goodbye and closes the connection.
func (a *Adapter) SignOff(ctx context.Context) error {
	a.mu.Lock()
	s := a.session
	a.session = nil
	a.mu.Unlock()
	if s == nil {
		return nil
	}
	_, err := a.exchange(ctx, s, a.network("002"))
	s.end()
	return err
}
