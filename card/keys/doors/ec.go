package doors

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
)

// EC is an [ec.Issuer] over master keys behind a door. The key index of a card (DKI) is its master keys' version.
type EC struct {
	keys      keys.Families
	algorithm byte
}

var _ ec.Issuer = (*EC)(nil)

// NewEC makes a door for master keys of that algorithm byte; 0 is what keys are drawn with.
func NewEC(k keys.Families, algorithm byte) *EC { return &EC{keys: k, algorithm: algorithm} }

// card names a card's key. The door serves 3DES: a card of another cipher has no key here.
func (e *EC) card(p keys.Purpose, c ec.CardKeys) (keys.Card, error) {
	if c.Algorithm != 0 && c.Algorithm != ec.Algorithm3DES {
		return keys.Card{}, fmt.Errorf("EC master keys of index %02X for %v: %w", c.DKI, ec.Suite(c.Algorithm), keys.ErrUnknownKey)
	}
	return keys.Card{
		ID:      keys.ID{Purpose: p, Version: c.DKI, Algorithm: e.algorithm},
		Factors: [][8]byte{ec.Diversification(c.PAN, c.PSN)},
	}, nil
}

// session is what a session key is the encipherment of: the ATC and its complement, each behind six zeros (EC facts 14).
func session(atc uint16) (out [16]byte) {
	binary.BigEndian.PutUint16(out[6:], atc)
	binary.BigEndian.PutUint16(out[14:], ^atc)
	return out
}

// Cryptogram implements ec.Issuer.
func (e *EC) Cryptogram(ctx context.Context, card ec.CardKeys, atc uint16, input []byte) ([8]byte, error) {
	k, err := e.card(keys.ECCryptogram, card)
	if err != nil {
		return [8]byte{}, err
	}
	return e.keys.RetailMAC(ctx, k, session(atc), input)
}

// Response implements ec.Issuer.
func (e *EC) Response(ctx context.Context, card ec.CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([8]byte, error) {
	k, err := e.card(keys.ECCryptogram, card)
	if err != nil {
		return [8]byte{}, err
	}
	arqc[0] ^= code[0]
	arqc[1] ^= code[1]
	out, err := e.keys.EncipherBlocks(ctx, k, session(atc), arqc[:])
	if err != nil {
		return [8]byte{}, err
	}
	return [8]byte(out), nil
}

// MAC implements ec.Issuer.
func (e *EC) MAC(ctx context.Context, card ec.CardKeys, atc uint16, input []byte) ([4]byte, error) {
	k, err := e.card(keys.ECMAC, card)
	if err != nil {
		return [4]byte{}, err
	}
	mac, err := e.keys.RetailMAC(ctx, k, session(atc), input)
	return [4]byte(mac[:4]), err
}

// Encipher enciphers whole blocks of 8 bytes for a script command, in ECB under the session key of the encipherment key. Which bytes they
// are and how they are filled up is the command's: no vector of one was to be had.
func (e *EC) Encipher(ctx context.Context, card ec.CardKeys, atc uint16, blocks []byte) ([]byte, error) {
	k, err := e.card(keys.ECEncipher, card)
	if err != nil {
		return nil, err
	}
	return e.keys.EncipherBlocks(ctx, k, session(atc), blocks)
}
