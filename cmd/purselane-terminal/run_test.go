package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

func testMasters() personalise.Masters {
	out := personalise.Masters{}
	for purpose, first := range map[keys.Purpose]byte{keys.Purchase: 0x40, keys.Load: 0x50, keys.TAC: 0x60} {
		var k keys.Key
		for i := range k {
			k[i] = first + byte(i)
		}
		out[keys.ID{Purpose: purpose, Version: 1}] = k
	}
	return out
}

var testIssuer = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}

func testCard(t *testing.T, n byte) *epcard.Card {
	img, err := personalise.Card(testMasters(), personalise.CardSpec{
		Number: ids.CardNumber{0x31, 0x05, 0, 0, 0, 0, 0, 0, 0x77, n}, Issuer: testIssuer, Balance: money.Minor(50_00)})
	require.NoError(t, err)
	c, err := epcard.New(img, rand.Reader)
	require.NoError(t, err)
	return c
}

// home is a terminal's folder: profile, PSAM, configuration with a bus lane and a till.
type home struct {
	dir, config string
	bus, till   string // where cards plug in
}

func newHome(t *testing.T) home {
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profile.signed"), firmwareconfig.Sign(private, firmwareconfig.SampleYAML()), 0o644))
	img, err := personalise.PSAM(testMasters(), personalise.PSAMSpec{Terminal: ep.TerminalNumber{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, Issuer: testIssuer, NextSerial: 1})
	require.NoError(t, err)
	chip, err := psam.CreateFile(filepath.Join(dir, "psam.json"), img)
	require.NoError(t, err)
	require.NoError(t, chip.Close())
	h := home{dir: dir, config: filepath.Join(dir, "terminal.yaml")}
	h.bus, h.till = freeAddresses(t)
	require.NoError(t, os.WriteFile(h.config, fmt.Appendf(nil, `version: 1
terminal: bus-7-1
merchant: bus-company
journal: {path: journal.db}
profile: {file: profile.signed, public_key: %x}
psam: {kind: simulated, file: psam.json}
lanes:
  - {kind: socket, listen: %q, mode: bus-flat, line: "0007"}
  - {kind: socket, listen: %q, mode: sale}
`, public, h.bus, h.till), 0o644))
	return h
}

func freeAddress(t *testing.T) string {
	a, _ := freeAddresses(t)
	return a
}

// freeAddresses are two at once, or the second might be the first.
func freeAddresses(t *testing.T) (a, b string) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer second.Close()
	return first.Addr().String(), second.Addr().String()
}

// terminal runs a command line and returns what it wrote.
func terminal(args ...string) (string, error) {
	var cli commands
	var out strings.Builder
	parser, err := kong.New(&cli, kong.Writers(&out, io.Discard), kong.BindTo(context.Background(), (*context.Context)(nil)))
	if err != nil {
		return "", err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

// started is a running terminal.
type started struct {
	t     *testing.T
	lines *bufio.Scanner
	ask   io.Writer
	stop  func() error
}

func (h home) start(t *testing.T) *started {
	out, outWriter := io.Pipe()
	in, inWriter := io.Pipe()
	t.Cleanup(func() { inWriter.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	k := &kong.Kong{Stdout: outWriter, Stderr: io.Discard}
	cmd := &RunCmd{configFile: configFile{Config: h.config}, JSON: true, Patience: 1 << 40, in: in}
	done := make(chan error, 1)
	go func() {
		done <- cmd.Run(ctx, k)
		outWriter.Close()
	}()
	s := &started{t: t, lines: bufio.NewScanner(out), ask: inWriter}
	s.stop = func() error {
		cancel()
		go func() { _, _ = io.Copy(io.Discard, out) }()
		return <-done
	}
	return s
}

func (s *started) next() (l line) {
	s.t.Helper()
	require.True(s.t, s.lines.Scan(), "the terminal ended")
	require.NoError(s.t, json.Unmarshal(s.lines.Bytes(), &l))
	require.Equal(s.t, linesVersion, l.Version)
	require.NotContains(s.t, s.lines.Text(), "3105000000000000770", "no card number in clear")
	return l
}

// plug holds a card to a lane until unplug.
func plug(c vpcd.Card, addr string) (unplug func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = vpcd.Slot{Addr: addr}.Run(ctx, c)
	}()
	return func() { cancel(); <-done }
}

// TestATerminalFromItsConfig runs the program over a socket reader: a bus tap, a sale asked for on standard input, and the
// journal afterwards.
func TestATerminalFromItsConfig(t *testing.T) {
	h := newHome(t)
	out, err := terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "is sound")
	require.Contains(t, out, "SIMULATED")

	s := h.start(t)
	card := testCard(t, 1)
	unplug := plug(card, h.bus)
	l := s.next()
	require.Equal(t, "granted", l.Outcome, l.Reason)
	require.Equal(t, []any{"2.00", "48.00", "bus-flat", "green", "****7701", true}, []any{l.Amount, l.Balance, l.Mode, l.Light, l.Card, l.Pass})
	unplug()

	_, err = io.WriteString(s.ask, "sell 12.50 receipt-17\n")
	require.NoError(t, err)
	unplug = plug(card, h.till)
	require.Equal(t, "12.50", s.next().Amount, "what is shown to the rider")
	l = s.next()
	require.Equal(t, []any{"receipt-17", "granted", 1}, []any{l.Request, l.Outcome, l.Lane}, "what the till is answered")
	unplug()
	for _, c := range []struct{ ask, outcome, reason string }{
		{"sell 12.50 receipt-17", "already-paid", "served before"},
		{"what receipt-17", "already-paid", "served before"},
		{"what receipt-18", "present-same-card-again", "nothing was taken"},
		{"sell 12.51 receipt-17", "out-of-service", "another amount"},
		{"sell twelve receipt-19", "out-of-service", "no amount"},
		{"buy", "out-of-service", "want"},
	} {
		_, err = io.WriteString(s.ask, c.ask+"\n")
		require.NoError(t, err)
		l = s.next()
		require.Equal(t, c.outcome, l.Outcome, c.ask)
		require.Contains(t, l.Reason, c.reason)
	}
	require.NoError(t, s.stop())
	require.Equal(t, money.Minor(35_50), card.Balance())

	out, err = terminal("journal", "verify", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "records 1 to 2")
	out, err = terminal("journal", "stats", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "without receipt  2")

	file := filepath.Join(h.dir, "export")
	_, err = terminal("journal", "export", "--config", h.config, "--out", file)
	require.ErrorContains(t, err, "device_key")
	_, err = terminal("device-key", "--file", filepath.Join(h.dir, "device.key"))
	require.NoError(t, err)
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.config, append(raw, "device_key: device.key\n"...), 0o644))
	out, err = terminal("journal", "export", "--config", h.config, "--out", file)
	require.NoError(t, err)
	require.Contains(t, out, "2 records")
	_, err = terminal("journal", "export", "--config", h.config, "--out", file)
	require.ErrorIs(t, err, os.ErrExist)
}

// TestADamagedJournal spoils the journal's file: the terminal moves it aside and sells on, unless it was told to stop.
func TestADamagedJournal(t *testing.T) {
	h := newHome(t)
	path := filepath.Join(h.dir, "journal.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no journal", 5000)), 0o600))
	_, err := terminal("journal", "verify", "--config", h.config)
	require.ErrorContains(t, err, "damaged")

	s := h.start(t)
	unplug := plug(testCard(t, 1), h.bus)
	require.Equal(t, "granted", s.next().Outcome)
	unplug()
	require.NoError(t, s.stop())
	kept, err := filepath.Glob(path + ".quarantine-*")
	require.NoError(t, err)
	require.Len(t, kept, 1)

	_, err = terminal("journal", "quarantine", "--config", h.config)
	require.ErrorContains(t, err, "can be read")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no journal", 5000)), 0o600))
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.config, []byte(strings.Replace(string(raw), "journal.db}", "journal.db, when_damaged: stop}", 1)), 0o644))
	require.ErrorContains(t, h.start(t).stop(), "damaged")
	out, err := terminal("journal", "quarantine", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "Keep this file")
}

func TestWhatCheckFindsInFiles(t *testing.T) {
	h := newHome(t)
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	for from, to := range map[string]string{`line: "0007"`: `line: "0099"`, "psam.json": "gone.json"} {
		raw = []byte(strings.Replace(string(raw), from, to, 1))
	}
	require.NoError(t, os.WriteFile(h.config, raw, 0o644))
	_, err = terminal("check", "--config", h.config)
	require.ErrorContains(t, err, "lanes[0]: line 0099: no fare")
	require.ErrorContains(t, err, "psam.file")
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "profile.signed"), firmwareconfig.SampleYAML(), 0o644))
	_, err = terminal("check", "--config", h.config)
	require.ErrorIs(t, err, firmwareconfig.ErrSignature)
	_, err = terminal("check", "--config", filepath.Join(h.dir, "missing.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestNobodyReadsTheLines has a reader that never reads: the terminal must neither stop selling nor hang at its end.
func TestNobodyReadsTheLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		s := startLights(in, true, slog.New(slog.DiscardHandler), firmwareconfig.Sample())
		for range lightsRoom + 10 {
			s.show(edge.Event{Result: tap.Result{Outcome: tap.Granted}})
		}
		s.close()
		out.Close()
	})
}

func TestVersion(t *testing.T) {
	out, err := terminal("version")
	require.NoError(t, err)
	require.Contains(t, out, "configuration 1, outcome lines 1, wire 1")
}

func TestADeviceKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.key")
	first, err := terminal("device-key", "--file", path)
	require.NoError(t, err)
	again, err := terminal("device-key", "--file", path)
	require.NoError(t, err)
	require.Equal(t, first, again)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}
