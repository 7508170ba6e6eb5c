// Package apdu codes ISO/IEC 7816-4 command and response APDUs, short form.
//
// Start with [Command.Bytes] and [ParseResponse], or [Exchange] to talk to a card. The package knows no card: what a
// status word means is the purse family's business, because it differs by command.
//
// Extended length and command chaining are left out on purpose: no purse in our profiles uses them.
package apdu

import (
	"context"
	"errors"
	"fmt"
)

// Command is a short command APDU (ISO/IEC 7816-4, 5.1). Le is the number of response bytes expected: 0 for no Le
// field (cases 1 and 3), 1 to 255, or 256, which is sent as 00.
type Command struct {
	CLA, INS, P1, P2 byte
	Data             []byte
	Le               int
}

// MaxResponse is the longest short response: 256 data bytes and SW1 SW2.
const MaxResponse = 258

// Bytes codes the command, or fails when Data or Le does not fit the short form.
func (c Command) Bytes() ([]byte, error) {
	if len(c.Data) > 255 {
		return nil, fmt.Errorf("apdu: %d data bytes: the short form holds 255", len(c.Data))
	}
	if c.Le < 0 || c.Le > 256 {
		return nil, fmt.Errorf("apdu: Le %d: want 0 to 256", c.Le)
	}
	out := make([]byte, 0, 6+len(c.Data))
	out = append(out, c.CLA, c.INS, c.P1, c.P2)
	if len(c.Data) > 0 {
		out = append(out, byte(len(c.Data)))
		out = append(out, c.Data...)
	}
	if c.Le > 0 {
		out = append(out, byte(c.Le)) // 256 wraps to 00, as the standard has it
	}
	return out, nil
}

// ParseCommand reads a short command APDU, all four cases. Five bytes are read as case 2 (header and Le).
func ParseCommand(raw []byte) (Command, error) {
	if len(raw) < 4 {
		return Command{}, fmt.Errorf("apdu: command of %d bytes: want at least 4", len(raw))
	}
	c := Command{CLA: raw[0], INS: raw[1], P1: raw[2], P2: raw[3]}
	body := raw[4:]
	switch {
	case len(body) == 0:
		return c, nil
	case len(body) == 1:
		c.Le = le(body[0])
		return c, nil
	}
	lc := int(body[0])
	if lc == 0 {
		return Command{}, errors.New("apdu: Lc 00 with bytes behind it: extended length is not supported")
	}
	switch len(body) {
	case 1 + lc:
	case 2 + lc:
		c.Le = le(body[1+lc])
	default:
		return Command{}, fmt.Errorf("apdu: Lc says %d data bytes, %d bytes follow", lc, len(body)-1)
	}
	c.Data = append([]byte(nil), body[1:1+lc]...)
	return c, nil
}

func le(b byte) int {
	if b == 0 {
		return 256
	}
	return int(b)
}

// SW is the status word SW1 SW2.
type SW uint16

// OK is the status word of a command that was carried out.
const OK SW = 0x9000

// String prints the four hexadecimal digits.
func (s SW) String() string { return fmt.Sprintf("%04X", uint16(s)) }

// Response is a response APDU: data and status word.
type Response struct {
	Data []byte
	SW   SW
}

// ParseResponse reads a response APDU. A response below two bytes is no response: the card is gone.
func ParseResponse(raw []byte) (Response, error) {
	if len(raw) < 2 {
		return Response{}, fmt.Errorf("apdu: response of %d bytes: want at least SW1 SW2", len(raw))
	}
	if len(raw) > MaxResponse {
		return Response{}, fmt.Errorf("apdu: response of %d bytes: the short form holds %d", len(raw), MaxResponse)
	}
	n := len(raw) - 2
	return Response{Data: append([]byte(nil), raw[:n]...), SW: SW(raw[n])<<8 | SW(raw[n+1])}, nil
}

// Bytes codes the response.
func (r Response) Bytes() []byte {
	return append(append(make([]byte, 0, len(r.Data)+2), r.Data...), byte(r.SW>>8), byte(r.SW))
}

// Money depends on which of these two a failed exchange was, so every Transmitter must tell them apart, and one that
// cannot must say ErrNoAnswer.
var (
	// ErrNotSent: the card has not received the command. It may be sent again to the same card.
	ErrNotSent = errors.New("command not sent to the card")
	// ErrNoAnswer: the command may have reached the card, and no answer came. What the card did is unknown.
	ErrNoAnswer = errors.New("command sent, no answer from the card")
)

// Transmitter carries one command APDU to one card and returns its response APDU. It fails with an error that is
// ErrNotSent or ErrNoAnswer (by errors.Is), never with a half answer: a response below two bytes is ErrNoAnswer.
type Transmitter interface {
	Transmit(ctx context.Context, command []byte) (response []byte, err error)
}

// maxFollow bounds the 61xx and 6Cxx a card may answer in a row: a faulty card must not hold the gate for ever.
const maxFollow = 4

// Exchange sends c and returns the whole response: it fetches the rest on 61xx (GET RESPONSE) and repeats with the
// right Le on 6Cxx, as T=0 readers need.
//
// A 6Cxx card has not carried out the command (ISO/IEC 7816-4, 5.1.3), so the repeat is no second debit. A 61xx card has:
// once it has said so, a card that refuses the fetch is ErrNoAnswer, because a refused fetch must never read as a refused
// debit. Once any first answer is there, a failed transmission is ErrNoAnswer even if it was not sent.
func Exchange(ctx context.Context, t Transmitter, c Command) (Response, error) {
	var data []byte
	done := false // the card has carried the command out; c is GET RESPONSE now
	for follow := 0; ; follow++ {
		raw, err := c.Bytes()
		if err != nil {
			return Response{}, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		answer, err := t.Transmit(ctx, raw)
		if err != nil {
			if follow > 0 && errors.Is(err, ErrNotSent) {
				return Response{}, fmt.Errorf("%w: fetching the rest: %v", ErrNoAnswer, err)
			}
			return Response{}, err
		}
		r, err := ParseResponse(answer)
		if err != nil {
			return Response{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
		}
		sw1 := byte(r.SW >> 8)
		if sw1 != 0x6C { // wrong Le: what may stand before it is not the answer
			data = append(data, r.Data...)
		}
		if len(data) > MaxResponse-2 {
			return Response{}, fmt.Errorf("%w: more than %d response bytes", ErrNoAnswer, MaxResponse-2)
		}
		switch {
		case sw1 != 0x61 && sw1 != 0x6C:
			if done && r.SW != OK && sw1 != 0x62 && sw1 != 0x63 { // warnings come with the data
				return Response{}, fmt.Errorf("%w: the card refused to give the rest: %v", ErrNoAnswer, r.SW)
			}
			return Response{Data: data, SW: r.SW}, nil
		case follow == maxFollow:
			return Response{}, fmt.Errorf("%w: the card answered %v %d times in a row", ErrNoAnswer, r.SW, follow+1)
		case sw1 == 0x61:
			c, done = Command{CLA: 0x00, INS: 0xC0, Le: le(byte(r.SW))}, true
		default:
			c.Le = le(byte(r.SW))
		}
	}
}
