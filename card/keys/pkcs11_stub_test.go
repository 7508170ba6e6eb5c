//go:build !pkcs11

package keys_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
)

func TestWithoutTheTagOpenDeviceSaysHowToGetIt(t *testing.T) {
	require.False(t, keys.DeviceAvailable)
	_, err := keys.OpenDevice(keys.DeviceOptions{Module: "m", Token: "t", PIN: keys.Secret("1")})
	require.ErrorIs(t, err, keys.ErrNotBuilt)
	require.ErrorContains(t, err, "-tags pkcs11")
}
