package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program builds one of the two programs.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("go", "build", "-o", path, "../"+name).CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// process is a running program.
type process struct {
	cmd *exec.Cmd
	out *screen
}

func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{exec.CommandContext(t.Context(), path, args...), &screen{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	return p
}

// says waits until the program has printed something that matches, and returns it.
func (p *process) says(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool { return re.MatchString(p.out.String()) }, time.Minute, 10*time.Millisecond, "%s: %s", pattern, p.out)
	return re.FindString(p.out.String())
}

// end asks the program to end, and wants it to do so in order.
func (p *process) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, p.cmd.Wait(), p.out.String())
}

// freePort finds a port that nothing listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// TestBothProgramsTogether is the README's walk: a card is loaded, tapped at a terminal of its own process while the backend is
// down, the record travels when the backend is back, the shadow account follows, and the acquirer is settled.
func TestBothProgramsTogether(t *testing.T) {
	purselaneBin, terminalBin := program(t, "purselane"), program(t, "purselane-terminal")
	tool := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, purselaneBin, args...).CombinedOutput()
		require.NoError(t, err, "%v\n%s", args, out)
		return string(out)
	}
	dir := filepath.Join(t.TempDir(), "scheme")
	card, bus := filepath.Join(dir, "card.json"), filepath.Join(dir, "bus-1")
	tool("init", "--dir", dir)
	raw, err := os.ReadFile(filepath.Join(dir, fileScheme))
	require.NoError(t, err)
	scheme := string(raw)
	for _, port := range []string{"8080", "8081", "1883"} {
		scheme = strings.ReplaceAll(scheme, "127.0.0.1:"+port, freePort(t))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileScheme), []byte(scheme), 0o644))

	backend := start(t, purselaneBin, "serve", "--dir", dir)
	api := strings.Fields(backend.says(t, `api +http://\S+`))[1]
	backend.says(t, `broker +tcp://`)
	tool("card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", card)
	require.Contains(t, tool("kiosk", "load", "--backend", api, "--token-file", filepath.Join(dir, "agent.token"), "--card", card, "--amount", "50"), "balance 50.00")
	door := freePort(t)
	tool("terminal", "add", "--dir", dir, "--id", "bus-1", "--merchant", "bus-lines", "--line", "0007", "--listen", door, "--out", bus)
	checked, err := exec.Command(terminalBin, "check", "--config", filepath.Join(bus, "terminal.yaml")).CombinedOutput()
	require.NoError(t, err, string(checked))
	backend.end(t)

	terminal := start(t, terminalBin, "run", "--config", filepath.Join(bus, "terminal.yaml"))
	rider := start(t, purselaneBin, "simulate", "card", "--file", card, "--connect", door)
	terminal.says(t, `granted .*2\.00`)
	rider.end(t)
	terminal.end(t)
	require.Contains(t, rider.out.String(), "balance 48.00, 1 debits")
	require.NotContains(t, terminal.out.String()+rider.out.String(), "00010203040506070809")

	// By hand first, as for a modem that has died; then by the link, which finds nothing new to tell.
	export := filepath.Join(bus, "export")
	told, err := exec.Command(terminalBin, "journal", "export", "--config", filepath.Join(bus, "terminal.yaml"), "--out", export).CombinedOutput()
	require.NoError(t, err, string(told))
	for range 2 {
		require.Contains(t, tool("terminal", "import", "--dir", dir, "--file", export), "1 records of terminal bus-1")
		require.Contains(t, tool("card", "show", "--dir", dir, "--number", "00010203040506070809"), "shadow balance 48.00")
	}
	backend = start(t, purselaneBin, "serve", "--dir", dir)
	backend.says(t, `broker +tcp://`)
	terminal = start(t, terminalBin, "run", "--config", filepath.Join(bus, "terminal.yaml"))
	require.Eventually(t, func() bool {
		return strings.Contains(tool("terminal", "list", "--dir", dir), "0 waiting  seen")
	}, time.Minute, 100*time.Millisecond, "the terminal was not heard: %s", terminal.out)
	terminal.end(t)
	day := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	require.Regexp(t, `Bus company +1 +2\.00`, tool("settle", "close", "--dir", dir, "--day", day))
	require.Contains(t, tool("books", "verify", "--dir", dir), "sound")
	require.Contains(t, tool("card", "verify", "--dir", dir, "--card", card), "verified: its TAC is that of the record of tap bus-1/")
	backend.end(t)
}
