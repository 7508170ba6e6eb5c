package reader

import (
	"context"
	"errors"
)

// ErrNoSignals says that the reader has no light or buzzer that this program can work.
var ErrNoSignals = errors.New("the reader has no light or buzzer of its own")

// Signaller is what a Card of a reader with a light and a buzzer is besides. Signal shows a light ("green", "amber", "red") and beeps; it returns when the reader has
// taken the order. It is for the end of a session: some readers serve no card while they blink.
type Signaller interface {
	Signal(ctx context.Context, light string, beeps int) error
}
