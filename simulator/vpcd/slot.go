package vpcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader/vpcdproto"
)

// AwayTime is how long a slot must stay empty before a card comes back: two polls of the driver and some.
const AwayTime = 900 * time.Millisecond

// Reconnect delays of Run: doubled from the first to the last.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 5 * time.Second
)

// ErrWithdrawn says that the chip gave no answer and has therefore left the slot.
var ErrWithdrawn = errors.New("card has left the slot")

// Card is a chip that can sit in a slot.
type Card interface {
	apdu.Transmitter
	Power(on bool)
	Reset()
}

// Slot is where a card goes. ATR defaults to that of a contactless card without historical bytes. Log defaults to
// nothing.
type Slot struct {
	Addr string // host:port of the driver
	ATR  []byte
	Log  *slog.Logger
}

// Run keeps card in the slot until ctx ends (nil) or the card leaves (ErrWithdrawn). A driver that is not there, or goes
// away, is tried again with a growing delay. The card is powered off when Run returns.
func (s Slot) Run(ctx context.Context, card Card) error {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	atr := s.ATR
	if len(atr) == 0 {
		atr, _ = ATR(nil)
	}
	if len(atr) > vpcdproto.MaxATR {
		return fmt.Errorf("vpcd: ATR of %d bytes: want at most %d", len(atr), vpcdproto.MaxATR)
	}
	delay := firstDelay
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr)
		if err == nil {
			log.Info("card is in the slot", "addr", s.Addr)
			delay = firstDelay
			err = Serve(ctx, conn, card, atr)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrWithdrawn):
			return err
		}
		log.Info("no reader at the slot, trying again", "addr", s.Addr, "in", delay, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, lastDelay)
	}
}

// Serve answers the driver at the other end of conn until ctx ends, the driver goes, or the card gives no answer
// (ErrWithdrawn). It closes conn and powers the card off.
func Serve(ctx context.Context, conn net.Conn, card Card, atr []byte) error {
	defer card.Power(false)
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for {
		vpcdproto.QuickAck(conn)
		message, err := vpcdproto.Read(conn)
		if err != nil {
			return fmt.Errorf("driver is gone: %w", err)
		}
		vpcdproto.QuickAck(conn)
		var answer []byte
		if len(message) == 1 {
			answer = control(card, message[0], atr)
			if answer == nil {
				continue
			}
		} else {
			answer, err = card.Transmit(ctx, message)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrWithdrawn, err)
			}
			if len(answer) < 2 {
				return fmt.Errorf("%w: answer of %d bytes", ErrWithdrawn, len(answer))
			}
		}
		if err := vpcdproto.Write(conn, answer); err != nil {
			return fmt.Errorf("driver is gone: %w", err)
		}
	}
}

// control carries out a control code and returns what the driver waits for: the ATR, or nothing. Unknown codes are never
// sent; they get no answer.
func control(card Card, code byte, atr []byte) []byte {
	switch code {
	case vpcdproto.Off:
		card.Power(false)
	case vpcdproto.On:
		card.Power(true)
	case vpcdproto.Reset:
		card.Reset()
	case vpcdproto.ATR:
		return atr
	}
	return nil
}
