package personalise_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
)

// allMasters are the master keys of purse facts 8.2 with one for each purpose, 3DES and SM4.
func allMasters() personalise.Masters {
	out := personalise.Masters{}
	for i, purpose := range []keys.Purpose{keys.Purchase, keys.Load, keys.TAC, keys.Unload, keys.Limit, keys.Maintenance, keys.Reload, keys.Unblock} {
		for _, algorithm := range []byte{0, keys.AlgorithmSM4} {
			out[keys.ID{Purpose: purpose, Version: 1, Algorithm: algorithm}] = ascending(byte(0x40 + i<<4))
		}
	}
	return out
}

// TestPersonalisationByCommands makes a card by WRITE KEY, in clear, and wants the card that a bureau would have made. The control key closes
// it: from then on a key goes enciphered, under the control key and no other.
func TestPersonalisationByCommands(t *testing.T) {
	pin, err := ep.ParsePIN("123456")
	require.NoError(t, err)
	for _, algorithm := range []byte{0, keys.AlgorithmSM4} {
		t.Run(fmt.Sprintf("algorithm %02X", algorithm), func(t *testing.T) {
			img, err := personalise.Card(allMasters(), personalise.CardSpec{Number: number, Issuer: issuer, PIN: pin, Deposit: true, Auth: true,
				Internal: ascending(0xC0), Keys: personalise.Keys{Algorithm: algorithm}, Holder: ep.Holder{IDNumber: make([]byte, 32)}, Lines: epcard.Lines{Holder: epcard.LineEnciphered}})
			require.NoError(t, err)
			blank := personalise.Blank(img)
			blank.HasDeposit = false // it wants a PIN
			chip, err := epcard.New(blank, rand.Reader)
			require.NoError(t, err)
			ctx := t.Context()
			card, _, err := ep.Select(ctx, chip, ep.AIDTUnion)
			require.NoError(t, err)
			_, err = card.InitPurchase(ctx, ep.TypePurchase, 0, money.Minor(1), ep.TerminalNumber{})
			require.Error(t, err, "a blank card has no key to sell with")
			fresh := personalise.NewKeys(img)
			require.Len(t, fresh, 11)
			for _, k := range fresh {
				require.NoError(t, card.WriteKey(ctx, k), "%v", k)
			}
			want := img
			want.HasDeposit = false
			require.Equal(t, want, chip.Image())

			k := fresh[0]
			k.Value = keys.Secret(strings.Repeat("k", 16))
			require.ErrorIs(t, card.WriteKey(ctx, k), ep.ErrSecurity, "in clear it is too late")
			cipher := keys.CipherOf(algorithm, 0)
			line := func(key keys.Key) ep.Line { return lineOf(cipher, key) }
			require.NoError(t, card.WriteKeyBy(ctx, k, line(img.AuthKey.Key.Key)))
			require.Equal(t, keys.Key(k.Value), chip.Image().PurchaseKey.Key.Key)
			k.Type = ep.KeyExternal
			k.ID, k.Tries = 0, 3
			require.NoError(t, card.WriteKeyBy(ctx, k, line(img.AuthKey.Key.Key)), "the control key too can be replaced, under itself")
			before := chip.Image()
			require.ErrorIs(t, card.WriteKeyBy(ctx, fresh[1], line(img.AuthKey.Key.Key)), ep.ErrMAC)
			require.Equal(t, before.LoadKey, chip.Image().LoadKey)
			require.NoError(t, card.WriteKeyBy(ctx, fresh[1], line(keys.Key(k.Value))))
			require.Zero(t, chip.Image().MACFailures)
			for range 3 {
				require.ErrorIs(t, card.WriteKeyBy(ctx, fresh[1], line(keys.Key{9})), ep.ErrMAC)
			}
			require.Equal(t, epcard.Permanent, chip.Image().Block)
		})
	}
}

func lineOf(cipher keys.Cipher, key keys.Key) ep.Line {
	return ep.Line{
		MAC: func(_ context.Context, challenge, message []byte) ([4]byte, error) {
			return cipher.SecureMAC(key, challenge, message)
		},
		Encipher: func(_ context.Context, data []byte) ([]byte, error) { return cipher.Encipher(key, data) },
		Decipher: func(_ context.Context, data []byte) ([]byte, error) { return cipher.Decipher(key, data) },
	}
}

func TestKeysThatCannotBeWritten(t *testing.T) {
	img, err := personalise.Card(allMasters(), personalise.CardSpec{Number: number, Issuer: issuer})
	require.NoError(t, err)
	chip, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	ctx := t.Context()
	card, _, err := ep.Select(ctx, chip, ep.AIDTUnion)
	require.NoError(t, err)
	good := personalise.NewKeys(img)[0]
	require.ErrorIs(t, card.WriteKey(ctx, good), ep.ErrSecurity, "the card was issued")
	require.ErrorIs(t, card.WriteKeyBy(ctx, good, lineOf(keys.TripleDES, img.MaintenanceKey.Key)), ep.ErrKeyIndex, "it has no control key: nobody can")
	require.ErrorContains(t, card.WriteKeyBy(ctx, good, ep.Line{MAC: lineOf(keys.TripleDES, keys.Key{}).MAC}), "does not go in clear")

	open, err := epcard.New(personalise.Blank(img), rand.Reader)
	require.NoError(t, err)
	card, _, err = ep.Select(ctx, open, ep.AIDTUnion)
	require.NoError(t, err)
	for name, change := range map[string]func(*ep.NewKey){
		"a short key":               func(k *ep.NewKey) { k.Value = k.Value[:15] },
		"an unknown type":           func(k *ep.NewKey) { k.Type = 0x35 },
		"a PIN of letters":          func(k *ep.NewKey) { k.Type, k.Tries, k.Value = ep.KeyPIN, 3, keys.Secret("\x12\xAB") },
		"a PIN without tries":       func(k *ep.NewKey) { k.Type, k.Value = ep.KeyPIN, keys.Secret("\x12\x34") },
		"a control key of no tries": func(k *ep.NewKey) { k.Type = ep.KeyExternal },
	} {
		k := good
		change(&k)
		require.Error(t, card.WriteKey(ctx, k), name)
		require.Equal(t, personalise.Blank(img), open.Image(), name)
	}
	for _, text := range []string{fmt.Sprint(good), fmt.Sprintf("%+v", good), fmt.Sprintf("%#v", good), fmt.Sprintf("%d", good)} {
		require.Equal(t, "[key of type 3E, id 01]", text)
	}
	_, err = good.MarshalText()
	require.Error(t, err)
}
