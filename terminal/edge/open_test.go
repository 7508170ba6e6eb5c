package edge_test

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/client"
)

// blankSAM is a PSAM that nobody personalised.
type blankSAM struct{ keys.SAM }

func (blankSAM) TerminalNumber() [6]byte { return [6]byte{} }

func TestWhatOpenRefuses(t *testing.T) {
	_, device, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	cases := []struct {
		name   string
		change func(*edge.Config)
		says   string
	}{
		{"terminal", func(c *edge.Config) { c.Terminal = "bus 1" }, `terminal id "bus 1"`},
		{"merchant", func(c *edge.Config) { c.Merchant = "" }, "merchant id"},
		{"journal", func(c *edge.Config) { c.JournalPath = "" }, "journal path"},
		{"no SAM", func(c *edge.Config) { c.SAM = nil }, "SAM: want one"},
		{"a SAM and a pool", func(c *edge.Config) { c.Pool = &keys.Pool{} }, "not both"},
		{"a blank SAM in the pool", func(c *edge.Config) {
			var err error
			c.SAM = nil
			c.Pool, err = keys.NewPool(&slotted{SAM: blankSAM{}})
			require.NoError(t, err)
		}, "not personalised"},
		{"a blank SAM", func(c *edge.Config) { c.SAM = blankSAM{} }, "not personalised"},
		{"no profile", func(c *edge.Config) { c.Profile = nil }, "profile: want one"},
		{"a bad profile", func(c *edge.Config) { c.Profile.Version = 0 }, "profile: version"},
		{"no lanes", func(c *edge.Config) { c.Lanes = nil }, "lanes: want"},
		{"a line without fare", func(c *edge.Config) { c.Lanes[bus].Line = fare.Code{9, 9} }, "lanes[0]: line 0909: no fare"},
		{"an exit without fare", func(c *edge.Config) { c.Lanes[exit].Station = fare.Code{9, 9} }, "lanes[3]: station 0909: no fare"},
		{"an unknown mode", func(c *edge.Config) { c.Lanes[till].Mode = 99 }, "lanes[4]: mode 99"},
		{"one key of two", func(c *edge.Config) { c.DeviceKey = device }, "both or none"},
		{"an uplink without keys", func(c *edge.Config) { c.Uplink = &client.Config{Broker: "tcp://127.0.0.1:1"} }, "it needs the device key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, sam := newPSAM(t)
			cfg := edge.Config{Terminal: "bus-1", Merchant: "m-1", Profile: firmwareconfig.Sample(), SAM: sam, Lanes: lanes(),
				JournalPath: filepath.Join(t.TempDir(), "journal.db")}
			c.change(&cfg)
			_, err := edge.Open(cfg)
			require.ErrorContains(t, err, c.says)
			require.NoFileExists(t, cfg.JournalPath, "nothing is made of what is not sound")
		})
	}
	_, err = edge.Open(edge.Config{})
	for _, part := range []string{"terminal id", "merchant id", "journal path", "SAM", "profile"} {
		require.ErrorContains(t, err, part, "all at once")
	}
}

func TestOneTerminalOneJournal(t *testing.T) {
	w := newWorld(t, nil)
	other := w.cfg
	other.Terminal = "bus-2"
	require.NoError(t, w.Close())
	_, err := edge.Open(other)
	require.ErrorIs(t, err, journal.ErrWrongTerminal)
	w.open()
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	require.EqualValues(t, 1, w.Stats().Outcomes[tap.Granted])
	require.Nil(t, w.Sender())
	require.Nil(t, w.Stats().Uplink)
}
