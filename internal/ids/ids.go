// Package ids gives each name in the scheme a type of its own, so that the compiler refuses a card number where a
// terminal is wanted. Card numbers hide themselves when printed.
package ids

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// TerminalID names one terminal program for ever. It is an MQTT topic level and a certificate's common name, hence
// [A-Za-z0-9_-], 1 to 32 characters.
type TerminalID string

// MerchantID names who is paid for a purchase; AcquirerID who is settled with, and who sells loads for cash.
type (
	MerchantID string
	AcquirerID string
)

// ParseTerminalID checks the form of a terminal id.
func ParseTerminalID(s string) (TerminalID, error) {
	if err := checkName(s); err != nil {
		return "", fmt.Errorf("terminal id %q: %w", s, err)
	}
	return TerminalID(s), nil
}

// Check reports whether id has the form every outside contract relies on.
func Check(s string) error { return checkName(s) }

func checkName(s string) error {
	if s == "" || len(s) > 32 {
		return fmt.Errorf("want 1 to 32 characters, have %d", len(s))
	}
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return fmt.Errorf("character %q: want letters, digits, '_' or '-' only", c)
		}
	}
	return nil
}

// CardNumber is the 10-byte application serial number of EF 15 (offsets 10 to 19), BCD on T-Union cards. Its last
// 8 bytes are the key diversification factor. It prints with its middle hidden.
type CardNumber [10]byte

// ParseCardNumber reads 20 hexadecimal digits.
func ParseCardNumber(s string) (CardNumber, error) {
	var n CardNumber
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(n) {
		return n, fmt.Errorf("card number: want 20 hexadecimal digits, have %d characters", len(s))
	}
	copy(n[:], raw)
	return n, nil
}

// minShown is how many digits a number must have for four of them to be shown.
const minShown = 8

// String hides all but the last four digits. A bank's card number is filled up with F, which are none of its digits.
func (n CardNumber) String() string {
	digits := strings.TrimRight(n.Reveal(), "F")
	if len(digits) < minShown {
		digits = n.Reveal()
	}
	return "****" + digits[len(digits)-4:]
}

// GoString is String: %#v is a log line too.
func (n CardNumber) GoString() string { return n.String() }

// Format prints String under every verb. String alone is not enough: %d passes it by and prints the bytes.
func (n CardNumber) Format(f fmt.State, _ rune) { io.WriteString(f, n.String()) }

// MarshalText is String, for structured logs and for a card number inside a value that is encoded. There is no way
// back on purpose: a number that is to be read again is written by Reveal.
func (n CardNumber) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// Reveal returns all twenty digits, for a receipt printed for the holder or a file for the issuer. Never log it.
func (n CardNumber) Reveal() string { return strings.ToUpper(hex.EncodeToString(n[:])) }

// TapID names one tap for ever. The terminal makes it before the first byte that could cost the rider money goes to
// the card, so that a retry from any later place is the same tap. Epoch names one life of the terminal's journal.
type TapID struct {
	Terminal TerminalID
	Epoch    uint64
	Tap      uint64
}

// String prints terminal/epoch/tap; it holds nothing secret.
func (t TapID) String() string { return fmt.Sprintf("%s/%x/%d", t.Terminal, t.Epoch, t.Tap) }
