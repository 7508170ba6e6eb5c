package image

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/purselane/purselane/card/keys"
)

// Bytes is a byte string written as hexadecimal digits. It is a string and no slice, so that a chip's memory is one
// comparable value that is copied whole.
type Bytes string

// MarshalText writes upper-case hexadecimal digits.
func (b Bytes) MarshalText() ([]byte, error) {
	return []byte(strings.ToUpper(hex.EncodeToString([]byte(b)))), nil
}

// UnmarshalText reads hexadecimal digits.
func (b *Bytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("hexadecimal digits: %w", err)
	}
	*b = Bytes(raw)
	return nil
}

// ReadHex fills dst from exactly as many hexadecimal digits as it needs; it serves the text forms of fixed records.
func ReadHex(dst, text []byte) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("want %d hexadecimal digits, have %d characters", hex.EncodedLen(len(dst)), len(text))
	}
	_, err := hex.Decode(dst, text)
	return err
}

// WriteHex writes upper-case hexadecimal digits.
func WriteHex(src []byte) ([]byte, error) { return Bytes(src).MarshalText() }

// Key is a key inside a chip image. It never prints; only MarshalText, which the image's file needs, shows it.
type Key struct{ keys.Key }

// MarshalText writes the key. Only the file of an image may call it.
func (k Key) MarshalText() ([]byte, error) { return WriteHex(k.Key[:]) }

// UnmarshalText reads 32 hexadecimal digits. Its error shows none of them.
func (k *Key) UnmarshalText(text []byte) error {
	var v keys.Key
	if err := ReadHex(v[:], text); err != nil {
		return fmt.Errorf("key: want %d hexadecimal digits", 2*len(v))
	}
	k.Key = v
	return nil
}
