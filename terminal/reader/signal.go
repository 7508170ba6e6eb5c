package reader

import (
	"context"
	"errors"
	"time"
)

// ErrNoSignals says that the reader has no light or buzzer that this program can work.
var ErrNoSignals = errors.New("the reader has no light or buzzer of its own")

// Signal is a light that blinks, and a beep with each blink.
type Signal struct {
	Light   string        // "green", "amber" or "red"
	On, Off time.Duration // of a blink
	Repeats int           // blinks
	Beep    time.Duration // of each; 0: silent
}

// Signaller is what a Card of a reader with a light and a buzzer is besides. Signal returns when the reader has taken the order. It is for the end of a session:
// some readers serve no card while they blink. A reader does it as nearly as it can.
type Signaller interface {
	Signal(ctx context.Context, s Signal) error
}
