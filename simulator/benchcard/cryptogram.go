package main

import (
	"context"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the floor uses what the cards are defined with
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/doors"
)

var (
	acID  = keys.ID{Purpose: keys.ECCryptogram, Version: 1}
	acKey = keys.Key{0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F}
)

// cryptogram is an ARQC of version 01: 37 bytes and their padding.
type cryptogram struct {
	card  ec.CardKeys
	y     [8]byte // the card's diversification value
	atc   uint16
	input [40]byte
	ac    [8]byte
}

func makeCryptograms(n int) ([]cryptogram, error) {
	door := doors.NewEC(keys.NewSoft(masters()), 0)
	out := make([]cryptogram, n)
	for i := range out {
		c := &out[i]
		pan, err := ec.NewPAN(fmt.Sprintf("6228%015d", i*7919))
		if err != nil {
			return nil, err
		}
		c.card, c.atc = ec.CardKeys{DKI: acID.Version, PAN: pan, PSN: 1}, uint16(i)
		c.y = ec.Diversification(pan, 1)
		binary.BigEndian.PutUint32(c.input[:], uint32(i))
		c.input[37] = 0x80
		if c.ac, err = door.Cryptogram(context.Background(), c.card, c.atc, c.input[:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// verifyCryptograms is what an issuer's host does with each.
func verifyCryptograms(k keys.Families, all []cryptogram) func() error {
	door := doors.NewEC(k, 0)
	return func() error {
		for i := range all {
			ac, err := door.Cryptogram(context.Background(), all[i].card, all[i].atc, all[i].input[:])
			if err != nil {
				return err
			}
			if subtle.ConstantTimeCompare(ac[:], all[i].ac[:]) != 1 {
				return errWrong
			}
		}
		return nil
	}
}

// freshCryptograms derives each card's key; the floor of software.
func freshCryptograms(all []cryptogram) error {
	for i := range all {
		udk := bareTriple(bareLevel([16]byte(acKey), all[i].y))
		if bareCryptogram(udk, &all[i]) != all[i].ac {
			return errWrong
		}
	}
	return nil
}

// heldCryptograms has each card's key schedule ready.
func heldCryptograms(all []cryptogram) func() error {
	ready := make([]cipher.Block, len(all))
	for i := range all {
		ready[i] = bareTriple(bareLevel([16]byte(acKey), all[i].y))
	}
	return func() error {
		for i := range all {
			if bareCryptogram(ready[i], &all[i]) != all[i].ac {
				return errWrong
			}
		}
		return nil
	}
}

// bareTriple is a triple key schedule.
func bareTriple(k [16]byte) cipher.Block {
	var long [24]byte
	copy(long[copy(long[:], k[:]):], k[:8])
	b, err := des.NewTripleDESCipher(long[:])
	if err != nil {
		panic(err) // the length is fixed
	}
	return b
}

// bareCryptogram is the session key, two single schedules, and seven blocks.
func bareCryptogram(udk cipher.Block, c *cryptogram) (v [8]byte) {
	var sk [16]byte
	binary.BigEndian.PutUint16(sk[6:], c.atc)
	binary.BigEndian.PutUint16(sk[14:], ^c.atc)
	udk.Encrypt(sk[:8], sk[:8])
	udk.Encrypt(sk[8:], sk[8:])
	left, err1 := des.NewCipher(sk[:8])
	right, err2 := des.NewCipher(sk[8:])
	if err1 != nil || err2 != nil {
		panic("the length is fixed")
	}
	for at := 0; at < len(c.input); at += 8 {
		for i := range v {
			v[i] ^= c.input[at+i]
		}
		left.Encrypt(v[:], v[:])
	}
	right.Decrypt(v[:], v[:])
	left.Encrypt(v[:], v[:])
	return v
}

func measureCryptograms(limit time.Duration) ([]result, error) {
	all, err := makeCryptograms(taps)
	if err != nil {
		return nil, err
	}
	fresh, err := inTurns("card-arqc", limit, taps, verifyCryptograms(keys.NewSoft(masters()), all), func() error { return freshCryptograms(all) })
	if err != nil {
		return nil, err
	}
	h, err := keys.NewCachedSoft(masters(), keys.CachePolicy{Cards: taps, Lifetime: time.Hour})
	if err != nil {
		return nil, err
	}
	defer h.Forget()
	held, err := inTurns("card-arqc-cached", limit, taps, verifyCryptograms(h, all), heldCryptograms(all))
	return []result{fresh, held}, err
}
