package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// picture is a Reader that shows what it is told to.
type picture struct {
	mu      sync.Mutex
	changes uint64
	ov      store.Overview
	err     error
	reads   int
}

func (p *picture) Changes() uint64 { p.mu.Lock(); defer p.mu.Unlock(); return p.changes }

func (p *picture) Overview(ctx context.Context) (store.Overview, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	if err := ctx.Err(); err != nil {
		return store.Overview{}, err
	}
	return p.ov, p.err
}

func (p *picture) change(f func(*store.Overview)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.ov)
	p.changes++
}

func quiet() Config { return Config{Location: time.UTC, Log: slog.New(slog.DiscardHandler)} }

func ask(h http.Handler, method, target string, head http.Header) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	r.Header = head
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	raw, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(raw)
}

func TestThePageIsServedWithHeadersThatKeepOthersOut(t *testing.T) {
	h := New(&picture{}, quiet())
	for target, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/static/console.css": "text/css; charset=utf-8", "/static/console.js": "text/javascript; charset=utf-8", "/static/icon.svg": "image/svg+xml",
	} {
		r := ask(h, "GET", target, nil)
		require.Equal(t, 200, r.StatusCode, target)
		require.Equal(t, kind, r.Header.Get("Content-Type"))
		require.NotEmpty(t, body(t, r))
		csp := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
			require.Contains(t, csp, want)
		}
		require.NotContains(t, csp, "unsafe")
		require.Equal(t, []string{"nosniff", "DENY", "no-referrer", "same-origin", "same-origin"}, []string{r.Header.Get("X-Content-Type-Options"), r.Header.Get("X-Frame-Options"),
			r.Header.Get("Referrer-Policy"), r.Header.Get("Cross-Origin-Opener-Policy"), r.Header.Get("Cross-Origin-Resource-Policy")})
	}
	page := ask(h, "GET", "/?lang=zh", nil)
	require.Equal(t, []string{"zh", "no-store", "Accept-Language"}, []string{page.Header.Get("Content-Language"), page.Header.Get("Cache-Control"), page.Header.Get("Vary")})
	text := body(t, page)
	require.Contains(t, text, `<html lang="zh-Hans">`)
	// Under the policy neither would work; and every address is relative, so that the page works under any path.
	require.NotRegexp(t, `style="|<style|onclick|<script>|(src|href)="(/|http)`, text)
}

func TestTheConsoleAnswersGetAndHeadOnly(t *testing.T) {
	h := New(&picture{}, quiet())
	for _, target := range []string{"/", "/events", "/static/console.css"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"} {
			r := ask(h, method, target, nil)
			require.Equal(t, 405, r.StatusCode, "%s %s", method, target)
			require.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
		}
		r := ask(h, "HEAD", target, nil)
		require.Equal(t, 200, r.StatusCode, target)
	}
	for _, target := range []string{"/index.html", "/static/", "/static/console.css/x", "/templates/page.html", "/events/"} {
		require.Equal(t, 404, ask(h, "GET", target, nil).StatusCode, target)
	}
}

func TestAStaticFileIsSentOnce(t *testing.T) {
	h := New(&picture{}, quiet())
	r := ask(h, "GET", "/static/console.css", nil)
	tag := r.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{16}"$`, tag)
	require.Equal(t, "no-cache", r.Header.Get("Cache-Control"), "kept, but asked about each time")
	r = ask(h, "GET", "/static/console.css", http.Header{"If-None-Match": {tag}})
	require.Equal(t, 304, r.StatusCode)
	require.Empty(t, body(t, r))
	require.Equal(t, 200, ask(h, "GET", "/static/console.js", http.Header{"If-None-Match": {tag}}).StatusCode, "every file has a tag of its own")
}

func TestNamesFromOutsideAreText(t *testing.T) {
	hostile := `<img src=x onerror=alert(1)>"'&</script>`
	h := New(&picture{ov: store.Overview{
		Taps:      []store.TapLine{{At: time.UnixMilli(1), Terminal: "bus-1", Place: hostile, Kind: hostile, Card: "****1234", Outcome: hostile, Verdict: hostile}},
		Terminals: []store.Terminal{{ID: "<b>", Place: hostile}},
		Findings:  []store.FindingCount{{Code: hostile, Open: 1}},
		Days:      []store.DayLine{{Day: hostile, State: hostile, Digest: "<b>"}},
		Balances:  []books.Balance{{Account: books.Account("suspense:" + hostile), Class: books.Suspense}},
	}}, quiet())
	text := body(t, ask(h, "GET", "/", nil))
	require.NotContains(t, text, "<img")
	require.NotContains(t, text, "<b>bus")
	require.Equal(t, 1, strings.Count(text, "</script>"), "our own")
	require.GreaterOrEqual(t, strings.Count(text, "&lt;img src=x onerror=alert(1)&gt;"), 7)
}

func TestBooksOffAreFlagged(t *testing.T) {
	h := New(&picture{ov: store.Overview{OnCards: money.Minor(1_00)}}, quiet())
	text := body(t, ask(h, "GET", "/", nil))
	require.Contains(t, text, `<div class="identity odd">`)
	require.Contains(t, text, `Off by <b>1.00</b>`)
	require.Contains(t, text, "≠")
	require.NotContains(t, text, "Balanced")

	text = body(t, ask(New(&picture{}, quiet()), "GET", "/", nil))
	require.Contains(t, text, `<div class="identity even">`)
	require.Contains(t, text, "Balanced")
	require.NotContains(t, text, "≠")
}

func TestFiguresThatOverflowAreNotShown(t *testing.T) {
	var log strings.Builder
	c := quiet()
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := New(&picture{ov: store.Overview{OnCards: money.Minor(math.MaxInt64), Balances: []books.Balance{{Account: books.Funding, Amount: money.Minor(-1)}}}}, c)
	text := body(t, ask(h, "GET", "/", nil))
	require.Contains(t, text, "Sums out of range")
	require.Contains(t, text, "none of its figures can be trusted")
	require.NotContains(t, text, "Balanced")
	require.NotContains(t, text, "92,233")
	require.Contains(t, log.String(), "out of range")
}

func TestAStoreThatCannotBeReadIsAnErrorInTheReadersLanguage(t *testing.T) {
	var log strings.Builder
	c := quiet()
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := New(&picture{err: errors.New("disk on fire")}, c)
	r := ask(h, "GET", "/?lang=zh", nil)
	require.Equal(t, 500, r.StatusCode)
	text := body(t, r)
	require.Equal(t, texts["zh"]["unreadable"]+"\n", text, "the cause is in the log alone")
	require.Contains(t, log.String(), "disk on fire")
}

func TestTheStoreIsReadOnceAChange(t *testing.T) {
	p := &picture{}
	h := New(p, quiet())
	for range 5 {
		ask(h, "GET", "/", nil)
	}
	require.Equal(t, 1, p.reads)
	p.change(func(o *store.Overview) { o.Cards = 7 })
	require.Contains(t, body(t, ask(h, "GET", "/", nil)), "7 shadow accounts")
	require.Equal(t, 2, p.reads)
}

func TestAFailedReadingIsTriedAgain(t *testing.T) {
	p := &picture{err: errors.New("busy")}
	h := New(p, quiet())
	require.Equal(t, 500, ask(h, "GET", "/", nil).StatusCode)
	p.err = nil
	require.Equal(t, 200, ask(h, "GET", "/", nil).StatusCode)
}
