//go:build pkcs11

package doors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
)

// TestHSMOpensTheDoors runs the software's tests over a real SoftHSM, with and without derived keys that are held.
func TestHSMOpensTheDoors(t *testing.T) {
	for name, policy := range map[string]keys.CachePolicy{"without a cache": {}, "with a small one": {Cards: 3, Lifetime: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
			require.NoError(t, err)
			d, err := keys.OpenDevice(keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN), Cache: policy})
			require.NoError(t, err)
			defer func() { require.NoError(t, d.Close()) }()
			require.NoError(t, d.Put(t.Context(), masters()))
			theySayTheSame(t, d)
			theyRefuse(t, d)
			theyOpenACard(t, d)
		})
	}
}

// TestHSMGivesTheVectorsOfEC makes the computed cryptograms, ARPC and script MAC in a real SoftHSM.
func TestHSMGivesTheVectorsOfEC(t *testing.T) {
	token, err := softhsm.New(t.TempDir(), func(name, value string) { t.Setenv(name, value) })
	require.NoError(t, err)
	d, err := keys.OpenDevice(keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN)})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	c := vectors(t)
	require.NoError(t, d.Put(t.Context(), c.keys()))
	theVectorsOfEC(t, c, d)
}
