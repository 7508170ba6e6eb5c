//go:build pkcs11

package keys_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
)

// Tests named TestHSM… run against a real SoftHSM: scripts/hsm-test.sh.

func newToken(t *testing.T) (softhsm.Token, keys.DeviceOptions) {
	t.Helper()
	token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
	require.NoError(t, err)
	return token, keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN), RetryEvery: time.Nanosecond}
}

func openDevice(t *testing.T, o keys.DeviceOptions) keys.Device {
	t.Helper()
	d, err := keys.OpenDevice(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// deviceMasters are the master keys of purse facts 8.2.
func deviceMasters() map[keys.ID]keys.Key {
	id := func(p keys.Purpose) keys.ID { return keys.ID{Purpose: p, Version: 1} }
	return map[keys.ID]keys.Key{id(keys.Purchase): ascending(0x40), id(keys.Load): ascending(0x50), id(keys.TAC): ascending(0x60), id(keys.Maintenance): ascending(0x90), id(keys.Unload): ascending(0x70), id(keys.Limit): ascending(0x80),
		id(keys.Unblock): ascending(0xA0), id(keys.ECCryptogram): ascending(0xB0), id(keys.ECMAC): ascending(0xC0), id(keys.DESFireTMAC): ascending(0xD0)}
}

func TestHSMGivesThePublishedVectors(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	theVectorsOfAnHSM(t, d)

	found, err := d.Masters(t.Context())
	require.NoError(t, err)
	want := map[keys.ID][3]byte{}
	for id, k := range deviceMasters() {
		want[id] = keys.KindOf(id, 0).CheckValue(k)
	}
	require.Equal(t, want, found)
}

// TestHSMSaysWhatTheSoftwareSays compares the two byte by byte over any card, session and message.
func TestHSMSaysWhatTheSoftwareSays(t *testing.T) {
	soft := keys.NewSoft(deviceMasters())
	for name, policy := range map[string]keys.CachePolicy{"without a cache": {}, "with a small one": {Cards: 2, Lifetime: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			_, o := newToken(t)
			o.Cache = policy
			d := openDevice(t, o)
			require.NoError(t, d.Put(t.Context(), deviceMasters()))
			rapid.Check(t, func(rt *rapid.T) {
				factors := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) [8]byte { return [8]byte{byte(rapid.IntRange(0, 3).Draw(rt, "factor"))} }), 1, 3).Draw(rt, "factors")
				message := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "message")
				session := [8]byte(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(rt, "session"))
				card := keys.Card{ID: keys.ID{Purpose: rapid.SampledFrom([]keys.Purpose{keys.TAC, keys.Load, keys.Purchase, keys.Unload, keys.Limit}).Draw(rt, "purpose"), Version: 1}, Factors: factors}
				ask := func(h keys.HSM) [4]byte {
					var mac [4]byte
					var err error
					if card.ID.Purpose == keys.TAC {
						mac, err = h.TAC(context.Background(), card, message)
					} else {
						mac, err = h.SessionMAC(context.Background(), card, session, message)
					}
					require.NoError(rt, err)
					return mac
				}
				require.Equal(rt, ask(soft), ask(d))
			})
		})
	}
}

// TestHSMSecuresCommands compares the MACs and encipherments of secure messaging with the software's.
func TestHSMSecuresCommands(t *testing.T) {
	soft := keys.NewSoft(deviceMasters())
	_, o := newToken(t)
	o.Cache = keys.CachePolicy{Cards: 2, Lifetime: time.Hour}
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	rapid.Check(t, func(rt *rapid.T) {
		factors := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) [8]byte { return [8]byte{byte(rapid.IntRange(0, 3).Draw(rt, "factor"))} }), 1, 3).Draw(rt, "factors")
		card := keys.Card{ID: keys.ID{Purpose: rapid.SampledFrom([]keys.Purpose{keys.Maintenance, keys.Unblock}).Draw(rt, "purpose"), Version: 1}, Factors: factors}
		challenge := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(rt, "challenge")[:rapid.SampledFrom([]int{4, 8}).Draw(rt, "length")]
		message := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "message")
		want, err1 := soft.SecureMAC(context.Background(), card, challenge, message)
		got, err2 := d.SecureMAC(context.Background(), card, challenge, message)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, want, got)
		wantData, err1 := soft.Encipher(context.Background(), card, message)
		gotData, err2 := d.Encipher(context.Background(), card, message)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, wantData, gotData)
	})
	card := keys.Card{ID: keys.ID{Purpose: keys.Maintenance, Version: 1}, Factors: [][8]byte{{1}}}
	_, err := d.SecureMAC(t.Context(), card, make([]byte, 5), nil)
	require.ErrorContains(t, err, "challenge")
	_, err = d.Encipher(t.Context(), card, make([]byte, 256))
	require.ErrorContains(t, err, "255")
	card.ID.Version = 2
	_, err = d.SecureMAC(t.Context(), card, make([]byte, 4), nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
}

// TestHSMLeavesNothingBehind counts the derived keys in the token: those held, and none when the policy holds none.
func TestHSMLeavesNothingBehind(t *testing.T) {
	for _, policy := range []keys.CachePolicy{{}, {Cards: 3, Lifetime: time.Hour}} {
		t.Run(fmt.Sprint(policy.Cards), func(t *testing.T) {
			_, o := newToken(t)
			o.Cache = policy
			d := openDevice(t, o)
			require.NoError(t, d.Put(t.Context(), deviceMasters()))
			for n := range 20 {
				card := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: 1}, Factors: [][8]byte{{1}, {byte(n)}}}
				_, err := d.SessionMAC(t.Context(), card, [8]byte{}, nil)
				require.NoError(t, err)
				card.ID.Purpose = keys.TAC
				_, err = d.TAC(t.Context(), card, nil)
				require.NoError(t, err)
				card.ID.Purpose = keys.Maintenance
				_, err = d.SecureMAC(t.Context(), card, make([]byte, 4), []byte("more than one block"))
				require.NoError(t, err)
				_, err = d.Encipher(t.Context(), card, []byte("data"))
				require.NoError(t, err)
				card.ID.Purpose = keys.ECCryptogram
				_, err = d.RetailMAC(t.Context(), card, [16]byte{}, make([]byte, 24))
				require.NoError(t, err)
				_, err = d.EncipherBlocks(t.Context(), card, [16]byte{}, make([]byte, 24))
				require.NoError(t, err)
				aes := keys.AESCard{ID: keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, Input: append(make([]byte, 20), byte(n))}
				_, err = d.CardCMAC(t.Context(), aes, [16]byte{}, []byte("message"))
				require.NoError(t, err)
			}
			require.Equal(t, 2*policy.Cards, sessionObjects(t, o.Module, o.Token), "3DES keys and AES keys, each to the bound")
		})
	}
}

// sessionObjects counts the session keys of this process by a session of its own; the device is logged in already.
func sessionObjects(t *testing.T, module, label string) (n int) {
	withSession(t, module, label, func(p *pkcs11.Ctx, s pkcs11.SessionHandle) {
		require.NoError(t, p.FindObjectsInit(s, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false)}))
		all, _, err := p.FindObjects(s, 1000)
		require.NoError(t, err)
		require.NoError(t, p.FindObjectsFinal(s))
		for _, h := range all {
			got, err := p.GetAttributeValue(s, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil)})
			require.NoError(t, err)
			require.Equal(t, []byte{1}, got[0].Value)
			require.Equal(t, []byte{0}, got[1].Value)
			_, err = p.GetAttributeValue(s, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
			require.ErrorIs(t, err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE))
		}
		n = len(all)
	})
	return n
}

// withSession works in the token by the bare binding, beside an open device or without one.
func withSession(t *testing.T, module, label string, work func(*pkcs11.Ctx, pkcs11.SessionHandle)) {
	t.Helper()
	p := pkcs11.New(module)
	require.NotNil(t, p)
	defer p.Destroy()
	err := p.Initialize()
	alone := err == nil
	if !alone {
		require.ErrorIs(t, err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED))
	}
	slots, err := p.GetSlotList(true)
	require.NoError(t, err)
	for _, slot := range slots {
		info, err := p.GetTokenInfo(slot)
		require.NoError(t, err)
		if info.Label != label {
			continue
		}
		s, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		require.NoError(t, err)
		if alone {
			require.NoError(t, p.Login(s, pkcs11.CKU_USER, "1234"))
		}
		work(p, s)
		require.NoError(t, p.CloseSession(s))
	}
	if alone {
		require.NoError(t, p.Finalize())
	}
}

// storeKey makes a load key as the HSM's own tools may, with one attribute other than it should be.
func storeKey(t *testing.T, o keys.DeviceOptions, otherKind uint, other any) {
	storeKeyWith(t, o, map[uint]any{otherKind: other})
}

func storeKeyWith(t *testing.T, o keys.DeviceOptions, others map[uint]any) {
	good := map[uint]any{
		pkcs11.CKA_CLASS: pkcs11.CKO_SECRET_KEY, pkcs11.CKA_KEY_TYPE: pkcs11.CKK_DES2, pkcs11.CKA_TOKEN: true, pkcs11.CKA_PRIVATE: true,
		pkcs11.CKA_SENSITIVE: true, pkcs11.CKA_EXTRACTABLE: false, pkcs11.CKA_MODIFIABLE: false, pkcs11.CKA_DERIVE: true, pkcs11.CKA_ENCRYPT: false,
		pkcs11.CKA_DECRYPT: false, pkcs11.CKA_SIGN: false, pkcs11.CKA_VERIFY: false, pkcs11.CKA_WRAP: false, pkcs11.CKA_UNWRAP: false,
		pkcs11.CKA_LABEL: "purselane/load/01/00", pkcs11.CKA_VALUE: []byte("0123456789ABCDEF"),
	}
	maps.Copy(good, others)
	withSession(t, o.Module, o.Token, func(p *pkcs11.Ctx, s pkcs11.SessionHandle) {
		var all []*pkcs11.Attribute
		for kind, value := range good {
			all = append(all, pkcs11.NewAttribute(kind, value))
		}
		_, err := p.CreateObject(s, all)
		require.NoError(t, err)
	})
}

// TestHSMRefusesLooseKeys makes master keys that are each wrong in one way.
func TestHSMRefusesLooseKeys(t *testing.T) {
	cases := []struct {
		name  string
		kind  uint
		value any
		want  error
	}{
		{"good", pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY, nil},
		{"extractable", pkcs11.CKA_EXTRACTABLE, true, keys.ErrKeyExtractable},
		{"not sensitive", pkcs11.CKA_SENSITIVE, false, keys.ErrKeyExtractable},
		{"a load key that enciphers", pkcs11.CKA_ENCRYPT, true, keys.ErrKeyLoose},
		{"one that deciphers", pkcs11.CKA_DECRYPT, true, keys.ErrKeyLoose},
		{"one that wraps", pkcs11.CKA_WRAP, true, keys.ErrKeyLoose},
		{"one that unwraps", pkcs11.CKA_UNWRAP, true, keys.ErrKeyLoose},
		{"one that signs", pkcs11.CKA_SIGN, true, keys.ErrKeyLoose},
		{"one that can be changed", pkcs11.CKA_MODIFIABLE, true, keys.ErrKeyLoose},
		{"a load key that does not derive", pkcs11.CKA_DERIVE, false, keys.ErrKeyUnfit},
		{"a TAC key that does not encipher", pkcs11.CKA_LABEL, "purselane/tac/01/00", keys.ErrKeyUnfit},
		{"a generic secret", pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET, keys.ErrKeyUnfit},
		{"an AES key that is none", pkcs11.CKA_LABEL, "purselane/desfire-tmac/01/00", keys.ErrKeyUnfit},
		{"a data key that is none", pkcs11.CKA_LABEL, "purselane/data/01/00", keys.ErrKeyUnfit},
		{"an SM4 key", pkcs11.CKA_LABEL, "purselane/load/01/04", keys.ErrSM4},
		{"of another scheme", pkcs11.CKA_LABEL, "other/load/01/00", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, o := newToken(t)
			storeKey(t, o, c.kind, c.value)
			d, err := keys.OpenDevice(o)
			if c.want == nil {
				require.NoError(t, err)
				require.NoError(t, d.Close())
				return
			}
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "0123456789")
		})
	}
}

// TestHSMRefusesLooseAESKeys does the same for the masters of DESFire and for data keys.
func TestHSMRefusesLooseAESKeys(t *testing.T) {
	tmac := map[uint]any{pkcs11.CKA_LABEL: "purselane/desfire-tmac/01/00", pkcs11.CKA_KEY_TYPE: pkcs11.CKK_AES, pkcs11.CKA_ENCRYPT: true}
	app := map[uint]any{pkcs11.CKA_LABEL: "purselane/desfire-app/01/00", pkcs11.CKA_KEY_TYPE: pkcs11.CKK_AES, pkcs11.CKA_DERIVE: false, pkcs11.CKA_ENCRYPT: true, pkcs11.CKA_DECRYPT: true}
	data := maps.Clone(app)
	data[pkcs11.CKA_LABEL] = "purselane/data/01/00"
	for _, c := range []struct {
		name   string
		base   map[uint]any
		kind   uint
		value  any
		refuse error
	}{
		{"a good transaction MAC key", tmac, pkcs11.CKA_ENCRYPT, true, nil},
		{"one that can leave", tmac, pkcs11.CKA_EXTRACTABLE, true, keys.ErrKeyExtractable},
		{"one that can be read", tmac, pkcs11.CKA_SENSITIVE, false, keys.ErrKeyExtractable},
		{"one that deciphers", tmac, pkcs11.CKA_DECRYPT, true, keys.ErrKeyLoose},
		{"one that signs", tmac, pkcs11.CKA_SIGN, true, keys.ErrKeyLoose},
		{"one that does not derive", tmac, pkcs11.CKA_DERIVE, false, keys.ErrKeyUnfit},
		{"one that is too long", tmac, pkcs11.CKA_VALUE, make([]byte, 32), keys.ErrKeyUnfit},
		{"a good application key", app, pkcs11.CKA_ENCRYPT, true, nil},
		{"one that derives", app, pkcs11.CKA_DERIVE, true, keys.ErrKeyLoose},
		{"a good data key", data, pkcs11.CKA_ENCRYPT, true, nil},
		{"one that wraps", data, pkcs11.CKA_WRAP, true, keys.ErrKeyLoose},
		{"one that does not decipher", data, pkcs11.CKA_DECRYPT, false, keys.ErrKeyUnfit},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, o := newToken(t)
			spoilt := maps.Clone(c.base)
			spoilt[c.kind] = c.value
			storeKeyWith(t, o, spoilt)
			d, err := keys.OpenDevice(o)
			if c.refuse == nil {
				require.NoError(t, err)
				require.NoError(t, d.Close())
				return
			}
			require.ErrorIs(t, err, c.refuse)
		})
	}
}

func TestHSMTypedErrors(t *testing.T) {
	_, o := newToken(t)
	for name, c := range map[string]struct {
		change func(*keys.DeviceOptions)
		want   error
	}{
		"no token of that label": {func(o *keys.DeviceOptions) { o.Token = "other" }, keys.ErrTokenMissing},
		"a wrong PIN":            {func(o *keys.DeviceOptions) { o.PIN = keys.Secret("4321") }, keys.ErrPINWrong},
		"no library":             {func(o *keys.DeviceOptions) { o.Module += ".not" }, keys.ErrModule},
	} {
		t.Run(name, func(t *testing.T) {
			bad := o
			c.change(&bad)
			_, err := keys.OpenDevice(bad)
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "4321")
		})
	}
	d := openDevice(t, o)
	_, err := keys.OpenDevice(o)
	require.ErrorIs(t, err, keys.ErrModule, "one at a time")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %d", d, d, d, d), "49 50 51 52", "the PIN is not printed")

	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	_, err = d.TAC(t.Context(), card, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	_, err = d.TAC(t.Context(), card, nil)
	require.NoError(t, err)

	// All or none: one of the two is there already.
	err = d.Put(t.Context(), map[keys.ID]keys.Key{{Purpose: keys.Load, Version: 1}: {1}, {Purpose: keys.Load, Version: 2}: {2}})
	require.ErrorIs(t, err, keys.ErrKeyExists)
	found, err := d.Masters(t.Context())
	require.NoError(t, err)
	require.Len(t, found, len(deviceMasters()))

	sm4 := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: keys.AlgorithmSM4}, Factors: [][8]byte{{1}}}
	require.ErrorIs(t, d.Put(t.Context(), map[keys.ID]keys.Key{sm4.ID: {1}}), keys.ErrSM4)
	_, err = d.TAC(t.Context(), sm4, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	require.ErrorIs(t, err, keys.ErrSM4)
	require.ErrorContains(t, err, "keep SM4 keys in a key file")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.TAC(ended, card, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, d.Close())
	_, err = d.TAC(t.Context(), card, nil)
	require.ErrorContains(t, err, "closed")
}

// TestHSMFindsAKeyAddedLater adds a version behind the device's back, as a roll-over does.
func TestHSMFindsAKeyAddedLater(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	id := keys.ID{Purpose: keys.Load, Version: 2}
	card := keys.Card{ID: id, Factors: [][8]byte{{9}}}
	_, err := d.SessionMAC(t.Context(), card, [8]byte{}, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	next := map[keys.ID]keys.Key{id: keys.Key([]byte("0123456789ABCDEF"))}
	storeKey(t, o, pkcs11.CKA_LABEL, "purselane/load/02/00")
	got, err := d.SessionMAC(t.Context(), card, [8]byte{}, nil)
	require.NoError(t, err)
	want, err := keys.NewSoft(next).SessionMAC(t.Context(), card, [8]byte{}, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestHSMAKeyThatIsGoneIsNotUnknown: an unknown key makes a record's proof a bad one, a key that is gone must not.
func TestHSMAKeyThatIsGoneIsNotUnknown(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	_, err := d.TAC(t.Context(), card, nil)
	require.NoError(t, err)
	withSession(t, o.Module, o.Token, func(p *pkcs11.Ctx, s pkcs11.SessionHandle) {
		require.NoError(t, p.FindObjectsInit(s, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, "purselane/tac/01/00")}))
		all, _, err := p.FindObjects(s, 2)
		require.NoError(t, err)
		require.NoError(t, p.FindObjectsFinal(s))
		require.Len(t, all, 1)
		require.NoError(t, p.DestroyObject(s, all[0]))
	})
	other := card
	other.ID.Version = 2
	for _, c := range []keys.Card{card, other, card} {
		_, err = d.TAC(t.Context(), c, nil)
		require.ErrorIs(t, err, keys.ErrKeyGone)
		require.NotErrorIs(t, err, keys.ErrUnknownKey)
	}
	require.NoError(t, d.Close())
	again := openDevice(t, o) // whoever took it out on purpose starts again
	_, err = again.TAC(t.Context(), card, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
}

func TestHSMConcurrency(t *testing.T) {
	_, o := newToken(t)
	o.Cache, o.Sessions = keys.CachePolicy{Cards: 4, Lifetime: time.Millisecond}, 2 // keys end all the time
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	soft := keys.NewSoft(deviceMasters())
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 40 {
				card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}, {byte((g + n) % 9)}}}
				message := []byte{byte(g), byte(n)}
				got, err := d.TAC(t.Context(), card, message)
				want, _ := soft.TAC(t.Context(), card, message)
				if err != nil || got != want {
					t.Errorf("TAC: %x, want %x, %v", got, want, err)
				}
				card.ID.Purpose = keys.Load
				got, err = d.SessionMAC(t.Context(), card, [8]byte{byte(n)}, message)
				want, _ = soft.SessionMAC(t.Context(), card, [8]byte{byte(n)}, message)
				if err != nil || got != want {
					t.Errorf("session MAC: %x, want %x, %v", got, want, err)
				}
				card.ID.Purpose = keys.ECCryptogram
				ac, err := d.RetailMAC(t.Context(), card, [16]byte{byte(n)}, make([]byte, 24))
				wantAC, _ := soft.RetailMAC(t.Context(), card, [16]byte{byte(n)}, make([]byte, 24))
				if err != nil || ac != wantAC {
					t.Errorf("cryptogram: %x, want %x, %v", ac, wantAC, err)
				}
				aes := keys.AESCard{ID: keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, Input: append(make([]byte, 20), byte((g+n)%9))}
				mac, err := d.CardCMAC(t.Context(), aes, [16]byte{byte(n)}, message)
				wantMAC, _ := soft.CardCMAC(t.Context(), aes, [16]byte{byte(n)}, message)
				if err != nil || mac != wantMAC {
					t.Errorf("transaction MAC: %x, want %x, %v", mac, wantMAC, err)
				}
			}
		})
	}
	all.Wait()
}

// TestHSMTokenTakenAwayAndBack moves the token's folder, and asks on.
func TestHSMTokenTakenAwayAndBack(t *testing.T) {
	token, o := newToken(t)
	o.Cache = keys.DefaultCache
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	ask := func(n byte) error {
		card := keys.Card{ID: keys.ID{Purpose: keys.Load, Version: 1}, Factors: [][8]byte{{1}, {n}}}
		got, err := d.SessionMAC(t.Context(), card, [8]byte{n}, []byte{n})
		if err == nil {
			want, _ := keys.NewSoft(deviceMasters()).SessionMAC(t.Context(), card, [8]byte{n}, []byte{n})
			require.Equal(t, want, got)
		}
		return err
	}
	require.NoError(t, ask(1))
	away := token.Dir + ".away"
	for range 3 {
		require.NoError(t, os.Rename(token.Dir, away))
		require.NoError(t, os.Mkdir(token.Dir, 0o700))
		forceLoss(t, o)
		require.ErrorIs(t, ask(2), keys.ErrTokenMissing)
		require.ErrorIs(t, ask(2), keys.ErrTokenMissing)
		require.NoError(t, os.Remove(token.Dir))
		require.NoError(t, os.Rename(away, token.Dir))
		var all sync.WaitGroup
		for n := range byte(6) {
			all.Go(func() {
				if err := ask(n); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// forceLoss ends all sessions behind the device's back, as pulling a token does. SoftHSM itself notices a missing folder only then.
func forceLoss(t *testing.T, o keys.DeviceOptions) {
	t.Helper()
	p := pkcs11.New(o.Module)
	defer p.Destroy()
	slots, err := p.GetSlotList(true)
	require.NoError(t, err)
	for _, s := range slots {
		require.NoError(t, p.CloseAllSessions(s))
	}
}

func TestHSMLostSessionsAreMadeAnew(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	for n := range byte(3) {
		forceLoss(t, o)
		_, err := d.TAC(t.Context(), keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{n}}}, nil)
		require.NoError(t, err, "the caller notices nothing")
	}
}

// TestHSMDoesNotLockTheToken changes the PIN while the device is in use: one attempt with the old one, and no more.
func TestHSMDoesNotLockTheToken(t *testing.T) {
	token, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	setPIN(t, token, "9999")
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	for range 5 {
		_, err := d.TAC(t.Context(), card, nil)
		require.ErrorIs(t, err, keys.ErrPINWrong)
	}
	setPIN(t, token, token.PIN)
	_, err := d.TAC(t.Context(), card, nil)
	require.ErrorIs(t, err, keys.ErrPINWrong, "it would be right now, and nobody tries it")
	require.NoError(t, d.Close())
	again, err := keys.OpenDevice(o)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

// setPIN has the security officer set the user's PIN, which ends all sessions of others first.
func setPIN(t *testing.T, token softhsm.Token, pin string) {
	t.Helper()
	p := pkcs11.New(token.Module)
	defer p.Destroy()
	if p.Initialize() == nil { // else a device has it open
		defer p.Finalize()
	}
	slots, err := p.GetSlotList(true)
	require.NoError(t, err)
	for _, slot := range slots {
		require.NoError(t, p.CloseAllSessions(slot))
		info, err := p.GetTokenInfo(slot)
		require.NoError(t, err)
		if info.Label != token.Label {
			continue
		}
		s, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		require.NoError(t, err)
		require.NoError(t, p.Login(s, pkcs11.CKU_SO, token.SOPIN))
		require.NoError(t, p.InitPIN(s, pin))
		require.NoError(t, p.CloseSession(s))
	}
}
