package pcsc

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignalsOfAnACR122U(t *testing.T) {
	for _, c := range []struct {
		light string
		beeps int
		want  string
	}{
		{"green", 1, "FF0040AC0401010101"},
		{"green", 2, "FF0040AC0401010201"},
		{"red", 2, "FF00405C0401010201"},
		{"amber", 3, "FF0040FC0401010301"},
		{"red", 0, "FF00405C0401010100"},
	} {
		require.Equal(t, c.want, fmt.Sprintf("%X", acr122Signal(c.light, c.beeps)), "%s, %d beeps", c.light, c.beeps)
	}
	require.Equal(t, "FF00520000", fmt.Sprintf("%X", acr122Quiet()))
	require.NoError(t, checkSignals(""))
	require.NoError(t, checkSignals(ACR122U))
	require.ErrorContains(t, checkSignals("acr"), "want acr122u")
}
