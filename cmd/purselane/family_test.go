package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// TestASchemeWithCardsOfAllFamilies prepares a scheme for them, issues one of each, and makes a terminal that takes them.
func TestASchemeWithCardsOfAllFamilies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", dir)
	file := func(name string) string { return filepath.Join(dir, name) }
	issue := func(family, number, name string, more ...string) (string, error) {
		return run(t, append([]string{"card", "issue", "--dir", dir, "--family", family, "--number", number, "--file", file(name)}, more...)...)
	}
	_, err := issue("ec", "6210947315926483", "none.json")
	require.ErrorContains(t, err, "purselane family ec")
	_, err = issue("desfire", "04A1B2C3D4E5F6", "none.json")
	require.ErrorContains(t, err, "purselane family desfire")

	// Without --apply the sections are told and nothing is changed.
	told := must(t, "family", "ec", "--dir", dir, "--transit")
	require.Contains(t, told, "electronic_cash: true")
	before, err := os.ReadFile(file("profile.yaml"))
	require.NoError(t, err)
	section := told[strings.Index(told, "ec:\n"):strings.Index(told, "# for scheme.yaml")]
	p, err := firmwareconfig.ParseProfile(append(before, "\n"+section...))
	require.NoError(t, err)
	require.Len(t, p.EC.CAKeys, 1)
	require.NotContains(t, told, "PRIVATE")
	info, err := os.Stat(file("ec-issuer.json"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	require.Contains(t, must(t, "family", "ec", "--dir", dir, "--transit", "--apply"), "are written")
	_, err = run(t, "family", "ec", "--dir", dir, "--apply")
	require.ErrorContains(t, err, "already")
	require.Contains(t, must(t, "family", "desfire", "--dir", dir, "--apply"), "are written")
	text, err := os.ReadFile(file("profile.yaml"))
	require.NoError(t, err)
	after, err := firmwareconfig.ParseProfile(text)
	require.NoError(t, err)
	require.Equal(t, p.EC, after.EC, "the issuer is the same one")
	require.Equal(t, p.Version+2, after.Version)
	s, err := schemeFolder{Dir: dir}.scheme()
	require.NoError(t, err)
	require.True(t, s.ElectronicCash)
	require.Equal(t, 10, s.ECLoadLog, "as simulated cards have it")
	require.NotEmpty(t, s.DESFireSystem)

	out, err := issue("ec", "6210947315926483", "cash.json")
	require.NoError(t, err, out)
	require.Contains(t, out, "****6483")
	out, err = issue("desfire", "04A1B2C3D4E5F6", "desfire.json", "--value", "10.00")
	require.NoError(t, err, out)
	for name, c := range map[string][]string{
		"exists":                         {"ec", "6210947315926483", "cash.json"},
		"begin with 621094":              {"ec", "6225947315926483", "x.json"},
		"--number":                       {"desfire", "04", "x.json"},
		"value reaches a card by a load": {"ec", "6210947315926491", "x.json", "--value", "1.00"},
		"--sequence":                     {"ec", "6210947315926491", "x.json", "--sequence", "x"},
	} {
		_, err := issue(c[0], c[1], c[2], c[3:]...)
		require.ErrorContains(t, err, name)
	}
	require.NoFileExists(t, file("x.json"))

	// What anybody can read of the electronic cash card; its counter stays.
	for range 2 {
		out = must(t, "card", "read", "--card", file("cash.json"))
		require.Contains(t, out, "electronic cash card ****6483, sequence 01, valid until 401231")
		require.Contains(t, out, "balance 0.00")
		require.Contains(t, out, "counter 0\n")
		require.Contains(t, out, "transit extension true")
	}
	var read cardRead
	require.NoError(t, json.Unmarshal([]byte(must(t, "card", "read", "--card", file("cash.json"), "--json", "--reveal")), &read))
	require.Equal(t, "6210947315926483", read.EC.Number)
	require.Equal(t, "1000.00", read.EC.Limit.String())
	require.Contains(t, must(t, "card", "history", "--card", file("cash.json")), "****6483: 0 taps in its log")
	trace := file("cash.trace")
	_, err = run(t, "card", "read", "--card", file("cash.json"), "--trace", trace)
	require.ErrorContains(t, err, "--reveal")
	require.NoFileExists(t, trace)
	_, err = run(t, "card", "read", "--card", file("desfire.json"))
	require.ErrorContains(t, err, "no electronic cash")

	// A terminal with all that the families need.
	home := filepath.Join(dir, "bus-1")
	must(t, "terminal", "add", "--dir", dir, "--id", "bus-1", "--merchant", "bus-lines", "--line", "0007", "--out", home)
	config, err := os.ReadFile(filepath.Join(home, "terminal.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(config), "ec: {token_key: token.key, operator: {kind: simulated, file: operator.key}}\ndesfire: {sam: {kind: simulated, file: desfire.key}}\n")
	for name, want := range map[string]string{"token.key": `^[0-9a-f]{64}\n$`, "operator.key": `^[0-9a-f]{32}\n[0-9a-f]{32}\n$`, "desfire.key": `^[0-9a-f]{32}\n$`} {
		raw, err := os.ReadFile(filepath.Join(home, name))
		require.NoError(t, err)
		require.Regexp(t, regexp.MustCompile(want), string(raw))
		info, err := os.Stat(filepath.Join(home, name))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}
	key := file("other-token.key")
	must(t, "terminal", "token-key", "--dir", dir, "--file", key)
	one, err := os.ReadFile(key)
	require.NoError(t, err)
	other, err := os.ReadFile(filepath.Join(home, "token.key"))
	require.NoError(t, err)
	require.Equal(t, string(one), string(other), "one for all terminals")
	_, err = run(t, "terminal", "token-key", "--dir", dir, "--file", key)
	require.ErrorContains(t, err, "exists")
}

// TestATerminalOfTheProfilesPSAM: the PSAM's application is the profile's.
func TestATerminalOfTheProfilesPSAM(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", dir)
	path := filepath.Join(dir, "profile.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := strings.Replace(string(text), "card:\n", "card:\n  variant: {psam_application: \"1001\"}\n", 1)
	next, err := nextVersion([]byte(changed), firmwareconfig.Sample().Version)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, next, 0o644))
	must(t, "profile", "sign", "--dir", dir)
	must(t, "terminal", "add", "--dir", dir, "--id", "bus-1", "--merchant", "bus-lines", "--line", "0007", "--out", filepath.Join(dir, "bus-1"))
	raw, err := os.ReadFile(filepath.Join(dir, "bus-1", "psam.json"))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"1001"`)
}

// TestATerminalWithTwoPSAMs has a file for each, and a configuration that names them.
func TestATerminalWithTwoPSAMs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	home := filepath.Join(dir, "t1")
	must(t, "init", "--dir", dir)
	must(t, "terminal", "add", "--dir", dir, "--id", "t1", "--merchant", "metro", "--psam", "112233445566", "--psam", "112233445577", "--station", "0101", "--mode", "metro-entry", "--out", home)
	config, err := os.ReadFile(filepath.Join(home, "terminal.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(config), "psams: [{kind: simulated, file: psam-1.json}, {kind: simulated, file: psam-2.json}]\n")
	for name, number := range map[string]string{"psam-1.json": "112233445566", "psam-2.json": "112233445577"} {
		raw, err := os.ReadFile(filepath.Join(home, name))
		require.NoError(t, err)
		require.Contains(t, string(raw), number)
	}
}

// FuzzECLog: a card's list of its log's parts, and a record, come from the card.
func FuzzECLog(f *testing.F) {
	f.Add([]byte{0x9A, 3, 0x9F, 0x02, 6, 0x5F, 0x2A, 2, 0x9C, 1, 0x9F, 0x36, 2}, []byte{0x26, 0x11, 0x25, 0, 0, 0, 0, 2, 0, 1, 0x56, 0, 0, 2})
	f.Add([]byte{0x9F, 0x36, 1}, []byte{1})
	f.Add([]byte{0x9F, 0x02, 3}, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, format, raw []byte) {
		list, err := ec.ParseDOL(format)
		if err != nil {
			return
		}
		if l, err := parseECLog(list, raw); err == nil {
			require.Len(t, raw, list.Length())
			require.GreaterOrEqual(t, l.Amount.Sign(), 0)
		}
	})
}

func TestNextVersion(t *testing.T) {
	next, err := nextVersion([]byte("# a\nversion: 12 # b\nscheme: x\n"), 12)
	require.NoError(t, err)
	require.Equal(t, "# a\nversion: 13 # b\nscheme: x\n", string(next))
	for _, text := range []string{"{version: 12}", "version: 0x0C"} {
		_, err = nextVersion([]byte(text), 12)
		require.ErrorContains(t, err, "by hand", text)
	}
}
