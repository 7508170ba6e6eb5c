//go:build pkcs11

package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"
)

// Sealed data is a nonce of 12 bytes, the enciphered data and a tag of 16 (AES-GCM). A data key seals a few files, so a nonce by chance
// does not come twice.
const (
	nonceSize = 12
	tagSize   = 16
)

// dataKey refuses another purpose's key.
func dataKey(id ID) error {
	if id.Purpose != Data {
		return fmt.Errorf("keys: a %s key was asked to do a %s key's work", id.Purpose, Data)
	}
	return nil
}

// Draw implements Device.
func (d *device) Draw(ctx context.Context, id ID) error {
	if err := dataKey(id); err != nil {
		return err
	}
	return d.try(ctx, 1, func(c *connection) error {
		if err := c.draw(id); err != nil {
			return fmt.Errorf("keys: HSM: %v: %w", id, err)
		}
		return c.scan(ctx)
	})
}

func (c *connection) draw(id ID) error {
	if err := c.canDo(KindAES); err != nil {
		return err
	}
	return c.writing(func(s pkcs11.SessionHandle) error {
		if err := c.free(s, id); err != nil {
			return err
		}
		like := append(c.named(id), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, uint(len(Key{}))))
		_, err := c.p.GenerateKey(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, like)
		return err
	})
}

// Seal implements Device.
func (d *device) Seal(ctx context.Context, id ID, label string, data []byte) (sealed []byte, err error) {
	if err := dataKey(id); err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	err = d.withDataKey(ctx, id, nonce, label, func(c *connection, s pkcs11.SessionHandle, by *pkcs11.Mechanism, key pkcs11.ObjectHandle) error {
		out, err := c.encrypt(s, by, key, data)
		if err == nil && len(out) != len(data)+tagSize {
			err = fmt.Errorf("it answers %d bytes: want %d", len(out), len(data)+tagSize)
		}
		sealed = append(nonce, out...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

// Unseal implements Device.
func (d *device) Unseal(ctx context.Context, id ID, label string, sealed []byte) (data []byte, err error) {
	if err := dataKey(id); err != nil {
		return nil, err
	}
	if len(sealed) < nonceSize+tagSize {
		return nil, fmt.Errorf("keys: HSM: %w", ErrSealed)
	}
	err = d.withDataKey(ctx, id, sealed[:nonceSize], label, func(c *connection, s pkcs11.SessionHandle, by *pkcs11.Mechanism, key pkcs11.ObjectHandle) error {
		if err := c.p.DecryptInit(s, []*pkcs11.Mechanism{by}, key); err != nil {
			return err
		}
		out, err := c.p.Decrypt(s, sealed[nonceSize:])
		if refused(err) {
			return fmt.Errorf("%w (%v)", ErrSealed, err) // not wrapped: this error is not one of a lost token
		}
		data = out
		return err
	})
	return data, err
}

// refused says that the device worked, and the tag was wrong. Makers differ in how they say so; SoftHSM says CKR_GENERAL_ERROR, which is also
// what it says of itself when it is gone: the next call finds out.
func refused(err error) bool {
	for _, code := range []uint{pkcs11.CKR_ENCRYPTED_DATA_INVALID, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE, pkcs11.CKR_DATA_INVALID, pkcs11.CKR_SIGNATURE_INVALID, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED} {
		if is(err, code) {
			return true
		}
	}
	return false
}

func (d *device) withDataKey(ctx context.Context, id ID, nonce []byte, label string, do func(*connection, pkcs11.SessionHandle, *pkcs11.Mechanism, pkcs11.ObjectHandle) error) error {
	return d.do(ctx, func(c *connection) error {
		key, err := c.master(ctx, id)
		if err != nil {
			return err
		}
		return c.in(ctx, "data key", func(s pkcs11.SessionHandle) error {
			p := pkcs11.NewGCMParams(nonce, []byte(label), tagSize*8)
			defer p.Free()
			return do(c, s, pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, p), key)
		})
	})
}

// Destroy implements Device.
func (d *device) Destroy(ctx context.Context, id ID) error {
	return d.try(ctx, 1, func(c *connection) error {
		if _, err := c.master(ctx, id); err != nil {
			return err
		}
		err := c.writing(func(s pkcs11.SessionHandle) error {
			all, err := c.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, c.o.label(id)))
			for _, h := range all {
				err = errors.Join(err, c.p.DestroyObject(s, h))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("keys: HSM: %v: destroy: %w", id, err)
		}
		c.seen.forget(id) // taken out on purpose
		c.empty()         // what it derived goes with it
		return c.scan(ctx)
	})
}

// writing works in a session of its own that may write.
func (c *connection) writing(do func(pkcs11.SessionHandle) error) error {
	s, err := c.p.OpenSession(c.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	return errors.Join(do(s), c.p.CloseSession(s))
}

// free says that there is no key of that name yet.
func (c *connection) free(s pkcs11.SessionHandle, id ID) error {
	there, err := c.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, c.o.label(id)))
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return fmt.Errorf("%v: %w", id, ErrKeyExists)
	}
	return nil
}
