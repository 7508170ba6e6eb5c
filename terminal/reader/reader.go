// Package reader is what a terminal wants of a card reader, whatever is behind it: [Reader] waits for a card, [Card] carries
// commands to it.
//
// Start with [Reader]. Implementations: inproc (a card in the same process), socket (a virtual card over TCP, no C), pn532
// (a chip on a serial line, no C) and pcsc (PC/SC, build tag pcsc). One conformance test, package readertest, runs over all of them. The package knows no purse.
package reader

import (
	"context"
	"errors"

	"github.com/purselane/purselane/card/apdu"
)

// Reader is one reader with one field or slot. Wait and the Card it returns belong to one goroutine; Card.Removed and
// Close may be called from others.
type Reader interface {
	// Name is the reader's name for logs.
	Name() string
	// Wait returns the card in the field, powered and ready, as soon as there is one. It returns a card that has been
	// there before as well: after [Card.Close], call [Card.Removed] first to wait for the next presentation.
	//
	// ErrTwoCards and ErrReaderLost are told once for each time it happens; Wait can be called again, and then waits until
	// the situation changes. Otherwise the error is the context's, or ErrClosed.
	Wait(ctx context.Context) (Card, error)
	// Close ends the reader, any Wait, and the open session if there is one.
	Close() error
}

// Watched is what a Reader is besides that knows without a card whether it is there. Lost says what it misses, and is nil while it is there.
type Watched interface {
	Lost() error
}

// Card is one session with one card. Transmit fails as [apdu.Transmitter] says: ErrNotSent or ErrNoAnswer. After
// ErrNoAnswer the session is over: the card is treated as gone, and further commands are ErrNotSent.
type Card interface {
	apdu.Transmitter
	// Removed returns nil when the card has left the field, or the reader is lost; else the context's error. It works
	// before and after Close.
	Removed(ctx context.Context) error
	// Close ends the session and leaves the card as d says. Closing twice, or a session whose card has left, is no error.
	Close(d Disposition) error
}

// Disposition is what becomes of the card's power at the end of a session.
type Disposition int

// Dispositions.
const (
	Leave   Disposition = iota // after success: as it is
	Reset                      // after a failure: the card forgets the session
	Unpower                    // field off, contacts off
)

// What can be wrong with a reader.
var (
	// ErrTwoCards: more than one card is in the field. Nothing was sent to any.
	ErrTwoCards = errors.New("more than one card in the field")
	// ErrReaderLost: the reader is unplugged or its service is down. Wait again: it waits for it to come back.
	ErrReaderLost = errors.New("reader lost")
	// ErrBusy: the card of the last Wait has not been closed.
	ErrBusy = errors.New("reader has an open card")
	// ErrClosed: the reader has been closed.
	ErrClosed = errors.New("reader closed")
)
