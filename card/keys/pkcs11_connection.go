//go:build pkcs11

package keys

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"runtime"

	"github.com/miekg/pkcs11"
)

// connection is one login: its sessions, what was found in the token, and what was derived since.
type connection struct {
	o        DeviceOptions
	p        *pkcs11.Ctx
	slot     uint
	sessions chan pkcs11.SessionHandle // those nobody works in

	seen    *seenKeys
	mu      sync.Mutex
	masters map[ID]master

	keys *cache[pkcs11.ObjectHandle] // card keys, and the keys between master and card, in the device
	tacs *cache[cipher.Block]        // TAC keys as they are folded, here
	aes  *cache[aesKey]              // AES card keys, in the device

	mechanisms map[uint]bool // that it has
}

type master struct {
	handle pkcs11.ObjectHandle
	check  [3]byte
}

func connect(p *pkcs11.Ctx, o DeviceOptions, seen *seenKeys) (*connection, error) {
	slot, err := findToken(p, o.Token)
	if err != nil {
		return nil, err
	}
	c := &connection{o: o, p: p, slot: slot, seen: seen, sessions: make(chan pkcs11.SessionHandle, o.Sessions), masters: map[ID]master{}, mechanisms: map[uint]bool{}}
	if err := c.listMechanisms(); err != nil {
		return nil, err
	}
	if err := c.canDo(Kind3DES); err != nil {
		return nil, fmt.Errorf("keys: HSM: %w", err)
	}
	c.keys = newCache(o.Cache, c.destroy)
	c.tacs = newCache(o.Cache, wipeBlock)
	c.aes = newCache(o.Cache, func(k aesKey) { c.destroy(k.handle) })
	for i := range o.Sessions {
		s, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
		if err != nil {
			return nil, fmt.Errorf("keys: HSM: open a session: %w", err)
		}
		if i == 0 { // one login is for all sessions
			if err := login(p, s, o.PIN); err != nil {
				return nil, err
			}
		}
		c.sessions <- s
	}
	return c, c.scan(context.Background())
}

// findToken returns the slot of the one token with that label.
func findToken(p *pkcs11.Ctx, label string) (uint, error) {
	slots, err := p.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("keys: HSM: list its slots: %w", err)
	}
	var found []uint
	for _, s := range slots {
		info, err := p.GetTokenInfo(s)
		if err == nil && info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && strings.TrimRight(info.Label, " ") == label {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("keys: HSM: token %q: %w", label, ErrTokenMissing)
	}
	return 0, fmt.Errorf("keys: HSM: %d tokens are called %q: want one; rename or unplug the others", len(found), label)
}

func (c *connection) listMechanisms() error {
	have, err := c.p.GetMechanismList(c.slot)
	if err != nil {
		return fmt.Errorf("keys: HSM: list its mechanisms: %w", err)
	}
	for _, m := range have {
		c.mechanisms[m.Mechanism] = true
	}
	return nil
}

// canDo says whether the device does all that keys of a kind are for.
func (c *connection) canDo(k Kind) error {
	want, fault := []uint{pkcs11.CKM_DES3_ECB, pkcs11.CKM_DES3_CBC, pkcs11.CKM_DES3_ECB_ENCRYPT_DATA}, ErrMechanism
	switch k {
	case KindSM4:
		return ErrSM4
	case KindAES:
		want, fault = []uint{pkcs11.CKM_AES_ECB, pkcs11.CKM_AES_CBC, pkcs11.CKM_AES_GCM, pkcs11.CKM_AES_CMAC, pkcs11.CKM_AES_ECB_ENCRYPT_DATA}, ErrMechanismAES
	}
	for _, m := range want {
		if !c.mechanisms[m] {
			return fault
		}
	}
	return nil
}

func login(p *pkcs11.Ctx, s pkcs11.SessionHandle, pin Secret) error {
	err := p.Login(s, pkcs11.CKU_USER, string(pin))
	switch {
	case err == nil, is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case is(err, pkcs11.CKR_PIN_INCORRECT), is(err, pkcs11.CKR_PIN_INVALID), is(err, pkcs11.CKR_PIN_LEN_RANGE):
		return fmt.Errorf("keys: HSM: %w", ErrPINWrong)
	case is(err, pkcs11.CKR_PIN_LOCKED):
		return fmt.Errorf("keys: HSM: %w", ErrPINLocked)
	}
	return fmt.Errorf("keys: HSM: log in: %w", err)
}

func is(err error, code uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && uint(e) == code
}

// lost says whether an error means that the connection is worth nothing any more.
func lost(err error) bool {
	var e pkcs11.Error
	if !errors.As(err, &e) {
		return false
	}
	switch uint(e) {
	case pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED,
		pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_HANDLE_INVALID,
		pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED:
		return true
	}
	return false
}

// in works in a session that nobody else has.
func (c *connection) in(ctx context.Context, what string, work func(pkcs11.SessionHandle) error) error {
	select {
	case s := <-c.sessions:
		defer func() { c.sessions <- s }()
		if err := work(s); err != nil {
			return fmt.Errorf("keys: HSM: %s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget ends the derived keys: those here are wiped, those in the device end with their sessions.
func (c *connection) forget() {
	c.keys.wipe = func(pkcs11.ObjectHandle) {}
	c.keys.empty()
	c.tacs.empty()
	c.aes.wipe = func(aesKey) {}
	c.aes.empty()
}

// empty ends the derived keys that are held while the connection goes on.
func (c *connection) empty() {
	c.keys.empty()
	c.tacs.empty()
	c.aes.empty()
}

// destroy ends a derived key in the device. An error would mean that the connection is lost, and the key with it.
func (c *connection) destroy(key pkcs11.ObjectHandle) {
	s := <-c.sessions
	c.p.DestroyObject(s, key)
	c.sessions <- s
}

// cardKey returns the card's key in the device, in use; give it back with c.keys.done.
func (c *connection) cardKey(ctx context.Context, card Card) (*heldKey[pkcs11.ObjectHandle], error) {
	return c.keys.get(card, func(card Card) (pkcs11.ObjectHandle, error) {
		base, done, err := c.base(ctx, card)
		if err != nil {
			return 0, err
		}
		defer done()
		x := levelInput(card)
		return c.derive(ctx, base, x[:], usesOf(card.ID.Purpose))
	})
}

// base returns what the card's last level is derived from: the master key, or the key of the level above.
func (c *connection) base(ctx context.Context, card Card) (pkcs11.ObjectHandle, func(), error) {
	if len(card.Factors) > 1 {
		card.Factors = card.Factors[:len(card.Factors)-1]
		above, err := c.cardKey(ctx, card)
		if err != nil {
			return 0, nil, err
		}
		return above.key, func() { c.keys.done(above) }, nil
	}
	m, err := c.master(ctx, card.ID)
	return m, func() {}, err
}

// tacKey enciphers the card's last level, and folds what comes out (purse facts 6.5).
func (c *connection) tacKey(ctx context.Context, card Card) (cipher.Block, error) {
	base, done, err := c.base(ctx, card)
	if err != nil {
		return nil, err
	}
	defer done()
	x := levelInput(card)
	var out []byte
	err = c.in(ctx, "derive a TAC key", func(s pkcs11.SessionHandle) (err error) {
		out, err = c.encrypt(s, pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil), base, x[:])
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out) != len(Key{}) {
		return nil, fmt.Errorf("keys: HSM: derive a TAC key: it answers %d bytes: want %d", len(out), len(Key{}))
	}
	defer clear(out)
	return singleDES(FoldTAC(Key(out))), nil
}

// levelInput is what the last level's key is the encipherment of: the factor and its inverse (purse facts 6.2).
func levelInput(card Card) (in Key) {
	x := card.Factors[len(card.Factors)-1]
	for i, b := range x {
		in[i], in[8+i] = b, ^b
	}
	return in
}

// sessionMAC makes the session key in the device, uses it once and ends it. The key is asked for twice over: as a double-length key
// of equal halves, which makes 3DES single DES. Few devices still do single DES, OpenSSL's current releases among those that do not.
func (c *connection) sessionMAC(ctx context.Context, key pkcs11.ObjectHandle, session [8]byte, message []byte) (mac [4]byte, err error) {
	twice := append(session[:], session[:]...)
	err = c.in(ctx, "session MAC", func(s pkcs11.SessionHandle) error {
		k, err := c.deriveIn(s, Kind3DES, key, twice, uses{encrypt: true})
		if err != nil {
			return err
		}
		out, err := c.encrypt(s, pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, make([]byte, 8)), k, padded(message))
		if err := errors.Join(err, c.p.DestroyObject(s, k)); err != nil {
			return err
		}
		if len(out) < 8 {
			return fmt.Errorf("it answers %d bytes", len(out))
		}
		mac = [4]byte(out[len(out)-8:])
		return nil
	})
	return mac, err
}

// padded is the message with its padding (purse facts 6.2).
func padded(message []byte) []byte {
	out := make([]byte, len(message)/8*8+8)
	out[copy(out, message)] = 0x80
	return out
}

func (c *connection) encrypt(s pkcs11.SessionHandle, m *pkcs11.Mechanism, key pkcs11.ObjectHandle, plain []byte) ([]byte, error) {
	if err := c.p.EncryptInit(s, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, err
	}
	return c.p.Encrypt(s, plain)
}

func (c *connection) derive(ctx context.Context, base pkcs11.ObjectHandle, data []byte, may uses) (key pkcs11.ObjectHandle, err error) {
	err = c.in(ctx, "derive a card key", func(s pkcs11.SessionHandle) (err error) {
		key, err = c.deriveIn(s, Kind3DES, base, data, may)
		return err
	})
	return key, err
}

// deriveIn makes a key of the encipherment of data, 16 bytes, by one of its kind. It lives as long as the session and cannot leave the device.
func (c *connection) deriveIn(s pkcs11.SessionHandle, kind Kind, base pkcs11.ObjectHandle, data []byte, may uses) (pkcs11.ObjectHandle, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	// CK_KEY_DERIVATION_STRING_DATA: the binding has no type for it, and copies the parameter's bytes as they are.
	parameter := struct {
		data   unsafe.Pointer
		length uint
	}{unsafe.Pointer(&data[0]), uint(len(data))}
	raw := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&parameter)), unsafe.Sizeof(parameter)))
	by, like := uint(pkcs11.CKM_DES3_ECB_ENCRYPT_DATA), template(false, kind, may)
	if kind == KindAES {
		by, like = pkcs11.CKM_AES_ECB_ENCRYPT_DATA, append(like, pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, uint(len(Key{}))))
	}
	return c.p.DeriveKey(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(by, raw)}, base, like)
}
