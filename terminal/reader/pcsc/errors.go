//go:build pcsc

package pcsc

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ebfe/scard"

	"github.com/purselane/purselane/card/apdu"
)

// callError is a PC/SC call that failed. It unwraps to the scard.Error.
type callError struct {
	call string
	code scard.Error
}

// stringify guards libpcsclite's text of an error: it is one static buffer for all threads.
var stringify sync.Mutex

func (e *callError) Error() string {
	stringify.Lock()
	defer stringify.Unlock()
	return fmt.Sprintf("%s: %08X %s", e.call, uint32(e.code), e.code.Error())
}

func (e *callError) Unwrap() error { return e.code }

// called names the call that failed.
func called(call string, err error) error {
	if err == nil {
		return nil
	}
	var code scard.Error
	if errors.As(err, &code) {
		return &callError{call, code}
	}
	return fmt.Errorf("%s: %s", call, err)
}

// transmitError sorts a failure of SCardTransmit. pcscd checks the handle and whether the card was reset before it sends
// anything, so these two are surely not sent. Any other may have reached the card: a removed card is reported by some
// drivers in the middle of a command.
func transmitError(err error) error {
	if errors.Is(err, scard.ErrInvalidHandle) || errors.Is(err, scard.ErrResetCard) {
		return fmt.Errorf("%w: %w", apdu.ErrNotSent, called("SCardTransmit", err))
	}
	return fmt.Errorf("%w: %w", apdu.ErrNoAnswer, called("SCardTransmit", err))
}
