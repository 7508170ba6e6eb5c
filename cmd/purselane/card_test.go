package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestACardsLifeInJSON issues, loads, shows and blocks a card, with each command's JSON form.
func TestACardsLifeInJSON(t *testing.T) {
	const number = "00010203040506070809"
	dir := filepath.Join(t.TempDir(), "scheme")
	card := filepath.Join(dir, "card.json")
	must(t, "init", "--dir", dir)
	freePorts(t, dir)
	tell := func(to any, args ...string) {
		out := must(t, append(args, "--json")...)
		require.NotContains(t, out, number, args)
		require.NoError(t, json.Unmarshal([]byte(out[strings.Index(out, "{"):]), to), out)
	}
	var issued struct {
		Simulated bool   `json:"simulated"`
		Number    string `json:"card_number"`
		Token     string `json:"token"`
	}
	tell(&issued, "card", "issue", "--dir", dir, "--number", number, "--file", card)
	require.True(t, issued.Simulated)
	require.True(t, strings.HasSuffix(issued.Number, "0809"))
	require.NotEmpty(t, issued.Token)

	at, stop := serving(t, dir)
	var loaded kioskResult
	tell(&loaded, "card", "load", "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token"), "--card", card, "--amount", "50")
	require.Equal(t, "loaded", loaded.Outcome)
	stop()

	var shown cardShow
	tell(&shown, "card", "show", "--dir", dir, "--token", issued.Token)
	require.Equal(t, "50.00", shown.Shadow.String())
	require.Equal(t, issued.Token, shown.Token)
	require.Empty(t, shown.Taps)

	var blocked struct {
		Blocked bool `json:"blocked"`
	}
	tell(&blocked, "card", "block", "--dir", dir, "--token", issued.Token)
	require.True(t, blocked.Blocked)
	require.Contains(t, must(t, "card", "show", "--dir", dir, "--token", issued.Token), "blocked")
}

// TestACardIsIssuedAsTheProfileSays: the folder's own profile, or another one.
func TestACardIsIssuedAsTheProfileSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", dir)
	issue := func(digits string, more ...string) string {
		file := filepath.Join(dir, digits+".json")
		must(t, append([]string{"card", "issue", "--dir", dir, "--number", "000102030405060708" + digits, "--file", file}, more...)...)
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(raw)
	}
	require.NotContains(t, issue("01"), "city_code")

	other := filepath.Join(dir, "other.yaml")
	text := strings.Replace(must(t, "profile", "sample"), "card:\n", "card:\n  variant: {mac1_code: city, no_proof: \"6985\"}\n", 1)
	require.NoError(t, os.WriteFile(other, []byte(text), 0o600))
	made := issue("02", "--profile", other)
	require.Contains(t, made, `"city_code"`)
	require.Contains(t, made, `"no_proof"`)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "profile.yaml"), []byte(strings.Replace(text, "A000000632010105", "A000000003", 1)), 0o600))
	_, err := run(t, "card", "issue", "--dir", dir, "--number", "00010203040506070803", "--file", filepath.Join(dir, "03.json"))
	require.ErrorContains(t, err, "card.aids")
}
