package ep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/purselane/purselane/card/apdu"
)

// PIN is the PIN of a card, 4 to 12 digits. It never prints.
type PIN struct{ bcd string }

// ErrPINForm says that a PIN is not 4 to 12 digits.
var ErrPINForm = errors.New("a PIN is 4 to 12 digits")

// ParsePIN reads a PIN of 4 to 12 decimal digits.
func ParsePIN(digits string) (PIN, error) {
	if len(digits) < 4 || len(digits) > 12 {
		return PIN{}, ErrPINForm
	}
	var out []byte
	for i, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return PIN{}, ErrPINForm
		}
		if i%2 == 0 {
			out = append(out, (d-'0')<<4|0x0F) // an odd last digit stands before an F
		} else {
			out[i/2] = out[i/2]&0xF0 | (d - '0')
		}
	}
	return PIN{string(out)}, nil
}

// Bytes are the PIN's 2 to 6 bytes, packed BCD.
func (p PIN) Bytes() []byte { return []byte(p.bcd) }

// Format hides the PIN under every verb.
func (PIN) Format(f fmt.State, _ rune) { io.WriteString(f, "[PIN]") }

// LogValue hides the PIN from structured logs.
func (PIN) LogValue() slog.Value { return slog.StringValue("[PIN]") }

// MarshalText fails: a PIN is not written as text.
func (PIN) MarshalText() ([]byte, error) { return nil, errors.New("ep: a PIN is not written as text") }

// VerifyPIN sends VERIFY (00 20 00 id). A wrong PIN is a *StatusError that is ErrSecurity, with TriesLeft; after the last try it is
// ErrPINBlocked.
func (c *Card) VerifyPIN(ctx context.Context, id byte, pin PIN) error {
	_, err := c.do(ctx, CmdVerify, apdu.Command{INS: 0x20, P2: id, Data: pin.Bytes()})
	return err
}

// ChangePIN sends CHANGE PIN (80 5E 01 id old FF new). A wrong old PIN counts as in VerifyPIN.
func (c *Card) ChangePIN(ctx context.Context, id byte, old, fresh PIN) error {
	_, err := c.do(ctx, CmdChangePIN, apdu.Command{CLA: 0x80, INS: 0x5E, P1: 0x01, P2: id, Data: cat(old.Bytes(), []byte{0xFF}, fresh.Bytes())})
	return err
}

// ReloadPIN sends RELOAD PIN (80 5E 00 id new MAC): the issuer sets a new PIN and all tries. The MAC is over the new PIN's bytes, by
// keys.Soft.ReloadMAC.
func (c *Card) ReloadPIN(ctx context.Context, id byte, fresh PIN, mac MAC) error {
	_, err := c.do(ctx, CmdReloadPIN, apdu.Command{CLA: 0x80, INS: 0x5E, P2: id, Data: cat(fresh.Bytes(), mac[:])})
	return err
}

// UnblockPIN sends PIN UNBLOCK (84 24 id 00): a blocked PIN gets its tries back. The PIN is the one the card has, enciphered by encipher,
// keys.Soft.Encipher with the card's unblock key, and mac is keys.Soft.SecureMAC with the same key. Three wrong ones in a row block the
// application for good.
func (c *Card) UnblockPIN(ctx context.Context, id byte, pin PIN, encipher func(ctx context.Context, data []byte) ([]byte, error), mac SecureMAC) error {
	data, err := encipher(ctx, pin.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", CmdUnblockPIN, err)
	}
	return c.secured(ctx, CmdUnblockPIN, apdu.Command{CLA: 0x84, INS: 0x24, P1: id, Data: data}, mac)
}
