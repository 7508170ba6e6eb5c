// Package pcsc is a reader behind PC/SC (pcscd on Linux). It needs C and libpcsclite, so it is built with the tag pcsc only;
// without it [Open] says so.
//
// Start with [Open]. One goroutine watches the reader on a PC/SC context of its own, since a context is one lock and
// waiting would hold up every command; each session with a card has another. No context is trusted after an error: when
// pcscd restarts, all are thrown away and made anew, with a growing delay.
//
// One Reader per reader name and process: the binding keeps names alive in a map by name.
package pcsc

import (
	"log/slog"
	"time"
)

// DefaultTimeout is how long an answer may take when Options does not say. PC/SC itself waits without end.
const DefaultTimeout = 5 * time.Second

// Options of Open.
type Options struct {
	// Name is the reader's PC/SC name, or a part of it that only one reader's name has. Empty: the only reader there is.
	Name string
	// Timeout is for one answer of the card; default DefaultTimeout.
	Timeout time.Duration
	// Signals names the escape commands that work the reader's light and buzzer: ACR122U, or nothing.
	Signals string
	// Log gets what happens to the reader; default nothing.
	Log *slog.Logger
}
