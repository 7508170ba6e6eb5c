//go:build pkcs11

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
)

// measureHSM measures the door to SoftHSM: card-hsm derives each card's key by a call into the device, card-hsm-cached finds it held. The
// issuer's level is derived once and held in both, and in the bare loop.
func measureHSM(limit time.Duration) ([]result, error) {
	dir, err := os.MkdirTemp("", "benchcard-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	token, err := softhsm.New(dir, func(name, value string) { os.Setenv(name, value) })
	if err != nil {
		return nil, err
	}
	all, err := makeTaps(taps)
	if err != nil {
		return nil, err
	}
	o := keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN), Cache: keys.CachePolicy{Cards: taps + 1, Lifetime: time.Hour}}
	held, err := measureDevice("card-hsm-cached", limit, o, all, func(b *bare) error { return b.held(all) })
	if err != nil {
		return nil, err
	}
	// Room for half of the cards, asked in one order: each key has made room before its card comes again, and only the issuer's
	// level, which every card asks for, is derived anew from time to time.
	o.Cache.Cards = taps / 2
	fresh, err := measureDevice("card-hsm", limit, o, all, func(b *bare) error { return b.fresh(all) })
	if err != nil {
		return nil, err
	}
	families, err := measureFamilies(limit, o)
	return append([]result{fresh, held}, families...), err
}

func measureDevice(name string, limit time.Duration, o keys.DeviceOptions, all []tap, floor func(*bare) error) (r result, err error) {
	d, err := keys.OpenDevice(o)
	if err != nil {
		return r, err
	}
	defer d.Close()
	if found, err := d.Masters(context.Background()); err != nil {
		return r, err
	} else if len(found) == 0 {
		if err := d.Put(context.Background(), masters()); err != nil {
			return r, err
		}
	}
	b, err := newBare(o, all)
	if err != nil {
		return r, fmt.Errorf("bare loop: %w", err)
	}
	defer b.close()
	return inTurns(name, limit, len(all), verifyAll(d, all), func() error { return floor(b) })
}

// bare makes the same calls by the binding itself, on an issuer key of its own in the same token. The device is logged in, and a login is
// for the whole process.
type bare struct {
	p      *pkcs11.Ctx
	s      pkcs11.SessionHandle
	issuer pkcs11.ObjectHandle
	ready  []blockMAC
}

type blockMAC func([22]byte) [4]byte

func newBare(o keys.DeviceOptions, all []tap) (*bare, error) {
	b := &bare{p: pkcs11.New(o.Module)}
	slots, err := b.p.GetSlotList(true)
	if err != nil {
		return nil, err
	}
	if b.s, err = b.p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION); err != nil {
		return nil, err
	}
	k := bareLevel([16]byte(tacKey), issuer)
	b.issuer, err = b.p.CreateObject(b.s, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_DES2),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_VALUE, k[:]),
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		block := bareSingle(bareLevel(k, all[i].card.Factors[1]))
		b.ready = append(b.ready, func(m [22]byte) [4]byte { return bareMAC(block, m) })
	}
	return b, nil
}

func (b *bare) close() { b.p.CloseSession(b.s); b.p.Destroy() }

// fresh is one encipherment in the device, one key schedule and three blocks for each tap.
func (b *bare) fresh(all []tap) error {
	ecb := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil)}
	var in [16]byte
	for i := range all {
		x := all[i].card.Factors[1]
		for j, v := range x {
			in[j], in[8+j] = v, ^v
		}
		if err := b.p.EncryptInit(b.s, ecb, b.issuer); err != nil {
			return err
		}
		out, err := b.p.Encrypt(b.s, in[:])
		if err != nil {
			return err
		}
		if bareMAC(bareSingle([16]byte(out)), all[i].message) != all[i].tac {
			return errWrong
		}
	}
	return nil
}

// held is three blocks for each tap.
func (b *bare) held(all []tap) error {
	for i := range all {
		if b.ready[i](all[i].message) != all[i].tac {
			return errWrong
		}
	}
	return nil
}
