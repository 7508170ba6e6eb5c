package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/panel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/browsertest"
)

// switches is a page's Channels that keeps what was asked for.
type switches struct {
	done []string
	err  error
	away time.Duration
}

func (s *switches) Panel(context.Context) (panel.Panel, time.Time, []string, error) {
	at := morning
	channels := []panel.Channel{
		{Status: health.Status{Cell: health.Cell{Channel: "alipay"}, Share: 1, Version: 4, Since: at.Add(-time.Hour)}, Payments: 412, Failed: 3, Success: 409.0 / 412, Lo: 0.979, Hi: 0.998, Took: 83 * time.Millisecond},
		{Status: health.Status{Cell: health.Cell{Channel: "unionpay", Bank: "icbc", Card: "debit"}, State: health.Ramping, Share: 0.25, Version: 3, Since: at.Add(-time.Minute)}, Payments: 40, Failed: 20, Success: 0.5, Lo: 0.35, Hi: 0.65, Took: time.Second},
		{Status: health.Status{Cell: health.Cell{Channel: "wechat"}, State: health.Unavailable, Version: 1, Incident: 1, Since: at.Add(-time.Minute)}},
	}
	for i := range channels {
		for k := range 60 {
			p := panel.Point{Payments: 5, Failed: k * i / 30 % 5, Share: channels[i].Share}
			if i > 0 && k < 30 {
				p.Share = 1
			}
			channels[i].Points = append(channels[i].Points, p)
		}
	}
	return panel.Panel{At: at, Window: 10 * time.Minute, Channels: channels, Incidents: []store.ChannelIncident{
		{Cell: health.Cell{Channel: "wechat"}, Incident: 1, Began: at.Add(-time.Minute)},
		{Cell: health.Cell{Channel: "alipay"}, Incident: 3, Began: at.Add(-2 * time.Hour), Ended: at.Add(-time.Hour)},
	}}, at.Add(-s.away), []string{"qr CNY"}, nil
}

func (s *switches) Operator(token string) (string, bool) { return "ann", token == "an operator's" }

func (s *switches) Switch(_ context.Context, c health.Cell, e health.Event, version uint64, by, reason string) error {
	s.done = append(s.done, fmt.Sprintf("%v %s %d by %s: %s", c, e, version, by, reason))
	return s.err
}

func (s *switches) Close(_ context.Context, c health.Cell, incident uint64, cause, note, by string) error {
	s.done = append(s.done, fmt.Sprintf("%v incident %d %s by %s: %s", c, incident, cause, by, note))
	return s.err
}

func TestChannelsAreSwitchedByOperatorsAlone(t *testing.T) {
	x := &switches{}
	s := httptest.NewServer(New(nil, Config{Location: time.UTC, Channels: x, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	post := func(path string, form url.Values, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return read(t, r)
	}
	form := func(change ...string) url.Values {
		f := url.Values{"channel": {"wechat"}, "version": {"1"}, "to": {"on"}, "reason": {"they are done"}, "token": {"an operator's"}}
		for i := 0; i+1 < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	for _, c := range []struct {
		form   url.Values
		header []string
		status int
		says   string
	}{
		{form("token", "an agent's"), nil, http.StatusForbidden, "no operator’s token"},
		{form("token", ""), nil, http.StatusForbidden, "no operator’s token"},
		{form("reason", " "), nil, http.StatusUnprocessableEntity, "a reason"},
		{form("reason", strings.Repeat("x", 501)), nil, http.StatusUnprocessableEntity, "a reason"},
		{form("reason", strings.Repeat("x", maxForm)), nil, http.StatusBadRequest, "does not read"},
		{form("version", "x"), nil, http.StatusConflict, "reload the page"},
		{form(), []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden, ""},
	} {
		status, body := post("/channels/switch?lang=en", c.form, c.header...)
		require.Equal(t, c.status, status, "%v", c.form)
		require.Contains(t, body, c.says)
		require.NotContains(t, body, "an agent's")
	}
	require.Empty(t, x.done)
	status, body := post("/channels/switch?lang=en", form())
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "Done: wechat")
	require.Contains(t, body, `href="../static/console.css"`)
	_, _ = post("/channels/switch", form("to", "off", "bank", "icbc", "card", "debit"))
	status, _ = post("/channels/close", form("incident", "3", "cause", "network"))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"wechat switched-on 1 by ann: they are done", "wechat/icbc/debit switched-off 1 by ann: they are done", "wechat incident 3 network by ann: they are done"}, x.done)
	x.err = fmt.Errorf("wechat: %w", health.ErrStale)
	status, body = post("/channels/switch?lang=en", form())
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, body, "has moved since")
	x.err = errors.New("<script>")
	_, body = post("/channels/switch?lang=en", form())
	require.NotContains(t, body, "<script>,")

	x.away = time.Minute
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/channels?lang=en", nil)
	require.NoError(t, err)
	status, body = read(t, r)
	require.Equal(t, http.StatusOK, status)
	for _, says := range []string{"99.3 %", "97.9 – 99.8 %", "One channel alone takes qr CNY", "The database was heard last before 1m0s", "coming back", "over since"} {
		require.Contains(t, body, says)
	}
	without := httptest.NewServer(New(nil, Config{}))
	defer without.Close()
	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, without.URL+"/channels", nil)
	require.NoError(t, err)
	status, _ = read(t, r)
	require.Equal(t, http.StatusNotFound, status)
}

func read(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

// TestTheChannelsPageInABrowser: one tap on a phone, in both languages; its pictures are kept where PURSELANE_ARTIFACTS says.
// TestTheRunbookIsOneClickAway: the page links to what people do when a channel fails, and it is the page of the documentation.
func TestTheRunbookIsOneClickAway(t *testing.T) {
	s := httptest.NewServer(New(nil, Config{Location: time.UTC, Channels: &switches{}, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	page, err := os.ReadFile("../../docs/runbook-channels.md")
	require.NoError(t, err)
	get := func(path string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		require.NoError(t, err)
		status, body := read(t, r)
		require.Equal(t, http.StatusOK, status)
		return body
	}
	require.Contains(t, get("/channels?lang=en"), `href="./static/runbook-channels.txt"`)
	require.Equal(t, string(page), get("/static/runbook-channels.txt"), "copy docs/runbook-channels.md to backend/console/static/runbook-channels.txt")
}

func TestTheChannelsPageInABrowser(t *testing.T) {
	ctx := browsertest.Chromium(t)
	x := &switches{}
	server := httptest.NewServer(New(nil, Config{Location: time.UTC, Channels: x}))
	t.Cleanup(server.Close)
	dir := artifacts(t)
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		require.NoError(t, chromedp.Do(ctx, steps...))
	}
	look := func(name string) {
		t.Helper()
		raw, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
		scroll, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth <= document.documentElement.clientWidth`))
		require.NoError(t, err)
		require.True(t, scroll, "the page scrolls sideways")
		weak, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](weakContrast))
		require.NoError(t, err)
		require.Empty(t, weak)
	}
	do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(server.URL+"/channels?lang=zh"))
	look("channels-wide-zh.png")
	do(chromedp.EmulateViewport(375, 740), chromedp.Navigate(server.URL+"/channels?lang=en"))
	look("channels-narrow.png")
	do(chromedp.Evaluate[chromedp.Void](`(s => {
		s.querySelector("summary").click();
		s.querySelector("[name=reason]").value = "they are done";
		s.querySelector("[name=token]").value = "an operator's";
	})([...document.querySelectorAll("#channels section")].at(-1))`))
	look("channels-narrow-form.png")
	do(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("#channels section")].at(-1).querySelector("button").click()`))
	do(chromedp.WaitVisible(chromedp.CSS(".notice.good")))
	require.Equal(t, []string{"wechat switched-on 1 by ann: they are done"}, x.done)
	look("channels-narrow-done.png")
}
