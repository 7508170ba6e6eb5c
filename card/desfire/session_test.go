package desfire_test

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
)

func TestASessionEndsBeforeItsCounterWraps(t *testing.T) {
	s := desfire.NewSession(keys.Key{1}, keys.Key{2}, [4]byte{3})
	for range 0xFFFF {
		_, err := s.Seal(0x6C, desfire.MAC, nil, nil)
		require.NoError(t, err)
	}
	_, err := s.Seal(0x6C, desfire.MAC, nil, nil)
	require.ErrorIs(t, err, desfire.ErrSessionOver)
	require.ErrorIs(t, err, apdu.ErrNotSent)
}

// TestASignedAnswerMustBeWellFormedToo signs enciphered answers with every kind of padding.
func TestASignedAnswerMustBeWellFormedToo(t *testing.T) {
	enc, mac, ti := keys.Key{1}, keys.Key{2}, [4]byte{3}
	for name, c := range map[string]struct {
		plain []byte
		is    error
	}{
		"good":           {append([]byte{1, 2, 3, 0x80}, make([]byte, 12)...), nil},
		"a block of it":  {slices.Concat(make([]byte, 16), []byte{0x80}, make([]byte, 15)), nil},
		"none":           {slices.Repeat([]byte{1}, 16), desfire.ErrMalformed},
		"zeros":          {make([]byte, 16), desfire.ErrMalformed},
		"another mark":   {append([]byte{1, 2, 3, 0x40}, make([]byte, 12)...), desfire.ErrMalformed},
		"no whole block": {nil, desfire.ErrMalformed},
	} {
		b, err := aes.NewCipher(enc[:])
		require.NoError(t, err)
		iv := []byte{0x5A, 0xA5, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		b.Encrypt(iv, iv)
		data := slices.Clone(c.plain)
		cipher.NewCBCEncrypter(b, iv).CryptBlocks(data, data)
		if c.plain == nil {
			data = []byte{1, 2, 3}
		}
		code := desfire.Truncate(desfire.CMAC(mac, slices.Concat([]byte{0x00, 1, 0}, ti[:], data)))

		s := desfire.NewSession(enc, mac, ti)
		_, err = s.Seal(0x6C, desfire.Full, []byte{1}, nil)
		require.NoError(t, err)
		got, err := s.Open(0x6C, desfire.Full, apdu.Response{Data: append(data, code[:]...), SW: 0x9100})
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.plain[:slices.Index(c.plain, 0x80)], got)
	}
}
