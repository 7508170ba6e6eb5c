package keys

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm4"
)

// Cipher is what a card's keys work with. Its methods are the purse's cryptography under a derived key, so that a chip need not know
// which one it has (purse facts chapters 6 and 7).
type Cipher byte

// Ciphers.
const (
	TripleDES Cipher = iota
	SM4
)

// AlgorithmSM4 is the algorithm byte of SM4 keys where a scheme does not say another. The real value was not to be had; 04 is often
// quoted (purse facts 6.1).
const AlgorithmSM4 byte = 0x04

// CipherOf returns the cipher of an algorithm byte. The second argument is the setting sm4_algorithm: which byte means SM4; 0 is
// [AlgorithmSM4]. Every other byte is 3DES, since cards differ there too (conflict C20).
func CipherOf(algorithm, sm4Algorithm byte) Cipher {
	if sm4Algorithm == 0 {
		sm4Algorithm = AlgorithmSM4
	}
	if algorithm == sm4Algorithm {
		return SM4
	}
	return TripleDES
}

// Diversify derives a key through the factors, issuer first. With SM4 a level is one block, SM4(K, X || ~X).
func (c Cipher) Diversify(k Key, factors ...[8]byte) Key {
	if c == TripleDES {
		return Diversify(k, factors...)
	}
	for _, x := range factors {
		k = sm4Twice(k, x)
	}
	return k
}

// SessionMAC is the MAC over message under the session key that k makes from session. An SM4 session key is a whole block,
// SM4(K, Y || ~Y).
func (c Cipher) SessionMAC(k Key, session [8]byte, message []byte) [4]byte {
	if c == TripleDES {
		return MAC8(SessionKey(k, session), message)
	}
	return sm4MAC(sm4Twice(k, session), [16]byte{}, message)
}

// TAC is the MAC under a key that serves without a session: the TAC, and RELOAD PIN's. With 3DES its halves are XORed; SM4 takes it
// whole, which no public source confirms (purse facts 7).
func (c Cipher) TAC(k Key, message []byte) [4]byte {
	if c == TripleDES {
		return MAC8(FoldTAC(k), message)
	}
	return sm4MAC(k, [16]byte{}, message)
}

// WholeMAC is the MAC under the whole key, IV zero: the TAC of an overdraft limit as one source has it (conflict C2).
func (c Cipher) WholeMAC(k Key, message []byte) [4]byte {
	if c == TripleDES {
		return MAC16(k, [8]byte{}, message)
	}
	return sm4MAC(k, [16]byte{}, message)
}

// SecureMAC is the MAC of secure messaging: the challenge, left-aligned and filled with zeros, is the initial vector. A challenge has 4
// or 8 bytes, on SM4 cards also 16 (conflict C9).
func (c Cipher) SecureMAC(k Key, challenge, message []byte) ([4]byte, error) {
	if err := c.checkChallenge(challenge); err != nil {
		return [4]byte{}, err
	}
	var iv [16]byte
	copy(iv[:], challenge)
	if c == TripleDES {
		return MAC16(k, [8]byte(iv[:8]), message), nil
	}
	return sm4MAC(k, iv, message), nil
}

// Authenticate is the answer to a challenge that EXTERNAL AUTHENTICATE carries. With SM4 it is the left half XOR the right half of the
// enciphered challenge.
func (c Cipher) Authenticate(k Key, challenge []byte) ([8]byte, error) {
	if err := c.checkChallenge(challenge); err != nil {
		return [8]byte{}, err
	}
	var block [16]byte
	copy(block[:], challenge)
	if c == TripleDES {
		return Encrypt3DES(k, [8]byte(block[:8])), nil
	}
	newSM4(k).Encrypt(block[:], block[:])
	return FoldTAC(block), nil
}

// size is that of the cipher's blocks.
func (c Cipher) size() int {
	if c == TripleDES {
		return 8
	}
	return 16
}

// block is the cipher with a key.
func (c Cipher) block(k Key) cipher.Block {
	if c == TripleDES {
		return tripleDES(k)
	}
	return newSM4(k)
}

// Encipher is the data of an enciphered secured command: its length and the data, padded with 80 and then 00 where that does not fill
// blocks, in ECB (purse facts 6.6). The data has at most 255 bytes.
func (c Cipher) Encipher(k Key, data []byte) ([]byte, error) {
	b := c.block(k)
	out, err := framed(data, b.BlockSize())
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(out); i += b.BlockSize() {
		b.Encrypt(out[i:], out[i:i+b.BlockSize()])
	}
	return out, nil
}

// framed is data as Encipher takes it to whole blocks.
func framed(data []byte, block int) ([]byte, error) {
	if len(data) > 255 {
		return nil, fmt.Errorf("keys: %d bytes of data: want at most 255", len(data))
	}
	out := append([]byte{byte(len(data))}, data...)
	if len(out)%block != 0 {
		out = append(out, 0x80)
		out = append(out, make([]byte, (block-len(out)%block)%block)...)
	}
	return out, nil
}

// ErrEnciphered says that enciphered data does not decipher to what Encipher makes.
var ErrEnciphered = errors.New("enciphered data is malformed")

// Decipher undoes Encipher.
func (c Cipher) Decipher(k Key, enciphered []byte) ([]byte, error) {
	b := c.block(k)
	if len(enciphered) == 0 || len(enciphered)%b.BlockSize() != 0 {
		return nil, ErrEnciphered
	}
	plain := make([]byte, len(enciphered))
	for i := 0; i < len(plain); i += b.BlockSize() {
		b.Decrypt(plain[i:], enciphered[i:i+b.BlockSize()])
	}
	n := int(plain[0])
	if n+1 > len(plain) {
		return nil, ErrEnciphered
	}
	again, err := c.Encipher(k, plain[1:n+1])
	if err != nil || !bytes.Equal(again, enciphered) { // one form only: another padding is no Encipher's
		return nil, ErrEnciphered
	}
	return plain[1 : n+1], nil
}

func (c Cipher) checkChallenge(challenge []byte) error {
	if n := len(challenge); n == 4 || n == 8 || c == SM4 && n == 16 {
		return nil
	}
	return fmt.Errorf("keys: challenge of %d bytes: want 4 or 8, with SM4 also 16", len(challenge))
}

func newSM4(k Key) cipher.Block {
	b, err := sm4.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// sm4Twice enciphers a value beside its complement: the form of SM4's derived and session keys.
func sm4Twice(k Key, x [8]byte) (out Key) {
	for i := range x {
		out[i], out[8+i] = x[i], ^x[i]
	}
	newSM4(k).Encrypt(out[:], out[:])
	return out
}

// sm4MAC is the CBC-MAC, leftmost 4 bytes. The padding is 80 and then 00 up to a multiple of 16: at least one byte, always.
func sm4MAC(k Key, iv [16]byte, message []byte) [4]byte {
	b, value := newSM4(k), iv
	for ; len(message) >= 16; message = message[16:] {
		for i := range value {
			value[i] ^= message[i]
		}
		b.Encrypt(value[:], value[:])
	}
	for i, m := range message {
		value[i] ^= m
	}
	value[len(message)] ^= 0x80
	b.Encrypt(value[:], value[:])
	return [4]byte(value[:4])
}
