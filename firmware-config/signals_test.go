package firmwareconfig_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

func withSignals(text string) (*firmwareconfig.Profile, error) {
	return firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), "signals: "+text+"\n"...))
}

func TestAProfileSaysWhatOutcomesLookLike(t *testing.T) {
	const ms = time.Millisecond
	p, err := withSignals("{granted: {on: 300ms, beep: 80ms}, refused-denied: {light: amber, repeats: 4, off: 50ms}, out-of-service: {beep: 200ms}}")
	require.NoError(t, err)
	require.Equal(t, firmwareconfig.Signal{Light: "green", On: 300 * ms, Off: 100 * ms, Repeats: 1, Beep: 80 * ms}, p.Signal("granted"))
	require.Equal(t, firmwareconfig.Signal{Light: "amber", On: 100 * ms, Off: 50 * ms, Repeats: 4, Beep: 100 * ms}, p.Signal("refused-denied"))
	require.Equal(t, 1, p.Signal("out-of-service").Beeps(), "silent when the profile says nothing")
	require.Equal(t, firmwareconfig.DefaultSignals()["already-paid"], p.Signal("already-paid"), "left out")
	require.Zero(t, p.Signal(""), "no outcome, no light")
	require.Zero(t, firmwareconfig.Sample().Signal("out-of-service").Beeps())
}

func TestTheDefaultSignalsAreSound(t *testing.T) {
	p := firmwareconfig.Sample()
	p.Signals = firmwareconfig.DefaultSignals()
	require.NoError(t, p.Check())
}

func TestFaultsOfSignals(t *testing.T) {
	for text, says := range map[string]string{
		"{grantd: {light: green}}":                            "signals.grantd: no outcome is called so",
		"{granted: {light: red}}":                             "signals.granted.light: red: want green",
		"{refused-denied: {light: green}}":                    "signals.refused-denied.light: green: want amber or red",
		"{granted: {light: blue}}":                            "signals.granted.light: \"blue\"",
		"{granted: {on: 0s}}":                                 "signals.granted.on: 0s",
		"{granted: {on: 2s}}":                                 "signals.granted.on: 2s",
		"{granted: {off: -1s}}":                               "signals.granted.off",
		"{granted: {repeats: 0}}":                             "signals.granted.repeats: 0",
		"{granted: {repeats: 6}}":                             "signals.granted.repeats: 6",
		"{granted: {beep: 1s}}":                               "signals.granted.beep: 1s",
		"{granted: {beep: -1ms}}":                             "signals.granted.beep",
		"{refused-trip: {on: 500ms, off: 500ms, repeats: 3}}": "signals.refused-trip: 3s in all",
		"{granted: {colour: green}}":                          "signals.granted: no field is called \"colour\"",
		"{granted: {on: soon}}":                               "signals.granted.on",
		"[granted]":                                           "signals:",
		"{granted: green}":                                    "signals:",
	} {
		_, err := withSignals(text)
		require.ErrorContains(t, err, says, text)
	}
}
