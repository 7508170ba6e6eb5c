//go:build pkcs11

package scenario_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/keys/softhsm"
	"github.com/purselane/purselane/simulator/scenario"
)

// TestHSMScenarios has the backend's and the issuer's keys in a token of SoftHSM.
func TestHSMScenarios(t *testing.T) {
	each(t, func(t *testing.T, s *scenario.Scenario) {
		way := scenario.InProcess()
		way.Keys = func(ctx context.Context, masters map[keys.ID]keys.Key) (scenario.Door, error) {
			token, err := softhsm.New(t.TempDir(), t.Setenv)
			if err != nil {
				return nil, err
			}
			d, err := keys.OpenDevice(keys.DeviceOptions{Module: token.Module, Token: token.Label, PIN: keys.Secret(token.PIN), Cache: keys.CachePolicy{Cards: 8, Lifetime: time.Hour}})
			if err != nil {
				return nil, err
			}
			return d.(scenario.Door), d.Put(ctx, masters)
		}
		require.NoError(t, scenario.Run(t.Context(), s, way, t.TempDir()))
	})
}
