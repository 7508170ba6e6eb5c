package gateway_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
)

func TestThePageNamesEveryFinding(t *testing.T) {
	page, err := os.ReadFile("../../docs/gateway.md")
	require.NoError(t, err)
	for _, code := range []string{gateway.FindConflict, gateway.FindAmount, gateway.FindContradiction, gateway.FindOtherNumber, gateway.FindOtherChannel, gateway.FindUnknownNumber, gateway.FindSurplus, gateway.FindStuck,
		gateway.FindAssumed, gateway.FindHook, gateway.FindRate, gateway.FindReturned} {
		require.Contains(t, string(page), "| `"+code+"` |")
	}
}
