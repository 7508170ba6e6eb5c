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
}

// Issuer is the issuing host's door to its keys, beside keys.HSM for the EP purse. Messages are whole blocks of 8 bytes, padded by this package's input functions; the
// door derives the card's key and the session key of the ATC (EC facts 14). Implementations are safe for concurrent use. Errors are keys.ErrUnknownKey or the device's own.
type Issuer interface {
	// Cryptogram returns the application cryptogram over input under the card's AC session key.
	Cryptogram(ctx context.Context, card CardKeys, atc uint16, input []byte) ([8]byte, error)
	// Response returns the ARPC: 3DES of the ARQC xor the response code, under the same key.
	Response(ctx context.Context, card CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([8]byte, error)
	// MAC returns the MAC over input under the card's MAC session key: of the balance and of script commands.
	MAC(ctx context.Context, card CardKeys, atc uint16, input []byte) ([4]byte, error)
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
	if iad.Algorithm != Algorithm3DES {
		return fmt.Errorf("%w: algorithm %02X", ErrUnknownCVN, iad.Algorithm)
	}
	input, err := BalanceInput(atc, iad, noPadding)
	if err != nil {
		return err
	}
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
	value, err := Amount12(balance)
	if err != nil {
		return apdu.Command{}, err
	}
	c := apdu.Command{CLA: 0x04, INS: 0xDA, P1: 0x9F, P2: 0x79, Data: value[:]}
	mac, err := door.MAC(ctx, card, atc, ScriptInput(c, atc, arqc))
	if err != nil {
		return apdu.Command{}, fmt.Errorf("script for %v: %w", card, err)
	}
	c.Data = append(c.Data, mac[:]...)
	return c, nil
}

// Script codes template 72: the script's number and its commands, carried out after the second cryptogram.
func Script(id [4]byte, commands ...apdu.Command) ([]byte, error) {
	list := []tlv.Object{{Tag: 0x9F18, Value: id[:]}}
	for _, c := range commands {
		raw, err := c.Bytes()
		if err != nil {
			return nil, err
		}
		list = append(list, tlv.Object{Tag: 0x86, Value: raw})
	}
	return tlv.Encode([]tlv.Object{{Tag: 0x72, Children: list}})
}

// LoadRecord is one record of the card's load log (EC facts 15).
type LoadRecord struct {
	Tag           tlv.Tag // 9F79
	Before, After money.Amount
	Date, Time    [3]byte // YYMMDD, hhmmss
	ATC           uint16
}

// ParseLoadRecord reads the 22 bytes of a record.
func ParseLoadRecord(raw []byte) (LoadRecord, error) {
	if len(raw) != 22 {
		return LoadRecord{}, fmt.Errorf("%w: load log record of %d bytes, want 22", ErrMalformed, len(raw))
	}
	before, err := ParseAmount(raw[2:8])
	if err != nil {
		return LoadRecord{}, fmt.Errorf("load log: %w", err)
	}
	after, err := ParseAmount(raw[8:14])
	if err != nil {
		return LoadRecord{}, fmt.Errorf("load log: %w", err)
	}
	return LoadRecord{
		Tag: tlv.Tag(raw[0])<<8 | tlv.Tag(raw[1]), Before: before, After: after,
		Date: [3]byte(raw[14:17]), Time: [3]byte(raw[17:20]), ATC: uint16(raw[20])<<8 | uint16(raw[21]),
	}, nil
}

// String prints the master key index and the masked card number.
func (c CardKeys) String() string { return fmt.Sprintf("card %v, key %02X", c.PAN, c.DKI) }

// Format masks under every verb.
func (c CardKeys) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue masks in structured logs.
func (c CardKeys) LogValue() slog.Value { return slog.StringValue(c.String()) }
