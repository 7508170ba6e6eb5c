// Package vpcdproto is the message format of vsmartcard's vpcd protocol (virtualsmartcard 0.8 and later): what a pcscd
// driver and a virtual card say to each other over TCP.
//
// Start with [Read] and [Write]. The driver's side is package terminal/reader/socket, the card's side simulator/vpcd.
package vpcdproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// DefaultPort is the driver's port for the first slot; slot n is at DefaultPort+n.
const DefaultPort = 35963

// Control codes: driver messages of one byte. The card answers ATR only, with its answer to reset.
const (
	Off   byte = 0x00
	On    byte = 0x01
	Reset byte = 0x02
	ATR   byte = 0x04
)

// MaxATR is the longest answer to reset (ISO/IEC 7816-3).
const MaxATR = 33

// ErrEmpty is a message of no bytes: it means nothing, and the true driver hangs on it.
var ErrEmpty = errors.New("vpcd: empty message")

// Read reads one message: two bytes of length, big-endian, and as many bytes. It is io.EOF only between messages.
func Read(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n == 0 {
		return nil, ErrEmpty
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("vpcd: message of %d bytes cut short: %w", n, io.ErrUnexpectedEOF)
	}
	return body, nil
}

// Bytes codes a message of 1 to 65535 bytes.
func Bytes(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	if len(body) > 0xFFFF {
		return nil, fmt.Errorf("vpcd: message of %d bytes: want at most 65535", len(body))
	}
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(body)), uint16(len(body))), body...), nil
}

// Write sends one message in one write: two packets without TCP_NODELAY cost a delayed ACK each.
func Write(w io.Writer, body []byte) error {
	raw, err := Bytes(body)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}
