package node

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/doors"
)

// ECTerminalKeys are what a terminal needs of the scheme for electronic cash cards: the key of its tokens, 32 bytes, and the private half of
// the key that it seals card numbers to. Both are made from the scheme's token key, which never changes, so nothing more has to be kept.
func ECTerminalKeys(tokenKey []byte) (token []byte, seal *ecdh.PrivateKey, err error) {
	if token, err = hkdf.Key(sha256.New, tokenKey, nil, "purselane ec terminal token key 1", 32); err != nil {
		return nil, nil, err
	}
	raw, err := hkdf.Key(sha256.New, tokenKey, nil, "purselane ec card number key 1", 32)
	if err != nil {
		return nil, nil, err
	}
	seal, err = ecdh.X25519().NewPrivateKey(raw)
	return token, seal, err
}

// ecKeys are the keys for electronic cash records, nil if the scheme has no such cards.
func (s *Scheme) ecKeys(hsm keys.HSM, tokenKey []byte) (*intake.ECKeys, error) {
	if !s.ElectronicCash {
		return nil, nil
	}
	k, err := families(hsm)
	if err != nil {
		return nil, fmt.Errorf("electronic_cash: %w", err)
	}
	token, seal, err := ECTerminalKeys(tokenKey)
	if err != nil {
		return nil, fmt.Errorf("electronic_cash: %w", err)
	}
	return &intake.ECKeys{Issuer: doors.NewEC(k, 0), Sealed: []*ecdh.PrivateKey{seal}, TokenKey: token}, nil
}

// desfireKeys is the door for DESFire records, nil if the scheme has no such cards.
func (s *Scheme) desfireKeys(hsm keys.HSM) (desfire.HSM, error) {
	if s.DESFireSystem == "" {
		return nil, nil
	}
	k, err := families(hsm)
	if err != nil {
		return nil, fmt.Errorf("desfire_system: %w", err)
	}
	system, err := hex.DecodeString(s.DESFireSystem)
	if err != nil {
		return nil, errors.New("desfire_system: want hexadecimal digits")
	}
	door, err := doors.NewDESFire(k, system)
	if err != nil {
		return nil, fmt.Errorf("desfire_system: %w", err)
	}
	return door, nil
}

func families(hsm keys.HSM) (keys.Families, error) {
	k, ok := hsm.(keys.Families)
	if !ok {
		return nil, fmt.Errorf("the door to the keys (%T) serves EP purses alone", hsm)
	}
	return k, nil
}
