package ec

import (
	"fmt"
	"slices"

	"github.com/emmansun/gmsm/sm4"

	"github.com/purselane/purselane/card/keys"
)

// Suite is the symmetric cryptography of a card: 3DES, or SM4 where the issuer application data says 04 (EC facts 13 and 14).
type Suite byte

// Suites, by the algorithm byte.
const (
	Suite3DES = Suite(Algorithm3DES)
	SuiteSM4  = Suite(AlgorithmSM4)
)

// SuiteOf returns the suite of an algorithm byte of 9F10, or ErrUnknownCVN.
func SuiteOf(algorithm byte) (Suite, error) {
	s := Suite(algorithm)
	if s != Suite3DES && s != SuiteSM4 {
		return 0, fmt.Errorf("%w: algorithm %02X", ErrUnknownCVN, algorithm)
	}
	return s, nil
}

// String prints the cipher.
func (s Suite) String() string {
	switch s {
	case Suite3DES:
		return "3DES"
	case SuiteSM4:
		return "SM4"
	}
	return fmt.Sprintf("algorithm %02X", byte(s))
}

// Cipher is the suite's block cipher for enciphered script data, whose form [keys.Cipher.Encipher] has.
func (s Suite) Cipher() keys.Cipher {
	if s == SuiteSM4 {
		return keys.SM4
	}
	return keys.TripleDES
}

// Pad fills message to whole blocks: 80 and then zeros, at least one byte.
func (s Suite) Pad(message []byte) []byte {
	size := 8
	if s == SuiteSM4 {
		size = 16
	}
	out := append(slices.Clone(message), 0x80)
	return append(out, make([]byte, (size-len(out)%size)%size)...)
}

// CardKey derives a card's key from a master key. That SM4 does it like option A is an assumption (EC facts 13).
func (s Suite) CardKey(master keys.Key, pan PAN, psn byte) keys.Key {
	return s.Cipher().Diversify(master, Diversification(pan, psn))
}

// SessionKey derives the session key of an ATC. With SM4 both halves are one block.
func (s Suite) SessionKey(card keys.Key, atc uint16) keys.Key {
	if s != SuiteSM4 {
		return SessionKey(card, atc)
	}
	block := [16]byte{6: byte(atc >> 8), 7: byte(atc), 14: ^byte(atc >> 8), 15: ^byte(atc)}
	return encryptSM4(card, block)
}

// MAC returns 8 bytes over whole blocks: algorithm 3 with 3DES, the left half of a CBC-MAC with SM4.
func (s Suite) MAC(k keys.Key, blocks []byte) (out [8]byte, err error) {
	if s != SuiteSM4 {
		return RetailMAC(k, blocks)
	}
	if len(blocks) == 0 || len(blocks)%16 != 0 {
		return out, fmt.Errorf("ec: MAC input of %d bytes, want whole blocks of 16", len(blocks))
	}
	var value [16]byte
	for ; len(blocks) > 0; blocks = blocks[16:] {
		for i := range value {
			value[i] ^= blocks[i]
		}
		value = encryptSM4(k, value)
	}
	return [8]byte(value[:8]), nil
}

// Response is the ARPC under the AC session key: one block of ARQC xor (code and zeros), of which SM4 keeps the left half.
func (s Suite) Response(session keys.Key, arqc [8]byte, code [2]byte) [8]byte {
	if s != SuiteSM4 {
		return ResponseCryptogram(session, arqc, code)
	}
	var block [16]byte
	copy(block[:], arqc[:])
	block[0] ^= code[0]
	block[1] ^= code[1]
	block = encryptSM4(session, block)
	return [8]byte(block[:8])
}

// checkValue is the first 3 bytes of the encipherment of zeros under the key.
func (s Suite) checkValue(k keys.Key) [3]byte {
	if s != SuiteSM4 {
		return keys.CheckValue(k)
	}
	block := encryptSM4(k, [16]byte{})
	return [3]byte(block[:3])
}

func encryptSM4(k keys.Key, block [16]byte) [16]byte {
	b, err := sm4.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	b.Encrypt(block[:], block[:])
	return block
}
