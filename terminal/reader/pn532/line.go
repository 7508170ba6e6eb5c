package pn532

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/terminal/reader/pn532/frame"
)

const (
	// ackWithin is the time for an ACK: 15 ms by the chip's manual, 16 ms that a USB adapter may hold it, and as much again for
	// a busy host.
	ackWithin = 60 * time.Millisecond
	// cardAckWithin is the same for a command to a card. Nothing is gained by giving up sooner: it is never sent again, and what became of it
	// would be unknown because a host was busy for a moment.
	cardAckWithin = 500 * time.Millisecond
	// gap is the longest pause inside a frame: behind it, the rest is lost.
	gap = 40 * time.Millisecond
	// againWithin is the time for a response that was asked for again.
	againWithin = 100 * time.Millisecond
	// settle is how long the chip is left alone after a stop or a new baud rate.
	settle = time.Millisecond
	// writeWithin is the time that the host may take to accept a command. A port has no time limit of its own.
	writeWithin = time.Second
	// closeWithin is the time for closing a port; some drivers hang in it when the device is gone.
	closeWithin = 2 * time.Second

	resends = 3 // of a command without ACK, and of a NACK
)

// stage says how far a command came before it failed.
type stage int

const (
	notWritten stage = iota // its checksum never left the host: the chip has no command
	notAcked                // written; the chip may or may not have heard it
	noResponse              // the chip has it; what became of it is unknown
	refused                 // the chip called it a syntax error: it did nothing
)

// fault is a command that failed.
type fault struct {
	stage stage
	err   error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

var (
	errLineLost  = errors.New("the serial port is gone")
	errNoAck     = errors.New("the PN532 did not acknowledge the command")
	errRepeat    = errors.New("the PN532 has refused the frame")
	errSilent    = errors.New("the PN532 did not answer")
	errDamaged   = errors.New("the response stays damaged")
	errNoCommand = errors.New("the PN532 does not know the command")
	errLate      = errors.New("nothing came in time")
)

// line is a serial port with a PN532 at its end. Two goroutines read and write for it, since neither can be told to stop in the
// middle; all else belongs to one caller at a time.
type line struct {
	port  port
	baud  int
	parse frame.Parser
	quiet time.Time // the chip is left alone until then

	in    chan []byte // what was read
	out   chan []byte // what is to be written
	wrote chan written
	stop  chan struct{} // closed by close
	ended sync.WaitGroup

	once sync.Once
	dead chan struct{} // closed when the port has failed
	why  error         // set before dead is closed
}

type written struct {
	n   int
	err error
}

func newLine(p port, baud int) *line {
	l := &line{
		port: p, baud: baud,
		in: make(chan []byte, 64), out: make(chan []byte), wrote: make(chan written, 1), stop: make(chan struct{}), dead: make(chan struct{}),
	}
	l.ended.Go(l.reads)
	l.ended.Go(l.writes)
	return l
}

func (l *line) reads() {
	buf := make([]byte, 512)
	for {
		n, err := l.port.Read(buf)
		if n > 0 {
			select {
			case l.in <- bytes.Clone(buf[:n]):
			case <-l.stop:
				return
			}
		}
		if err != nil {
			l.lose(err)
			return
		}
		select {
		case <-l.stop:
			return
		default:
		}
	}
}

func (l *line) writes() {
	for {
		select {
		case raw := <-l.out:
			n, err := l.port.Write(raw)
			l.wrote <- written{n, err}
		case <-l.stop:
			return
		}
	}
}

func (l *line) lose(err error) {
	l.once.Do(func() {
		l.why = fmt.Errorf("%w: %w", errLineLost, err)
		close(l.dead)
	})
}

func (l *line) isDead() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// close gives the port back. A port that hangs is left behind.
func (l *line) close() error {
	l.lose(errors.New("closed"))
	close(l.stop)
	done := make(chan error, 1)
	go func() {
		// Only now that nobody reads: a read that starts while its port is closed may find another file under the same number.
		l.ended.Wait()
		done <- l.port.Close()
	}()
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errors.New("the serial port does not close: left behind")
	}
}

// setBaud changes the host's side of the speed once everything has left it.
func (l *line) setBaud(baud int) error {
	if err := l.port.Drain(); err != nil {
		return err
	}
	if err := l.port.SetBaud(baud); err != nil {
		return err
	}
	l.baud = baud
	l.quiet = time.Now().Add(settle)
	return nil
}

// send writes bytes and returns how many the host took.
func (l *line) send(raw []byte) (int, error) {
	if l.isDead() {
		return 0, l.why
	}
	timer := time.NewTimer(writeWithin + wire(len(raw), l.baud))
	defer timer.Stop()
	select {
	case l.out <- raw:
	case <-timer.C:
		return 0, errors.New("the serial port is still writing")
	}
	select {
	case w := <-l.wrote:
		if w.err != nil {
			l.lose(w.err)
			return w.n, l.why
		}
		if w.n < len(raw) {
			return w.n, fmt.Errorf("the serial port took %d of %d bytes", w.n, len(raw))
		}
		return w.n, nil
	case <-timer.C:
		l.lose(errors.New("it does not write"))
		return len(raw), l.why // it may yet
	}
}

// flush forgets what has arrived. What is still on its way stands before the next ACK and is passed over there.
func (l *line) flush() {
	l.parse.Reset()
	for range cap(l.in) + 1 {
		select {
		case <-l.in:
		default:
			return
		}
	}
}

// rest waits until the chip may be spoken to again.
func (l *line) rest(ctx context.Context) error { return wait(ctx, time.Until(l.quiet)) }

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// next returns the next frame, errLate when none came until then.
func (l *line) next(ctx context.Context, until time.Time) (frame.Frame, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if f, ok := l.parse.Next(); ok {
			return f, nil
		}
		left := time.Until(until)
		paused := l.parse.Unfinished() && left > gap
		timer.Reset(max(min(left, gapOr(paused, left)), 0))
		select {
		case raw := <-l.in:
			l.parse.Push(raw)
		case <-ctx.Done():
			return frame.Frame{}, ctx.Err()
		case <-l.dead:
			select {
			case raw := <-l.in: // it came before the port went
				l.parse.Push(raw)
				continue
			default:
			}
			return frame.Frame{}, l.why
		case <-timer.C:
			if l.late(until) {
				continue
			}
			if !paused {
				return frame.Frame{}, errLate
			}
			return l.parse.GiveUp(), nil
		}
	}
}

// late takes up what came in time and was not looked at in time, as happens on a busy machine. It does not go on for ever with a line
// full of noise.
func (l *line) late(until time.Time) bool {
	if time.Since(until) > ackWithin {
		return false
	}
	select {
	case raw := <-l.in:
		l.parse.Push(raw)
		return true
	default:
		return false
	}
}

func gapOr(paused bool, left time.Duration) time.Duration {
	if paused {
		return gap
	}
	return left
}

// ask sends one command and returns what follows the response code. Its error is a [fault]. It sends the command once; a
// response that arrives damaged is asked for again.
func (l *line) ask(ctx context.Context, within time.Duration, command ...byte) ([]byte, error) {
	raw, err := frame.Info(frame.ToChip, command)
	if err == nil {
		err = l.rest(ctx)
	}
	if err != nil {
		return nil, &fault{notWritten, err}
	}
	l.flush()
	if n, err := l.send(raw); err != nil {
		// The last two bytes are the checksum and the postamble. A frame without its checksum is no command.
		if n < len(raw)-1 {
			return nil, &fault{notWritten, err}
		}
		return nil, &fault{notAcked, err}
	}
	patience := ackWithin
	if command[0] == cmdDataExchange {
		patience = cardAckWithin
	}
	if err := l.acknowledged(ctx, time.Now().Add(patience+wire(len(raw)+6, l.baud))); err != nil {
		return nil, l.stopped(notAcked, err)
	}
	return l.response(ctx, command[0], time.Now().Add(within+wire(frame.MaxLength+10, l.baud)))
}

// acknowledged waits for the ACK. Whatever stands before it belongs to an earlier command.
func (l *line) acknowledged(ctx context.Context, until time.Time) error {
	for {
		f, err := l.next(ctx, until)
		switch {
		case errors.Is(err, errLate):
			return errNoAck
		case err != nil:
			return err
		case f.Kind == frame.Ack:
			return nil
		case f.Kind == frame.Nack:
			return errRepeat
		}
	}
}

// response waits for the response to code.
func (l *line) response(ctx context.Context, code byte, until time.Time) ([]byte, error) {
	asked := 0 // times that it was asked for again
	for {
		f, err := l.next(ctx, until)
		again := false
		switch {
		case errors.Is(err, errLate) && asked > 0:
			again = true
		case errors.Is(err, errLate):
			return nil, l.stopped(noResponse, errSilent)
		case err != nil:
			return nil, l.stopped(noResponse, err)
		case f.Kind == frame.Syntax:
			return nil, &fault{refused, errNoCommand}
		case f.ID != frame.ToHost || len(f.Data) == 0 || f.Data[0] != code+1:
			// Noise, or an answer to a command that was stopped. A damaged frame that does not show whose answer it is may be
			// noise while the chip still works, and asking then could bring back an older response.
		case f.Kind == frame.Information:
			return f.Data[1:], nil
		default:
			again = true
		}
		if !again {
			continue
		}
		if asked++; asked > resends {
			return nil, l.stopped(noResponse, errDamaged)
		}
		if _, err := l.send(frame.NackFrame()); err != nil {
			return nil, &fault{noResponse, err}
		}
		until = time.Now().Add(againWithin + wire(frame.MaxLength+10, l.baud))
	}
}

// stopped tells the chip to stop what it does, and returns the fault.
func (l *line) stopped(s stage, err error) error {
	l.abort()
	return &fault{s, err}
}

// abort tells the chip to stop what it does.
func (l *line) abort() {
	if _, err := l.send(frame.AckFrame()); err == nil {
		l.quiet = time.Now().Add(settle + wire(6, l.baud))
	}
}

// awaken is what wakes a sleeping chip; it loses the first bytes.
var awaken = slices.Concat([]byte{0x55, 0x55}, make([]byte, 14))
