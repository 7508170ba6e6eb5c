package vpcd

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Control codes: messages of one byte from the driver.
const (
	ctlOff   = 0x00
	ctlOn    = 0x01
	ctlReset = 0x02
	ctlATR   = 0x04
)

// readMessage reads one message: two bytes of length, big-endian, and as many bytes. An empty message is an error, because
// the protocol has no meaning for it.
func readMessage(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n == 0 {
		return nil, fmt.Errorf("vpcd: empty message")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("vpcd: message of %d bytes: %w", n, err)
	}
	return body, nil
}

// writeMessage writes length and body in one write: two packets without TCP_NODELAY cost a delayed ACK each.
func writeMessage(w io.Writer, body []byte) error {
	if len(body) == 0 || len(body) > 0xFFFF {
		return fmt.Errorf("vpcd: message of %d bytes: want 1 to 65535", len(body))
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...))
	return err
}

// ATR is the answer to reset that PC/SC builds for a contactless card with these historical bytes (at most 15): 3B 8N 80 01,
// the bytes, and the XOR of all but the first (PC/SC part 3, 3.1.3.2.3).
func ATR(historical []byte) ([]byte, error) {
	if len(historical) > 15 {
		return nil, fmt.Errorf("vpcd: %d historical bytes: want at most 15", len(historical))
	}
	out := append([]byte{0x3B, 0x80 | byte(len(historical)), 0x80, 0x01}, historical...)
	var check byte
	for _, b := range out[1:] {
		check ^= b
	}
	return append(out, check), nil
}
