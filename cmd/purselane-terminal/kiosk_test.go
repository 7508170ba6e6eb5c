package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/kiosk/session"
)

const soundKiosk = `
version: 1
backend: https://backend.example.org
token_file: kiosk.token
terminal: "000000009901"
journal: kiosk.db
reader: {kind: socket, listen: "127.0.0.1:35963"}
`

func TestASoundKiosk(t *testing.T) {
	c, err := parseKiosk([]byte(soundKiosk), "/etc/purselane")
	require.NoError(t, err)
	require.Equal(t, "/etc/purselane/kiosk.db", c.path(c.Journal))
	require.Equal(t, "127.0.0.1:8811", c.Listen)
	require.Len(t, c.amounts, 4)
	require.Equal(t, byte(0x99), c.request.Terminal[4])
}

func TestWhatIsWrongWithAKiosk(t *testing.T) {
	for _, c := range []struct{ name, from, to, says string }{
		{"another form", "version: 1", "version: 2", "version: 2: want 1"},
		{"an unknown field", "journal:", "jornal:", "jornal"},
		{"a backend in clear", "https:", "http:", "use https"},
		{"no token", "token_file: kiosk.token", "", "token_file: want"},
		{"no journal", "journal: kiosk.db", "", "journal: want"},
		{"a number that YAML has read", `terminal: "000000009901"`, "terminal: 9901", "12 hexadecimal digits"},
		{"a family", "version: 1", "version: 1\nfamily: desfire", "want tunion or pboc"},
		{"a language", "version: 1", "version: 1\nlanguage: fr", "want en or zh"},
		{"a place", "version: 1", "version: 1\ntime_zone: Atlantis", "time_zone"},
		{"no amounts", "version: 1", "version: 1\namounts: []", "want 1 to 8"},
		{"an amount", "version: 1", "version: 1\namounts: [\"20.00\", \"-1.00\"]", `amounts[1]: "-1.00"`},
		{"a reader of no kind", "kind: socket", "kind: magic", `reader.kind: "magic"`},
		{"a lane", "kind: socket,", "kind: socket, mode: sale,", "reader.mode"},
		{"no patience", "version: 1", "version: 1\npatience: {hold: -1s}", "patience.hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, soundKiosk, c.from)
			_, err := parseKiosk([]byte(strings.Replace(soundKiosk, c.from, c.to, 1)), "")
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestThePageHasEveryKeyOfAKiosk looks for each key of the configuration in its page, whose example is sound.
func TestThePageHasEveryKeyOfAKiosk(t *testing.T) {
	text := page(t, "kiosk.md")
	for _, key := range []string{"backend", "token_file", "terminal", "family", "journal", "listen", "language", "time_zone", "amounts", "reader", "patience",
		"choose", "check", "hold", "refund", "notice", "poll", "keep", "give_back"} {
		require.Contains(t, text, "`"+key+"`")
	}
	examples := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```").FindStringSubmatch(text)
	require.Len(t, examples, 2)
	_, err := parseKiosk([]byte(examples[1]), "")
	require.NoError(t, err)
}

// FuzzParseKiosk: whatever the file holds, it is a configuration that can be used, or says what is wrong.
func FuzzParseKiosk(f *testing.F) {
	f.Add([]byte(soundKiosk))
	f.Add([]byte("version: 1\namounts: [1, x]\nreader: []\n"))
	f.Add([]byte("patience: {give_back: 1e9h}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseKiosk(raw, "")
		if err == nil {
			require.NotEmpty(t, c.amounts)
			require.NotEmpty(t, c.Backend)
		}
	})
}

// syncOut is what a command prints, read while it runs.
type syncOut struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncOut) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// TestAKioskServesItsPage runs the command over a reader and a backend without a gateway: the page shows what the card and the backend come to, and a second kiosk
// on the same journal is refused.
func TestAKioskServesItsPage(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "scheme.db"), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	number := ids.CardNumber{0x31, 0x05, 0, 0, 0, 0, 0, 0, 0x77, 1}
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutAcquirer(t.Context(), store.Acquirer{ID: "metro"}); err != nil {
			return err
		}
		return tx.IssueCard(t.Context(), store.Card{Number: number, Token: "0123456789abcdef", Issuer: testIssuer, Levels: 2})
	}))
	quiet := slog.New(slog.DiscardHandler)
	loads, err := topup.New(s, keys.NewSoft(testMasters()), clock.System{}, topup.Config{MaxAmount: money.Minor(100_00), MaxBalance: money.Minor(900_00), Log: quiet})
	require.NoError(t, err)
	token, hash := api.NewToken(rand.Reader)
	tokens, err := api.LoadTokens([]byte("version: 1\ntokens: [{name: k, role: agent, acquirer: metro, sha256: " + hash + "}]\n"))
	require.NoError(t, err)
	h, err := api.New(api.Config{Store: s, TopUp: loads, Tokens: tokens, Log: quiet})
	require.NoError(t, err)
	backend := httptest.NewServer(h)
	defer backend.Close()

	slot := freeAddress(t)
	config := filepath.Join(dir, "kiosk.yaml")
	text := strings.Replace(strings.Replace(soundKiosk, "https://backend.example.org", backend.URL, 1), "127.0.0.1:35963", slot, 1) + "listen: 127.0.0.1:0\nlanguage: en\n"
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kiosk.token"), []byte(token+"\n"), 0o600))

	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	k := &kong.Kong{Stdout: in, Stderr: &syncOut{}}
	done := make(chan error, 1)
	go func() { done <- (&KioskCmd{Config: config}).Run(ctx, k) }()
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`http://\S+`).FindString(said)
	require.NotEmpty(t, address, said)

	err = (&KioskCmd{Config: config}).Run(ctx, &kong.Kong{Stdout: io.Discard, Stderr: io.Discard})
	require.ErrorContains(t, err, "another program has it open")

	defer plug(testCard(t, 1), slot)()
	view, err := http.Get(address + "view")
	require.NoError(t, err)
	defer view.Body.Close()
	lines := bufio.NewScanner(view.Body)
	var seen session.View
	for seen.State != session.Off {
		require.True(t, lines.Scan(), "the stream ended at %+v", seen)
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is && data != "{}" {
			require.NoError(t, json.Unmarshal([]byte(data), &seen))
			require.NotContains(t, data, "310500000000")
		}
	}
	require.Equal(t, "****7701", seen.Card)
	require.Equal(t, "50.00", seen.Balance.String())
	require.Equal(t, session.None, seen.Money)
	stop()
	require.NoError(t, <-done)
	_, err = net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/"))
	require.Error(t, err, "the page has gone with the kiosk")
}
