package ec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/purselane/purselane/card/keys"
)

// PIN is an offline PIN of 4 to 12 digits. It never prints. Zero is no PIN.
type PIN struct{ digits string }

// ErrPIN says that digits are no PIN, or that a new PIN does not decipher to one.
var ErrPIN = errors.New("PIN is not 4 to 12 decimal digits")

// NewPIN checks the digits.
func NewPIN(digits string) (PIN, error) {
	if len(digits) < 4 || len(digits) > 12 || strings.Trim(digits, "0123456789") != "" {
		return PIN{}, ErrPIN // and no digit of it in the error
	}
	return PIN{digits}, nil
}

// IsZero reports that there is no PIN.
func (p PIN) IsZero() bool { return p.digits == "" }

// String prints no digit.
func (p PIN) String() string { return "[PIN]" }

// Format prints no digit under any verb.
func (p PIN) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// MarshalText prints no digit in JSON and YAML.
func (p PIN) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// LogValue prints no digit in structured logs.
func (p PIN) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Block is the PIN as VERIFY carries it: 2, the number of digits, the digits, filled with F.
func (p PIN) Block() [8]byte { return p.block("2") }

func (p PIN) block(format string) [8]byte {
	return unhex8(fmt.Sprintf("%s%X%s", format, len(p.digits), p.digits), "F")
}

// DeltaPIN is what PIN CHANGE carries, before encipherment: the block of the new PIN (0, the number of digits, the digits, filled with F), xor the last
// four bytes of the left half of the card's own ENC key, xor the digits of the present PIN if it is known to the issuer.
func DeltaPIN(enc keys.Key, present, next PIN) [8]byte {
	return xor8(xor8(next.block("0"), halfOf(enc)), unhex8(present.digits, "0"))
}

// NextPIN undoes DeltaPIN, as the card does. present is zero where the command does not rest on it.
func NextPIN(enc keys.Key, present PIN, delta [8]byte) (PIN, error) {
	block := xor8(xor8(delta, halfOf(enc)), unhex8(present.digits, "0"))
	n := int(block[0])
	if n > 12 {
		return PIN{}, ErrPIN
	}
	p, err := NewPIN(hex.EncodeToString(block[1:])[:n])
	if err != nil || p.block("0") != block {
		return PIN{}, ErrPIN
	}
	return p, nil
}

func halfOf(enc keys.Key) (out [8]byte) {
	copy(out[4:], enc[4:8])
	return out
}

func xor8(a, b [8]byte) [8]byte {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// unhex8 packs up to 16 hexadecimal digits, filled on the right.
func unhex8(digits, fill string) [8]byte {
	raw, err := hex.DecodeString(digits + strings.Repeat(fill, 16-len(digits)))
	if err != nil {
		panic(err) // digits of a PIN, and a fill
	}
	return [8]byte(raw)
}
