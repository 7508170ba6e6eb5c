package ec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// CardKeys names one card's keys: the issuer's master keys by their index (the DKI in the issuer application data) and the card. It prints the card number masked.
type CardKeys struct {
	DKI byte
	PAN PAN
	PSN byte // two digits, packed
	// Algorithm is the byte of 9F10 that names the cipher; 0 is 3DES. The checks take it from the issuer application data.
	Algorithm byte
}

// suite is the cryptography of these keys; a door refuses what it does not know.
func (c CardKeys) suite() Suite {
	if c.Algorithm == 0 {
		return Suite3DES
	}
	return Suite(c.Algorithm)
}

// Issuer is the issuing host's door to its keys, beside keys.HSM for the EP purse. Messages are whole blocks of 8 bytes (SM4: 16), padded by this package's input functions; the
// door derives the card's key and the session key of the ATC (EC facts 14). Implementations are safe for concurrent use. Errors are keys.ErrUnknownKey or the device's own.
type Issuer interface {
	// Cryptogram returns the application cryptogram over input under the card's AC session key.
	Cryptogram(ctx context.Context, card CardKeys, atc uint16, input []byte) ([8]byte, error)
	// Response returns the ARPC over the ARQC and the response code, under the same key.
	Response(ctx context.Context, card CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([8]byte, error)
	// MAC returns the MAC over input under the card's MAC session key: of the balance and of script commands.
	MAC(ctx context.Context, card CardKeys, atc uint16, input []byte) ([4]byte, error)
}

// PINIssuer is the door for new PINs, beside Issuer: it needs bytes of the card's own ENC key, which few devices give, and few schemes set PINs.
type PINIssuer interface {
	// EncipherPIN returns the data of PIN CHANGE: DeltaPIN under the card's ENC key, enciphered under its ENC session key. present may be zero.
	EncipherPIN(ctx context.Context, card CardKeys, atc uint16, present, next PIN) ([16]byte, error)
}

// Errors of the issuer's checks.
var (
	ErrCryptogram = errors.New("application cryptogram does not verify")
	ErrBalanceMAC = errors.New("MAC over the balance does not verify")
)

// VerifyCryptogram recomputes a cryptogram from the terminal's values as sent. A wrong one is ErrCryptogram: never settle it.
func VerifyCryptogram(ctx context.Context, door Issuer, card CardKeys, sent map[tlv.Tag][]byte, aip AIP, atc uint16, iad IAD, ac [8]byte) error {
	input, _, err := CryptogramInput(sent, aip, atc, iad)
	if err != nil {
		return err
	}
	card.Algorithm = iad.Algorithm
	want, err := door.Cryptogram(ctx, card, atc, input)
	if err != nil {
		return fmt.Errorf("cryptogram of %v: %w", card, err)
	}
	if want != ac {
		return ErrCryptogram
	}
	return nil
}

// VerifyBalance recomputes the MAC over the balance in the issuer application data. noPadding is BalanceInput's.
func VerifyBalance(ctx context.Context, door Issuer, card CardKeys, atc uint16, iad IAD, noPadding bool) error {
	input, err := BalanceInput(atc, iad, noPadding)
	if err != nil {
		return err
	}
	card.Algorithm = iad.Algorithm
	want, err := door.MAC(ctx, card, atc, input)
	if err != nil {
		return fmt.Errorf("balance of %v: %w", card, err)
	}
	if want != iad.MAC {
		return ErrBalanceMAC
	}
	return nil
}

// Approved is the response code of an authorisation that was granted.
var Approved = [2]byte{'0', '0'}

// IssuerAuthentication returns tag 91: ARPC and response code.
func IssuerAuthentication(ctx context.Context, door Issuer, card CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([10]byte, error) {
	arpc, err := door.Response(ctx, card, atc, arqc, code)
	if err != nil {
		return [10]byte{}, fmt.Errorf("ARPC of %v: %w", card, err)
	}
	return [10]byte(append(arpc[:], code[:]...)), nil
}

// PutBalance returns the script command that sets the EC balance: to an absolute value, not by an increment (EC facts 15). The card refuses it above its limit.
func PutBalance(ctx context.Context, door Issuer, card CardKeys, atc uint16, arqc [8]byte, balance money.Amount) (apdu.Command, error) {
	c, err := PutAmount(TagBalance, balance)
	if err != nil {
		return apdu.Command{}, err
	}
	return Secure(ctx, door, card, atc, arqc, c)
}

// String prints the master key index and the masked card number.
func (c CardKeys) String() string { return fmt.Sprintf("card %v, key %02X", c.PAN, c.DKI) }

// Format masks under every verb.
func (c CardKeys) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue masks in structured logs.
func (c CardKeys) LogValue() slog.Value { return slog.StringValue(c.String()) }
