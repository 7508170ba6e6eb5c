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

// TestCardsOfAllFamiliesWithBothPrograms is the walk of docs/card-tools.md: three families at one reader, loaded, tapped, posted and settled.
func TestCardsOfAllFamiliesWithBothPrograms(t *testing.T) {
	purselaneBin, terminalBin := program(t, "purselane"), program(t, "purselane-terminal")
	tool := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, purselaneBin, args...).CombinedOutput()
		require.NoError(t, err, "%v\n%s", args, out)
		return string(out)
	}
	dir := filepath.Join(t.TempDir(), "scheme")
	file := func(name string) string { return filepath.Join(dir, name) }
	tool("init", "--dir", dir)
	raw, err := os.ReadFile(file(fileScheme))
	require.NoError(t, err)
	scheme := string(raw)
	for _, port := range []string{"8080", "8081", "1883"} {
		scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
	}
	require.NoError(t, os.WriteFile(file(fileScheme), []byte(scheme), 0o644))
	tool("family", "ec", "--dir", dir, "--transit", "--apply")
	tool("family", "desfire", "--dir", dir, "--apply")

	backend := start(t, purselaneBin, "serve", "--dir", dir)
	api := strings.Fields(backend.says(t, `api +http://\S+`))[1]
	backend.says(t, `broker +tcp://`)
	tool("card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", file("ep.json"))
	tool("card", "issue", "--dir", dir, "--family", "ec", "--number", "6210947315926483", "--file", file("cash.json"))
	tool("card", "issue", "--dir", dir, "--family", "desfire", "--number", "04A1B2C3D4E5F6", "--file", file("desfire.json"), "--value", "20")
	for name, amount := range map[string]string{"ep.json": "50", "cash.json": "30"} {
		require.Contains(t, tool("kiosk", "load", "--backend", api, "--token-file", file("agent.token"), "--card", file(name), "--amount", amount), "balance "+amount+".00")
	}
	door, bus := freePort(t), file("bus-1")
	tool("terminal", "add", "--dir", dir, "--id", "bus-1", "--merchant", "bus-lines", "--line", "0007", "--listen", door, "--out", bus)
	terminal := start(t, terminalBin, "run", "--config", filepath.Join(bus, "terminal.yaml"))
	for _, ride := range []struct{ name, granted, left string }{
		{"ep.json", `granted +2\.00 +balance 48\.00 +card \*\*\*\*0809`, "balance 48.00"},
		{"cash.json", `granted +2\.00 +balance 28\.00`, "****6483: balance 28.00"},
		{"desfire.json", `granted +2\.00 +balance 18\.00`, "value 18.00"},
	} {
		rider := start(t, purselaneBin, "simulate", "card", "--file", file(ride.name), "--connect", door)
		terminal.says(t, ride.granted)
		rider.end(t)
		require.Contains(t, rider.out.String(), ride.left)
		require.NotContains(t, rider.out.String(), "6210947315926483")
	}
	shown := func(number string) string { return tool("card", "show", "--dir", dir, "--number", number) }
	for number, says := range map[string]string{"00010203040506070809": "shadow balance 48.00", "6210947315926483FFFF": "shadow balance 28.00"} {
		require.Eventually(t, func() bool { return strings.Contains(shown(number), says) }, time.Minute, 50*time.Millisecond, "%s", terminal.out)
		require.NotContains(t, shown(number), "alarm")
	}
	require.Eventually(t, func() bool { return strings.Contains(shown("DE5F0104A1B2C3D4E5F6"), "accepted") }, time.Minute, 50*time.Millisecond)
	terminal.end(t)
	require.NotContains(t, terminal.out.String(), "6210947315926483")
	day := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	require.Regexp(t, `Bus company +3 +6\.00`, tool("settle", "close", "--dir", dir, "--day", day))
	require.Contains(t, tool("books", "verify", "--dir", dir), "sound")
	history := tool("card", "history", "--card", file("cash.json"))
	require.Contains(t, history, "1 taps in its log")
	require.Contains(t, history, "0.00 -> 30.00")
	backend.end(t)
}
