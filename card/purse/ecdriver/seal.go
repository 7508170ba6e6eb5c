package ecdriver

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/ids"
)

// A sealed card number: version, the first bytes of the SHA-256 of the public key, HPKE's encapsulated key, and the ciphertext of card
// number and sequence number (RFC 9180, base mode, X25519, HKDF-SHA256, AES-128-GCM). The token is bound to it as associated data.
const (
	sealVersion = 1
	sealInfo    = "purselane ec card number 1"
	keyIDSize   = 4
	encSize     = 32
	numberSize  = len(ec.PAN{}) + 1
	sealedSize  = 1 + keyIDSize + encSize + numberSize + 16
)

// ErrSealed says that a sealed card number cannot be opened: it is for another key, of another card, or damaged.
var ErrSealed = errors.New("sealed card number does not open")

// KeyID is how a sealed card number names the key that opens it.
func KeyID(key *ecdh.PublicKey) (id [keyIDSize]byte) {
	sum := sha256.Sum256(key.Bytes())
	copy(id[:], sum[:])
	return id
}

// SealedTo reads which key opens a sealed card number.
func SealedTo(sealed []byte) (id [keyIDSize]byte, err error) {
	if len(sealed) != sealedSize || sealed[0] != sealVersion {
		return id, fmt.Errorf("%w: %d bytes, want %d that begin with %02X", ErrSealed, len(sealed), sealedSize, sealVersion)
	}
	return [keyIDSize]byte(sealed[1:]), nil
}

// Seal closes a card number so that the holder of the private key alone can read it. It is another text each time.
func Seal(key *ecdh.PublicKey, token ids.CardNumber, pan ec.PAN, psn byte) ([]byte, error) {
	public, err := hpke.NewDHKEMPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("seal a card number: %w", err)
	}
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES128GCM(), []byte(sealInfo))
	if err != nil {
		return nil, fmt.Errorf("seal a card number: %w", err)
	}
	id := KeyID(key)
	out := bytes.Join([][]byte{{sealVersion}, id[:], enc}, nil)
	text, err := sender.Seal(token[:], append(bytes.Clone(pan[:]), psn))
	if err != nil {
		return nil, fmt.Errorf("seal a card number: %w", err)
	}
	return append(out, text...), nil
}

// Open reads a sealed card number. The token must be the one of the record that it came with.
func Open(key *ecdh.PrivateKey, token ids.CardNumber, sealed []byte) (pan ec.PAN, psn byte, err error) {
	id, err := SealedTo(sealed)
	if err != nil {
		return pan, 0, err
	}
	if own := KeyID(key.PublicKey()); id != own {
		return pan, 0, fmt.Errorf("%w: for key %X, this is %X", ErrSealed, id, own)
	}
	private, err := hpke.NewDHKEMPrivateKey(key)
	if err != nil {
		return pan, 0, fmt.Errorf("open a card number: %w", err)
	}
	enc, text := sealed[1+keyIDSize:][:encSize], sealed[1+keyIDSize+encSize:]
	recipient, err := hpke.NewRecipient(enc, private, hpke.HKDFSHA256(), hpke.AES128GCM(), []byte(sealInfo))
	if err != nil {
		return pan, 0, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	plain, err := recipient.Open(token[:], text)
	if err != nil || len(plain) != numberSize {
		return pan, 0, fmt.Errorf("%w: another token, or damaged", ErrSealed)
	}
	if pan, err = ec.ParsePAN(plain[:len(pan)]); err != nil {
		return pan, 0, fmt.Errorf("%w: no card number in it", ErrSealed)
	}
	return pan, plain[len(pan)], nil
}
