package firmwareconfig_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

func TestWhichClockMayChargeByTheTime(t *testing.T) {
	const limit = "  sell_with_bad_clock: true\n"
	with := func(text string) ([]byte, error) {
		raw := bytes.Replace(firmwareconfig.SampleYAML(), []byte(limit), []byte(limit+"  time_fares: "+text+"\n"), 1)
		_, err := firmwareconfig.ParseProfile(raw)
		return raw, err
	}
	require.Equal(t, firmwareconfig.RecommendedTimeFares(), firmwareconfig.Sample().Limits.TimeFares, "left out")
	raw, err := with("{worst_clock: good}")
	require.NoError(t, err)
	p, err := firmwareconfig.ParseProfile(raw)
	require.NoError(t, err)
	require.Equal(t, firmwareconfig.TimeFares{WorstClock: "good", MaxError: 2 * time.Minute}, p.Limits.TimeFares)
	for text, want := range map[string]string{
		"{worst_clock: bad}": "limits.time_fares.worst_clock", "{worst_clock: \"\"}": "limits.time_fares.worst_clock",
		"{max_error: 0s}": "limits.time_fares.max_error", "{max_error: -1s}": "limits.time_fares.max_error", "{max_error: 11m}": "limits.time_fares.max_error",
		"{peak: 3}": "peak",
	} {
		_, err := with(text)
		require.ErrorContains(t, err, want, text)
	}
}
