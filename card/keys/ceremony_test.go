package keys_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

func TestComponents(t *testing.T) {
	k := ascending(0x10)
	check := keys.CheckValue(k)
	digits := hexOf(k[:])
	for _, good := range []string{
		digits, strings.ToUpper(digits), " " + digits[:8] + " " + digits[8:] + "\r\n", digits + hexOf(check[:]), digits + "\n" + strings.ToUpper(hexOf(check[:])) + "\n",
	} {
		got, err := keys.ParseComponent([]byte(good))
		require.NoError(t, err)
		require.Equal(t, hexOf(k[:]), hexOf(got[:]))
	}
	for bad, want := range map[string]error{
		"": keys.ErrComponent, digits[1:]: keys.ErrComponent, digits + "00": keys.ErrComponent, "zz" + digits[2:]: keys.ErrComponent,
		strings.Repeat(digits, 9): keys.ErrComponent, digits + "000000": keys.ErrComponentCheck, "ff" + digits[2:] + hexOf(check[:]): keys.ErrComponentCheck,
	} {
		_, err := keys.ParseComponent([]byte(bad))
		require.ErrorIs(t, err, want)
		require.NotContains(t, err.Error(), digits[4:12])
	}
}

func FuzzParseComponent(f *testing.F) {
	f.Add([]byte("000102030405060708090A0B0C0D0E0F"))
	f.Add([]byte("00010203 04050607 08090A0B 0C0D0E0F\n2FB2B7\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := keys.ParseComponent(text)
		if err != nil {
			require.Zero(t, k)
			return
		}
		check := keys.CheckValue(k)
		again, err := keys.ParseComponent([]byte(hex.EncodeToString(k[:]) + hex.EncodeToString(check[:])))
		require.NoError(t, err)
		require.True(t, k == again)
	})
}

func TestCombining(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 3).Draw(rt, "parts")
		parts := make([]keys.Key, n)
		want := keys.Key{}
		for i := range parts {
			parts[i] = keys.Key(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "part"))
			for b := range want {
				want[b] ^= parts[i][b]
			}
		}
		got, err := keys.Combine(parts...)
		if err != nil {
			require.ErrorIs(rt, err, keys.ErrWeak)
			return
		}
		require.True(rt, want == got)
		parts[0], parts[n-1] = parts[n-1], parts[0]
		again, err := keys.Combine(parts...)
		require.NoError(rt, err)
		require.True(rt, got == again, "in any order")
	})
	a, b := ascending(0x10), keys.Key{1, 2, 3}
	var flat, flatParity keys.Key
	copy(flat[:], "12345678")
	copy(flat[8:], "12345678")
	flatParity = flat
	flatParity[3] ^= 1 // differs in a parity bit only
	minus := func(k, part keys.Key) keys.Key {
		for i := range k {
			k[i] ^= part[i]
		}
		return k
	}
	for name, parts := range map[string][]keys.Key{
		"the same twice": {a, a}, "the same among three": {a, b, a}, "zeros": {a, {}}, "equal halves": {minus(flat, a), a}, "equal but for parity": {minus(flatParity, a), a},
	} {
		_, err := keys.Combine(parts...)
		require.ErrorIs(t, err, keys.ErrWeak, name)
	}
	for _, parts := range [][]keys.Key{nil, {a}, {a, b, {9}, {8}}} {
		_, err := keys.Combine(parts...)
		require.ErrorContains(t, err, "want 2 or 3")
	}
}

func TestParity(t *testing.T) {
	for want, digits := range map[string]string{
		"odd": "0123456789ABCDEFFEDCBA9876543210", "even": "00030506090A0C0F00030506090A0C0F", "mixed": "00010203040506070809101112131415",
	} {
		k, err := keys.ParseComponent([]byte(digits))
		require.NoError(t, err)
		require.Equal(t, want, keys.Parity(k))
	}
}

func TestTheNextVersion(t *testing.T) {
	r := &keys.Ring{}
	for want := 1; want <= 0xFF; want++ {
		id, err := r.Next(keys.Load, 0)
		require.NoError(t, err)
		require.Equal(t, keys.ID{Purpose: keys.Load, Version: byte(want)}, id)
		require.NoError(t, r.Add(id, keys.Key{byte(want)}))
		require.ErrorIs(t, r.Add(id, keys.Key{}), keys.ErrHeld)
		require.True(t, r.Masters[id] == keys.Key{byte(want)}, "not written over")
	}
	_, err := r.Next(keys.Load, 0)
	require.ErrorIs(t, err, keys.ErrNoVersion)
	id, err := r.Next(keys.Load, 1)
	require.NoError(t, err)
	require.Equal(t, byte(1), id.Version, "another algorithm counts for itself")
	require.Error(t, r.Add(keys.ID{Purpose: "Not A Word"}, keys.Key{}))
}

func TestTransport(t *testing.T) {
	transport := ascending(0xA0)
	id := keys.ID{Purpose: keys.Load, Version: 0x0B, Algorithm: 1}
	r := &keys.Ring{Masters: map[keys.ID]keys.Key{id: ascending(0x50), {Purpose: keys.Load, Algorithm: keys.AlgorithmSM4}: {1}, {Purpose: keys.TAC}: transport}}
	text, err := r.Export(id, 0, transport)
	require.NoError(t, err)
	require.Equal(t, transportV1, string(text), "version 1 is a contract")
	got, k, err := keys.ParseTransport(text, transport)
	require.NoError(t, err)
	require.Equal(t, id, got)
	require.True(t, k == r.Masters[id])

	_, _, err = keys.ParseTransport(text, ascending(0xB0))
	require.ErrorIs(t, err, keys.ErrTransportKey)
	_, _, err = keys.ParseTransport([]byte(strings.Replace(string(text), "transport 1", "transport 3", 1)), transport)
	require.ErrorIs(t, err, keys.ErrNewer)
	for i := range text { // any one byte changed
		bad := append([]byte(nil), text...)
		bad[i] ^= 1
		_, k, err := keys.ParseTransport(bad, transport)
		require.Error(t, err, i)
		require.Zero(t, k)
	}
	for _, bad := range []string{"", "x", string(text[:len(text)-1]), string(text) + "\n", string(text) + strings.Repeat(" ", 600)} {
		_, _, err := keys.ParseTransport([]byte(bad), transport)
		require.ErrorIs(t, err, keys.ErrTransport)
	}
	_, err = r.Export(keys.ID{Purpose: keys.Load}, 0, transport)
	require.ErrorIs(t, err, keys.ErrUnknownKey)
	_, err = r.Export(keys.ID{Purpose: keys.TAC}, 0, transport)
	require.ErrorContains(t, err, "under itself")
}

// transportV1 is a block that every later version must read.
const transportV1 = `purselane transport 1
transport F10D32
master load 0B 01 7A4734DAFAD5033E4A82AC2FF55ECE32 A4B7D6
mac B47C0E36
`

// transportV2 is the key D0…DF, of DESFire's transaction MACs, under A0…AF, which every later version must read too. OpenSSL makes the same.
const transportV2 = `purselane transport 2
transport B88291
master desfire-tmac 02 00 F0DB50B9F7BB192BDE16080AE7BDB47B 144702
mac 3245756B0B125DCF54292832FC82B240
`

// TestTransportOfAESAndSM4: they travel under an AES key, since a key is not carried under a weaker one.
func TestTransportOfAESAndSM4(t *testing.T) {
	transport := ascending(0xA0)
	tmac, sm4 := keys.ID{Purpose: keys.DESFireTMAC, Version: 2}, keys.ID{Purpose: keys.Load, Version: 1, Algorithm: 0x05}
	r := &keys.Ring{Masters: map[keys.ID]keys.Key{tmac: ascending(0xD0), sm4: ascending(0xC0)}}
	text, err := r.Export(tmac, 0, transport)
	require.NoError(t, err)
	require.Equal(t, transportV2, string(text), "version 2 is a contract")
	for id, algorithm := range map[keys.ID]byte{tmac: 0, sm4: 5} {
		require.Equal(t, keys.KindAES, keys.TransportKind(id, algorithm))
		text, err := r.Export(id, algorithm, transport)
		require.NoError(t, err)
		kind, err := keys.TransportKindOf(text)
		require.NoError(t, err)
		require.Equal(t, keys.KindAES, kind)
		got, k, err := keys.ParseTransport(text, transport)
		require.NoError(t, err)
		require.Equal(t, id, got)
		require.True(t, k == r.Masters[id])
		_, _, err = keys.ParseTransport(text, ascending(0xB0))
		require.ErrorIs(t, err, keys.ErrTransportKey)
		for i := range text { // any one byte changed
			bad := append([]byte(nil), text...)
			bad[i] ^= 1
			_, k, err := keys.ParseTransport(bad, transport)
			require.Error(t, err, i)
			require.Zero(t, k)
		}
	}
}

// TestComponentsOfEachKind: the check value is by the key's own algorithm, and equal halves are weak for 3DES only.
func TestComponentsOfEachKind(t *testing.T) {
	k := ascending(0x10)
	for _, kind := range []keys.Kind{keys.Kind3DES, keys.KindAES, keys.KindSM4} {
		check := kind.CheckValue(k)
		got, err := kind.ParseComponent([]byte(hexOf(k[:]) + hexOf(check[:])))
		require.NoError(t, err)
		require.True(t, k == got)
		for _, other := range []keys.Kind{keys.Kind3DES, keys.KindAES, keys.KindSM4} {
			_, err := other.ParseComponent([]byte(hexOf(k[:]) + hexOf(check[:])))
			require.Equal(t, kind == other, err == nil)
		}
		a, b := keys.Key{1}, keys.Key{8: 1}
		_, err = kind.Combine(a, b)
		require.Equal(t, kind != keys.Kind3DES, err == nil)
		_, err = kind.Combine(a, b, keys.Key{0: 1, 8: 1})
		require.ErrorIs(t, err, keys.ErrWeak, "zeros")
	}
}

func FuzzParseTransport(f *testing.F) {
	transport := ascending(0xA0)
	f.Add([]byte(transportV1))
	f.Add([]byte(transportV2))
	f.Add([]byte("purselane transport 1\ntransport 000000\nmaster load 01 00 00 00\nmac 00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, k, err := keys.ParseTransport(text, transport)
		if err != nil {
			require.Zero(t, k)
			return
		}
		by, err := keys.TransportKindOf(text)
		require.NoError(t, err)
		require.Equal(t, string(text), string(keys.TransportText(by, id, k, transport)))
	})
}
