package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/keys"
)

func TestASchemeTakesTheCardFamiliesItHasKeysFor(t *testing.T) {
	cfg := config(t)
	cfg.Scheme.ElectronicCash, cfg.Scheme.DESFireSystem = true, "70757273656C616E65"
	n, err := node.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, n.Close())

	cfg.Scheme.DESFireSystem = ""
	cfg.HSM = struct{ keys.HSM }{cfg.HSM}
	_, err = node.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "electronic_cash: the door to the keys")
	cfg.Scheme.ElectronicCash, cfg.Scheme.DESFireSystem = false, "70757273656C616E65"
	_, err = node.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "desfire_system: the door to the keys")
}

// TestTheKeysOfElectronicCashTerminals do not give away the scheme's token key, and are the same each time.
func TestTheKeysOfElectronicCashTerminals(t *testing.T) {
	scheme := []byte("0123456789abcdef0123456789abcdef")
	token, seal, err := node.ECTerminalKeys(scheme)
	require.NoError(t, err)
	require.Len(t, token, 32)
	require.NotEqual(t, scheme, token)
	again, sealAgain, err := node.ECTerminalKeys(scheme)
	require.NoError(t, err)
	require.Equal(t, token, again)
	require.Equal(t, seal, sealAgain)
	other, _, err := node.ECTerminalKeys(scheme[:31])
	require.NoError(t, err)
	require.NotEqual(t, token, other)
}
