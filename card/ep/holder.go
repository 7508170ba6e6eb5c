package ep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Holder is EF 16, who the card was issued to: 39 or 55 bytes (conflict C12). It is personal data and never prints. Name and number are
// as the issuer wrote them, padding included: their character set is the issuer's.
type Holder struct {
	CardType byte
	Staff    byte
	Name     [20]byte
	IDNumber []byte // 16 bytes in the short form, 32 in the long one
	IDType   byte
}

// ParseHolder reads EF 16 in either form.
func ParseHolder(raw []byte) (Holder, error) {
	if len(raw) != 39 && len(raw) != 55 {
		return Holder{}, fmt.Errorf("EF 16: %w: %d bytes, want 39 or 55", ErrMalformed, len(raw))
	}
	last := len(raw) - 1
	return Holder{CardType: raw[0], Staff: raw[1], Name: [20]byte(raw[2:22]), IDNumber: bytes.Clone(raw[22:last]), IDType: raw[last]}, nil
}

// Bytes codes EF 16, in the form that IDNumber has.
func (h Holder) Bytes() ([]byte, error) {
	if n := len(h.IDNumber); n != 16 && n != 32 {
		return nil, fmt.Errorf("ep: identity number of %d bytes: want 16 or 32", n)
	}
	return cat([]byte{h.CardType, h.Staff}, h.Name[:], h.IDNumber, []byte{h.IDType}), nil
}

// ReadHolder reads EF 16. Bank-style cards want the PIN first.
func (c *Card) ReadHolder(ctx context.Context) (Holder, error) {
	raw, err := c.ReadBinary(ctx, SFIHolder, 256)
	if err != nil {
		return Holder{}, err
	}
	return ParseHolder(raw)
}

// Format hides the holder under every verb.
func (Holder) Format(f fmt.State, _ rune) { io.WriteString(f, "[card holder]") }

// LogValue hides the holder from structured logs.
func (Holder) LogValue() slog.Value { return slog.StringValue("[card holder]") }

// MarshalText fails: personal data does not reach a log or a file by way of an encoder.
func (Holder) MarshalText() ([]byte, error) {
	return nil, errors.New("ep: a card holder is not written as text")
}
