package firmwareconfig_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// desfire is a whole section, as docs/profile.md shows it.
const desfire = `
desfire:
  aid: 3F0001
  key_number: 1
  mac_key: 1
  value_file: 1
  record_file: 2
  mac_file: 3
  value_mode: full
  mac_mode: mac
  iso_chaining: false
  readback: balance
`

func TestDESFireCards(t *testing.T) {
	p, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), desfire...))
	require.NoError(t, err)
	require.Equal(t, &firmwareconfig.DESFire{
		AID: firmwareconfig.Hex{0x3F, 0x00, 0x01}, KeyNumber: 1, MACKey: 1, ValueFile: 1, RecordFile: 2, MACFile: 3,
		ValueMode: "full", MACMode: "mac", Readback: "balance",
	}, p.DESFire)
	require.Nil(t, firmwareconfig.Sample().DESFire, "a scheme need not have them")

	for change, says := range map[[2]string]string{
		{"3F0001", "3F00"}:                                            "desfire.aid: 2 bytes: want 3",
		{"key_number: 1", "key_number: 14"}:                           "desfire.key_number: 14: want 0 to 13",
		{"mac_key: 1", "mac_key: 256"}:                                "desfire.mac_key: 256: want 0 to 255",
		{"value_file: 1", "value_file: -1"}:                           "desfire.value_file: -1: want 0 to 31",
		{"record_file: 2", "record_file: 32"}:                         "desfire.record_file: 32: want 0 to 31",
		{"mac_file: 3", "mac_file: 2"}:                                "each file has its own",
		{"value_mode: full", "value_mode: plain"}:                     `desfire.value_mode: "plain": want mac or full`,
		{"mac_mode: mac", "mac_mode: ''"}:                             `desfire.mac_mode: "": want mac or full`,
		{"readback: balance", "readback: everything"}:                 `desfire.readback: "everything": want balance or none`,
		{"iso_chaining: false", "native: true"}:                       "native",
		{"  readback: balance", "  readback: balance\n  aid: 3F0002"}: "already defined",
	} {
		text := strings.Replace(desfire, change[0], change[1], 1)
		require.NotEqual(t, desfire, text)
		_, err := firmwareconfig.ParseProfile(append(firmwareconfig.SampleYAML(), text...))
		require.ErrorContains(t, err, says)
	}
}
