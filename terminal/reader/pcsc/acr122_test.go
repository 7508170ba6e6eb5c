package pcsc

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/reader"
)

func TestSignalsOfAnACR122U(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		signal reader.Signal
		want   string
	}{
		{reader.Signal{Light: "green", On: 100 * ms, Off: 100 * ms, Repeats: 1, Beep: 100 * ms}, "FF0040AC0401010101"},
		{reader.Signal{Light: "green", On: 100 * ms, Off: 100 * ms, Repeats: 2, Beep: 50 * ms}, "FF0040AC0401010201"},
		{reader.Signal{Light: "red", On: 300 * ms, Off: 50 * ms, Repeats: 2, Beep: 100 * ms}, "FF00405C0403010201"},
		{reader.Signal{Light: "amber", On: 110 * ms, Off: 900 * ms, Repeats: 3, Beep: 100 * ms}, "FF0040FC0402090301"},
		{reader.Signal{Light: "red", On: 20 * ms, Repeats: 1}, "FF00405C0401010100"},
	} {
		require.Equal(t, c.want, fmt.Sprintf("%X", acr122Signal(c.signal)), "%+v", c.signal)
	}
	require.Equal(t, "FF00520000", fmt.Sprintf("%X", acr122Quiet()))
	require.NoError(t, checkSignals(""))
	require.NoError(t, checkSignals(ACR122U))
	require.ErrorContains(t, checkSignals("acr"), "want acr122u")
}
