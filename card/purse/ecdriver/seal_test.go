package ecdriver_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/ids"
)

// TestSealed: with the right key and token a card number opens, and with nothing else.
func TestSealed(t *testing.T) {
	key, pan := world().seal, world().pans[1]
	token := ids.CardNumber{1, 2, 3}
	sealed, err := ecdriver.Seal(key.PublicKey(), token, pan, 0x02)
	require.NoError(t, err)
	require.Len(t, sealed, 64)
	hidden(t, sealed)
	id, err := ecdriver.SealedTo(sealed)
	require.NoError(t, err)
	require.Equal(t, ecdriver.KeyID(key.PublicKey()), id)

	got, psn, err := ecdriver.Open(key, token, sealed)
	require.NoError(t, err)
	require.Equal(t, pan, got)
	require.Equal(t, byte(2), psn)

	again, err := ecdriver.Seal(key.PublicKey(), token, pan, 0x02)
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "one text for one card would be a second token")

	other, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, _, err = ecdriver.Open(other, token, sealed)
	require.ErrorIs(t, err, ecdriver.ErrSealed)
	_, _, err = ecdriver.Open(key, ids.CardNumber{1, 2, 4}, sealed)
	require.ErrorIs(t, err, ecdriver.ErrSealed)
	for i := range sealed {
		spoiled := bytes.Clone(sealed)
		spoiled[i] ^= 1
		_, _, err = ecdriver.Open(key, token, spoiled)
		require.ErrorIs(t, err, ecdriver.ErrSealed, "byte %d", i)
	}
	relabelled := bytes.Clone(sealed) // as if it were for the other key
	relabel := ecdriver.KeyID(other.PublicKey())
	copy(relabelled[1:], relabel[:])
	_, _, err = ecdriver.Open(other, token, relabelled)
	require.ErrorIs(t, err, ecdriver.ErrSealed)

	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.NotPanics(t, func() { _, _, err = ecdriver.Open(p256, token, sealed) })
	require.Error(t, err)
}

func TestEveryNumberSeals(t *testing.T) {
	key := world().seal
	rapid.Check(t, func(t *rapid.T) {
		pan, err := ec.NewPAN(rapid.StringMatching(`[0-9]{8,19}`).Draw(t, "pan"))
		require.NoError(t, err)
		psn := rapid.Byte().Draw(t, "psn")
		token := ecdriver.Token(rapid.SliceOfN(rapid.Byte(), 16, 32).Draw(t, "key"), pan, psn)
		sealed, err := ecdriver.Seal(key.PublicKey(), token, pan, psn)
		require.NoError(t, err)
		got, seq, err := ecdriver.Open(key, token, sealed)
		require.NoError(t, err)
		require.Equal(t, pan, got)
		require.Equal(t, psn, seq)
	})
}

func FuzzOpen(f *testing.F) {
	sealed, err := ecdriver.Seal(world().seal.PublicKey(), ids.CardNumber{1}, world().pans[0], 1)
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		pan, _, err := ecdriver.Open(world().seal, ids.CardNumber{1}, raw)
		if err == nil {
			require.Equal(t, world().pans[0], pan)
		}
	})
}
