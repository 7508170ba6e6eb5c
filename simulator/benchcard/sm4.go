package main

import (
	"context"
	"crypto/cipher"
	"time"

	"github.com/emmansun/gmsm/sm4"

	"github.com/purselane/purselane/card/keys"
)

// measureSM4 measures TACs of cards with SM4 keys. The door holds no SM4 keys between two calls, and no HSM has them.
func measureSM4(limit time.Duration) (result, error) {
	all, err := makeTaps(taps)
	if err != nil {
		return result{}, err
	}
	id := keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: keys.AlgorithmSM4}
	soft := keys.NewSoft(map[keys.ID]keys.Key{id: tacKey})
	for i := range all {
		all[i].card.ID = id
		if all[i].tac, err = soft.TAC(context.Background(), all[i].card, all[i].message[:]); err != nil {
			return result{}, err
		}
	}
	return inTurns("card-sm4", limit, taps, verifyAll(soft, all), func() error {
		for i := range all {
			k := [16]byte(tacKey)
			for _, x := range all[i].card.Factors {
				k = bareSM4Level(k, x)
			}
			if bareSM4MAC(bareSM4(k), all[i].message) != all[i].tac {
				return errWrong
			}
		}
		return nil
	})
}

func bareSM4(k [16]byte) cipher.Block {
	b, err := sm4.NewCipher(k[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// bareSM4Level is one level of diversification: a key schedule and a block.
func bareSM4Level(k [16]byte, x [8]byte) (next [16]byte) {
	for i, v := range x {
		next[i], next[8+i] = v, ^v
	}
	bareSM4(k).Encrypt(next[:], next[:])
	return next
}

// bareSM4MAC is two blocks of a CBC chain: 22 bytes and their padding.
func bareSM4MAC(b cipher.Block, message [22]byte) [4]byte {
	var v [16]byte
	copy(v[:], message[:16])
	b.Encrypt(v[:], v[:])
	for i, m := range message[16:] {
		v[i] ^= m
	}
	v[6] ^= 0x80
	b.Encrypt(v[:], v[:])
	return [4]byte(v[:4])
}
