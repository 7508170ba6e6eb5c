// Package pn532 is a reader behind a PN532 chip on a serial line (HSU). It needs no C.
//
// Start with [Open]. From the line up: package frame wraps bytes, [line] asks one command and waits for its ACK and response, [chip]
// is the state of the chip with the ladder that brings it back, and [Reader] is what a terminal sees.
//
// Three rules carry the money. What arrives before a command's ACK belongs to an earlier command and is never taken for an
// answer. A command that carries an APDU is never sent twice, because a lost ACK does not say that the chip has not heard it. And only
// a frame whose checksum never left the host, or that the chip called a syntax error, or a card's command whose last part was never
// sent, is surely not sent.
//
// There are no fixed sleeps: everything waits for bytes, with a deadline. What stays are the times that the card's and the chip's
// makers ask for: 5 ms of field off between two cards, 1 ms after a stop or a new baud rate.
package pn532

import (
	"log/slog"
	"time"
)

// Baud rates: what a PN532 has after power-on, and what it is raised to.
const (
	StartBaud   = 115200
	DefaultBaud = 921600
)

// DefaultTimeout is how long an answer may take when Options does not say. The chip itself goes on for as long as the card
// asks for more time.
const DefaultTimeout = 5 * time.Second

// Options of Open.
type Options struct {
	// Port is the serial port's device. A name under /dev/serial/by-id stays when an adapter is plugged in again.
	Port string
	// Baud is what the line is raised to after bring-up; default DefaultBaud. A chip or line that does not stand it goes on with
	// StartBaud.
	Baud int
	// Name is for logs; default "PN532" and the port.
	Name string
	// Timeout is for one answer of the card; default DefaultTimeout.
	Timeout time.Duration
	// Log gets what happens to the reader; default nothing.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Baud == 0 {
		o.Baud = DefaultBaud
	}
	if o.Name == "" {
		o.Name = "PN532 " + o.Port
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
