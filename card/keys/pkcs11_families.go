//go:build pkcs11

package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// aesKey is a card's AES key in the device, with the encipherment of zeros under it, which its sub-keys come from.
type aesKey struct {
	handle pkcs11.ObjectHandle
	zeros  [16]byte
}

// RetailMAC implements Families. No key of it leaves the device.
func (d *device) RetailMAC(ctx context.Context, c Card, session [16]byte, blocks []byte) (mac [8]byte, err error) {
	if err := checkBlocks(c, 8, blocks, ECCryptogram, ECMAC); err != nil {
		return mac, err
	}
	err = d.withCardKey(ctx, c, func(at *connection, key pkcs11.ObjectHandle) error {
		mac, err = at.retailMAC(ctx, key, session, [8]byte{}, blocks)
		return err
	})
	return mac, err
}

// EncipherBlocks implements Families. No key of it leaves the device.
func (d *device) EncipherBlocks(ctx context.Context, c Card, session [16]byte, blocks []byte) (out []byte, err error) {
	if err := errors.Join(checkBlocks(c, 8, blocks, ECCryptogram, ECEncipher), d.retired.refuse(c.ID)); err != nil {
		return nil, err
	}
	err = d.withCardKey(ctx, c, func(at *connection, key pkcs11.ObjectHandle) error {
		out, err = at.encipherBlocks(ctx, key, session, blocks)
		return err
	})
	return out, err
}

// withCardKey does a piece of work with a card's key, which stays in the device.
func (d *device) withCardKey(ctx context.Context, c Card, do func(*connection, pkcs11.ObjectHandle) error) error {
	if err := d.o.checkCard(c, c.ID.Purpose); err != nil {
		return err
	}
	return d.do(ctx, func(at *connection) error {
		k, err := at.cardKey(ctx, c)
		if err != nil {
			return err
		}
		defer at.keys.done(k)
		return do(at, k.key)
	})
}

// SecureMAC implements Families. No key of it leaves the device; none is held, for a command to one card is rare.
func (d *device) SecureMAC(ctx context.Context, c Card, challenge, message []byte) (mac [4]byte, err error) {
	if err := errors.Join(secured(c), TripleDES.checkChallenge(challenge), d.retired.refuse(c.ID)); err != nil {
		return mac, err
	}
	err = d.withBase(ctx, c, func(at *connection, base pkcs11.ObjectHandle) error {
		var iv [8]byte
		copy(iv[:], challenge)
		whole, err := at.retailMAC(ctx, base, levelInput(c), iv, padded(message))
		mac = [4]byte(whole[:4])
		return err
	})
	return mac, err
}

// Encipher implements Families, in the same way.
func (d *device) Encipher(ctx context.Context, c Card, data []byte) (out []byte, err error) {
	if err := errors.Join(secured(c), d.retired.refuse(c.ID)); err != nil {
		return nil, err
	}
	blocks, err := framed(data, 8)
	if err != nil {
		return nil, err
	}
	err = d.withBase(ctx, c, func(at *connection, base pkcs11.ObjectHandle) error {
		out, err = at.encipherBlocks(ctx, base, levelInput(c), blocks)
		return err
	})
	return out, err
}

// withBase does a piece of work with what a card's last level is derived from.
func (d *device) withBase(ctx context.Context, c Card, do func(*connection, pkcs11.ObjectHandle) error) error {
	if err := d.o.checkCard(c, c.ID.Purpose); err != nil {
		return err
	}
	return d.do(ctx, func(at *connection) error {
		base, done, err := at.base(ctx, c)
		if err != nil {
			return err
		}
		defer done()
		return do(at, base)
	})
}

// CardCMAC implements Families. No key of it leaves the device: what does are values of the chain, from which no key follows.
func (d *device) CardCMAC(ctx context.Context, c AESCard, session [16]byte, message []byte) (mac [16]byte, err error) {
	if err := c.check(); err != nil {
		return mac, err
	}
	err = d.do(ctx, func(at *connection) error {
		k, err := at.aes.named(c.name(), func() (aesKey, error) { return at.aesCardKey(ctx, c) })
		if err != nil {
			return err
		}
		defer at.aes.done(k)
		// The CMAC over one block is the encipherment of that block with the sub-key worked in: a key that can be derived inside.
		x := CMACLast(k.key.zeros, session[:])
		return at.with(ctx, "session CMAC", KindAES, k.key.handle, x, uses{sign: true}, func(s pkcs11.SessionHandle, key pkcs11.ObjectHandle) error {
			if err := at.p.SignInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_CMAC, nil)}, key); err != nil {
				return err
			}
			out, err := at.p.Sign(s, message)
			if err == nil && len(out) != len(mac) {
				err = fmt.Errorf("it answers %d bytes", len(out))
			}
			copy(mac[:], out)
			return err
		})
	})
	return mac, err
}

// aesCardKey derives a card's key, which is the CMAC over its input: two blocks, so all but the last encipherment is done in the open, and
// the last one makes the key inside.
func (c *connection) aesCardKey(ctx context.Context, card AESCard) (k aesKey, err error) {
	m, err := c.master(ctx, card.ID)
	if err != nil {
		return k, err
	}
	err = c.in(ctx, "derive a card key", func(s pkcs11.SessionHandle) error {
		two := append(make([]byte, 16), card.Input[:16]...)
		out, err := c.encipher(s, pkcs11.CKM_AES_ECB, m, two)
		if err != nil {
			return err
		}
		x := CMACLast([16]byte(out), card.Input[16:])
		subtle.XORBytes(x[:], x[:], out[16:])
		if k.handle, err = c.deriveIn(s, KindAES, m, x[:], uses{derive: true, encrypt: true}); err != nil {
			return err
		}
		zeros, err := c.encipher(s, pkcs11.CKM_AES_ECB, k.handle, make([]byte, 16))
		if err != nil {
			return errors.Join(err, c.p.DestroyObject(s, k.handle))
		}
		k.zeros = [16]byte(zeros)
		return nil
	})
	return k, err
}

// retailMAC is ISO 9797-1 algorithm 3 under the key that base makes from data. Its chain is single DES by the left half: the key is asked for
// twice over, as in sessionMAC; and what algorithm 3 does to the last block is 3DES by the whole key.
func (c *connection) retailMAC(ctx context.Context, base pkcs11.ObjectHandle, data [16]byte, iv [8]byte, blocks []byte) (mac [8]byte, err error) {
	chain, last := blocks[:len(blocks)-8], blocks[len(blocks)-8:]
	value := iv
	if len(chain) > 0 {
		left := [16]byte(append(data[:8:8], data[:8]...))
		err := c.with(ctx, "retail MAC", Kind3DES, base, left, uses{encrypt: true}, func(s pkcs11.SessionHandle, key pkcs11.ObjectHandle) error {
			if err := c.p.EncryptInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, iv[:])}, key); err != nil {
				return err
			}
			out, err := c.p.Encrypt(s, chain)
			if err == nil && len(out) != len(chain) {
				err = fmt.Errorf("it answers %d bytes", len(out))
			}
			if err == nil {
				value = [8]byte(out[len(out)-8:])
			}
			return err
		})
		if err != nil {
			return mac, err
		}
	}
	subtle.XORBytes(value[:], value[:], last)
	out, err := c.encipherBlocks(ctx, base, data, value[:])
	copy(mac[:], out)
	return mac, err
}

// encipherBlocks enciphers blocks of 8 bytes in ECB under the key that base makes from data.
func (c *connection) encipherBlocks(ctx context.Context, base pkcs11.ObjectHandle, data [16]byte, blocks []byte) (out []byte, err error) {
	err = c.with(ctx, "encipher", Kind3DES, base, data, uses{encrypt: true}, func(s pkcs11.SessionHandle, key pkcs11.ObjectHandle) error {
		out, err = c.encipher(s, pkcs11.CKM_DES3_ECB, key, blocks)
		return err
	})
	return out, err
}

// with does a piece of work with a key that is derived for it and ended after it.
func (c *connection) with(ctx context.Context, what string, kind Kind, base pkcs11.ObjectHandle, data [16]byte, may uses, do func(pkcs11.SessionHandle, pkcs11.ObjectHandle) error) error {
	return c.in(ctx, what, func(s pkcs11.SessionHandle) error {
		key, err := c.deriveIn(s, kind, base, data[:], may)
		if err != nil {
			return err
		}
		return errors.Join(do(s, key), c.p.DestroyObject(s, key))
	})
}

// encipher is encrypt by a mechanism without a parameter, as many bytes as went in.
func (c *connection) encipher(s pkcs11.SessionHandle, by uint, key pkcs11.ObjectHandle, plain []byte) ([]byte, error) {
	out, err := c.encrypt(s, pkcs11.NewMechanism(by, nil), key, plain)
	if err == nil && len(out) != len(plain) {
		err = fmt.Errorf("it answers %d bytes: want %d", len(out), len(plain))
	}
	return out, err
}

// AppCBC implements Families. The key does not leave the device.
func (d *device) AppCBC(ctx context.Context, id ID, decipher bool, blocks []byte) (out []byte, err error) {
	if err := errors.Join(checkApp(id, blocks), d.retired.refuse(id)); err != nil {
		return nil, err
	}
	err = d.do(ctx, func(c *connection) error {
		key, err := c.master(ctx, id)
		if err != nil {
			return err
		}
		return c.in(ctx, "application key", func(s pkcs11.SessionHandle) error {
			by := pkcs11.NewMechanism(pkcs11.CKM_AES_CBC, make([]byte, 16))
			if !decipher {
				out, err = c.encrypt(s, by, key, blocks)
			} else if err = c.p.DecryptInit(s, []*pkcs11.Mechanism{by}, key); err == nil {
				out, err = c.p.Decrypt(s, blocks)
			}
			if err == nil && len(out) != len(blocks) {
				err = fmt.Errorf("it answers %d bytes: want %d", len(out), len(blocks))
			}
			return err
		})
	})
	return out, err
}
