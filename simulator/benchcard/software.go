package main

import (
	"context"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the floor uses what the purse is defined with
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"time"

	"github.com/purselane/purselane/card/keys"
)

// taps is how many taps a turn verifies: each of another card.
const taps = 2000

var (
	tacID  = keys.ID{Purpose: keys.TAC, Version: 1}
	issuer = [8]byte{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	tacKey = keys.Key{0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F}
)

func masters() map[keys.ID]keys.Key {
	return map[keys.ID]keys.Key{tacID: tacKey, acID: acKey, tmID: tmKey}
}

// tap is a debit's proof: 22 bytes under a TAC, as a purchase has it.
type tap struct {
	card    keys.Card
	message [22]byte
	tac     [4]byte
}

// makeTaps makes n taps of n cards with right TACs.
func makeTaps(n int) ([]tap, error) {
	soft := keys.NewSoft(masters())
	out := make([]tap, n)
	for i := range out {
		t := &out[i]
		var serial [8]byte
		binary.BigEndian.PutUint64(serial[:], uint64(i)*0x9E3779B97F4A7C15)
		t.card = keys.Card{ID: tacID, Factors: [][8]byte{issuer, serial}}
		binary.BigEndian.PutUint32(t.message[:], uint32(i))
		var err error
		if t.tac, err = soft.TAC(context.Background(), t.card, t.message[:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var errWrong = errors.New("a TAC does not verify")

// verifyAll is what the backend does with each tap.
func verifyAll(h keys.HSM, all []tap) func() error {
	return func() error {
		for i := range all {
			tac, err := h.TAC(context.Background(), all[i].card, all[i].message[:])
			if err != nil {
				return err
			}
			if subtle.ConstantTimeCompare(tac[:], all[i].tac[:]) != 1 {
				return errWrong
			}
		}
		return nil
	}
}

func measureSoftware(limit time.Duration) (result, error) {
	all, err := makeTaps(taps)
	if err != nil {
		return result{}, err
	}
	return inTurns("card-software", limit, taps, verifyAll(keys.NewSoft(masters()), all), func() error {
		for i := range all {
			k := bareLevel([16]byte(tacKey), all[i].card.Factors[0])
			k = bareLevel(k, all[i].card.Factors[1])
			if bareMAC(bareSingle(k), all[i].message) != all[i].tac {
				return errWrong
			}
		}
		return nil
	})
}

// measureCached measures hits: a turn before the first has filled the cache.
func measureCached(limit time.Duration) (result, error) {
	all, err := makeTaps(taps)
	if err != nil {
		return result{}, err
	}
	h, err := keys.NewCachedSoft(masters(), keys.CachePolicy{Cards: taps, Lifetime: time.Hour})
	if err != nil {
		return result{}, err
	}
	defer h.Forget()
	schedules := make([]cipher.Block, len(all))
	for i := range all {
		schedules[i] = bareSingle(bareLevel(bareLevel([16]byte(tacKey), all[i].card.Factors[0]), all[i].card.Factors[1]))
	}
	return inTurns("card-cached", limit, taps, verifyAll(h, all), func() error {
		for i := range all {
			if bareMAC(schedules[i], all[i].message) != all[i].tac {
				return errWrong
			}
		}
		return nil
	})
}

// bareLevel is one level of diversification: a triple key schedule and two blocks.
func bareLevel(k [16]byte, x [8]byte) (next [16]byte) {
	var long [24]byte
	copy(long[copy(long[:], k[:]):], k[:8])
	b, err := des.NewTripleDESCipher(long[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	b.Encrypt(next[:8], x[:])
	for i := range x {
		x[i] = ^x[i]
	}
	b.Encrypt(next[8:], x[:])
	return next
}

// bareSingle is the TAC key's schedule.
func bareSingle(k [16]byte) cipher.Block {
	for i := range 8 {
		k[i] ^= k[8+i]
	}
	b, err := des.NewCipher(k[:8])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// bareMAC is three blocks of a CBC chain: 22 bytes and their padding.
func bareMAC(b cipher.Block, message [22]byte) [4]byte {
	var whole [24]byte
	copy(whole[:], message[:])
	whole[22] = 0x80
	var v [8]byte
	for at := 0; at < 24; at += 8 {
		for i := range v {
			v[i] ^= whole[at+i]
		}
		b.Encrypt(v[:], v[:])
	}
	return [4]byte(v[:4])
}
