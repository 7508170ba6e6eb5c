package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/trace"
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

// TestATraceReplaysGreen records each tool on a card that has been loaded, with --reveal, and gives the tool the transcript in the card's place:
// it sends the same commands and says the same.
func TestATraceReplaysGreen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	card := filepath.Join(dir, "card.json")
	must(t, "init", "--dir", dir)
	freePorts(t, dir)
	must(t, "card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", card)
	at, stop := serving(t, dir)
	must(t, "card", "load", "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token"), "--card", card, "--amount", "50")
	stop()
	played := func(name string, args ...string) *trace.Player {
		file := filepath.Join(dir, name+".trace")
		must(t, append(append([]string{"card"}, args...), "--card", card, "--trace", file, "--reveal")...)
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		tr, err := trace.Parse(raw)
		require.NoError(t, err)
		require.Len(t, tr.Sessions, 1)
		p, err := trace.NewPlayer(tr.Sessions[0])
		require.NoError(t, err)
		return p
	}
	p := played("read", "read", "--counters")
	read := CardReadCmd{Counters: true, KeyIndex: 1}
	r, err := read.read(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, p.Done())
	require.Equal(t, "50.00", r.Balance.String())
	require.EqualValues(t, 1, *r.Counters.Online)

	p = played("history", "history")
	purse, _, err := selectPurse(t.Context(), p)
	require.NoError(t, err)
	_, err = purse.ReadPublic(t.Context())
	require.NoError(t, err)
	log, err := readLog(t.Context(), purse)
	require.NoError(t, err)
	require.NoError(t, p.Done())
	require.Len(t, log, 1)

	p = played("again", "history")
	_, err = read.read(t.Context(), p)
	require.ErrorIs(t, err, trace.ErrDiffers, "another tool is another story")
}
