package keys

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the PBOC purse is defined with DES; nothing of ours chooses it
)

// Encrypt3DES enciphers one block under a double-length key: E(left) D(right) E(left), ECB.
func Encrypt3DES(k Key, block [8]byte) (out [8]byte) {
	tripleDES(k).Encrypt(out[:], block[:])
	return out
}

func tripleDES(k Key) cipher.Block {
	// crypto/des wants three single keys; the double-length key repeats its left half.
	var long [24]byte
	copy(long[copy(long[:], k[:]):], k[:8])
	b, err := des.NewTripleDESCipher(long[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

func singleDES(k [8]byte) cipher.Block {
	b, err := des.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// Diversify derives a key through the factors in order, issuer first: each level is 3DES(K,X) || 3DES(K,~X) (purse
// facts 6.2 and 6.3). Parity is not corrected, as no card does.
func Diversify(k Key, factors ...[8]byte) Key {
	for _, x := range factors {
		var inverse [8]byte
		for i := range x {
			inverse[i] = ^x[i]
		}
		b := tripleDES(k)
		var next Key
		b.Encrypt(next[:8], x[:])
		b.Encrypt(next[8:], inverse[:])
		k = next
	}
	return k
}

// SessionKey makes the 8-byte session key of a purchase or load from its session data (purse facts 6.4).
func SessionKey(k Key, data [8]byte) [8]byte { return Encrypt3DES(k, data) }

// FoldTAC makes the single-length TAC key: left half XOR right half (purse facts 6.5).
func FoldTAC(k Key) (out [8]byte) {
	for i := range out {
		out[i] = k[i] ^ k[8+i]
	}
	return out
}

// MAC8 is the single-DES CBC-MAC over the padded message, IV zero, leftmost 4 bytes.
func MAC8(k [8]byte, message []byte) [4]byte { return MAC8IV(k, [8]byte{}, message) }

// MAC8IV is MAC8 with an initial vector, as secure messaging has it.
func MAC8IV(k [8]byte, iv [8]byte, message []byte) [4]byte {
	last := cbc(singleDES(k), iv, message)
	return [4]byte(last[:4])
}

// MAC16 is the retail MAC: CBC with the left half, the last value deciphered with the right and enciphered with the left,
// leftmost 4 bytes (purse facts 6.2).
func MAC16(k Key, iv [8]byte, message []byte) [4]byte {
	left, right := singleDES([8]byte(k[:8])), singleDES([8]byte(k[8:]))
	last := cbc(left, iv, message)
	right.Decrypt(last[:], last[:])
	left.Encrypt(last[:], last[:])
	return [4]byte(last[:4])
}

// cbc returns the last value of the CBC chain over the padded message. The padding is 80 and then 00 up to a multiple of 8: at
// least one byte, always (purse facts 6.2).
func cbc(b cipher.Block, iv [8]byte, message []byte) [8]byte {
	value := iv
	for ; len(message) >= 8; message = message[8:] {
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
	return value
}

// CheckValue is the first 3 bytes of the key's encipherment of zeros: it names a key without giving it away.
func CheckValue(k Key) [3]byte {
	c := Encrypt3DES(k, [8]byte{})
	return [3]byte(c[:3])
}
