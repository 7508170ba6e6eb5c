package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

func newAES(k Key) cipher.Block {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
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

// CMACLast is what the last block of a CMAC's message enters the cipher as, beside the chain: filled up if it is short, and with the
// sub-key worked in (RFC 4493, 2.4). zeros is the encipherment of zeros; rest is 0 to 16 bytes.
func CMACLast(zeros [16]byte, rest []byte) (out [16]byte) {
	sub := double(zeros)
	if n := copy(out[:], rest); n < 16 {
		out[n] = 0x80
		sub = double(sub)
	}
	subtle.XORBytes(out[:], out[:], sub[:])
	return out
}

// cmac is AES-CMAC (RFC 4493).
func cmac(b cipher.Block, message []byte) (state [16]byte) {
	var zeros [16]byte
	b.Encrypt(zeros[:], zeros[:])
	for ; len(message) > 16; message = message[16:] {
		subtle.XORBytes(state[:], state[:], message[:16])
		b.Encrypt(state[:], state[:])
	}
	last := CMACLast(zeros, message)
	subtle.XORBytes(state[:], state[:], last[:])
	b.Encrypt(state[:], state[:])
	return state
}
