package node_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
)

const whole = `
name: test
time_zone: Asia/Shanghai
max_load: "500.00"
max_balance: "1000.00"
term: D+1
api: {address: "127.0.0.1:8080"}
console: {address: "127.0.0.1:8081"}
broker: {address: "127.0.0.1:1883"}
acquirers:
  - {id: bus, name: Bus, fees: [{name: half, side: inside, charges: [{kind: service, model: rate, ppm: 5000}]}]}
channels:
  - {id: online, name: Online}
merchants:
  - {id: m1, acquirer: bus, name: Bus lines}
`

func TestASchemeIsReadStrictly(t *testing.T) {
	s, err := node.ParseScheme([]byte(whole))
	require.NoError(t, err)
	require.Equal(t, "500.00", s.MaxLoad.String())
	require.Equal(t, "D+1", s.Term)
	require.False(t, s.HSM.Used())
	require.Equal(t, "Asia/Shanghai", s.Location().String())

	cases := []struct{ name, old, new, says string }{
		{"unknown field", "name: test", "name: test\nnmae: x", "nmae"},
		{"two documents", "name: test", "name: test\n---\nname: x", "more than one"},
		{"no name", "name: test\n", "\n", "name: want"},
		{"time zone", "Asia/Shanghai", "Asia/Nowhere", "time_zone"},
		{"a float for money", `"500.00"`, `"500.005"`, "500.005"},
		{"nothing to load", `"500.00"`, `"0.00"`, "max_load"},
		{"term", "D+1", "Z+1", "term"},
		{"address", `"127.0.0.1:8080"`, `"8080"`, "api.address"},
		{"api in clear to the world", `"127.0.0.1:8080"`, `"0.0.0.0:8080"`, "TLS is needed"},
		{"broker in clear to the world", `"127.0.0.1:1883"`, `":1883"`, "TLS is needed"},
		{"console for everyone", `{address: "127.0.0.1:8081"}`, `{address: "0.0.0.0:8081", certificate: a.pem, key: a.key}`, "asks nobody"},
		{"half a certificate", `{address: "127.0.0.1:8080"}`, `{address: "127.0.0.1:8080", key: a.key}`, "go together"},
		{"whose devices", `{address: "127.0.0.1:1883"}`, `{address: "0.0.0.0:1883", certificate: a.pem, key: a.key}`, "client_ca"},
		{"acquirer twice", "channels:", "  - {id: bus, name: Again}\nchannels:", "stands twice"},
		{"merchant of nobody", "acquirer: bus,", "acquirer: tram,", `"tram" is not among`},
		{"a fee with no side", "side: inside", "side: below", "acquirers[0].fees[0]"},
		{"a fee that the rider would pay on top", "side: inside", "side: outside", "an offline purchase is charged inside"},
		{"a cut-off", "id: bus, name: Bus,", "id: bus, name: Bus, cut_off: '37:00',", "acquirers[0].cut_off"},
		{"a clock of nowhere", "id: bus, name: Bus,", "id: bus, name: Bus, time_zone: Mars/Base,", "acquirers[0].time_zone"},
		{"a channel's cut-off", "id: online, name: Online", "id: online, name: Online, cut_off: '23:00'", "an acquirer's"},
		{"a currency", "name: test\n", "name: test\ncurrency: yuan\n", "currency: \"yuan\""},
		{"a case of no kind", "name: test\n", "name: test\ncase_due: {odd: 3}\n", "case_due: odd"},
		{"a case that is due before it opens", "name: test\n", "name: test\ncase_due: {aged: 0}\n", "case_due: aged: 0"},
		{"a tap late before it is made", "name: test\n", "name: test\nexpire_after: -1\n", "expire_after: -1"},
		{"a case before it is held", "name: test\n", "name: test\ncase_after: -1\n", "case_after: -1"},
		{"half an HSM", "name: test", "name: test\nhsm: {module: /lib/p11.so, token: scheme}", "hsm: module, token and pin_file go together"},
		{"sessions below none", "name: test", "name: test\nhsm: {module: /lib/p11.so, token: scheme, pin_file: p, sessions: -1}", "hsm.sessions: -1"},
		{"a line that goes back", "name: test", "name: test\nwindows: {rate: -1}", "windows.rate: -1"},
		{"a third way to post", "name: test", "name: test\nposting: later", `posting: "later": want strict or journal-first`},
		{"two that know the cards by heart", "name: test", "name: test\nposting: journal-first\nposters: 2", "posters: 2: who posts journal-first is one"},
		{"a place off the earth", "name: test", "name: test\nwatch: {places: [{name: pole, latitude: 91}]}", "scheme: watch.places[0]: latitude 91"},
		{"a load log of less than nothing", "name: test", "name: test\nec_load_log: -1", "ec_load_log: -1"},
		{"a system identifier that is none", "name: test", "name: test\ndesfire_system: '0102'", "desfire_system: want the 6 to 21 bytes"},
		{"a desk that cannot pay out a card", "name: test\n", "name: test\nmax_paid_out: 999.99\n", "max_paid_out: 999.99: want 0.00, or at least max_balance"},
		{"an id with a colon", "id: m1", "id: 'm:1'", "merchants[0].id"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, whole, c.old)
			_, err := node.ParseScheme([]byte(strings.Replace(whole, c.old, c.new, 1)))
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("an HSM", func(t *testing.T) {
		s, err := node.ParseScheme([]byte(whole + "hsm: {module: /lib/p11.so, token: scheme, pin_file: hsm.pin, sessions: 8}\n"))
		require.NoError(t, err)
		require.Equal(t, node.HSM{Module: "/lib/p11.so", Token: "scheme", PINFile: "hsm.pin", Sessions: 8}, s.HSM)
	})
	t.Run("all faults at once", func(t *testing.T) {
		_, err := node.ParseScheme([]byte("max_load: \"1.00\""))
		for _, field := range []string{"name", "time_zone", "max_balance"} {
			require.ErrorContains(t, err, field)
		}
	})
}

func FuzzParseScheme(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("name: x"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := node.ParseScheme(raw)
		if (s == nil) == (err == nil) {
			t.Fatalf("scheme %v, error %v", s, err)
		}
		if s != nil && s.Check() != nil {
			t.Fatal("a scheme was read that its own check refuses")
		}
	})
}
