package ec

import (
	"context"
	"fmt"
	"io"

	"github.com/purselane/purselane/card/keys"
)

// Masters are an issuer's master keys of one index: they derive every card's.
type Masters struct {
	AC  keys.Key // cryptograms
	MAC keys.Key // the balance's and scripts' integrity
	ENC keys.Key // scripts' confidentiality: new PINs
	// Algorithm is the cipher that the keys are for; 0 is 3DES. A key serves one cipher.
	Algorithm byte
}

func (m Masters) suite() Suite { return CardKeys{Algorithm: m.Algorithm}.suite() }

// Soft is an Issuer and PINIssuer in software, for tests and simulators: its keys lie in memory. Make one with [NewSoft].
type Soft struct{ masters map[byte]Masters }

// NewSoft takes the master keys by their index (DKI).
func NewSoft(masters map[byte]Masters) *Soft {
	s := &Soft{masters: map[byte]Masters{}}
	for dki, m := range masters {
		s.masters[dki] = m
	}
	return s
}

// Format prints what Soft is: fmt would print its keys' bytes, since they are in a field it reaches without asking them.
func (s *Soft) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[software EC issuer of %d key indices]", len(s.masters))
}

// Format prints no key.
func (Masters) Format(f fmt.State, _ rune) { io.WriteString(f, "[master keys]") }

// Check returns the check values of the master keys of an index, for a key ceremony to compare.
func (s *Soft) Check(dki byte) (ac, mac [3]byte, err error) {
	m, ok := s.masters[dki]
	if !ok {
		err = fmt.Errorf("EC master keys of index %02X: %w", dki, keys.ErrUnknownKey)
	}
	return m.suite().checkValue(m.AC), m.suite().checkValue(m.MAC), err
}

func (s *Soft) of(card CardKeys) (Masters, Suite, error) {
	m, ok := s.masters[card.DKI]
	if !ok || m.suite() != card.suite() {
		return Masters{}, 0, fmt.Errorf("EC master keys of index %02X for %v: %w", card.DKI, card.suite(), keys.ErrUnknownKey)
	}
	return m, m.suite(), nil
}

// Cryptogram implements Issuer.
func (s *Soft) Cryptogram(_ context.Context, card CardKeys, atc uint16, input []byte) ([8]byte, error) {
	m, suite, err := s.of(card)
	if err != nil {
		return [8]byte{}, err
	}
	return suite.MAC(suite.SessionKey(suite.CardKey(m.AC, card.PAN, card.PSN), atc), input)
}

// Response implements Issuer.
func (s *Soft) Response(_ context.Context, card CardKeys, atc uint16, arqc [8]byte, code [2]byte) ([8]byte, error) {
	m, suite, err := s.of(card)
	if err != nil {
		return [8]byte{}, err
	}
	return suite.Response(suite.SessionKey(suite.CardKey(m.AC, card.PAN, card.PSN), atc), arqc, code), nil
}

// MAC implements Issuer.
func (s *Soft) MAC(_ context.Context, card CardKeys, atc uint16, input []byte) ([4]byte, error) {
	m, suite, err := s.of(card)
	if err != nil {
		return [4]byte{}, err
	}
	mac, err := suite.MAC(suite.SessionKey(suite.CardKey(m.MAC, card.PAN, card.PSN), atc), input)
	return [4]byte(mac[:4]), err
}

// EncipherPIN implements PINIssuer.
func (s *Soft) EncipherPIN(_ context.Context, card CardKeys, atc uint16, present, next PIN) ([16]byte, error) {
	m, suite, err := s.of(card)
	if err != nil {
		return [16]byte{}, err
	}
	own := suite.CardKey(m.ENC, card.PAN, card.PSN)
	delta := DeltaPIN(own, present, next)
	out, err := suite.Cipher().Encipher(suite.SessionKey(own, atc), delta[:])
	if err != nil {
		return [16]byte{}, err
	}
	return [16]byte(out), nil
}

// CardKey derives a card's key from a master key (option A). Parity is not corrected.
func CardKey(master keys.Key, pan PAN, psn byte) keys.Key {
	return keys.Diversify(master, Diversification(pan, psn))
}

// SessionKey derives the session key of an ATC: 3DES of the ATC, then of its complement, each behind six zeros (EC facts 14; not EMV's common session key).
func SessionKey(card keys.Key, atc uint16) (out keys.Key) {
	for i, c := range []uint16{atc, ^atc} {
		block := keys.Encrypt3DES(card, [8]byte{6: byte(c >> 8), 7: byte(c)})
		copy(out[8*i:], block[:])
	}
	return out
}

// RetailMAC is ISO 9797-1 algorithm 3 over whole blocks, with an initial vector of zeros, all 8 bytes of it.
func RetailMAC(k keys.Key, blocks []byte) (value [8]byte, err error) {
	if len(blocks) == 0 || len(blocks)%8 != 0 {
		return value, fmt.Errorf("ec: MAC input of %d bytes, want whole blocks of 8", len(blocks))
	}
	var single keys.Key // a key whose halves are equal makes 3DES single DES
	copy(single[copy(single[:], k[:8]):], k[:8])
	for ; len(blocks) > 0; blocks = blocks[8:] {
		for i := range value {
			value[i] ^= blocks[i]
		}
		if len(blocks) == 8 {
			return keys.Encrypt3DES(k, value), nil // E(left) D(right) E(left) is what algorithm 3 does to the last block
		}
		value = keys.Encrypt3DES(single, value)
	}
	return value, nil
}

// ResponseCryptogram is the ARPC: 3DES of ARQC xor (code and six zeros) under the AC session key.
func ResponseCryptogram(session keys.Key, arqc [8]byte, code [2]byte) [8]byte {
	arqc[0] ^= code[0]
	arqc[1] ^= code[1]
	return keys.Encrypt3DES(session, arqc)
}
