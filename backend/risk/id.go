package risk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Kind is what an [ID] is of. The text is part of the lists' file.
type Kind string

// Kinds.
const (
	Payer    Kind = "payer"
	Device   Kind = "device"
	CardOf   Kind = "card"
	Merchant Kind = "merchant"
)

// Kinds lists them.
var Kinds = []Kind{Payer, Device, CardOf, Merchant}

// ID stands for a payer, device, card or merchant. The zero value is nobody.
type ID [16]byte

// String is 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes 32 hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads them, lower case.
func (id *ID) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(id) {
		// It may be what the hash should stand for, put there by mistake: it is not repeated.
		return errors.New("an ID is 32 hexadecimal digits: the keyed hash, never the thing itself")
	}
	copy(id[:], raw)
	if id.String() != string(text) || *id == (ID{}) {
		return errors.New("an ID is 32 hexadecimal digits in lower case, and not all zero")
	}
	return nil
}

// Hasher makes IDs. What it is asked cannot be found from an ID without its key, which few numbers a card or telephone may have would else allow.
type Hasher struct{ key []byte }

// NewHasher makes a hasher of a key of 32 bytes.
func NewHasher(key []byte) (Hasher, error) {
	if len(key) != 32 {
		return Hasher{}, fmt.Errorf("risk: a hash key of %d bytes: want 32", len(key))
	}
	return Hasher{append([]byte(nil), key...)}, nil
}

// Zero reports that the hasher was not made by [NewHasher].
func (h Hasher) Zero() bool { return h.key == nil }

// Of is the ID of a thing; of "" the zero one.
func (h Hasher) Of(kind Kind, thing string) ID {
	if thing == "" {
		return ID{}
	}
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte("purselane-risk-id-1\n" + string(kind) + "\n" + thing))
	return ID(mac.Sum(nil)[:16])
}
