//go:build pcsc

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/terminal/reader"
)

// ccidEscape is the control code of a CCID escape with pcsc-lite: SCARD_CTL_CODE(1) (libccid, IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE). libccid
// lets it through only with bit 0 of ifdDriverOptions set in its Info.plist; ACS's own driver always does.
const ccidEscape = 0x42000000 + 1

// signalTime is how long an escape command may take: the reader answers when it has blinked.
const signalTime = 3 * time.Second

var _ reader.Signaller = (*card)(nil)

// Signal implements reader.Signaller. A reader that refuses once is not asked again: vpcd has no control codes at all, and each try costs time.
func (c *card) Signal(ctx context.Context, s reader.Signal) error {
	if c.r.o.Signals == "" {
		return reader.ErrNoSignals
	}
	c.mu.Lock()
	busy := c.closed || c.stalled
	c.mu.Unlock()
	if busy {
		return errors.New("signal: the session is over")
	}
	c.r.mu.Lock()
	refused, quiet := c.r.noSignals, c.r.quiet
	c.r.quiet = true
	c.r.mu.Unlock()
	if refused != nil {
		return refused
	}
	done := make(chan error, 1)
	go func() {
		if !quiet {
			_, _ = c.session.control(acr122Quiet()) // some readers of the kind do not know it
		}
		answer, err := c.session.control(acr122Signal(s))
		if err == nil && (len(answer) < 2 || answer[len(answer)-2] != 0x90) {
			err = fmt.Errorf("the reader answers %X", answer)
		}
		done <- err
	}()
	timeout := time.NewTimer(signalTime)
	defer timeout.Stop()
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("%w: %w", reader.ErrNoSignals, err)
			c.r.mu.Lock()
			c.r.noSignals = err
			c.r.mu.Unlock()
		}
		return err
	case <-ctx.Done():
		c.fail(true) // the handle is the driver's until it comes back
		return ctx.Err()
	case <-timeout.C:
		c.fail(true)
		return fmt.Errorf("signal: no answer within %v", signalTime)
	}
}

// control sends an escape command to the reader, not to the card.
func (s *session) control(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := s.card.Control(ccidEscape, command)
	return answer, called("SCardControl", err)
}
