package pursetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/apdu"
)

// how is a way in which one command goes wrong.
type how int

const (
	whole      how = iota // nothing is wrong
	notSent               // the card left; the reader knows that the command did not reach it
	lostBefore            // the card left before the command; the reader cannot tell
	lostAfter             // the card carried the command out and left
	cancelled             // the visit's time ended before the command; the card stays
	cutOff                // the visit's time ended while the card worked
	refused               // the card stays, refuses, and does nothing
	failed                // the card stays, does it, and answers with a failure
	flipFirst             // the answer comes with one wrong bit: in its first byte,
	flipMiddle            // in the middle of its data,
	flipLast              // in its last byte of data
	flipStatus            // or in its status word
	bare                  // of the answer only the status word comes
	half                  // of the data only a half comes
	longer                // a byte too many comes
)

var names = [...]string{
	"clean", "not sent", "lost before", "lost after", "time over before", "time over after", "refused", "failed after",
	"first byte wrong", "middle wrong", "last byte wrong", "status wrong", "bare status", "half", "a byte too many",
}

// garbled reports a fault that changes an answer.
func (h how) garbled() bool { return h >= flipFirst }

// fault is one command, counted from 1, that goes wrong. The zero fault is none.
type fault struct {
	at  int
	how how
	sw  apdu.SW // of refused and failed
}

func (f fault) String() string {
	if f.how == whole {
		return "clean"
	}
	if f.sw != 0 {
		return fmt.Sprintf("command %d %s with %v", f.at, names[f.how], f.sw)
	}
	return fmt.Sprintf("command %d %s", f.at, names[f.how])
}

// faults are all that can go wrong with one command.
func (f Family) faults(at int) []fault {
	var out []fault
	for h := notSent; h <= longer; h++ {
		switch h {
		case refused:
			for _, sw := range f.Refusals {
				out = append(out, fault{at: at, how: h, sw: sw})
			}
		case failed:
			for _, sw := range f.Failures {
				out = append(out, fault{at: at, how: h, sw: sw})
			}
		default:
			out = append(out, fault{at: at, how: h})
		}
	}
	return out
}

// line is one presentation of a card, with one fault in it.
type line struct {
	chip   Chip
	fault  fault
	cancel context.CancelFunc
	sent   int // commands, those that went wrong included
	gone   bool
}

// present puts the card into the field. The context is that of the visit, which the fault may end.
func present(chip Chip, f fault) (context.Context, *line) {
	ctx, cancel := context.WithCancel(context.Background())
	chip.Power(true)
	return ctx, &line{chip: chip, fault: f, cancel: cancel}
}

// leave takes the card out.
func (l *line) leave() {
	l.gone = true
	l.chip.Power(false)
}

// end is the end of the visit.
func (l *line) end() {
	l.leave()
	l.cancel()
}

// Transmit implements apdu.Transmitter.
func (l *line) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	switch {
	case l.gone:
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, ctx.Err())
	}
	l.sent++
	if l.sent != l.fault.at {
		return l.chip.Transmit(ctx, command)
	}
	switch l.fault.how {
	case notSent:
		l.leave()
		return nil, fmt.Errorf("%w: the card left", apdu.ErrNotSent)
	case lostBefore:
		l.leave()
		return nil, fmt.Errorf("%w: the card left", apdu.ErrNoAnswer)
	case cancelled:
		l.cancel()
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, context.Canceled)
	case refused:
		return apdu.Response{SW: l.fault.sw}.Bytes(), nil
	}
	answer, err := l.chip.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	switch l.fault.how {
	case lostAfter:
		l.leave()
		return nil, fmt.Errorf("%w: the card left", apdu.ErrNoAnswer)
	case cutOff:
		l.cancel()
		l.leave()
		return nil, fmt.Errorf("%w: %w", apdu.ErrNoAnswer, context.Canceled)
	case failed:
		return apdu.Response{SW: l.fault.sw}.Bytes(), nil
	}
	return garble(answer, l.fault.how), nil
}

// garble is the answer as a bad line or a liar would give it.
func garble(answer []byte, h how) []byte {
	out := slices.Clone(answer)
	data := len(out) - 2
	switch h {
	case flipFirst:
		out[0] ^= 0x01
	case flipMiddle:
		out[data/2] ^= 0x10
	case flipLast:
		out[max(data-1, 0)] ^= 0x80
	case flipStatus:
		out[data+1] ^= 0x01
	case bare:
		out = out[data:]
	case half:
		out = append(out[:data/2:data/2], out[data:]...)
	case longer:
		out = slices.Insert(out, data, 0x00)
	}
	return out
}
