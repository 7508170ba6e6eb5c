package main

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the floor uses what the purse is defined with
	"crypto/subtle"

	"github.com/emmansun/gmsm/sm4"

	"github.com/purselane/purselane/card/keys"
)

// straight derives both levels for each tap.
func straight(jobs []keys.TACJob) func() error {
	return func() error {
		for _, j := range jobs {
			k := level(triple([16]byte(master)), j.Card.Factors[0])
			if err := compare(mac(folded(level(triple(k), j.Card.Factors[1])), j.Message), j.TAC); err != nil {
				return err
			}
		}
		return nil
	}
}

// held has the key schedule of the issuer's level once for all.
func held(jobs []keys.TACJob) func() error {
	return func() error {
		upper := triple(level(triple([16]byte(master)), issuer))
		for _, j := range jobs {
			if err := compare(mac(folded(level(upper, j.Card.Factors[1])), j.Message), j.TAC); err != nil {
				return err
			}
		}
		return nil
	}
}

// straightSM4 is straight with SM4 keys.
func straightSM4(jobs []keys.TACJob) func() error {
	return func() error {
		for _, j := range jobs {
			k := [16]byte(master)
			for _, x := range j.Card.Factors {
				k = levelSM4(k, x)
			}
			if err := compare(mac(blockSM4(k), j.Message), j.TAC); err != nil {
				return err
			}
		}
		return nil
	}
}

func compare(got, want [4]byte) error {
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return errWrong
	}
	return nil
}

// triple is a triple key schedule.
func triple(k [16]byte) cipher.Block {
	var long [24]byte
	copy(long[copy(long[:], k[:]):], k[:8])
	b, err := des.NewTripleDESCipher(long[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// level is one level of diversification: two blocks.
func level(b cipher.Block, x [8]byte) (next [16]byte) {
	b.Encrypt(next[:8], x[:])
	for i := range x {
		x[i] = ^x[i]
	}
	b.Encrypt(next[8:], x[:])
	return next
}

// folded is the TAC key's schedule.
func folded(k [16]byte) cipher.Block {
	for i := range 8 {
		k[i] ^= k[8+i]
	}
	b, err := des.NewCipher(k[:8])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

func blockSM4(k [16]byte) cipher.Block {
	b, err := sm4.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// levelSM4 is one level of diversification: a key schedule and a block.
func levelSM4(k [16]byte, x [8]byte) (next [16]byte) {
	for i, v := range x {
		next[i], next[8+i] = v, ^v
	}
	blockSM4(k).Encrypt(next[:], next[:])
	return next
}

// mac is a CBC chain over the padded message: three blocks of DES, two of SM4.
func mac(b cipher.Block, message []byte) [4]byte {
	var whole [messageSize + 16]byte
	whole[copy(whole[:], message)] = 0x80
	var v [16]byte
	size := b.BlockSize()
	for at := 0; at <= len(message); at += size {
		for i := range size {
			v[i] ^= whole[at+i]
		}
		b.Encrypt(v[:size], v[:size])
	}
	return [4]byte(v[:4])
}
