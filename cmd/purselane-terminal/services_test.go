package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// with adds lines to a home's configuration.
func (h home) with(t *testing.T, lines string) {
	raw, err := os.ReadFile(h.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.config, append(raw, lines...), 0o600))
}

// call makes a request of the local API over whatever client does.
func call(t *testing.T, c *http.Client, method, url, body string) (int, map[string]any, string) {
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	var m map[string]any
	_ = json.Unmarshal(raw, &m) // not all are JSON
	return answer.StatusCode, m, string(raw)
}

// TestTheLocalAPIOfARunningTerminal runs the program and uses it as a till, a screen and an engineer would.
func TestTheLocalAPIOfARunningTerminal(t *testing.T) {
	h := newHome(t)
	address := freeAddress(t)
	h.with(t, fmt.Sprintf("api: {listen: %q}\ndevice_key: device.key\n", address))
	_, err := terminal("device-key", "--file", filepath.Join(h.dir, "device.key"))
	require.NoError(t, err)
	out, err := terminal("check", "--config", h.config)
	require.NoError(t, err)
	require.Contains(t, out, "local API at "+address)
	s := h.start(t)
	base := "http://" + address
	require.Eventually(t, func() bool {
		r, err := http.Get(base + "/v1/readyz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	}, 20*time.Second, 10*time.Millisecond)

	// A screen watches while a rider taps.
	watching, err := http.Get(base + "/v1/events")
	require.NoError(t, err)
	defer watching.Body.Close()
	events := bufio.NewScanner(watching.Body)
	event := func(kind string) (m map[string]any) {
		for events.Scan() {
			if events.Text() == "event: "+kind {
				require.True(t, events.Scan())
				require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(events.Text(), "data: ")), &m))
				return m
			}
		}
		t.Fatal("the stream ended")
		return nil
	}
	card := testCard(t, 1)
	unplug := plug(card, h.bus)
	require.Equal(t, float64(0), event("card")["lane"])
	e := event("outcome")
	require.Equal(t, []any{"granted", "2.00", "48.00"}, []any{e["outcome"], e["amount"], e["balance"]})
	require.Equal(t, "granted", s.next().Outcome)
	unplug()

	// A till sells, and asks again.
	unplug = plug(card, h.till)
	for range 2 {
		status, m, text := call(t, http.DefaultClient, "POST", base+"/v1/sales", `{"request":"receipt-1","amount":"12.50"}`)
		require.Equal(t, http.StatusOK, status, text)
		require.Equal(t, []any{"completed", "12.50", "35.50"}, []any{m["state"], m["amount"], m["balance"]})
	}
	unplug()
	require.Equal(t, "35.50", card.Balance().String(), "once")
	status, m, _ := call(t, http.DefaultClient, "POST", base+"/v1/sales", `{"request":"receipt-1","amount":"1.00"}`)
	require.Equal(t, []any{http.StatusUnprocessableEntity, "request-reused"}, []any{status, m["code"]})
	status, _, _ = call(t, http.DefaultClient, "GET", base+"/v1/sales/receipt-2", "")
	require.Equal(t, http.StatusNotFound, status)

	// An engineer looks.
	_, m, text := call(t, http.DefaultClient, "GET", base+"/v1/status", "")
	require.Equal(t, true, m["in_use"], text)
	require.Equal(t, float64(2), m["journal"].(map[string]any)["records"])
	require.Equal(t, "14.50", m["journal"].(map[string]any)["value"])
	require.NotContains(t, text, "31050000")
	_, _, text = call(t, http.DefaultClient, "GET", base+"/metrics", "")
	require.True(t, strings.Contains(text, `purselane_terminal_outcomes_total{outcome="granted"} 2`+"\n"))
	require.True(t, strings.Contains(text, "purselane_terminal_journal_records 2\n"))
	status, _, text = call(t, http.DefaultClient, "GET", base+"/v1/journal/export", "")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "purselane-export-1 bus-7-1")
	for _, path := range []string{"/", "/gate", "/till", "/static/texts.json"} {
		status, _, _ = call(t, http.DefaultClient, "GET", base+path, "")
		require.Equal(t, http.StatusOK, status, path)
	}
	status, _, _ = call(t, http.DefaultClient, "POST", base+"/v1/lanes/0/restart", "")
	require.Equal(t, http.StatusAccepted, status)
	unplug = plug(card, h.bus) // the reader listens again, and the card has paid for this ride
	for e = event("outcome"); e["outcome"] != "already-paid"; e = event("outcome") {
	}
	unplug()
	go func() { // what is left to read
		for events.Scan() {
		}
	}()
	require.NoError(t, s.stop())
}

func TestTheLocalAPIOnAUnixSocketWithAToken(t *testing.T) {
	h := newHome(t)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "token"), []byte("a-long-enough-token\n"), 0o600))
	h.with(t, "api: {listen: \"unix:api.sock\", token_file: token}\nscreen: {off: true}\n")
	s := h.start(t)
	path := filepath.Join(h.dir, "api.sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", path) // the file is there a moment before anybody listens
		return err == nil && c.Close() == nil
	}, 20*time.Second, 10*time.Millisecond)
	status, _, _ := call(t, client, "GET", "http://unix/v1/livez", "")
	require.Equal(t, http.StatusUnauthorized, status)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://unix/v1/livez", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer a-long-enough-token")
	answer, err := client.Do(r)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	require.NoError(t, s.stop())
}

func TestWhatIsWrongWithTheLocalParts(t *testing.T) {
	for add, says := range map[string]string{
		"api: {listen: \"0.0.0.0:8801\"}":                                "api.listen: 0.0.0.0:8801: other machines can reach it: want a token",
		"api: {listen: \"8801\"}":                                        "api.listen:",
		"screen: {texts: own.yaml}":                                      "screen.texts: there is no screen",
		"link: {listen: \"127.0.0.1:8802\", key_file: k}":                "link.peers: want at least one",
		"link: {listen: \"8802\", peers: [\"a\"], key_file: k}":          "link: \"8802\": want an address",
		"link: {listen: \"127.0.0.1:8802\", peers: [\"10.0.0.2:8802\"]}": "link.key_file: want",
		"api: {listen: \"127.0.0.1:8801\", port: 1}":                     "field port not found",
		"link: {listen: \"127.0.0.1:1\", peers: [\"\"], key_file: k}":    "link: \"\": want an address",
	} {
		_, err := parseConfig([]byte(soundConfig+add+"\n"), ".")
		require.ErrorContains(t, err, says, add)
	}
	_, err := parseConfig([]byte(strings.Replace(soundConfig, "kind: socket, listen", "kind: socket, signals: acr122u, listen", 1)), ".")
	require.ErrorContains(t, err, "lanes[0].signals")

	h := newHome(t)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "own.yaml"), []byte("en: {grantd: Hi}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "token"), []byte("short\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "link.key"), []byte("00\n"), 0o600))
	h.with(t, "api: {listen: \"127.0.0.1:0\", token_file: token}\nscreen: {texts: own.yaml}\nlink: {listen: \"127.0.0.1:0\", peers: [\"127.0.0.1:9\"], key_file: link.key}\n")
	_, err = terminal("check", "--config", h.config)
	for _, says := range []string{"at least 16 characters", `no text is called "grantd"`, "want 64 hexadecimal digits"} {
		require.ErrorContains(t, err, says)
	}
}

// TestTwoLinkedTerminals: a card that has paid at the front door is let pass at the rear door of the other terminal, by its own record or by the link.
func TestTwoLinkedTerminals(t *testing.T) {
	front, rear := newHome(t), newHome(t)
	ports := []string{freeAddress(t), freeAddress(t)}
	for i, h := range []home{front, rear} {
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, "link.key"), []byte(strings.Repeat("5a", 32)+"\n"), 0o600))
		h.with(t, fmt.Sprintf("link: {listen: %q, peers: [%q], key_file: link.key}\n", ports[i], ports[1-i]))
	}
	raw, err := os.ReadFile(rear.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(rear.config, []byte(strings.Replace(string(raw), "bus-7-1", "bus-7-2", 1)), 0o600))
	a, b := front.start(t), rear.start(t)
	card := testCard(t, 1)
	unplug := plug(card, front.bus)
	require.Equal(t, "granted", a.next().Outcome)
	unplug()
	unplug = plug(card, rear.bus)
	require.Equal(t, "already-paid", b.next().Outcome)
	unplug()
	require.NoError(t, a.stop())
	require.NoError(t, b.stop())
	require.Equal(t, "48.00", card.Balance().String())
}
