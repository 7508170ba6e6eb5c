package bitslice

import "encoding/binary"

// MAC is the single-DES CBC-MAC of each lane's message under its key, all 8 bytes of it; iv is the initial vector. A message is padded with 80 and then 00
// up to a multiple of 8, with at least one byte, always. Lanes may differ in length: the longest message says how long it takes, which is the one
// thing that the time tells.
func MAC(key, iv *Block, messages *[Lanes][]byte) Block {
	value := *iv
	for at := 0; ; at += 8 {
		var in Block
		var taking uint64
		for j, m := range messages {
			if at <= len(m) {
				in[j] = padded(m[at:])
				taking |= 1 << (63 - j)
			}
		}
		if taking == 0 {
			return value
		}
		transpose((*[64]uint64)(&in))
		in.Xor(&value)
		in.Encrypt(key)
		for i := range value { // lanes whose message is over keep their value
			value[i] ^= (value[i] ^ in[i]) & taking
		}
	}
}

// padded is the next block of a message of which rest is left.
func padded(rest []byte) uint64 {
	if len(rest) >= 8 {
		return binary.BigEndian.Uint64(rest)
	}
	var last [8]byte
	last[copy(last[:], rest)] = 0x80
	return binary.BigEndian.Uint64(last[:])
}

// RetailMAC is ISO 9797-1 algorithm 3 of each lane's message under its double-length key, all 8 bytes of it: MAC under the left half, then
// deciphered under the right and enciphered under the left. Padding is MAC's.
func RetailMAC(key *Key, iv *Block, messages *[Lanes][]byte) Block {
	value := MAC(&key.Left, iv, messages)
	value.Decrypt(&key.Right)
	value.Encrypt(&key.Left)
	return value
}
