package doors

import (
	"context"
	"encoding/binary"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
)

// EC is an [ec.Issuer] over master keys behind a door. The key index of a card (DKI) is its master keys' version. It is no [ec.PINIssuer]: a
// new PIN's block is made with the card's key itself, which stays behind the door.
type EC struct {
	keys      keys.Families
	algorithm byte
}

var _ ec.Issuer = (*EC)(nil)

// NewEC makes a door for master keys that have that algorithm byte where they are 3DES; 0 is what keys are drawn with. SM4 keys have
// keys.AlgorithmSM4, as cards name it.
func NewEC(k keys.Families, algorithm byte) *EC { return &EC{keys: k, algorithm: algorithm} }

// card names a card's key, and refuses a cipher that is none of the two.
func (e *EC) card(p keys.Purpose, c ec.CardKeys) (keys.Card, ec.Suite, error) {
	suite, algorithm := ec.Suite3DES, e.algorithm
	if c.Algorithm != 0 {
		var err error
		if suite, err = ec.SuiteOf(c.Algorithm); err != nil {
			return keys.Card{}, 0, err
		}
	}
	if suite == ec.SuiteSM4 {
		algorithm = keys.AlgorithmSM4
	}
	return keys.Card{
		ID:      keys.ID{Purpose: p, Version: c.DKI, Algorithm: algorithm},
		Factors: [][8]byte{ec.Diversification(c.PAN, c.PSN)},
	}, suite, nil
}

// session is what a session key is the encipherment of: the ATC and its complement, each behind six zeros (EC facts 14). With SM4 both
// are one block.
func session(atc uint16) (out [16]byte) {
	binary.BigEndian.PutUint16(out[6:], atc)
	binary.BigEndian.PutUint16(out[14:], ^atc)
	return out
}

// Cryptogram implements ec.Issuer.
func (e *EC) Cryptogram(ctx context.Context, card ec.CardKeys, atc uint16, input []byte) ([8]byte, error) {
	return e.mac(ctx, keys.ECCryptogram, card, atc, input)
}

func (e *EC) mac(ctx context.Context, p keys.Purpose, card ec.CardKeys, atc uint16, input []byte) ([8]byte, error) {
	c, _, err := e.card(p, card)
	if err != nil {
		return [8]byte{}, err
	}
	return e.keys.RetailMAC(ctx, c, session(atc), input)
}

// Response implements ec.Issuer.
func (e *EC) Response(ctx context.Context, card ec.CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([8]byte, error) {
	c, suite, err := e.card(keys.ECCryptogram, card)
	if err != nil {
		return [8]byte{}, err
	}
	arqc[0] ^= code[0]
	arqc[1] ^= code[1]
	block := arqc[:]
	if suite == ec.SuiteSM4 { // one block, of which the left half counts
		block = append(block, make([]byte, 8)...)
	}
	out, err := e.keys.EncipherBlocks(ctx, c, session(atc), block)
	if err != nil {
		return [8]byte{}, err
	}
	return [8]byte(out[:8]), nil
}

// MAC implements ec.Issuer.
func (e *EC) MAC(ctx context.Context, card ec.CardKeys, atc uint16, input []byte) ([4]byte, error) {
	mac, err := e.mac(ctx, keys.ECMAC, card, atc, input)
	return [4]byte(mac[:4]), err
}

// Encipher enciphers whole blocks of 8 bytes (SM4: 16) for a script command, in ECB under the session key of the encipherment key. Which bytes they
// are and how they are filled up is the command's: no vector of one was to be had.
func (e *EC) Encipher(ctx context.Context, card ec.CardKeys, atc uint16, blocks []byte) ([]byte, error) {
	c, _, err := e.card(keys.ECEncipher, card)
	if err != nil {
		return nil, err
	}
	return e.keys.EncipherBlocks(ctx, c, session(atc), blocks)
}
