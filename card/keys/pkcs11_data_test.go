//go:build pkcs11

package keys_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"filippo.io/age"
	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

var dataID = keys.ID{Purpose: keys.Data, Version: 1}

func TestHSMSealsData(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	_, err := d.Seal(t.Context(), dataID, "label", []byte("data"))
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	require.NoError(t, d.Draw(t.Context(), dataID))
	require.ErrorIs(t, d.Draw(t.Context(), dataID), keys.ErrKeyExists)
	require.ErrorContains(t, d.Draw(t.Context(), keys.ID{Purpose: keys.Load, Version: 1}), "was asked to do")

	for _, n := range []int{0, 1, 16, 1000} {
		data := bytes.Repeat([]byte{0xA5}, n)
		sealed, err := d.Seal(t.Context(), dataID, "label", data)
		require.NoError(t, err)
		again, err := d.Seal(t.Context(), dataID, "label", data)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again)
		got, err := d.Unseal(t.Context(), dataID, "label", sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		_, err = d.Unseal(t.Context(), dataID, "another", sealed)
		require.ErrorIs(t, err, keys.ErrSealed)
		for _, i := range []int{0, 12, len(sealed) - 1} {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			_, err = d.Unseal(t.Context(), dataID, "label", bad)
			require.ErrorIs(t, err, keys.ErrSealed)
		}
		_, err = d.Unseal(t.Context(), dataID, "label", sealed[:27])
		require.ErrorIs(t, err, keys.ErrSealed)
	}
	// What was drawn inside has never been outside, and cannot go there.
	withSession(t, o.Module, o.Token, func(p *pkcs11.Ctx, s pkcs11.SessionHandle) {
		require.NoError(t, p.FindObjectsInit(s, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, "purselane/data/01/00")}))
		all, _, err := p.FindObjects(s, 2)
		require.NoError(t, err)
		require.NoError(t, p.FindObjectsFinal(s))
		require.Len(t, all, 1)
		for kind, want := range map[uint]byte{pkcs11.CKA_ALWAYS_SENSITIVE: 1, pkcs11.CKA_NEVER_EXTRACTABLE: 1, pkcs11.CKA_LOCAL: 1, pkcs11.CKA_WRAP: 0, pkcs11.CKA_DERIVE: 0} {
			got, err := p.GetAttributeValue(s, all[0], []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
			require.NoError(t, err)
			require.Equal(t, []byte{want}, got[0].Value, kind)
		}
	})
}

// TestHSMSealsAKeyFile: a file that opens by the HSM alone.
func TestHSMSealsAKeyFile(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Draw(t.Context(), dataID))
	lock := keys.DeviceLock(t.Context(), d, dataID)
	r, err := keys.NewRing(rand.Reader)
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, r.Seal(&file, lock))
	sealed := bytes.Clone(file.Bytes())
	got, err := keys.OpenRing(bytes.NewReader(sealed), lock)
	require.NoError(t, err)
	require.Equal(t, r, got)

	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	_, err = keys.OpenRing(bytes.NewReader(sealed), x)
	require.ErrorIs(t, err, keys.ErrWrongPassphrase)
	require.ErrorContains(t, err, "a data key in an HSM")
	file.Reset()
	require.NoError(t, r.Seal(&file, x.Recipient()))
	_, err = keys.OpenRing(&file, lock)
	require.ErrorIs(t, err, keys.ErrWrongPassphrase)

	// Another data key of the same name opens nothing, and says so.
	require.NoError(t, d.Destroy(t.Context(), dataID))
	_, err = keys.OpenRing(bytes.NewReader(sealed), lock)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	require.NoError(t, d.Draw(t.Context(), dataID))
	_, err = keys.OpenRing(bytes.NewReader(sealed), lock)
	require.ErrorIs(t, err, keys.ErrSealed)
}

func TestHSMDestroysAKey(t *testing.T) {
	_, o := newToken(t)
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	card := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{{1}}}
	_, err := d.TAC(t.Context(), card, nil)
	require.NoError(t, err)
	require.NoError(t, d.Destroy(t.Context(), card.ID))
	_, err = d.TAC(t.Context(), card, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey, "taken out on purpose, it is not gone")
	require.ErrorIs(t, d.Destroy(t.Context(), card.ID), keys.ErrUnknownKey)
	found, err := d.Masters(t.Context())
	require.NoError(t, err)
	require.Len(t, found, len(deviceMasters())-1)
}

// TestHSMDoesNothingNewWithARetiredKey: the ring beside the device says which.
func TestHSMDoesNothingNewWithARetiredKey(t *testing.T) {
	_, o := newToken(t)
	for id := range deviceMasters() {
		o.Retired = append(o.Retired, id)
	}
	d := openDevice(t, o)
	require.NoError(t, d.Put(t.Context(), deviceMasters()))
	of := func(p keys.Purpose) keys.Card {
		return keys.Card{ID: keys.ID{Purpose: p, Version: 1}, Factors: [][8]byte{{1}}}
	}
	_, err1 := d.SessionMAC(t.Context(), of(keys.Load), [8]byte{}, nil)
	_, err2 := d.SecureMAC(t.Context(), of(keys.Maintenance), make([]byte, 4), nil)
	_, err3 := d.Encipher(t.Context(), of(keys.Unblock), nil)
	_, err4 := d.EncipherBlocks(t.Context(), of(keys.ECCryptogram), [16]byte{}, make([]byte, 8))
	for _, err := range []error{err1, err2, err3, err4} {
		require.ErrorIs(t, err, keys.ErrRetired)
	}
	_, err1 = d.TAC(t.Context(), of(keys.TAC), nil)
	_, err2 = d.RetailMAC(t.Context(), of(keys.ECCryptogram), [16]byte{}, make([]byte, 8))
	_, err3 = d.RetailMAC(t.Context(), of(keys.ECMAC), [16]byte{}, make([]byte, 8))
	_, err4 = d.CardCMAC(t.Context(), keys.AESCard{ID: keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, Input: make([]byte, 20)}, [16]byte{}, nil)
	for _, err := range []error{err1, err2, err3, err4} {
		require.NoError(t, err, "old proofs are judged")
	}
}
