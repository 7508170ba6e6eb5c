package sealed_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/sealed"
)

func root(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func box(t require.TestingT, roots ...[]byte) *sealed.Box {
	b, err := sealed.New(roots...)
	require.NoError(t, err)
	return b
}

func TestASecretOpensForItsRowOnly(t *testing.T) {
	b := box(t, root(1))
	secret := []byte("a secret of the shop")
	one := b.Seal("app_key shop 1", secret)
	require.NotContains(t, string(one), "secret")
	require.NotEqual(t, one, b.Seal("app_key shop 1", secret), "the same secret never looks the same")
	got, err := b.Open("app_key shop 1", one)
	require.NoError(t, err)
	require.Equal(t, secret, got)
	_, err = b.Open("app_key shop 2", one)
	require.ErrorIs(t, err, sealed.ErrOpen)
	_, err = box(t, root(2)).Open("app_key shop 1", one)
	require.ErrorIs(t, err, sealed.ErrOpen)
}

func TestAnOlderKeyOpensUntilAllIsSealedAnew(t *testing.T) {
	old := box(t, root(1)).Seal("row", []byte("x"))
	b := box(t, root(2), root(1))
	require.False(t, b.Current(old))
	got, err := b.Open("row", old)
	require.NoError(t, err)
	anew := b.Seal("row", got)
	require.True(t, b.Current(anew))
	_, err = box(t, root(2)).Open("row", anew)
	require.NoError(t, err)
}

func TestAnyChangeIsFound(t *testing.T) {
	b := box(t, root(1))
	rapid.Check(t, func(t *rapid.T) {
		s := b.Seal("row", rapid.SliceOf(rapid.Byte()).Draw(t, "secret"))
		i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
		s[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		_, err := b.Open("row", s)
		require.ErrorIs(t, err, sealed.ErrOpen)
		_, err = b.Open("row", s[:i])
		require.ErrorIs(t, err, sealed.ErrOpen)
	})
}

func TestKeysOfAnotherLengthAreRefused(t *testing.T) {
	_, err := sealed.New()
	require.Error(t, err)
	_, err = sealed.New(make([]byte, 16))
	require.Error(t, err)
}
