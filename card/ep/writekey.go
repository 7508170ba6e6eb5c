package ep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/keys"
)

// KeyType is what WRITE KEY writes a key for (purse facts 3.11).
type KeyType byte

// Key types.
const (
	KeyInternal    KeyType = 0x30 // INTERNAL AUTHENTICATE
	KeyTAC         KeyType = 0x34 // DTK
	KeyMaintenance KeyType = 0x36 // DAMK
	KeyUnblock     KeyType = 0x37 // DPUK
	KeyReload      KeyType = 0x38 // DRPK
	KeyExternal    KeyType = 0x39 // EXTERNAL AUTHENTICATE; id 00 is the card's control key
	KeyPIN         KeyType = 0x3A
	KeyLimit       KeyType = 0x3C // DUK
	KeyUnload      KeyType = 0x3D // DULK
	KeyPurchase    KeyType = 0x3E // DPK
	KeyLoad        KeyType = 0x3F // DLK
)

// NewKey is a key, or PIN, for a card, in the one form that was published (purse facts 8.1, P5): P1 the type, P2 the id, and four bytes before
// the value. Operating systems differ there: what the four are is this project's reading of them. It never prints its value.
type NewKey struct {
	Type      KeyType
	ID        byte // by which commands name it: the index in INITIALIZE, P2 of VERIFY
	Version   byte
	Algorithm byte
	Tries     byte // after which it blocks, 0 to 15; 0: not counted
	Value     keys.Secret
}

// Format hides the value under every verb.
func (k NewKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[key of type %02X, id %02X]", byte(k.Type), k.ID)
}

// LogValue is Format for structured logs.
func (k NewKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

// MarshalText fails: a key is not written as text.
func (NewKey) MarshalText() ([]byte, error) {
	return nil, errors.New("ep: a key is not written as text")
}

// keyHead is how many bytes stand before the value.
const keyHead = 4

// Bytes are the data of WRITE KEY in clear: version, 00, tries twice (limit and left), algorithm, value.
func (k NewKey) Bytes() []byte {
	return cat([]byte{k.Version, 0x00, k.Tries<<4 | k.Tries, k.Algorithm}, k.Value)
}

// ParseNewKey reads the data of a WRITE KEY with those P1 and P2.
func ParseNewKey(p1, p2 byte, data []byte) (NewKey, error) {
	k := NewKey{Type: KeyType(p1), ID: p2}
	if len(data) < keyHead {
		return k, fmt.Errorf("%s: %w: %d bytes", CmdWriteKey, ErrMalformed, len(data))
	}
	k.Version, k.Tries, k.Algorithm, k.Value = data[0], data[2]>>4, data[3], keys.Secret(data[keyHead:])
	n := len(k.Value)
	switch {
	case data[1] != 0, data[2]>>4 != data[2]&0x0F:
		return k, fmt.Errorf("%s: %w: head %X", CmdWriteKey, ErrMalformed, data[:keyHead])
	case k.Type == KeyPIN && n >= 2 && n <= 6, k.Type != KeyPIN && n == len(keys.Key{}):
		return k, nil
	}
	return k, fmt.Errorf("%s: %w: a value of %d bytes", CmdWriteKey, ErrMalformed, n)
}

// WriteKey sends WRITE KEY in clear (80 D4 type id): only a card in personalisation takes it, and only a personalisation room is the place
// for it.
func (c *Card) WriteKey(ctx context.Context, k NewKey) error {
	_, err := c.do(ctx, CmdWriteKey, apdu.Command{CLA: 0x80, INS: 0xD4, P1: byte(k.Type), P2: k.ID, Data: k.Bytes()})
	return err
}

// WriteKeyBy sends WRITE KEY enciphered and with a MAC, both under the card's control key (84 D4 type id): to replace a key of a card that
// is in use.
func (c *Card) WriteKeyBy(ctx context.Context, k NewKey, line Line) error {
	if line.Encipher == nil || line.MAC == nil {
		return fmt.Errorf("%s: the line wants Encipher and MAC: a key does not go in clear", CmdWriteKey)
	}
	return line.send(ctx, c, CmdWriteKey, apdu.Command{CLA: 0x84, INS: 0xD4, P1: byte(k.Type), P2: k.ID, Data: k.Bytes()})
}

// KeyWork is what INTERNAL AUTHENTICATE does with its key: P1.
type KeyWork byte

// Works.
const (
	WorkEncipher KeyWork = 0x00 // whole blocks; the answer is as long as the data
	WorkDecipher KeyWork = 0x01 // likewise
	WorkMAC      KeyWork = 0x02 // any data; the answer is a MAC of 4 bytes, IV zero
)

// InternalAuthenticate sends INTERNAL AUTHENTICATE (00 88 P1 id): the card shows that it has its internal key.
func (c *Card) InternalAuthenticate(ctx context.Context, work KeyWork, id byte, data []byte) ([]byte, error) {
	n := len(data)
	switch work {
	case WorkMAC:
		n = len(MAC{})
	case WorkEncipher, WorkDecipher:
	default:
		return nil, fmt.Errorf("%s: work %02X: want 00, 01 or 02", CmdInternalAuthenticate, byte(work))
	}
	if len(data) == 0 || len(data) > 248 {
		return nil, fmt.Errorf("%s: %d bytes: want 1 to 248", CmdInternalAuthenticate, len(data))
	}
	return c.doN(ctx, CmdInternalAuthenticate, apdu.Command{INS: 0x88, P1: byte(work), P2: id, Data: data, Le: n}, n)
}
