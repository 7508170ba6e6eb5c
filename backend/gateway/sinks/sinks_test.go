package sinks_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/outbox"
	"github.com/purselane/purselane/backend/gateway/sinks"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func message(t *testing.T, n keeper.Notice) store.OutboxMessage {
	body, err := json.Marshal(n)
	require.NoError(t, err)
	return store.OutboxMessage{ID: "move-1-ops", Topic: keeper.Topic("ops"), Key: "channel/wechat", Body: body}
}

var out = keeper.Notice{Version: 1, Channel: "wechat", Event: "fault-found", Action: "set-fault", State: "unavailable", Incident: 1, At: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Payments: 9, Failed: 8}

func TestAWebhookIsSigned(t *testing.T) {
	var got struct {
		Type string
		Data keeper.Notice
	}
	status, calls := http.StatusOK, 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		body, _ := io.ReadAll(r.Body)
		verify, err := standardwebhooks.NewWebhookRaw(secret)
		if err == nil {
			err = verify.Verify(body, r.Header)
		}
		if err != nil || json.Unmarshal(body, &got) != nil {
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	h, err := sinks.Webhook{URL: s.URL + "/private-path", Secret: secret, Filter: sinks.Filter{Channels: []string{"wechat"}, Faults: true}}.Handler()
	require.NoError(t, err)
	require.NoError(t, h(t.Context(), message(t, out)))
	require.Equal(t, sinks.EventType, got.Type)
	require.Equal(t, out, got.Data)

	step, other := out, out
	step.Action, other.Channel = "continue-ramp", "alipay"
	require.NoError(t, h(t.Context(), message(t, step)))
	require.NoError(t, h(t.Context(), message(t, other)))
	require.Equal(t, 1, calls, "what it does not want is not sent")
	status = http.StatusBadGateway
	require.ErrorContains(t, h(t.Context(), message(t, out)), "answered 502")
	s.Close()
	err = h(t.Context(), message(t, out))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "private-path")
	_, err = sinks.Webhook{URL: s.URL}.Handler()
	require.Error(t, err)
}

// post is a mail server that takes one letter.
func post(t *testing.T, refuse bool) (at string, letter chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	letter = make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		fmt.Fprintf(c, "220 post\r\n")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.ToUpper(word) {
			case "EHLO", "HELO":
				fmt.Fprintf(c, "250 post\r\n")
			case "RCPT":
				if refuse {
					fmt.Fprintf(c, "550 nobody\r\n")
					continue
				}
				fmt.Fprintf(c, "250 ok\r\n")
			case "DATA":
				fmt.Fprintf(c, "354 go\r\n")
				var all strings.Builder
				for line != ".\r\n" {
					if line, err = r.ReadString('\n'); err != nil {
						return
					}
					all.WriteString(line)
				}
				letter <- all.String()
				fmt.Fprintf(c, "250 taken\r\n")
			case "QUIT":
				fmt.Fprintf(c, "221 bye\r\n")
				return
			default:
				fmt.Fprintf(c, "250 ok\r\n")
			}
		}
	}()
	return l.Addr().String(), letter
}

func TestALetter(t *testing.T) {
	at, letter := post(t, false)
	set := sinks.Mail{Server: at, From: "purselane@example.org", To: []string{"ops@example.org", "bank@example.com"}}
	h, err := set.Handler()
	require.NoError(t, err)
	n := out
	n.Bank, n.By, n.Reason = "icbc\r\nBcc: all@example.net", "ann", "tests\r\n.\r\n"
	require.NoError(t, h(t.Context(), message(t, n)))
	got := <-letter
	require.Contains(t, got, "Subject: [purselane] wechat/icbc  Bcc: all@example.net is unavailable, takes 0 % of its payments\r\n")
	require.NotContains(t, got, "\r\nBcc:")
	require.Contains(t, got, "8 of the last 9 payments failed.\r\n")
	require.Contains(t, got, "To: <ops@example.org>, <bank@example.com>\r\n")

	set.Server, _ = post(t, true)
	h, err = set.Handler()
	require.NoError(t, err)
	require.ErrorContains(t, h(t.Context(), message(t, out)), "nobody")
	for _, bad := range []sinks.Mail{{Server: "x", From: "a@b.example", To: []string{"a@b.example"}}, {Server: "x:25", From: "a@b.example"}, {Server: "x:25", From: "a@b.example", To: []string{"a@b.example>\r\nRCPT TO: <x"}}} {
		require.Error(t, bad.Check())
	}
}

// TestASinkThatHangsHoldsUpNoOther: two relays over one store, as the node has them. The one never comes back, the other is told of each move.
func TestASinkThatHangsHoldsUpNoOther(t *testing.T) {
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer st.Close()
	k := keeper.New(st, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Sinks: []string{"hangs", "fails", "hears"}})
	ctx, stop := context.WithCancel(t.Context())
	heard := make(chan string, 10)
	var ended []chan error
	for name, h := range map[string]outbox.Handler{
		"hangs": func(ctx context.Context, _ store.OutboxMessage) error { <-ctx.Done(); return ctx.Err() },
		"fails": func(context.Context, store.OutboxMessage) error { return errors.New("no") },
		"hears": func(_ context.Context, m store.OutboxMessage) error { heard <- m.ID; return nil },
	} {
		relay, err := outbox.New(st, outbox.Config{Handlers: map[string]outbox.Handler{keeper.Topic(name): h}, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		done := make(chan error, 1)
		ended = append(ended, done)
		go func() { done <- relay.Run(ctx) }()
	}
	cell := health.Cell{Channel: "wechat"}
	for i, e := range []health.Event{health.SwitchedOff, health.SwitchedOn, health.SwitchedOff} {
		_, err := k.Switch(t.Context(), cell, e, uint64(i), "ann", "tests")
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("move-%d-hears", i+1), <-heard)
	}
	stop()
	for _, done := range ended {
		if err := <-done; err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
}
