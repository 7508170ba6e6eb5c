package keys_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return raw
}

func ascendingKey(first byte) (k keys.Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// TestSM4Vectors is purse facts 8.2: keys of two levels, and a composite purchase and a load under them, by the primitives and by Soft.
func TestSM4Vectors(t *testing.T) {
	factors := [][8]byte{[8]byte(unhex(t, "01011000FFFFFFFF")), [8]byte(unhex(t, "0203040506070809"))}
	masters := map[keys.ID]keys.Key{
		{Purpose: keys.Purchase, Version: 1, Algorithm: 4}: ascendingKey(0x40),
		{Purpose: keys.Load, Version: 1, Algorithm: 4}:     ascendingKey(0x50),
		{Purpose: keys.TAC, Version: 1, Algorithm: 4}:      ascendingKey(0x60),
	}
	for id, want := range map[keys.Purpose]string{
		keys.Purchase: "BE1CD0899C9EA6EA554AE4925A3B595A", keys.Load: "D1C20CFAD4EB9E77BF804FE074E129C9", keys.TAC: "A699151C1FF20F4BE62DBCA5ECB0932A",
	} {
		k := keys.SM4.Diversify(masters[keys.ID{Purpose: id, Version: 1, Algorithm: 4}], factors...)
		require.Equal(t, unhex(t, want), k[:], id)
	}
	const (
		purchase, load = "F0E0D0C0 0011 0201", "0A0B0C0D 0003 8000"
		exit           = "0000012C 09 112233445566"
		at             = "20240115083512"
		loadAt         = "20240115083000"
	)
	cases := []struct {
		name          string
		purpose       keys.Purpose
		session, data string
		want          string
	}{
		{"purchase MAC1", keys.Purchase, purchase, exit + at, "07FE5F52"},
		{"purchase MAC2", keys.Purchase, purchase, "0000012C", "ED8A2220"},
		{"purchase TAC", keys.TAC, "", exit + "00000201" + at, "DF5CCD0D"},
		{"load MAC1", keys.Load, load, "000003E8 00001388 02 112233445566", "D6EAAE6E"},
		{"load MAC2", keys.Load, load, "00001388 02 112233445566" + loadAt, "AFF73957"},
		{"load TAC", keys.TAC, "", "00001770 0003 00001388 02 112233445566" + loadAt, "9A01FA19"},
	}
	cached, err := keys.NewCachedSoft(masters, keys.DefaultCache)
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card := keys.Card{ID: keys.ID{Purpose: c.purpose, Version: 1, Algorithm: 4}, Factors: factors}
			for _, hsm := range []keys.HSM{keys.NewSoft(masters), cached} {
				var got [4]byte
				var err error
				if c.purpose == keys.TAC {
					got, err = hsm.TAC(t.Context(), card, unhex(t, c.data))
				} else {
					got, err = hsm.SessionMAC(t.Context(), card, [8]byte(unhex(t, c.session)), unhex(t, c.data))
				}
				require.NoError(t, err)
				require.Equal(t, unhex(t, c.want), got[:])
			}
		})
	}
}

// TestTheAlgorithmByteNamesTheCipher: 04 means SM4 until a scheme says another byte, and then it means 3DES again.
func TestTheAlgorithmByteNamesTheCipher(t *testing.T) {
	id := func(algorithm byte) keys.ID { return keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: algorithm} }
	masters := map[keys.ID]keys.Key{id(0): ascendingKey(1), id(1): ascendingKey(1), id(4): ascendingKey(1), id(7): ascendingKey(1)}
	tac := func(s *keys.Soft, algorithm byte) [4]byte {
		got, err := s.TAC(context.Background(), keys.Card{ID: id(algorithm), Factors: make([][8]byte, 1)}, []byte("x"))
		require.NoError(t, err)
		return got
	}
	usual, other := keys.NewSoft(masters), keys.NewSoft(masters)
	other.UseSM4(7)
	require.Equal(t, tac(usual, 0), tac(usual, 1))
	require.Equal(t, tac(usual, 0), tac(other, 4))
	require.NotEqual(t, tac(usual, 0), tac(usual, 4))
	require.Equal(t, tac(usual, 4), tac(other, 7))
}

// TestSecureMessagingAndAuthentication is purse facts 8.2 under the one-level maintenance and reload keys.
func TestSecureMessagingAndAuthentication(t *testing.T) {
	maintenance, reload := keys.ID{Purpose: keys.Maintenance, Version: 1}, keys.ID{Purpose: keys.Reload, Version: 1}
	soft := keys.NewSoft(map[keys.ID]keys.Key{maintenance: ascendingKey(0x90), reload: ascendingKey(0xA0)})
	factors := [][8]byte{[8]byte(unhex(t, "0203040506070809"))}
	for _, c := range [][3]string{
		{"11223344", "841E000004", "E2F8EB27"}, {"11223344", "841E000104", "26843F07"}, {"11223344", "8418000004", "563254A8"},
		{"1122334455667788", "841E000004", "CD294C20"}, {"55667788", "04D6970207 000100", "89D574F3"},
	} {
		got, err := soft.SecureMAC(t.Context(), keys.Card{ID: maintenance, Factors: factors}, unhex(t, c[0]), unhex(t, c[1]))
		require.NoError(t, err)
		require.Equal(t, unhex(t, c[2]), got[:], c[1])
	}
	damk82 := keys.Diversify(ascendingKey(0x90), factors...)
	enciphered, err := keys.TripleDES.Encipher(damk82, unhex(t, "000100"))
	require.NoError(t, err)
	require.Equal(t, unhex(t, "6FAE0062360A65B0"), enciphered)
	mac, err := soft.SecureMAC(t.Context(), keys.Card{ID: maintenance, Factors: factors}, unhex(t, "55667788"), append(unhex(t, "04D697020C"), enciphered...))
	require.NoError(t, err)
	require.Equal(t, unhex(t, "F7CA18B1"), mac[:])

	for _, v := range [][3]string{ // the WRITE KEY data of purse facts 8.1: P3 and P5
		{"00112233445566778899AABBCCDDEEFF", "220000 00112233445566778899AABBCCDDEEFF", "DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD"},
		{strings.Repeat("FF", 16), "01003300 D03A01624D2E0255E5CE47218BA45DC8", "7B9864710732C21C8BB314B67CC4B6C352C518AA7305D7FF"},
	} {
		got, err := keys.TripleDES.Encipher(keys.Key(unhex(t, v[0])), unhex(t, v[1]))
		require.NoError(t, err)
		require.Equal(t, unhex(t, v[2]), got)
	}
	for _, p := range []keys.Purpose{keys.Purchase, keys.TAC, keys.Reload} {
		_, err := soft.SecureMAC(t.Context(), keys.Card{ID: keys.ID{Purpose: p, Version: 1}, Factors: factors}, make([]byte, 4), nil)
		require.ErrorContains(t, err, "work", "a key does its own work alone")
		_, err = soft.Encipher(t.Context(), keys.Card{ID: keys.ID{Purpose: p, Version: 1}, Factors: factors}, nil)
		require.ErrorContains(t, err, "work")
	}

	got, err := soft.ReloadMAC(t.Context(), keys.Card{ID: reload, Factors: factors}, unhex(t, "123456"))
	require.NoError(t, err)
	require.Equal(t, unhex(t, "17BB8F96"), got[:])

	damk := keys.Diversify(ascendingKey(0x90), factors...)
	for challenge, want := range map[string]string{"11223344": "600AB2F8B902FB93", "1122334455667788": "5CFEAA34825CC37D"} {
		got, err := keys.TripleDES.Authenticate(damk, unhex(t, challenge))
		require.NoError(t, err)
		require.Equal(t, unhex(t, want), got[:])
	}
	for _, c := range []keys.Cipher{keys.TripleDES, keys.SM4} {
		for _, n := range []int{0, 5, 17} {
			_, err := c.SecureMAC(damk, make([]byte, n), nil)
			require.Error(t, err)
			_, err = c.Authenticate(damk, make([]byte, n))
			require.Error(t, err)
		}
	}
	_, err = keys.TripleDES.Authenticate(damk, make([]byte, 16))
	require.Error(t, err)
	_, err = keys.SM4.Authenticate(damk, make([]byte, 16))
	require.NoError(t, err)
}

// TestEncipheredData: what is enciphered is deciphered, in one form only.
func TestEncipheredData(t *testing.T) {
	k := ascendingKey(0x90)
	for _, c := range []keys.Cipher{keys.TripleDES, keys.SM4} {
		rapid.Check(t, func(t *rapid.T) {
			data := rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "data")
			out, err := c.Encipher(k, data)
			require.NoError(t, err)
			require.Less(t, len(out), 1+len(data)+16)
			back, err := c.Decipher(k, out)
			require.NoError(t, err)
			require.Equal(t, append([]byte{}, data...), append([]byte{}, back...))
			_, err = c.Decipher(k, out[:len(out)-1])
			require.ErrorIs(t, err, keys.ErrEnciphered)
		})
		_, err := c.Decipher(k, nil)
		require.ErrorIs(t, err, keys.ErrEnciphered)
		_, err = c.Encipher(k, make([]byte, 256))
		require.Error(t, err)
	}
}

func FuzzDecipher(f *testing.F) {
	k := ascendingKey(0x90)
	for _, c := range []keys.Cipher{keys.TripleDES, keys.SM4} {
		out, err := c.Encipher(k, []byte("123456"))
		require.NoError(f, err)
		f.Add(byte(c), out)
	}
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		c := keys.Cipher(which % 2)
		data, err := c.Decipher(k, raw)
		if err != nil {
			require.ErrorIs(t, err, keys.ErrEnciphered)
			return
		}
		again, err := c.Encipher(k, data)
		require.NoError(t, err)
		require.Equal(t, raw, again)
	})
}
