package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// browser is the far end of an event stream, without a network: time can stand still around it.
type browser struct {
	http.ResponseWriter // its headers
	mu                  sync.Mutex
	got                 bytes.Buffer
	flushed             int // bytes that had been written when Flush was called last
	gone                error
	deadline            time.Time
}

func newBrowser() *browser { return &browser{ResponseWriter: httptest.NewRecorder()} }

func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone != nil {
		return 0, b.gone
	}
	return b.got.Write(p)
}

func (b *browser) Flush() { b.mu.Lock(); defer b.mu.Unlock(); b.flushed = b.got.Len() }

func (b *browser) SetWriteDeadline(t time.Time) error { b.deadline = t; return nil }

// take is what has come since the last call, by event: ids of fragments, and the other events' names.
func (b *browser) take(t *testing.T) (names []string, html map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(t, b.got.Len(), b.flushed, "something was written and not flushed")
	text := b.got.String()
	b.got.Reset()
	b.flushed = 0
	html = map[string]string{}
	for _, block := range strings.Split(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		if strings.HasPrefix(lines[0], "retry:") || block == "" {
			continue
		}
		require.Len(t, lines, 2, "an event is two lines: %q", block)
		name := strings.TrimPrefix(lines[0], "event: ")
		var data struct{ ID, HTML string }
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(lines[1], "data: ")), &data))
		if name == "fragment" {
			html[data.ID] = data.HTML
			name = data.ID
		}
		names = append(names, name)
	}
	return names, html
}

// listen opens a stream in a bubble; stop ends it and waits.
func listen(t *testing.T, h http.Handler, target string) (b *browser, stop func()) {
	b = newBrowser()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(b, httptest.NewRequest("GET", target, nil).WithContext(ctx))
	}()
	synctest.Wait()
	return b, func() { cancel(); <-done }
}

func pass(d time.Duration) { time.Sleep(d); synctest.Wait() } // in a bubble: no real time goes by

func TestAStreamSendsAllThenOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &picture{}
		b, stop := listen(t, New(p, quiet()), "/events")
		defer stop()
		require.Equal(t, "text/event-stream", b.Header().Get("Content-Type"))
		require.Equal(t, "no-store", b.Header().Get("Cache-Control"))
		require.True(t, strings.HasPrefix(b.got.String(), "retry: 2000\n\n"))
		names, html := b.take(t)
		require.Equal(t, append(append([]string{}, fragments...), "whole"), names)
		require.Contains(t, html["taps"], "No tap has arrived yet.")
		require.Equal(t, time.Now().Add(writeWithin), b.deadline)

		pass(5 * time.Second)
		names, _ = b.take(t)
		require.Empty(t, names, "nothing has changed")

		p.change(func(o *store.Overview) {
			o.Taps = []store.TapLine{{At: time.UnixMilli(0), Terminal: "bus-1", Card: "****1234", Amount: money.Minor(2_00), Outcome: "completed"}}
		})
		pass(time.Second)
		names, html = b.take(t)
		require.Equal(t, []string{"taps"}, names)
		require.Contains(t, html["taps"], "bus-1")

		p.change(func(*store.Overview) {})
		pass(time.Second)
		names, _ = b.take(t)
		require.Empty(t, names, "an update that shows nothing new")

		p.change(func(o *store.Overview) { o.OnCards = money.Minor(1) })
		pass(time.Second)
		names, _ = b.take(t)
		require.Equal(t, []string{"state", "money"}, names)
	})
}

func TestAQuietStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := listen(t, New(&picture{}, quiet()), "/events")
		defer stop()
		b.take(t)
		pass(time.Minute)
		names, _ := b.take(t)
		require.Equal(t, []string{"beat", "beat", "beat", "beat"}, names)
	})
}

func TestAStreamSpeaksItsReadersLanguage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := listen(t, New(&picture{}, quiet()), "/events?lang=zh")
		defer stop()
		_, html := b.take(t)
		require.Contains(t, html["taps"], texts["zh"]["no_taps"])
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(&picture{}, quiet())
		var stops []func()
		for range MaxStreams {
			_, stop := listen(t, h, "/events")
			stops = append(stops, stop)
		}
		for _, method := range []string{"GET", "HEAD"} {
			r := ask(h, method, "/events", nil)
			require.Equal(t, 503, r.StatusCode)
			require.Equal(t, "30", r.Header.Get("Retry-After"))
		}
		require.Equal(t, 200, ask(h, "GET", "/", nil).StatusCode, "the page itself works on")
		stops[0]()
		require.Equal(t, 200, ask(h, "HEAD", "/events", nil).StatusCode, "a place that was left is free")
		for _, stop := range stops[1:] {
			stop()
		}
	})
}

func TestAReaderThatHasGoneEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &picture{}
		h := New(p, quiet())
		b := newBrowser()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(b, httptest.NewRequest("GET", "/events", nil).WithContext(t.Context()))
		}()
		synctest.Wait()
		b.mu.Lock()
		b.gone = errors.New("broken pipe")
		b.mu.Unlock()
		p.change(func(o *store.Overview) { o.Cards = 1 })
		<-done
	})
}

func TestAStoreThatFailsEndsTheStreamSoThatTheBrowserComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &picture{err: errors.New("disk on fire")}
		b := newBrowser()
		New(p, quiet()).ServeHTTP(b, httptest.NewRequest("GET", "/events", nil))
		require.Equal(t, "retry: 2000\n\n", b.got.String())
	})
}

func TestABrowserWithoutFlushGetsNoStream(t *testing.T) {
	h := New(&picture{}, quiet())
	plain := struct{ http.ResponseWriter }{httptest.NewRecorder()}
	h.ServeHTTP(plain, httptest.NewRequest("GET", "/events", nil)) // returns, instead of filling a buffer for ever
}
