package ec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrMalformed says that a card's data has the wrong length or form.
var ErrMalformed = errors.New("malformed card data")

// PAN is a bank card number of 8 to 19 digits, packed as certificates have it: 10 bytes, left-justified, filled with F. It prints masked, its last
// four digits only, under every verb and in every encoding; Reveal is the only way to the digits.
type PAN [10]byte

// NewPAN packs a card number's digits.
func NewPAN(digits string) (PAN, error) {
	var p PAN
	if len(digits) < 8 || len(digits) > 19 || strings.Trim(digits, "0123456789") != "" {
		return p, fmt.Errorf("%w: a card number has 8 to 19 decimal digits", ErrMalformed) // and no digit of it in the error
	}
	raw, err := hex.DecodeString(digits + strings.Repeat("F", 20-len(digits)))
	if err != nil {
		panic(err) // digits and F only, an even count
	}
	return PAN(raw), nil
}

// ParsePAN reads a card number of packed digits, filled with F on the right to any length up to 10 bytes (5A, certificates).
func ParsePAN(raw []byte) (PAN, error) {
	if len(raw) > 10 {
		return PAN{}, fmt.Errorf("%w: card number of %d bytes, want 10 at most", ErrMalformed, len(raw))
	}
	return NewPAN(strings.TrimRight(strings.ToUpper(hex.EncodeToString(raw)), "F"))
}

// Reveal returns the whole card number: for records, keys and acquirers, never for logs, errors or URLs.
func (p PAN) Reveal() string {
	return strings.TrimRight(strings.ToUpper(hex.EncodeToString(p[:])), "F")
}

// String prints the last four digits.
func (p PAN) String() string {
	d := p.Reveal()
	return "****" + d[max(0, len(d)-4):]
}

// GoString is String: %#v must not print the number either.
func (p PAN) GoString() string { return p.String() }

// Format masks under every verb. String is not enough: %d and %x pass it by.
func (p PAN) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// MarshalText masks in JSON, YAML and structured logs.
func (p PAN) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// issuedBy reports whether the card number begins with an issuer identifier: 3 to 8 digits, filled with F (EC facts 12).
func (p PAN) issuedBy(id [4]byte) bool {
	digits := strings.TrimRight(strings.ToUpper(hex.EncodeToString(id[:])), "F")
	return len(digits) >= 3 && strings.HasPrefix(p.Reveal(), digits)
}

// Track2 is the track 2 equivalent data (57). It prints the masked card number and nothing else.
type Track2 struct {
	PAN           PAN
	Expiry        string // YYMM
	Service       string // three digits
	Discretionary string // the issuer's own digits
}

// ParseTrack2 reads tag 57: card number, D, expiry, service code, discretionary digits, F if the count is odd.
func ParseTrack2(raw []byte) (Track2, error) {
	if len(raw) > 19 {
		return Track2{}, fmt.Errorf("%w: track 2 of %d bytes, want 19 at most", ErrMalformed, len(raw))
	}
	text := strings.TrimSuffix(strings.ToUpper(hex.EncodeToString(raw)), "F")
	digits, rest, found := strings.Cut(text, "D")
	if !found || len(rest) < 7 || strings.Trim(rest, "0123456789") != "" {
		return Track2{}, fmt.Errorf("%w: track 2 without separator, expiry and service code", ErrMalformed)
	}
	pan, err := NewPAN(digits)
	if err != nil {
		return Track2{}, fmt.Errorf("track 2: %w", err)
	}
	return Track2{PAN: pan, Expiry: rest[:4], Service: rest[4:7], Discretionary: rest[7:]}, nil
}

// Bytes codes tag 57.
func (t Track2) Bytes() []byte {
	text := t.PAN.Reveal() + "D" + t.Expiry + t.Service + t.Discretionary
	if len(text)%2 != 0 {
		text += "F"
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil // fields that ParseTrack2 would not have made
	}
	return raw
}

// String prints the masked card number.
func (t Track2) String() string { return "track 2 of " + t.PAN.String() }

// Format masks under every verb.
func (t Track2) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// MarshalText masks in JSON, YAML and structured logs.
func (t Track2) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
