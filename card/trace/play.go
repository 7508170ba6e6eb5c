package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/card/apdu"
)

// Recorder stands in front of a card and keeps what is said. Now is a clock; only differences of it are kept.
type Recorder struct {
	Now func() time.Time

	mu       sync.Mutex
	sessions []Session
}

// Card begins a session with a card and returns the card with the recorder in front.
func (r *Recorder) Card(t apdu.Transmitter) apdu.Transmitter {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions = append(r.sessions, nil)
	return &recorded{r, t, len(r.sessions) - 1}
}

// Transcript is what was said so far, whole but for PINs and written keys, which are hidden.
func (r *Recorder) Transcript() Transcript {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t Transcript
	for _, s := range r.sessions {
		t.Sessions = append(t.Sessions, append(Session(nil), s...))
	}
	return t
}

type recorded struct {
	r       *Recorder
	t       apdu.Transmitter
	session int
}

// Transmit implements apdu.Transmitter.
func (c *recorded) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	from := c.r.Now()
	answer, err := c.t.Transmit(ctx, command)
	x := Exchange{Command: hideSecrets(BytesOf(command)), Took: c.r.Now().Sub(from).Truncate(time.Microsecond)}
	switch {
	case errors.Is(err, apdu.ErrNotSent):
		x.Fault = NotSent
	case err != nil, len(answer) < 2, len(answer) > apdu.MaxResponse:
		// An answer that is none leaves open what the card did.
		x.Fault = NoAnswer
	default:
		x.Answer = BytesOf(answer)
	}
	// What is no command cannot be written down, and no card would have understood it.
	if n := len(command); n >= 4 && n <= 261 {
		c.r.mu.Lock()
		c.r.sessions[c.session] = append(c.r.sessions[c.session], x)
		c.r.mu.Unlock()
	}
	return answer, err
}

// ErrNotReplayable says that a transcript hides bytes.
var ErrNotReplayable = errors.New("the transcript hides bytes and cannot be replayed: record it with --reveal, and without a PIN")

// ErrDiffers says that other commands were sent than the transcript has.
var ErrDiffers = errors.New("differs from the transcript")

// Player is the card of a session again: it wants the same commands in the same order, and answers what the card answered, faults too.
type Player struct {
	session Session
	next    int
	wrong   error
}

// NewPlayer plays a session. It fails with ErrNotReplayable on one that hides bytes.
func NewPlayer(s Session) (*Player, error) {
	if !(Transcript{Sessions: []Session{s}}).Replayable() {
		return nil, ErrNotReplayable
	}
	return &Player{session: s}, nil
}

// Transmit implements apdu.Transmitter. A command that the transcript does not have next is ErrDiffers, and so is every one after it.
func (p *Player) Transmit(_ context.Context, command []byte) ([]byte, error) {
	if p.wrong != nil {
		return nil, p.wrong
	}
	if p.next == len(p.session) {
		p.wrong = fmt.Errorf("%w: %w: %X comes after the last command", apdu.ErrNotSent, ErrDiffers, command)
		return nil, p.wrong
	}
	x := p.session[p.next]
	if want, _ := x.Command.Raw(); !bytes.Equal(want, command) {
		p.wrong = fmt.Errorf("%w: %w: command %d is %X, the transcript has %s", apdu.ErrNotSent, ErrDiffers, p.next+1, command, x.Command)
		return nil, p.wrong
	}
	p.next++
	switch x.Fault {
	case NotSent:
		return nil, apdu.ErrNotSent
	case NoAnswer:
		return nil, apdu.ErrNoAnswer
	}
	answer, _ := x.Answer.Raw()
	return answer, nil
}

// Done is nil when every command of the session was played and none beside.
func (p *Player) Done() error {
	if p.wrong == nil && p.next < len(p.session) {
		return fmt.Errorf("%w: %d of %d commands were sent", ErrDiffers, p.next, len(p.session))
	}
	return p.wrong
}
