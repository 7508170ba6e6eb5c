package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const soundConfig = `
version: 1
terminal: bus-7-1
merchant: bus-company
journal: {path: journal.db}
profile: {file: profile.signed, public_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}
device_key: device.key
uplink:
  broker: tcp://127.0.0.1:1883
  backend_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
  password_file: broker.password
psam: {kind: simulated, file: psam.json}
lanes:
  - {kind: socket, listen: "127.0.0.1:35963", mode: bus-flat, line: "0007"}
  - {kind: socket, listen: "127.0.0.1:35965", mode: metro-entry, station: "0101"}
`

func TestASoundConfig(t *testing.T) {
	c, err := parseConfig([]byte(soundConfig), "/etc/purselane")
	require.NoError(t, err)
	require.Equal(t, "/etc/purselane/journal.db", c.path(c.Journal.Path))
	require.Equal(t, goOn, c.Journal.WhenDamaged)
}

func TestWhatIsWrongWithAConfig(t *testing.T) {
	cases := []struct{ name, from, to, says string }{
		{"another form", "version: 1", "version: 2", "version: 2: want 1"},
		{"terminal id", "bus-7-1", "bus 7", "terminal: character ' '"},
		{"merchant", "merchant: bus-company", "merchant: \"\"", "merchant: want 1 to 32"},
		{"an unknown field", "version: 1", "version: 1\nfares: cheap", "field fares not found"},
		{"no journal", "path: journal.db", "path: \"\"", "journal.path: want"},
		{"a small journal", "path: journal.db", "path: journal.db, max_bytes: 1000", "journal.max_bytes: 1000"},
		{"too much kept", "path: journal.db", "path: journal.db, max_bytes: 1048576, keep: 20000", "journal.keep"},
		{"what to do", "path: journal.db", "path: journal.db, when_damaged: panic", "journal.when_damaged"},
		{"no profile", "file: profile.signed", "file: \"\"", "profile.file: want"},
		{"profile key", "public_key: 00", "public_key: 0", "profile.public_key: want 64"},
		{"no device key", "device_key: device.key", "device_key: \"\"", "device_key: want"},
		{"backend key", "backend_key: 00", "backend_key: zz", "uplink.backend_key"},
		{"no password", "  password_file: broker.password\n", "", "uplink.password_file: want it"},
		{"a password in clear", "tcp://127.0.0.1:1883", "tcp://10.0.0.1:1883", "readable on the way"},
		{"half a certificate", "password_file: broker.password", "certificate: a.pem", "all three or none"},
		{"certificate and password", "password_file: broker.password", "password_file: p\n  certificate: a\n  key: b\n  ca: c", "no password"},
		{"PSAM kind", "kind: simulated", "kind: magic", "psam.kind: \"magic\""},
		{"PSAM without file", "file: psam.json", "file: \"\"", "psam.file: want"},
		{"PSAM with a reader too", "file: psam.json", "file: psam.json, reader: ACS", "psam.reader: a PSAM of kind simulated has none"},
		{"PSAM application", "file: psam.json", "file: psam.json, application: \"1\"", "psam.application"},
		{"psam and psams", "psam: {kind: simulated, file: psam.json}", "psam: {kind: simulated, file: psam.json}\npsams: [{kind: simulated, file: a.json}]", "take psam or psams out"},
		{"one PSAM twice", "psam: {kind: simulated, file: psam.json}", "psams: [{kind: simulated, file: a.json}, {kind: simulated, file: a.json}]", "psams[1]: the PSAM of psams[0]"},
		{"a fault in psams", "psam: {kind: simulated, file: psam.json}", "psams: [{kind: simulated, file: a.json}, {kind: magic}]", "psams[1].kind: \"magic\""},
		{"EC without a key", "lanes:", "ec: {}\nlanes:", "ec.token_key: want the file that \"purselane terminal token-key\" makes"},
		{"EC, a device object", "lanes:", "ec: {token_key: t, device: {9F1E: \"00\"}}\nlanes:", "ec.device.9F1E: \"00\": want 8 to 8 bytes"},
		{"EC, an object of the card's", "lanes:", "ec: {token_key: t, device: {9F26: \"00\"}}\nlanes:", "ec.device.9F26: want one of"},
		{"EC, an operator's SAM", "lanes:", "ec: {token_key: t, operator: {kind: pcsc}}\nlanes:", "ec.operator.kind: \"pcsc\": want simulated"},
		{"EC, number", "lanes:", "ec: {token_key: t, number: \"12\"}\nlanes:", "ec.number: \"12\": want 12"},
		{"DESFire without a SAM", "lanes:", "desfire: {}\nlanes:", "desfire.sam.kind: \"\": want simulated"},
		{"DESFire without a file", "lanes:", "desfire: {sam: {kind: simulated}}\nlanes:", "desfire.sam.file: want"},
		{"DESFire, a number of zeros", "lanes:", "desfire: {sam: {kind: simulated, file: f}, number: \"000000000000\"}\nlanes:", "desfire.number"},
		{"lane kind", "kind: socket, listen: \"127.0.0.1:35963\"", "kind: usb", "lanes[0].kind: \"usb\""},
		{"PN532 without port", "kind: socket, listen: \"127.0.0.1:35963\"", "kind: pn532", "lanes[0].port: want a serial port"},
		{"PN532 with an odd speed", "kind: socket, listen: \"127.0.0.1:35963\"", "kind: pn532, port: /dev/ttyUSB0, baud: 12345", "lanes[0].baud: baud rate 12345: want one of [9600"},
		{"PN532 with an address", "kind: socket, listen", "kind: pn532, port: /dev/ttyUSB0, listen", "lanes[0].listen: a lane of kind pn532 has none"},
		{"a socket with a port", "kind: socket, listen", "kind: socket, port: /dev/ttyUSB0, listen", "lanes[0].port: a lane of kind socket has none"},
		{"a socket with a speed", "kind: socket, listen", "kind: socket, baud: 115200, listen", "lanes[0].baud: a lane of kind socket has none"},
		{"mode", "mode: bus-flat", "mode: taxi", "lanes[0].mode: \"taxi\": want one of bus-flat, metro-entry, metro-exit, sale"},
		{"a bus without line", ", line: \"0007\"", "", "lanes[0].line: a lane of mode bus-flat wants it"},
		{"a bad line", "line: \"0007\"", "line: seven", "lanes[0].line"},
		{"a gate without station", ", station: \"0101\"", "", "lanes[1].station"},
		{"one reader twice", "35965", "35963", "lanes[1]: the reader of lanes[0]"},
		{"an open door", "127.0.0.1:35963", "0.0.0.0:35963", "whoever can connect is a card"},
		{"two documents", "version: 1", "---\nversion: 1\n---\nversion: 1", "one"},
		{"not YAML", "version: 1", "version: [", "config:"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, soundConfig, c.from)
			_, err := parseConfig([]byte(strings.Replace(soundConfig, c.from, c.to, 1)), ".")
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := parseConfig([]byte("version: 1\n"), ".")
	for _, key := range []string{"terminal", "merchant", "journal.path", "profile.file", "profile.public_key", "psam.kind", "lanes"} {
		require.ErrorContains(t, err, key+":")
	}
}

func TestSecretsThatOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("hush\n"), 0o600))
	p, err := readPassword(path)
	require.NoError(t, err)
	require.Equal(t, "hush", p)
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = readPassword(path)
	require.ErrorContains(t, err, "chmod 600")
	_, err = readDeviceKey(path)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = readDeviceKey(path)
	require.ErrorContains(t, err, "PEM")
	require.NotContains(t, err.Error(), "hush")
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(soundConfig))
	f.Add([]byte("version: 1\n"))
	f.Add([]byte("lanes: [{kind: pcsc, reader: ACS, mode: sale}]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig(raw, ".")
		if err == nil {
			require.NoError(t, c.check())
		}
	})
}

func FuzzTillLine(f *testing.F) {
	f.Add("sell 12.50 r-1")
	f.Add("sell 1 r-1 2")
	f.Add("what r-1")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAsk(text)
		if err == nil {
			require.NotEmpty(t, a.request)
			require.GreaterOrEqual(t, a.lane, -1)
			require.NotContains(t, a.request, " ")
		}
	})
}

// TestTheProgramStaysSmall keeps what a terminal does not need out of it.
func TestTheProgramStaysSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Greater(t, len(deps), 50)
	for _, d := range deps {
		for _, heavy := range []string{"modernc.org/", "github.com/nats-io/", "chromedp", "testify", "purselane/backend", "purselane/shadowaccount"} {
			require.NotContains(t, d, heavy, "a terminal does without")
		}
	}
}
