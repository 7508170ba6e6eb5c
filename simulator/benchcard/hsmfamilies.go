//go:build pkcs11

package main

import (
	"bytes"
	"crypto/subtle"
	"runtime"
	"time"
	"unsafe"

	"github.com/miekg/pkcs11"

	"github.com/purselane/purselane/card/keys"
)

// few is how many proofs a turn verifies where each takes several calls into the device.
const few = 200

// measureFamilies measures cryptograms and transaction MACs through the device: each card's key derived anew, and held. The floor makes the same
// calls by the binding itself.
func measureFamilies(limit time.Duration, o keys.DeviceOptions) ([]result, error) {
	cryptograms, err := makeCryptograms(few)
	if err != nil {
		return nil, err
	}
	commits, err := makeCommits(few)
	if err != nil {
		return nil, err
	}
	var out []result
	for _, held := range []bool{false, true} {
		suffix := "-hsm"
		o.Cache = keys.CachePolicy{}
		if held {
			suffix, o.Cache = "-hsm-cached", keys.CachePolicy{Cards: few, Lifetime: time.Hour}
		}
		d, err := keys.OpenDevice(o)
		if err != nil {
			return nil, err
		}
		some, err := measureFamiliesBy(d, suffix, held, limit, o, cryptograms, commits)
		d.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func measureFamiliesBy(d keys.Device, suffix string, held bool, limit time.Duration, o keys.DeviceOptions, cryptograms []cryptogram, commits []commit) ([]result, error) {
	b, err := newBareFamilies(o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	arqc, err := inTurns("card-arqc"+suffix, limit, few, verifyCryptograms(d, cryptograms), func() error { return b.cryptograms(cryptograms, held) })
	if err != nil {
		return nil, err
	}
	recheck, err := recheckAll(d, commits)
	if err != nil {
		return nil, err
	}
	tmv, err := inTurns("card-aes"+suffix, limit, few, recheck, func() error { return b.commits(commits, held) })
	return []result{arqc, tmv}, err
}

// bareFamilies are master keys of its own in the same token, and what it derived of them.
type bareFamilies struct {
	p      *pkcs11.Ctx
	s      pkcs11.SessionHandle
	ac, tm pkcs11.ObjectHandle
	cards  map[int]pkcs11.ObjectHandle // of cryptograms
	tags   map[int]pkcs11.ObjectHandle // of commits
	zeros  map[int][16]byte
}

func newBareFamilies(o keys.DeviceOptions) (*bareFamilies, error) {
	b := &bareFamilies{p: pkcs11.New(o.Module), cards: map[int]pkcs11.ObjectHandle{}, tags: map[int]pkcs11.ObjectHandle{}, zeros: map[int][16]byte{}}
	slots, err := b.p.GetSlotList(true)
	if err != nil {
		return nil, err
	}
	if b.s, err = b.p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION); err != nil {
		return nil, err
	}
	master := func(kind uint, k keys.Key) (pkcs11.ObjectHandle, error) {
		return b.p.CreateObject(b.s, append(bareTemplate(kind), pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_VALUE, k[:])))
	}
	if b.ac, err = master(pkcs11.CKK_DES2, acKey); err != nil {
		return nil, err
	}
	b.tm, err = master(pkcs11.CKK_AES, tmKey)
	return b, err
}

func (b *bareFamilies) close() { b.p.CloseSession(b.s); b.p.Destroy() }

func bareTemplate(kind uint) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
	}
}

// derive makes a session's key of the encipherment of data.
func (b *bareFamilies) derive(by, kind uint, base pkcs11.ObjectHandle, data [16]byte, uses ...uint) (pkcs11.ObjectHandle, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	parameter := struct {
		data   unsafe.Pointer
		length uint
	}{unsafe.Pointer(&data[0]), 16}
	raw := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&parameter)), unsafe.Sizeof(parameter)))
	like := bareTemplate(kind)
	for _, u := range uses {
		like = append(like, pkcs11.NewAttribute(u, true))
	}
	if kind == pkcs11.CKK_AES {
		like = append(like, pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 16))
	}
	return b.p.DeriveKey(b.s, []*pkcs11.Mechanism{pkcs11.NewMechanism(by, raw)}, base, like)
}

func (b *bareFamilies) encrypt(m *pkcs11.Mechanism, key pkcs11.ObjectHandle, plain []byte) ([]byte, error) {
	if err := b.p.EncryptInit(b.s, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, err
	}
	return b.p.Encrypt(b.s, plain)
}

// cryptograms are, for each: the card's key unless it is held, the left half twice over and a chain, the whole key and a block.
func (b *bareFamilies) cryptograms(all []cryptogram, held bool) error {
	const derive = pkcs11.CKM_DES3_ECB_ENCRYPT_DATA
	for i := range all {
		c := &all[i]
		card, ready := b.cards[i]
		if !ready {
			var in [16]byte
			copy(in[:], c.y[:])
			for j, v := range c.y {
				in[8+j] = ^v
			}
			var err error
			if card, err = b.derive(derive, pkcs11.CKK_DES2, b.ac, in, pkcs11.CKA_DERIVE); err != nil {
				return err
			}
		}
		var whole, left [16]byte
		whole[6], whole[7], whole[14], whole[15] = byte(c.atc>>8), byte(c.atc), ^byte(c.atc>>8), ^byte(c.atc)
		copy(left[copy(left[:], whole[:8]):], whole[:8])
		k, err := b.derive(derive, pkcs11.CKK_DES2, card, left, pkcs11.CKA_ENCRYPT)
		if err != nil {
			return err
		}
		chain, err := b.encrypt(pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, make([]byte, 8)), k, c.input[:32])
		if err != nil {
			return err
		}
		if err := b.p.DestroyObject(b.s, k); err != nil {
			return err
		}
		if k, err = b.derive(derive, pkcs11.CKK_DES2, card, whole, pkcs11.CKA_ENCRYPT); err != nil {
			return err
		}
		last := chain[24:]
		subtle.XORBytes(last, last, c.input[32:])
		ac, err := b.encrypt(pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil), k, last)
		if err != nil {
			return err
		}
		if [8]byte(ac) != c.ac {
			return errWrong
		}
		if err := b.p.DestroyObject(b.s, k); err != nil {
			return err
		}
		if held {
			b.cards[i] = card
		} else if err := b.p.DestroyObject(b.s, card); err != nil {
			return err
		}
	}
	return nil
}

// commits are, for each: the card's key unless it is held (two blocks, a derivation, a block), the counter's key, and its CMAC.
func (b *bareFamilies) commits(all []commit, held bool) error {
	const derive = pkcs11.CKM_AES_ECB_ENCRYPT_DATA
	ecb := pkcs11.NewMechanism(pkcs11.CKM_AES_ECB, nil)
	for i := range all {
		c := &all[i]
		card, ready := b.tags[i]
		zeros := b.zeros[i]
		if !ready {
			out, err := b.encrypt(ecb, b.tm, append(make([]byte, 16), c.derive[:16]...))
			if err != nil {
				return err
			}
			x := bareLast([16]byte(out), c.derive[16:])
			subtle.XORBytes(x[:], x[:], out[16:])
			if card, err = b.derive(derive, pkcs11.CKK_AES, b.tm, x, pkcs11.CKA_DERIVE, pkcs11.CKA_ENCRYPT); err != nil {
				return err
			}
			if out, err = b.encrypt(ecb, card, make([]byte, 16)); err != nil {
				return err
			}
			zeros = [16]byte(out)
		}
		k, err := b.derive(derive, pkcs11.CKK_AES, card, bareLast(zeros, c.session[:]), pkcs11.CKA_SIGN)
		if err != nil {
			return err
		}
		if err := b.p.SignInit(b.s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_CMAC, nil)}, k); err != nil {
			return err
		}
		mac, err := b.p.Sign(b.s, c.tmi)
		if err != nil {
			return err
		}
		for j, v := range c.evidence.TMV {
			if mac[2*j+1] != v {
				return errWrong
			}
		}
		if err := b.p.DestroyObject(b.s, k); err != nil {
			return err
		}
		if held {
			b.tags[i], b.zeros[i] = card, zeros
		} else if err := b.p.DestroyObject(b.s, card); err != nil {
			return err
		}
	}
	return nil
}

// bareLast is the last block of a CMAC with its sub-key worked in.
func bareLast(zeros [16]byte, rest []byte) (out [16]byte) {
	double := func() {
		carry := zeros[0] >> 7
		for i := range 15 {
			zeros[i] = zeros[i]<<1 | zeros[i+1]>>7
		}
		zeros[15] = zeros[15]<<1 ^ carry*0x87
	}
	double()
	if n := copy(out[:], rest); n < 16 {
		out[n] = 0x80
		double()
	}
	subtle.XORBytes(out[:], out[:], zeros[:])
	return out
}
