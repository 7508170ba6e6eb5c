// Package frame is how a PN532 and its host wrap what they say on a serial line (NXP UM0701-02, 6.2): normal and extended
// information frames, ACK, NACK and the syntax error frame.
//
// Start with [Info] to write and [Parser] to read. The reader and the emulator share it.
package frame

import (
	"bytes"
	"fmt"
)

// Frame identifiers: who speaks.
const (
	ToChip byte = 0xD4
	ToHost byte = 0xD5
	syntax byte = 0x7F // a frame of this byte alone: unknown command or wrong number of parameters
)

// MaxLength is the most bytes that a frame carries, its identifier and the command code included.
const MaxLength = 265

// Kind is what a frame is.
type Kind int

// Kinds of frames.
const (
	Information Kind = iota
	Ack              // from the chip: the command has arrived. From the host: stop what you do
	Nack             // from the host: say the last response again
	Syntax           // from the chip: no such command
	Damaged          // an information frame with a good header and a wrong or missing rest; Data may be wrong
)

// Frame is what has been read.
type Frame struct {
	Kind Kind
	ID   byte   // of Information and Damaged: ToChip or ToHost
	Data []byte // of Information and Damaged: command or response code and parameters
}

// AckFrame, NackFrame and SyntaxFrame return the bytes of the short frames.
func AckFrame() []byte    { return []byte{0, 0, 0xFF, 0x00, 0xFF, 0} }
func NackFrame() []byte   { return []byte{0, 0, 0xFF, 0xFF, 0x00, 0} }
func SyntaxFrame() []byte { return []byte{0, 0, 0xFF, 0x01, 0xFF, syntax, 0x81, 0} }

// Info returns an information frame: normal up to 255 bytes, extended above. It fails on more than MaxLength.
func Info(id byte, data []byte) ([]byte, error) {
	n := 1 + len(data)
	if n > MaxLength {
		return nil, fmt.Errorf("frame of %d bytes: a PN532 takes at most %d", n, MaxLength)
	}
	out := make([]byte, 0, n+10)
	if n <= 0xFF {
		out = append(out, 0, 0, 0xFF, byte(n), -byte(n))
	} else {
		out = append(out, 0, 0, 0xFF, 0xFF, 0xFF, byte(n>>8), byte(n), -(byte(n>>8) + byte(n)))
	}
	out = append(append(out, id), data...)
	return append(out, -(id + sum(data)), 0), nil
}

func sum(data []byte) (s byte) {
	for _, b := range data {
		s += b
	}
	return s
}

// Parser finds frames in a stream of bytes, however they were split and whatever stands between them. The zero Parser is
// ready.
type Parser struct{ buf []byte }

// start is where a frame begins; preambles of any length, also none, stand before it.
var start = []byte{0x00, 0xFF}

// Push adds what was read.
func (p *Parser) Push(raw []byte) { p.buf = append(p.buf, raw...) }

// Reset forgets everything.
func (p *Parser) Reset() { p.buf = p.buf[:0] }

// Next returns the next frame, or false when more bytes are needed. What is no frame is passed over one byte at a time: a
// false start may hide a true one behind it.
func (p *Parser) Next() (Frame, bool) {
	for p.seek() {
		header, n, sound := length(p.buf[len(start):])
		switch {
		case !sound:
			p.drop()
			continue
		case header == 0:
			return Frame{}, false
		case n == 0:
			kind := Ack
			if p.buf[len(start)] == 0xFF {
				kind = Nack
			}
			p.consume(len(start) + header)
			return Frame{Kind: kind}, true
		}
		end := len(start) + header + n + 1
		if len(p.buf) < end {
			return Frame{}, false
		}
		payload := bytes.Clone(p.buf[len(start)+header : end-1])
		if sum(payload)+p.buf[end-1] != 0 {
			p.drop()
			return damaged(payload), true
		}
		p.consume(end)
		if n == 1 && payload[0] == syntax {
			return Frame{Kind: Syntax}, true
		}
		return Frame{Kind: Information, ID: payload[0], Data: payload[1:]}, true
	}
	return Frame{}, false
}

// Unfinished reports whether the rest of a frame is missing.
func (p *Parser) Unfinished() bool { return len(p.buf) >= len(start) }

// GiveUp is told that the rest of an unfinished frame will not come. It passes over the frame's start and returns what there was
// of it.
func (p *Parser) GiveUp() Frame {
	f := Frame{Kind: Damaged}
	if !p.Unfinished() {
		return f
	}
	if header, n, sound := length(p.buf[len(start):]); sound && n > 0 && len(p.buf) > len(start)+header {
		f = damaged(bytes.Clone(p.buf[len(start)+header:]))
	}
	p.drop()
	return f
}

func damaged(payload []byte) Frame { return Frame{Kind: Damaged, ID: payload[0], Data: payload[1:]} }

// seek drops what stands before the next start and reports whether there is one.
func (p *Parser) seek() bool {
	i := bytes.Index(p.buf, start)
	if i >= 0 {
		p.consume(i)
		return true
	}
	keep := 0
	if n := len(p.buf); n > 0 && p.buf[n-1] == start[0] {
		keep = 1 // it may be the first half of a start
	}
	p.consume(len(p.buf) - keep)
	return false
}

func (p *Parser) drop() { p.consume(1) }

func (p *Parser) consume(n int) { p.buf = append(p.buf[:0], p.buf[n:]...) }

// length reads what follows a start: the size of the header, which is 0 when more bytes are needed, and the number of bytes from the identifier to
// the last of the data, which is 0 for ACK and NACK.
func length(b []byte) (header, n int, sound bool) {
	if len(b) < 2 {
		return 0, 0, true
	}
	switch {
	case b[0] == 0x00 && b[1] == 0xFF, b[0] == 0xFF && b[1] == 0x00:
		return 2, 0, true
	case b[0] == 0xFF && b[1] == 0xFF:
		if len(b) < 5 {
			return 0, 0, true
		}
		n = int(b[2])<<8 | int(b[3])
		return 5, n, b[2]+b[3]+b[4] == 0 && n >= 1 && n <= MaxLength
	}
	return 2, int(b[0]), b[0] >= 1 && b[0]+b[1] == 0
}
