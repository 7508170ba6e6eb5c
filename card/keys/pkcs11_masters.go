//go:build pkcs11

package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"
)

// uses is what a master key of a purpose may do in a device, and nothing else. Deriving keeps what is derived inside; enciphering hands it
// out.
type uses struct{ derive, encrypt, decrypt, sign bool }

func usesOf(p Purpose) uses {
	switch p {
	case TAC: // PKCS#11 cannot fold its last level inside
		return uses{derive: true, encrypt: true}
	case DESFireTMAC: // PKCS#11 cannot derive by CMAC: its chain is followed outside up to the last block
		return uses{derive: true, encrypt: true}
	case DESFireApp, Data: // they derive nothing
		return uses{encrypt: true, decrypt: true}
	}
	return uses{derive: true}
}

// typeOf is the type of a key of that kind in a device: all of them have 16 bytes.
func typeOf(k Kind) uint {
	if k == KindAES {
		return pkcs11.CKK_AES
	}
	return pkcs11.CKK_DES2
}

// template is the attributes of a key of ours: never to leave, for these uses only. A key on the token is not to be changed either; of
// derived keys some devices refuse to hear that.
func template(onToken bool, kind Kind, may uses) []*pkcs11.Attribute {
	all := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, typeOf(kind)),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, onToken),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_DERIVE, may.derive),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, may.encrypt),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, may.decrypt),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, may.sign),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, false),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, false),
		pkcs11.NewAttribute(pkcs11.CKA_UNWRAP, false),
	}
	if onToken {
		all = append(all, pkcs11.NewAttribute(pkcs11.CKA_MODIFIABLE, false))
	}
	return all
}

// scan finds the scheme's master keys and asserts what they may do. One that is not as it must be refuses the token.
func (c *connection) scan(ctx context.Context) error {
	found := map[ID]master{}
	err := c.in(ctx, "find the master keys", func(s pkcs11.SessionHandle) error {
		all, err := c.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true))
		if err != nil {
			return err
		}
		for _, h := range all {
			label, err := c.attribute(s, h, pkcs11.CKA_LABEL)
			if err != nil {
				return err
			}
			id, ours := c.o.parseLabel(string(label))
			if !ours {
				continue
			}
			if _, twice := found[id]; twice {
				return fmt.Errorf("%s stands twice in the token: delete the wrong one", label)
			}
			if err := c.assert(s, h, id); err != nil {
				return fmt.Errorf("%s: %w", label, err)
			}
			check, err := c.checkValue(s, h)
			if err != nil {
				return fmt.Errorf("%s: check value: %w", label, err)
			}
			found[id] = master{h, check}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.seen.compare(found); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.masters = found
	return nil
}

// seenKeys are the master keys that a device has ever shown, over all its connections. A token that comes back without one of them, or
// a library that shows an empty token when the real one is away, must not make every card's proof a bad one.
type seenKeys struct {
	mu     sync.Mutex
	checks map[ID][3]byte
}

func (k *seenKeys) compare(found map[ID]master) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, check := range k.checks {
		if m, ok := found[id]; !ok || m.check != check {
			return fmt.Errorf("keys: HSM: %v: %w", id, ErrKeyGone)
		}
	}
	for id, m := range found {
		k.checks[id] = m.check
	}
	return nil
}

// forget takes out a key that was destroyed on purpose.
func (k *seenKeys) forget(id ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.checks, id)
}

// master returns a master key's handle. One that is not known yet may have been added since; the scan also shows that the token is
// still the one it was, without which nobody may say that it has no such key.
func (c *connection) master(ctx context.Context, id ID) (pkcs11.ObjectHandle, error) {
	if m, ok := c.known(id); ok {
		return m.handle, nil
	}
	if err := c.scan(ctx); err != nil {
		return 0, err
	}
	if m, ok := c.known(id); ok {
		return m.handle, nil
	}
	return 0, fmt.Errorf("keys: HSM: %v: %w", id, ErrUnknownKey)
}

func (c *connection) known(id ID) (master, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.masters[id]
	return m, ok
}

func (c *connection) checkValues() map[ID][3]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[ID][3]byte{}
	for id, m := range c.masters {
		out[id] = m.check
	}
	return out
}

func (c *connection) find(s pkcs11.SessionHandle, like ...*pkcs11.Attribute) (all []pkcs11.ObjectHandle, err error) {
	if err := c.p.FindObjectsInit(s, like); err != nil {
		return nil, err
	}
	for {
		some, _, err := c.p.FindObjects(s, 100)
		if err != nil || len(some) == 0 {
			return all, errors.Join(err, c.p.FindObjectsFinal(s))
		}
		all = append(all, some...)
	}
}

func (c *connection) attribute(s pkcs11.SessionHandle, h pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	got, err := c.p.GetAttributeValue(s, h, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil {
		return nil, err
	}
	return got[0].Value, nil
}

// flag reads a CK_BBOOL.
func (c *connection) flag(s pkcs11.SessionHandle, h pkcs11.ObjectHandle, kind uint) (bool, error) {
	raw, err := c.attribute(s, h, kind)
	return len(raw) > 0 && raw[0] != 0, err
}

// assert compares a master key's attributes with what its purpose allows.
func (c *connection) assert(s pkcs11.SessionHandle, h pkcs11.ObjectHandle, id ID) error {
	kind, err := c.attribute(s, h, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	switch want := KindOf(id, c.o.SM4); {
	case want == KindSM4:
		return fmt.Errorf("%w", ErrSM4)
	case want == Kind3DES && !bytes.Equal(kind, pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_DES2).Value):
		return fmt.Errorf("%w: want a key of type CKK_DES2", ErrKeyUnfit)
	case want == KindAES && !bytes.Equal(kind, pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES).Value):
		return fmt.Errorf("%w: want a key of type CKK_AES", ErrKeyUnfit)
	case want == KindAES:
		length, err := c.attribute(s, h, pkcs11.CKA_VALUE_LEN)
		if err != nil {
			return fmt.Errorf("CKA_VALUE_LEN: %w", err)
		}
		if !bytes.Equal(length, pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, uint(len(Key{}))).Value) {
			return fmt.Errorf("%w: want a key of 16 bytes", ErrKeyUnfit)
		}
	}
	if err := c.canDo(KindOf(id, c.o.SM4)); err != nil {
		return err
	}
	may := usesOf(id.Purpose)
	for _, a := range []struct {
		kind  uint
		want  bool
		name  string
		fault error
	}{
		{pkcs11.CKA_SENSITIVE, true, "CKA_SENSITIVE", ErrKeyExtractable},
		{pkcs11.CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE", ErrKeyExtractable},
		{pkcs11.CKA_PRIVATE, true, "CKA_PRIVATE", ErrKeyLoose},
		// A key that may be changed can be given any use later.
		{pkcs11.CKA_MODIFIABLE, false, "CKA_MODIFIABLE", ErrKeyLoose},
		{pkcs11.CKA_DECRYPT, may.decrypt, "CKA_DECRYPT", ErrKeyLoose},
		{pkcs11.CKA_SIGN, may.sign, "CKA_SIGN", ErrKeyLoose},
		{pkcs11.CKA_VERIFY, false, "CKA_VERIFY", ErrKeyLoose},
		{pkcs11.CKA_WRAP, false, "CKA_WRAP", ErrKeyLoose},
		{pkcs11.CKA_UNWRAP, false, "CKA_UNWRAP", ErrKeyLoose},
		{pkcs11.CKA_ENCRYPT, may.encrypt, "CKA_ENCRYPT", ErrKeyLoose},
		{pkcs11.CKA_DERIVE, may.derive, "CKA_DERIVE", ErrKeyLoose},
	} {
		got, err := c.flag(s, h, a.kind)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		if got != a.want {
			fault := a.fault
			if a.want && fault == ErrKeyLoose {
				fault = ErrKeyUnfit // it may do less than it must
			}
			return fmt.Errorf("%w: %s is %v", fault, a.name, got)
		}
	}
	return nil
}

// checkValue reads the device's check value; the standard's is the encipherment of zeros, as ours.
func (c *connection) checkValue(s pkcs11.SessionHandle, h pkcs11.ObjectHandle) ([3]byte, error) {
	raw, err := c.attribute(s, h, pkcs11.CKA_CHECK_VALUE)
	if err != nil {
		return [3]byte{}, err
	}
	if len(raw) != 3 {
		return [3]byte{}, fmt.Errorf("%d bytes: want 3", len(raw))
	}
	return [3]byte(raw), nil
}

// Put implements Device.
func (d *device) Put(ctx context.Context, masters map[ID]Key) error {
	return d.try(ctx, 1, func(c *connection) error { // once: what the first attempt wrote is not known
		if err := c.put(masters); err != nil {
			return fmt.Errorf("keys: HSM: %w", err)
		}
		return c.scan(ctx)
	})
}

func (c *connection) put(masters map[ID]Key) error {
	return c.writing(func(s pkcs11.SessionHandle) error { return c.putIn(s, masters) })
}

func (c *connection) putIn(s pkcs11.SessionHandle, masters map[ID]Key) (err error) {
	var made []pkcs11.ObjectHandle
	defer func() {
		if err != nil {
			for _, h := range made {
				err = errors.Join(err, c.p.DestroyObject(s, h))
			}
		}
	}()
	ids := slices.SortedFunc(maps.Keys(masters), ID.Compare)
	for _, id := range ids { // look at all before the first is written
		if err := checkWord(string(id.Purpose)); err != nil {
			return fmt.Errorf("purpose %q: %w", id.Purpose, err)
		}
		if err := c.canDo(KindOf(id, c.o.SM4)); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
		if err := c.free(s, id); err != nil {
			return err
		}
	}
	for _, id := range ids {
		key := masters[id]
		h, err := c.p.CreateObject(s, append(c.named(id), pkcs11.NewAttribute(pkcs11.CKA_VALUE, key[:])))
		clear(key[:])
		if err != nil {
			return fmt.Errorf("%v: store: %w", id, err)
		}
		made = append(made, h)
		if got, err := c.checkValue(s, h); err != nil || got != KindOf(id, c.o.SM4).CheckValue(masters[id]) {
			return errors.Join(err, fmt.Errorf("%v: its check value in the device differs: it was not stored as it is", id))
		}
	}
	return nil
}

// named is the attributes of a master key of that name.
func (c *connection) named(id ID) []*pkcs11.Attribute {
	return append(template(true, KindOf(id, c.o.SM4), usesOf(id.Purpose)),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, c.o.label(id)), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte{id.Version, id.Algorithm}))
}
