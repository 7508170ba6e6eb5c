package pn532

import "fmt"

// status is the error code of a response, its lowest six bits.
type status byte

// Status codes that are told apart.
const (
	good        status = 0x00
	tooHot      status = 0x0D
	overCurrent status = 0x2D
)

const (
	statusMask = 0x3F
	more       = 0x40 // in a status: the card has more to say; in a target number: the host has
	withNAD    = 0x80
)

var statusText = map[status]string{
	0x01: "the card did not answer in time", 0x02: "CRC error on air", 0x03: "parity error on air",
	0x04: "wrong bit count in anticollision", 0x05: "framing error on air", 0x06: "bit collision on air", 0x07: "communication buffer too small",
	0x09: "RF buffer overflow", 0x0A: "the other side's field is not on in time", 0x0B: "RF protocol error", tooHot: "the PN532 is too hot and has switched its antenna off",
	0x0E: "internal buffer overflow", 0x10: "wrong parameter", 0x12: "DEP command not supported", 0x13: "format error on air", 0x14: "authentication failed",
	0x23: "wrong check byte in the UID", 0x25: "command not allowed in this state", 0x26: "command not allowed in this configuration",
	0x27: "command not allowed in this context", 0x29: "target released", 0x2A: "another card is there", 0x2B: "the card is gone", 0x2C: "NFCID3 mismatch",
	overCurrent: "over-current at the antenna", 0x2E: "NAD missing",
}

// Error implements error.
func (s status) Error() string {
	if text, known := statusText[s]; known {
		return fmt.Sprintf("%s (PN532 status %02X)", text, byte(s))
	}
	return fmt.Sprintf("PN532 status %02X", byte(s))
}

// overloaded reports whether the antenna must rest.
func (s status) overloaded() bool { return s == tooHot || s == overCurrent }
