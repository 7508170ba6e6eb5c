package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAFarCardIsLoaded runs backend, loading side and card's side as processes of their own, for an EP purse and electronic cash; and loads electronic cash at a kiosk of one process.
func TestAFarCardIsLoaded(t *testing.T) {
	bin := program(t, "purselane")
	command := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
		return string(out), err
	}
	tool := func(args ...string) string {
		out, err := command(args...)
		require.NoError(t, err, "%v\n%s", args, out)
		return out
	}
	dir := filepath.Join(t.TempDir(), "scheme")
	file := func(name string) string { return filepath.Join(dir, name) }
	tool("init", "--dir", dir)
	tool("family", "ec", "--dir", dir, "--apply")
	raw, err := os.ReadFile(file(fileScheme))
	require.NoError(t, err)
	scheme := string(raw)
	for _, port := range []string{"8080", "8081", "1883"} {
		scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
	}
	require.NoError(t, os.WriteFile(file(fileScheme), []byte(scheme), 0o644))
	backend := start(t, bin, "serve", "--dir", dir)
	api := strings.Fields(backend.says(t, `api +http://\S+`))[1]
	tool("card", "issue", "--dir", dir, "--family", "ec", "--number", "6210947315926483", "--file", file("cash.json"))
	tool("card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", file("purse.json"))
	sale := []string{"--backend", api, "--token-file", file("agent.token"), "--amount", "20"}
	require.Contains(t, tool(append([]string{"kiosk", "load", "--card", file("cash.json")}, sale...)...), "balance 20.00")

	at := freePort(t)
	for card, balance := range map[string]string{"cash.json": "balance 40.00", "purse.json": "balance 20.00"} {
		here := start(t, bin, append([]string{"kiosk", "relay", "load", "--at", at, "--secret-file", file("relay.token")}, sale...)...)
		here.says(t, "waiting for a card")
		require.Contains(t, tool("kiosk", "relay", "card", "--to", "http://"+at, "--secret-file", file("relay.token"), "--card", file(card)), "finished with the card")
		require.NoError(t, here.cmd.Wait(), here.out)
		require.Contains(t, here.out.String(), "loaded: 20.00")
		require.Contains(t, here.out.String(), balance)
		require.NotContains(t, here.out.String(), "6210947315926483")
	}
	require.Contains(t, tool("books", "verify", "--dir", dir), "sound")
	info, err := os.Stat(file("relay.token"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"in clear over a network":      {append([]string{"relay", "load", "--at", "0.0.0.0:0", "--secret-file", file("relay.token")}, sale...), "this machine alone"},
		"one half of a certificate":    {append([]string{"relay", "load", "--tls-key", "x", "--secret-file", file("relay.token")}, sale...), "tls-certificate"},
		"a secret that is none":        {append([]string{"relay", "load", "--at", at, "--secret-file", file(fileScheme)}, sale...), "one word"},
		"a card's side without secret": {[]string{"relay", "card", "--to", "http://" + at, "--secret-file", file("none"), "--card", file("cash.json")}, "--secret-file"},
		"an address in clear":          {[]string{"relay", "card", "--to", "http://kiosk.example", "--secret-file", file("relay.token"), "--card", file("cash.json")}, "use https"},
	} {
		out, err := command(append([]string{"kiosk"}, c.args...)...)
		require.Error(t, err, name)
		require.Contains(t, out, c.says, name)
	}
	backend.end(t)
}
