package keys_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/keys"
)

func TestBlocksThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]keys.Cipher{keys.TripleDES, keys.SM4}).Draw(t, "cipher")
		k := keys.Key(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		data := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "data")
		size := map[keys.Cipher]int{keys.TripleDES: 8, keys.SM4: 16}[c]
		out, err := c.EncipherBlocks(k, data)
		if len(data) == 0 || len(data)%size != 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.NotEqual(t, data, out)
		back, err := c.DecipherBlocks(k, out)
		require.NoError(t, err)
		require.Equal(t, data, back)
	})
}

func TestTheDoorDeciphersWhatItEnciphers(t *testing.T) {
	door := keys.NewSoft(map[keys.ID]keys.Key{{Purpose: keys.Maintenance, Version: 1}: {1, 2, 3}})
	card := keys.Card{ID: keys.ID{Purpose: keys.Maintenance, Version: 1}, Factors: make([][8]byte, 2)}
	out, err := door.Encipher(t.Context(), card, []byte("a card holder"))
	require.NoError(t, err)
	back, err := door.Decipher(t.Context(), card, out)
	require.NoError(t, err)
	require.Equal(t, "a card holder", string(back))
	out[0] ^= 1
	_, err = door.Decipher(t.Context(), card, out)
	require.ErrorIs(t, err, keys.ErrEnciphered)
	card.ID.Purpose = keys.TAC
	_, err = door.Decipher(t.Context(), card, out)
	require.Error(t, err)
}
