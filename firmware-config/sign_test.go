package firmwareconfig_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
)

func testKey() (ed25519.PublicKey, ed25519.PrivateKey) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	return key.Public().(ed25519.PublicKey), key
}

func TestNoByteOfASignedProfileCanBeChanged(t *testing.T) {
	public, private := testKey()
	signed := firmwareconfig.Sign(private, firmwareconfig.SampleYAML())
	rapid.Check(t, func(t *rapid.T) {
		changed := bytes.Clone(signed)
		at := rapid.IntRange(0, len(changed)-1).Draw(t, "at")
		changed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if _, err := firmwareconfig.OpenSigned(public, changed); err == nil {
			t.Fatalf("byte %d may be changed", at)
		}
	})
}

func TestAWrongKeyIsNoPanic(t *testing.T) {
	_, private := testKey()
	for _, key := range []ed25519.PublicKey{nil, {1, 2, 3}} {
		_, err := firmwareconfig.OpenSigned(key, firmwareconfig.Sign(private, firmwareconfig.SampleYAML()))
		require.ErrorContains(t, err, "want 32")
	}
}

func TestText(t *testing.T) {
	_, private := testKey()
	text, signed := firmwareconfig.Text(firmwareconfig.Sign(private, firmwareconfig.SampleYAML()))
	require.True(t, signed)
	require.Equal(t, firmwareconfig.SampleYAML(), text)
	text, signed = firmwareconfig.Text([]byte("version: 1\n"))
	require.False(t, signed)
	require.Equal(t, "version: 1\n", string(text))
}

func TestWhatAProfileHolds(t *testing.T) {
	p := firmwareconfig.Sample()
	require.Equal(t, 30*time.Second, p.SameTrip)
	require.Equal(t, 7*24*time.Hour, p.Limits.MaxAge)
	require.Equal(t, money.Minor(200_000_00), p.Limits.MaxValue)
	require.Equal(t, "full", p.Card.Readback)
	require.Len(t, p.Card.AIDs, 1)
	require.True(t, p.ValidUntil.IsZero())
}

func TestProfilesThatAreNoProfiles(t *testing.T) {
	sample := string(firmwareconfig.SampleYAML())
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "", "empty"},
		{"two documents", sample + "---\n" + sample, "more than one"},
		{"half an amount", sample + "\nlimits: {low_balance: 1,5}", "profile:"},
		{"not YAML", "version: [", "profile:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := firmwareconfig.ParseProfile([]byte(c.text))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestFaultsOfAProfile(t *testing.T) {
	cases := []struct {
		name   string
		change func(*firmwareconfig.Profile)
		says   string
	}{
		{"scheme", func(p *firmwareconfig.Profile) { p.Scheme = "" }, "scheme: want"},
		{"currency", func(p *firmwareconfig.Profile) { p.Currency = "C1Y" }, "currency: \"C1Y\""},
		{"no time zone", func(p *firmwareconfig.Profile) { p.TimeZone = "" }, "time_zone: want"},
		{"no AID", func(p *firmwareconfig.Profile) { p.Card.AIDs = nil }, "card.aids: want"},
		{"a short AID", func(p *firmwareconfig.Profile) { p.Card.AIDs[0] = []byte{1} }, "card.aids[0]: 1 bytes"},
		{"read-back", func(p *firmwareconfig.Profile) { p.Card.Readback = "" }, "card.readback"},
		{"institution", func(p *firmwareconfig.Profile) { p.Operator.Institution = nil }, "operator.institution: 0 bytes: want 8"},
		{"operator", func(p *firmwareconfig.Profile) { p.Operator.Code = nil }, "operator.code"},
		{"window", func(p *firmwareconfig.Profile) { p.SameTrip = 2 * time.Hour }, "same_trip"},
		{"age", func(p *firmwareconfig.Profile) { p.Limits.MaxAge = -1 }, "limits.max_age"},
		{"value", func(p *firmwareconfig.Profile) { p.Limits.MaxValue = money.Minor(-1) }, "limits.max_value"},
		{"low balance", func(p *firmwareconfig.Profile) { p.Limits.LowBalance = money.Minor(-1) }, "limits.low_balance"},
		{"entry", func(p *firmwareconfig.Profile) { p.Limits.MetroMinBalance = money.Minor(-1) }, "limits.metro_min_balance"},
		{"balance", func(p *firmwareconfig.Profile) { p.Limits.MaxBalance = money.Minor(-1) }, "limits.max_balance"},
		{"fares", func(p *firmwareconfig.Profile) { p.Fares.Metro.OverTime = money.Minor(-1) }, "fares.metro.over_time"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := firmwareconfig.Sample()
			c.change(p)
			require.ErrorContains(t, p.Check(), c.says)
		})
	}
}

func FuzzOpenSigned(f *testing.F) {
	public, private := testKey()
	f.Add(firmwareconfig.Sign(private, firmwareconfig.SampleYAML()))
	f.Add(firmwareconfig.SampleYAML())
	f.Add([]byte("purselane-profile-1 \n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := firmwareconfig.OpenSigned(public, raw)
		if err == nil {
			text, signed := firmwareconfig.Text(raw)
			require.True(t, signed)
			again, err := firmwareconfig.ParseProfile(text)
			require.NoError(t, err)
			require.Equal(t, again, p)
		}
	})
}
