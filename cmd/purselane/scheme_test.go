package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/city"
)

// screen is what a command prints, readable while it runs.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *screen) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// purselane runs the program with a command line and returns what it printed.
func purselane(ctx context.Context, out *screen, args ...string) error {
	var cli commands
	parser, err := kong.New(&cli, kong.Name("purselane"), kong.Writers(out, out), kong.BindTo(ctx, (*context.Context)(nil)), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return k.Run()
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out screen
	err := purselane(t.Context(), &out, args...)
	return out.String(), err
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, args...)
	require.NoError(t, err, "%s\n%s", strings.Join(args, " "), out)
	return out
}

// freePorts makes the sample scheme listen wherever there is room.
func freePorts(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, fileScheme)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAll(raw, []byte("127.0.0.1:0"))
	require.NoError(t, os.WriteFile(path, raw, 0o644))
}

// serving starts the backend and returns the addresses it printed and a way to stop it.
func serving(t *testing.T, dir string) (addresses map[string]string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out screen
	done := make(chan error, 1)
	go func() { done <- purselane(ctx, &out, "serve", "--dir", dir) }()
	addresses = map[string]string{}
	require.Eventually(t, func() bool {
		for _, m := range regexp.MustCompile(`(?m)^(api|console|broker) +(\S+)$`).FindAllStringSubmatch(out.String(), -1) {
			addresses[m[1]] = m[2]
		}
		return len(addresses) == 3 || len(done) > 0
	}, time.Minute, 5*time.Millisecond)
	require.Len(t, addresses, 3, out.String())
	return addresses, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestAnOperatorsFirstHour goes from nothing to a settled and paid day, as docs/scheme.md tells it.
func TestAnOperatorsFirstHour(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	card := filepath.Join(dir, "card.json")
	require.Contains(t, must(t, "init", "--dir", dir), "DEVELOPMENT ONLY")
	_, err := run(t, "init", "--dir", dir)
	require.ErrorContains(t, err, "not empty")
	freePorts(t, dir)
	at, stop := serving(t, dir)

	require.Contains(t, must(t, "card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", card), "****0809")
	_, err = run(t, "card", "issue", "--dir", dir, "--number", "00010203040506070809", "--file", card)
	require.ErrorContains(t, err, "exists")

	load := []string{"kiosk", "load", "--backend", at["api"], "--token-file", filepath.Join(dir, "agent.token"), "--card", card, "--amount", "50", "--key", "sale-1"}
	require.Contains(t, must(t, load...), "loaded: 50.00")
	require.Contains(t, must(t, load...), "loaded before", "the same sale again takes and gives nothing")
	out, err := run(t, append(load[:len(load)-4:len(load)-4], "--amount", "20", "--key", "sale-1")...)
	require.ErrorContains(t, err, "idempotency", out)
	var told kioskResult
	answer := must(t, append(load[:len(load)-2:len(load)-2], "--key", "sale-2", "--json")...)
	require.NoError(t, json.Unmarshal([]byte(answer[strings.Index(answer, "{"):]), &told))
	require.Equal(t, "loaded", told.Outcome)
	require.Equal(t, "100.00", told.Balance.String())

	shown := must(t, "card", "show", "--dir", dir, "--number", "00010203040506070809")
	require.Contains(t, shown, "shadow balance 100.00")
	require.NotContains(t, shown, "00010203040506070809")

	page, err := http.Get(at["console"])
	require.NoError(t, err)
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "100.00")

	day := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	first := must(t, "settle", "close", "--dir", dir, "--day", day)
	require.Contains(t, first, "-100.00")
	require.Equal(t, first, must(t, "settle", "close", "--dir", dir, "--day", day))
	require.Contains(t, must(t, "settle", "pay", "--dir", dir, "--day", day, "--ref", "bank-1", "--by", "ann", "--reason", "by hand"), "proposed as "+day+"-1")
	require.Contains(t, must(t, "settle", "approve", "--dir", dir, "--proposal", day+"-1", "--by", "ben"), "paid")
	_, err = run(t, "settle", "pay", "--dir", dir, "--day", day, "--ref", "bank-2", "--by", "ann", "--reason", "again")
	require.ErrorContains(t, err, "bank-1")
	require.Contains(t, must(t, "settle", "days", "--dir", dir), "reference bank-1")
	require.Contains(t, must(t, "books", "verify", "--dir", dir), "sound")
	require.Regexp(t, `total +0\.00`, must(t, "books", "trial", "--dir", dir))

	add := []string{"terminal", "add", "--dir", dir, "--id", "t2", "--merchant", "metro", "--public-key", strings.Repeat("1", 64)}
	require.Contains(t, must(t, append(add, "--psam", "112233445566", "--psam", "112233445577")...), "PSAM 112233445566, 112233445577")
	require.Contains(t, must(t, "terminal", "psam", "--dir", dir, "--id", "t2", "--add", "112233445588", "--remove", "112233445566"), "112233445577, 112233445588")
	require.Contains(t, must(t, "terminal", "list", "--dir", dir), "PSAM 112233445577, 112233445588")
	add[5] = "t3"
	_, err = run(t, append(add, "--psam", "112233445588")...)
	require.ErrorContains(t, err, "belongs to terminal t2")
	_, err = run(t, "terminal", "psam", "--dir", dir, "--id", "t2", "--remove", "112233445566")
	require.ErrorContains(t, err, "has no PSAM")

	require.Contains(t, must(t, "card", "register", "--dir", dir, "--ec", "6210947315926483", "--sequence", "01"), "card ****6483 of family ec is registered")
	require.Contains(t, must(t, "card", "register", "--dir", dir, "--desfire", "04A1B2C3D4E5F6", "--counter", "70000"), "of family desfire")
	require.Contains(t, must(t, "card", "show", "--dir", dir, "--number", "6210947315926483FFFF"), "shadow balance 0.00")

	require.Contains(t, must(t, "card", "block", "--dir", dir, "--number", "00010203040506070809"), "blocked")
	_, err = run(t, append(load[:len(load)-1:len(load)-1], "sale-3")...)
	require.ErrorContains(t, err, "blocked")
	stop()

	// The report on disk was changed behind our back: closing again must not paper over it.
	report := filepath.Join(dir, "settlement", day, "settlement-"+day+".json")
	raw, err := os.ReadFile(report)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(report, append(raw, ' '), 0o644))
	_, err = run(t, "settle", "close", "--dir", dir, "--day", day)
	require.ErrorContains(t, err, "other content")

	_, stop = serving(t, dir) // it comes up again on what it had
	stop()
}

func TestWhatTheToolsRefuse(t *testing.T) {
	empty := t.TempDir()
	dir := filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", dir)
	token := filepath.Join(dir, "agent.token")
	broken := filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", broken)
	require.NoError(t, os.WriteFile(filepath.Join(broken, fileScheme), []byte("name: x\ntime_zone: Nowhere\nmax_lode: 3\n"), 0o644))
	cases := []struct{ name, args, says string }{
		{"no scheme", "serve --dir " + empty, "purselane init"},
		{"a scheme with an unknown field", "serve --dir " + broken, "max_lode"},
		{"no books yet", "books verify --dir " + dir, "nothing has run"},
		{"a day that is none", "settle close --dir " + dir + " --day yesterday", "yesterday"},
		{"a day to come", "settle close --dir " + dir + " --day 2999-01-01", "has not begun"},
		{"a card number that is none", "card issue --dir " + dir + " --number 12 --file " + filepath.Join(dir, "c.json"), "--number"},
		{"an unknown card", "card show --dir " + dir + " --number 00010203040506070809", "card issue"},
		{"a load without a sale", "kiosk load --token-file " + token + " --card " + filepath.Join(dir, "none"), "--amount"},
		{"a load of no card", "kiosk load --token-file " + token + " --amount 5 --card " + filepath.Join(dir, "none"), "--card"},
		{"a load over clear http elsewhere", "kiosk load --token-file " + token + " --amount 5 --backend http://backend.example --card x", "https"},
		{"a terminal of no merchant", "terminal add --dir " + dir + " --id t1 --merchant nobody --out " + filepath.Join(dir, "t1"), "--merchant nobody"},
		{"a terminal without a place for its files", "terminal add --dir " + dir + " --id t1 --merchant metro", "--out"},
		{"a terminal with two keys", "terminal add --dir " + dir + " --id t1 --merchant metro --public-key 00 --out x", "leave --out away"},
		{"a terminal with a short key", "terminal add --dir " + dir + " --id t1 --merchant metro --public-key 00", "64 hexadecimal"},
		{"a bus without a line", "terminal add --dir " + dir + " --id t1 --merchant metro --out " + filepath.Join(dir, "t1"), "--line: a bus wants its line"},
		{"a bus at a station", "terminal add --dir " + dir + " --id t1 --merchant metro --station 0101 --out " + filepath.Join(dir, "t1"), "want --mode metro-entry"},
		{"a gate without a station", "terminal add --dir " + dir + " --id t1 --merchant metro --mode metro-exit --out " + filepath.Join(dir, "t1"), "--station: a gate wants"},
		{"a terminal over other files", "terminal add --dir " + dir + " --id t1 --merchant metro --out " + dir, "not empty"},
		{"a terminal with a bad name", "terminal add --dir " + dir + " --id bus/1 --merchant metro --out x", "--id"},
		{"a PSAM number that is none", "terminal add --dir " + dir + " --id t1 --merchant metro --psam 1 --out x", "--psam"},
		{"a bank card number that is none", "card register --dir " + dir + " --ec 62109473159264831234567", "--ec"},
		{"a UID that is none", "card register --dir " + dir + " --desfire 04A1", "--desfire"},
		{"a sequence number that is none", "card register --dir " + dir + " --ec 6210947315926483 --sequence 1", "--sequence"},
		{"a demo without taps", "demo --taps 0", "--taps"},
		{"a demo in a full folder", "demo --dir " + dir, "not empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := run(t, strings.Fields(c.args)...)
			require.ErrorContains(t, err, c.says, out)
		})
	}
}

// TestTheDemoTellsItsStory runs the demo as `make demo` does, in both forms.
func TestTheDemoTellsItsStory(t *testing.T) {
	out := must(t, "demo", "--taps", "60", "--seed", "5")
	require.Contains(t, out, "DEVELOPMENT KEYS")
	require.Contains(t, out, "60 of 60 taps")
	require.Contains(t, out, "\nconserved: yes\n")
	var s city.Story
	require.NoError(t, json.Unmarshal([]byte(must(t, "demo", "--taps", "60", "--seed", "5", "--json")), &s))
	require.Equal(t, 60, s.Taps)
	require.True(t, s.Sound())
	for _, field := range []string{"taps", "torn", "recovered", "unknown", "double_charged", "lost", "duplicates_ignored", "shadow_mismatches", "conserved", "settlement"} {
		raw, err := json.Marshal(s)
		require.NoError(t, err)
		require.Contains(t, string(raw), `"`+field+`"`)
	}
}
