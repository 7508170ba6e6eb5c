package cardacquirer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Framing is how the length of a message stands before it. The number is a setting that is kept.
type Framing int

// Framings.
const (
	Binary2     Framing = iota // two bytes, the most significant first: the length of the message
	Binary2Self                // the same, counting the two bytes themselves
	ASCII4                     // four digits
	ASCII4Self                 // four digits, counting themselves
)

// maxFrame is longer than any message of the specification.
const maxFrame = 8192

func (f Framing) size() (header, extra int) {
	switch f {
	case Binary2Self:
		return 2, 2
	case ASCII4:
		return 4, 0
	case ASCII4Self:
		return 4, 4
	}
	return 2, 0
}

// Write writes a message behind its length, in one piece.
func (f Framing) Write(w io.Writer, message []byte) error {
	header, extra := f.size()
	n := len(message) + extra
	if len(message) == 0 || len(message) > maxFrame {
		return errors.New("a message of this length is none")
	}
	out := binary.BigEndian.AppendUint16(nil, uint16(n)) //nolint:gosec // at most maxFrame
	if header == 4 {
		out = fmt.Appendf(nil, "%04d", n)
	}
	_, err := w.Write(append(out, message...))
	return err
}

// Read reads one message. An empty one is a sign of life that some acquirers send, and is skipped.
func (f Framing) Read(r io.Reader) ([]byte, error) {
	header, extra := f.size()
	for {
		head := make([]byte, header)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		n := int(head[0])<<8 | int(head[1])
		if header == 4 {
			u, err := strconv.ParseUint(string(head), 10, 16)
			if err != nil {
				return nil, errors.New("the length is no number: check the framing that is set")
			}
			n = int(u)
		}
		if n -= extra; n < 0 || n > maxFrame {
			return nil, errors.New("the length is no message's: check the framing that is set")
		}
		if n == 0 {
			continue
		}
		body := make([]byte, n)
		_, err := io.ReadFull(r, body)
		return body, err
	}
}
