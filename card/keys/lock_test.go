package keys_test

import (
	"bytes"
	"context"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

// fakeDevice seals by writing down what it was asked, in clear.
type fakeDevice struct{ keys.Device }

func (fakeDevice) Seal(_ context.Context, id keys.ID, label string, data []byte) ([]byte, error) {
	return append([]byte(id.String()+label), data...), nil
}

func (fakeDevice) Unseal(_ context.Context, id keys.ID, label string, sealed []byte) ([]byte, error) {
	data, ok := bytes.CutPrefix(sealed, []byte(id.String()+label))
	if !ok {
		return nil, keys.ErrSealed
	}
	return data, nil
}

// TestAFileNamesItsDataKey: a newer data key does not shut the files of an older one.
func TestAFileNamesItsDataKey(t *testing.T) {
	lock := func(version byte) keys.Lock {
		return keys.DeviceLock(t.Context(), fakeDevice{}, keys.ID{Purpose: keys.Data, Version: version})
	}
	var file bytes.Buffer
	r := ring(t, 1)
	require.NoError(t, r.Seal(&file, lock(0x0A)))
	require.True(t, keys.LockedByDevice(file.Bytes()))
	got, err := keys.OpenRing(bytes.NewReader(file.Bytes()), lock(0x0B))
	require.NoError(t, err)
	require.Equal(t, r, got)
	for _, args := range [][]string{nil, {"A"}, {"0G"}, {"0A", "0B"}} {
		_, err := lock(1).Unwrap([]*age.Stanza{{Type: "purselane-hsm", Args: args}})
		require.ErrorContains(t, err, "malformed")
	}
	_, err = lock(1).Unwrap([]*age.Stanza{{Type: "X25519"}})
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)

	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	file.Reset()
	require.NoError(t, r.Seal(&file, x.Recipient()))
	require.False(t, keys.LockedByDevice(file.Bytes()))
}

func FuzzLockedByDevice(f *testing.F) {
	f.Add([]byte("age-encryption.org/v1\n-> purselane-hsm 01\nAAAA\n--- mac\n"))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\n--- mac\n-> purselane-hsm 01\n"))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if keys.LockedByDevice(sealed) {
			require.Contains(t, string(sealed), "-> purselane-hsm ")
		}
	})
}
