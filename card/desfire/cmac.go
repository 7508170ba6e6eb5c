package desfire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"github.com/purselane/purselane/card/keys"
)

// block is the AES block cipher under key. It cannot fail: a key has 16 bytes.
func block(key keys.Key) cipher.Block {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	return b
}

// double multiplies by x in GF(2^128), as the sub-keys of CMAC need (RFC 4493, 2.3).
func double(in [16]byte) (out [16]byte) {
	for i := range 15 {
		out[i] = in[i]<<1 | in[i+1]>>7
	}
	out[15] = in[15]<<1 ^ byte(subtle.ConstantTimeSelect(int(in[0]>>7), 0x87, 0))
	return out
}

// CMAC is AES-CMAC (RFC 4493).
func CMAC(key keys.Key, message []byte) [16]byte {
	b := block(key)
	var sub, state [16]byte
	b.Encrypt(sub[:], sub[:])
	sub = double(sub)
	for len(message) > 16 {
		subtle.XORBytes(state[:], state[:], message[:16])
		b.Encrypt(state[:], state[:])
		message = message[16:]
	}
	var last [16]byte
	if n := copy(last[:], message); n < 16 {
		last[n] = 0x80
		sub = double(sub)
	}
	subtle.XORBytes(state[:], state[:], last[:])
	subtle.XORBytes(state[:], state[:], sub[:])
	b.Encrypt(state[:], state[:])
	return state
}

// Truncate keeps every second byte of a CMAC, the second one first (MF2DLHX0 9.1.3; AN12196 table 7).
func Truncate(mac [16]byte) (out [8]byte) {
	for i := range out {
		out[i] = mac[2*i+1]
	}
	return out
}

// SessionKeys makes the keys of an AES session from the two random numbers (MF2DLHX0 9.1.7; AN12196 table 14, steps 25 to 28).
func SessionKeys(key keys.Key, rndA, rndB [16]byte) (enc, mac keys.Key) {
	var sv [32]byte
	copy(sv[:], []byte{0xA5, 0x5A, 0x00, 0x01, 0x00, 0x80})
	copy(sv[6:], rndA[:8])
	subtle.XORBytes(sv[8:14], rndA[2:8], rndB[:6])
	copy(sv[14:], rndB[6:])
	copy(sv[24:], rndA[8:])
	enc = CMAC(key, sv[:])
	sv[0], sv[1] = 0x5A, 0xA5
	return enc, CMAC(key, sv[:])
}

// Bounds of the system identifier of [Diversify].
const (
	minSystem = 6
	maxSystem = 21
)

// Diversify derives one card's key from a master key (AN10922, 2.2: AES-128). The system identifier has 6 to 21 bytes: shorter
// ones need another padding than CMAC's own, longer ones do not fit.
func Diversify(master keys.Key, uid [7]byte, aid [3]byte, system []byte) (keys.Key, error) {
	if len(system) < minSystem || len(system) > maxSystem {
		return keys.Key{}, fmt.Errorf("desfire: system identifier of %d bytes: want %d to %d", len(system), minSystem, maxSystem)
	}
	m := append([]byte{0x01}, uid[:]...)
	m = append(append(m, aid[:]...), system...)
	return CMAC(master, m), nil
}
