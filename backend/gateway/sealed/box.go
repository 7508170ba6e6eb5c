package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// version is the first byte of what a box makes. Behind it come four bytes that name the key, the nonce and the sealed secret with its tag.
const version = 1

const (
	idLen   = 4
	rootLen = 32
	header  = 1 + idLen
)

// ErrOpen says that a secret does not open: it was sealed with another key, for another row, or was changed.
var ErrOpen = errors.New("the sealed secret does not open: it belongs to another row, to another scheme's key file, or was changed")

// Box seals and opens secrets. It is safe for concurrent use.
type Box struct {
	keys []key // the first seals
}

type key struct {
	id   [idLen]byte
	aead cipher.AEAD
}

// New makes a box of keys of 32 bytes, the one that seals first. The keys themselves are used for nothing else than to derive others from.
func New(roots ...[]byte) (*Box, error) {
	b := &Box{}
	for _, root := range roots {
		if len(root) != rootLen {
			return nil, fmt.Errorf("sealed: a key of %d bytes: want %d", len(root), rootLen)
		}
		k, err := derive(root)
		if err != nil {
			return nil, fmt.Errorf("sealed: %w", err)
		}
		b.keys = append(b.keys, k)
	}
	if len(b.keys) == 0 {
		return nil, errors.New("sealed: a box needs a key")
	}
	return b, nil
}

func derive(root []byte) (key, error) {
	raw, err := hkdf.Key(sha256.New, root, nil, "purselane-gateway-secrets-1", idLen+32)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(raw[idLen:])
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return key{id: [idLen]byte(raw[:idLen]), aead: aead}, err
}

// Seal seals a secret for one row. row names table and row; the secret opens for the same one only.
func (b *Box) Seal(row string, secret []byte) []byte {
	k := b.keys[0]
	out := append([]byte{version}, k.id[:]...)
	return k.aead.Seal(out, nil, secret, []byte(row))
}

// Open opens a secret of a row. Error: [ErrOpen].
func (b *Box) Open(row string, sealed []byte) ([]byte, error) {
	if len(sealed) < header || sealed[0] != version {
		return nil, fmt.Errorf("%s: %w", row, ErrOpen)
	}
	for _, k := range b.keys {
		if !bytes.Equal(k.id[:], sealed[1:header]) {
			continue
		}
		if secret, err := k.aead.Open(nil, nil, sealed[header:], []byte(row)); err == nil {
			return secret, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", row, ErrOpen)
}

// Current reports whether a secret is sealed with the key that seals now. One that is not should be sealed anew.
func (b *Box) Current(sealed []byte) bool {
	return len(sealed) >= header && sealed[0] == version && bytes.Equal(sealed[1:header], b.keys[0].id[:])
}
