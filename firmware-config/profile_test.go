package firmwareconfig_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

func TestSampleIsSound(t *testing.T) {
	p := firmwareconfig.Sample()
	require.EqualValues(t, 1, p.Version)
	require.Equal(t, "Asia/Shanghai", p.Location().String())
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	text := string(firmwareconfig.SampleYAML())
	for from, to := range map[string]string{
		"version: 1": "version: 0", "currency: CNY": "currency: yuan", "Asia/Shanghai": "Nowhere/Town", "key_levels: 2": "key_levels: 3",
		"log_counter: after": "log_counter: sometimes", `fare: "2.50"`: `fare: "-2.50"`, `city: "1000"`: `city: "10"`,
		`      - {from: "0104", to: "0105", fare: "3.00"}`: "",
	} {
		require.Contains(t, text, from)
		text = strings.Replace(text, from, to, 1)
	}
	_, err := firmwareconfig.ParseProfile([]byte(text))
	for _, want := range []string{"version", "currency", "time_zone", "card.key_levels", "card.log_counter", "fares.bus[1].fare", "operator.city", "no fare between 0104 and 0105"} {
		require.ErrorContains(t, err, want)
	}
}

func TestAnUnknownFieldIsAFault(t *testing.T) {
	_, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), "tariff: 2\n"...))
	require.ErrorContains(t, err, "tariff")
}

func TestASignedProfile(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signed := firmwareconfig.Sign(private, firmwareconfig.SampleYAML())
	p, err := firmwareconfig.OpenSigned(public, signed)
	require.NoError(t, err)
	require.Equal(t, "sample-city", p.Scheme)

	changed := []byte(strings.Replace(string(signed), `"2.00"`, `"0.01"`, 1))
	_, err = firmwareconfig.OpenSigned(public, changed)
	require.ErrorIs(t, err, firmwareconfig.ErrSignature)
	_, err = firmwareconfig.OpenSigned(public, firmwareconfig.SampleYAML())
	require.ErrorIs(t, err, firmwareconfig.ErrSignature)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, err = firmwareconfig.OpenSigned(other, signed)
	require.ErrorIs(t, err, firmwareconfig.ErrSignature)
}

func FuzzProfile(f *testing.F) {
	f.Add(firmwareconfig.SampleYAML())
	f.Add([]byte("version: 1\n"))
	f.Add(append(firmwareconfig.SampleYAML(), "signals: {granted: {on: 300ms, beep: 80ms}, out-of-service: {repeats: 2}}\n"...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := firmwareconfig.ParseProfile(raw)
		if err == nil {
			require.NoError(t, p.Check())
		}
	})
}
