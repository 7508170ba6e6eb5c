package doors_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/doors"
)

func ascending(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

const index = 0x05

var system = []byte("purselane")

// masters are the master keys of an issuer: of the electronic cash by index, of DESFire by version.
func masters() map[keys.ID]keys.Key {
	return map[keys.ID]keys.Key{
		{Purpose: keys.ECCryptogram, Version: index}: ascending(0x10),
		{Purpose: keys.ECMAC, Version: index}:        ascending(0x20),
		{Purpose: keys.ECEncipher, Version: index}:   ascending(0x30),
		{Purpose: keys.DESFireTMAC, Version: 1}:      ascending(0x40),
		{Purpose: keys.DESFireTMAC, Version: 2}:      ascending(0x50),
		{Purpose: keys.DESFireApp, Version: 1}:       ascending(0x60),
	}
}

// theySayTheSame compares the doors over k with the software of card/ec and card/desfire, byte by byte.
func theySayTheSame(t *testing.T, k keys.Families) {
	wantEC := ec.NewSoft(map[byte]ec.Masters{index: {AC: ascending(0x10), MAC: ascending(0x20)}})
	wantDESFire, err := desfire.NewSoftHSM(map[byte]keys.Key{1: ascending(0x40), 2: ascending(0x50)}, system)
	require.NoError(t, err)
	gotEC := doors.NewEC(k, 0)
	gotDESFire, err := doors.NewDESFire(k, system)
	require.NoError(t, err)
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		pan, err := ec.NewPAN(rapid.StringMatching(`62[0-3]{7,17}`).Draw(rt, "card number"))
		require.NoError(rt, err)
		card := ec.CardKeys{DKI: index, PAN: pan, PSN: rapid.SampledFrom([]byte{0, 1, 0x99}).Draw(rt, "sequence number")}
		atc := rapid.Uint16().Draw(rt, "ATC")
		blocks := rapid.SliceOfN(rapid.Byte(), 8, 8*6).Draw(rt, "input")
		blocks = blocks[:len(blocks)/8*8]

		want8, err1 := wantEC.Cryptogram(ctx, card, atc, blocks)
		got8, err2 := gotEC.Cryptogram(ctx, card, atc, blocks)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, want8, got8)
		want4, err1 := wantEC.MAC(ctx, card, atc, blocks)
		got4, err2 := gotEC.MAC(ctx, card, atc, blocks)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, want4, got4)
		want8, err1 = wantEC.Response(ctx, card, atc, want8, ec.Approved)
		got8, err2 = gotEC.Response(ctx, card, atc, got8, ec.Approved)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, want8, got8)
		gotData, err := gotEC.Encipher(ctx, card, atc, blocks)
		require.NoError(rt, err)
		sk := ec.SessionKey(ec.CardKey(ascending(0x30), pan, card.PSN), atc)
		for i := 0; i < len(blocks); i += 8 {
			block := keys.Encrypt3DES(sk, [8]byte(blocks[i:]))
			require.Equal(rt, block[:], gotData[i:i+8])
		}

		tm := desfire.TMKey{Version: rapid.SampledFrom([]byte{1, 2}).Draw(rt, "version"), UID: [7]byte{4, rapid.Byte().Draw(rt, "UID")}, AID: [3]byte{1, 2, 3}}
		tmc := rapid.Uint32().Draw(rt, "TMC")
		tmi := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(rt, "TMI")
		wantTMV, err1 := wantDESFire.TMV(ctx, tm, tmc, tmi)
		gotTMV, err2 := gotDESFire.TMV(ctx, tm, tmc, tmi)
		require.NoError(rt, err1)
		require.NoError(rt, err2)
		require.Equal(rt, wantTMV, gotTMV)
	})
}

// theyRefuse asks for what no key of k's is there for.
func theyRefuse(t *testing.T, k keys.Families) {
	ctx := t.Context()
	pan, err := ec.NewPAN("6212345678")
	require.NoError(t, err)
	card, good := ec.CardKeys{DKI: index, PAN: pan}, make([]byte, 8)
	door := doors.NewEC(k, 0)
	for _, bad := range []ec.CardKeys{{DKI: index + 1, PAN: pan}, {PAN: pan}} {
		_, err := door.Cryptogram(ctx, bad, 1, good)
		require.ErrorIs(t, err, keys.ErrUnknownKey)
		require.NotContains(t, err.Error(), "6212345678")
		_, err = door.Response(ctx, bad, 1, [8]byte{}, ec.Approved)
		require.ErrorIs(t, err, keys.ErrUnknownKey)
		_, err = door.MAC(ctx, bad, 1, good)
		require.ErrorIs(t, err, keys.ErrUnknownKey)
	}
	for _, blocks := range [][]byte{nil, make([]byte, 7), make([]byte, 9)} {
		_, err := door.Cryptogram(ctx, card, 1, blocks)
		require.ErrorContains(t, err, "whole blocks")
		_, err = door.Encipher(ctx, card, 1, blocks)
		require.ErrorContains(t, err, "whole blocks")
	}
	of := func(p keys.Purpose) keys.Card {
		return keys.Card{ID: keys.ID{Purpose: p, Version: index}, Factors: [][8]byte{{1}}}
	}
	for _, p := range []keys.Purpose{keys.ECEncipher, keys.TAC, keys.Load, keys.DESFireTMAC} {
		_, err := k.RetailMAC(ctx, of(p), [16]byte{}, good)
		require.ErrorContains(t, err, "was asked to do", p)
	}
	for _, p := range []keys.Purpose{keys.ECMAC, keys.TAC, keys.DESFireTMAC} {
		_, err := k.EncipherBlocks(ctx, of(p), [16]byte{}, good)
		require.ErrorContains(t, err, "was asked to do", p)
	}
	for _, p := range []keys.Purpose{keys.ECMAC, keys.TAC, keys.Load, keys.Reload} {
		_, err := k.SecureMAC(ctx, of(p), make([]byte, 4), nil)
		require.ErrorContains(t, err, "was asked to do", p)
		_, err = k.Encipher(ctx, of(p), nil)
		require.ErrorContains(t, err, "was asked to do", p)
	}
	without := of(keys.ECMAC)
	without.Factors = nil
	_, err = k.RetailMAC(ctx, without, [16]byte{}, good)
	require.ErrorContains(t, err, "diversification factors")
	_, err = door.MAC(ctx, ec.CardKeys{DKI: index, PAN: pan, Algorithm: ec.AlgorithmSM4}, 1, make([]byte, 16))
	require.ErrorIs(t, err, keys.ErrUnknownKey, "of index 05 there are 3DES keys")
	_, err = door.Cryptogram(ctx, ec.CardKeys{DKI: index, PAN: pan, Algorithm: 0x02}, 1, good)
	require.ErrorIs(t, err, ec.ErrUnknownCVN)
	same, err := door.Cryptogram(ctx, ec.CardKeys{DKI: index, PAN: pan, Algorithm: ec.Algorithm3DES}, 1, good)
	require.NoError(t, err)
	named, err := door.Cryptogram(ctx, card, 1, good)
	require.NoError(t, err)
	require.Equal(t, same, named)

	d, err := doors.NewDESFire(k, system)
	require.NoError(t, err)
	_, err = d.TMV(ctx, desfire.TMKey{Version: 9}, 1, nil)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	_, err = doors.NewDESFire(k, []byte("short"))
	require.ErrorContains(t, err, "system identifier")
	for _, c := range []keys.AESCard{
		{ID: keys.ID{Purpose: keys.DESFireApp, Version: 1}, Input: make([]byte, 20)}, {ID: keys.ID{Purpose: keys.TAC, Version: 1}, Input: make([]byte, 20)},
		{ID: keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, Input: make([]byte, 16)}, {ID: keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, Input: make([]byte, 33)},
	} {
		_, err := k.CardCMAC(ctx, c, [16]byte{}, nil)
		require.Error(t, err)
	}
}

func TestTheDoorsOverSoftware(t *testing.T) {
	cached, err := keys.NewCachedSoft(masters(), keys.CachePolicy{Cards: 3, Lifetime: time.Hour})
	require.NoError(t, err)
	for name, k := range map[string]keys.Families{"without a cache": keys.NewSoft(masters()), "with a small one": cached} {
		t.Run(name, func(t *testing.T) {
			theySayTheSame(t, k)
			theyRefuse(t, k)
			theyOpenACard(t, k)
		})
	}
	cached.Forget()
}

// TestTheDoorsOfSM4Cards compares the door over software with that of card/ec, for cards with SM4 keys.
func TestTheDoorsOfSM4Cards(t *testing.T) {
	id := func(p keys.Purpose) keys.ID {
		return keys.ID{Purpose: p, Version: index, Algorithm: keys.AlgorithmSM4}
	}
	masters := map[keys.ID]keys.Key{id(keys.ECCryptogram): ascending(0x10), id(keys.ECMAC): ascending(0x20), id(keys.ECEncipher): ascending(0x30)}
	cached, err := keys.NewCachedSoft(masters, keys.CachePolicy{Cards: 2, Lifetime: time.Hour})
	require.NoError(t, err)
	defer cached.Forget()
	want := ec.NewSoft(map[byte]ec.Masters{index: {AC: ascending(0x10), MAC: ascending(0x20), ENC: ascending(0x30), Algorithm: ec.AlgorithmSM4}})
	ctx := context.Background()
	for _, k := range []*keys.Soft{keys.NewSoft(masters), cached} {
		got := doors.NewEC(k, 0)
		rapid.Check(t, func(rt *rapid.T) {
			pan, err := ec.NewPAN(rapid.StringMatching(`62[0-3]{7,17}`).Draw(rt, "card number"))
			require.NoError(rt, err)
			card := ec.CardKeys{DKI: index, PAN: pan, Algorithm: ec.AlgorithmSM4}
			atc := rapid.Uint16().Draw(rt, "ATC")
			blocks := rapid.SliceOfN(rapid.Byte(), 16, 16*4).Draw(rt, "input")
			blocks = blocks[:len(blocks)/16*16]
			want8, err1 := want.Cryptogram(ctx, card, atc, blocks)
			got8, err2 := got.Cryptogram(ctx, card, atc, blocks)
			require.NoError(rt, err1)
			require.NoError(rt, err2)
			require.Equal(rt, want8, got8)
			want8, err1 = want.Response(ctx, card, atc, want8, ec.Approved)
			got8, err2 = got.Response(ctx, card, atc, got8, ec.Approved)
			require.NoError(rt, err1)
			require.NoError(rt, err2)
			require.Equal(rt, want8, got8)
			want4, err1 := want.MAC(ctx, card, atc, blocks)
			got4, err2 := got.MAC(ctx, card, atc, blocks)
			require.NoError(rt, err1)
			require.NoError(rt, err2)
			require.Equal(rt, want4, got4)
			_, err = got.Encipher(ctx, card, atc, blocks)
			require.NoError(rt, err)
			_, err = got.Cryptogram(ctx, card, atc, blocks[:8])
			require.ErrorContains(rt, err, "whole blocks")
			_, err = got.Cryptogram(ctx, ec.CardKeys{DKI: index, PAN: pan}, atc, blocks)
			require.ErrorIs(rt, err, keys.ErrUnknownKey, "no 3DES key of that index")
		})
	}
}

// theyOpenACard authenticates with a card whose key they have, by the numbers of a card of the published authentications' kind, and refuses
// another card.
func theyOpenACard(t *testing.T, k keys.Families) {
	ctx := t.Context()
	// The card's side, by the software of card/desfire with the same key: what it would answer.
	own, rndB := ascending(0x60), [16]byte(ascending(0xA0))
	rndA := [16]byte(ascending(0x70))
	reference := desfire.NewSoftSAM(own, bytes.NewReader(rndA[:]))
	door := doors.NewDESFireSAM(k, 1, bytes.NewReader(rndA[:]))
	b, err := aes.NewCipher(own[:])
	require.NoError(t, err)
	var challenge [16]byte
	cipher.NewCBCEncrypter(b, make([]byte, 16)).CryptBlocks(challenge[:], rndB[:])
	want, err := reference.Begin(ctx, 0, challenge)
	require.NoError(t, err)
	got, err := door.Begin(ctx, 0, challenge)
	require.NoError(t, err)
	require.Equal(t, want, got)

	var answer [32]byte
	copy(answer[:], []byte{1, 2, 3, 4})
	copy(answer[4:], rndA[1:])
	answer[19] = rndA[0]
	cipher.NewCBCEncrypter(b, make([]byte, 16)).CryptBlocks(answer[:], answer[:])
	wantSession, err := reference.Finish(ctx, answer)
	require.NoError(t, err)
	gotSession, err := door.Finish(ctx, answer)
	require.NoError(t, err)
	for range 2 { // both sessions make the same commands
		want, err := wantSession.Seal(0x51, desfire.Full, []byte{1}, []byte("data"))
		require.NoError(t, err)
		got, err := gotSession.Seal(0x51, desfire.Full, []byte{1}, []byte("data"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = door.Finish(ctx, answer)
	require.ErrorIs(t, err, desfire.ErrOrder, "one answer for one authentication")

	door = doors.NewDESFireSAM(k, 1, bytes.NewReader(rndA[:]))
	_, err = door.Begin(ctx, 0, challenge)
	require.NoError(t, err)
	answer[5] ^= 1
	_, err = door.Finish(ctx, answer)
	require.ErrorIs(t, err, desfire.ErrAnswer)
	_, err = doors.NewDESFireSAM(k, 9, bytes.NewReader(rndA[:])).Begin(ctx, 0, challenge)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	_, err = doors.NewDESFireSAM(k, 1, bytes.NewReader(nil)).Begin(ctx, 0, challenge)
	require.ErrorContains(t, err, "random number")

	_, err = k.AppCBC(ctx, keys.ID{Purpose: keys.DESFireTMAC, Version: 1}, true, make([]byte, 16))
	require.ErrorContains(t, err, "was asked to do")
	for _, n := range []int{0, 8, 17} {
		_, err = k.AppCBC(ctx, keys.ID{Purpose: keys.DESFireApp, Version: 1}, false, make([]byte, n))
		require.ErrorContains(t, err, "whole blocks")
	}
}
