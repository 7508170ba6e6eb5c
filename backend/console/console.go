package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// Reader is what the page reads. *store.Store is one.
type Reader interface {
	// Changes grows with every committed update.
	Changes() uint64
	// Overview reads the whole picture in one snapshot.
	Overview(ctx context.Context) (store.Overview, error)
}

// Config of a console. The zero Config is fit for use.
type Config struct {
	Location *time.Location // times are shown in it; nil: the machine's own
	Poll     time.Duration  // how often the store is asked for changes; zero: once a second
	Log      *slog.Logger   // nil: slog.Default

	Channels Channels // nil: there is no page of payment channels
	Monitor  Monitor  // nil: there are no pages of the business, of merchants and of accounts
}

// MaxStreams bounds the open event streams. A page refused one still works; it is just not live.
const MaxStreams = 64

//go:embed static templates
var files embed.FS

// New makes the page.
func New(r Reader, c Config) http.Handler {
	if c.Location == nil {
		c.Location = time.Local
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	h := &handler{reader: r, Config: c, streams: make(chan struct{}, MaxStreams)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /events", h.events)
	if c.Channels != nil {
		safe := http.NewCrossOriginProtection()
		mux.HandleFunc("GET /channels", h.channels)
		mux.Handle("POST /channels/switch", safe.Handler(http.HandlerFunc(h.switchChannel)))
		mux.Handle("POST /channels/close", safe.Handler(http.HandlerFunc(h.closeIncident)))
		mux.HandleFunc("GET /channels/{rest...}", func(w http.ResponseWriter, r *http.Request) { // an answer to a form that is loaded again
			http.Redirect(w, r, "../channels?lang="+language(r), http.StatusSeeOther)
		})
	}
	if c.Monitor != nil {
		mux.HandleFunc("GET /business", h.business)
		mux.HandleFunc("GET /merchants", h.merchants)
		mux.HandleFunc("GET /accounts", h.accounts)
	}
	for name, kind := range map[string]string{"channels.js": "text/javascript; charset=utf-8", "console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml", "monitor.js": "text/javascript; charset=utf-8", "runbook-channels.txt": "text/plain; charset=utf-8"} {
		mux.Handle("GET /static/"+name, static(name, kind))
	}
	return headers(mux)
}

type handler struct {
	Config
	reader  Reader
	streams chan struct{} // a slot for each open event stream

	mu     sync.Mutex // guards what is below, and makes one reading serve all who wait
	last   store.Overview
	lastAt uint64
	have   bool
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{"money": showMoney, "count": showCount, "rate": showRate}).ParseFS(files, "templates/*.html"))

// overview is the newest picture. However many look, the store is read once a change.
func (h *handler) overview(ctx context.Context) (store.Overview, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Asked before reading: a change that commits in between is shown now and once more, never missed.
	at := h.reader.Changes()
	if h.have && at == h.lastAt {
		return h.last, nil
	}
	ov, err := h.reader.Overview(ctx)
	if err != nil {
		return store.Overview{}, err
	}
	if _, err := moneyMap(ov); err != nil {
		h.Log.Error("console: add up the money map", "err", err) // the page shows no figure of it
	}
	h.last, h.lastAt, h.have = ov, at, true
	return ov, nil
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	lang := language(r)
	ov, err := h.overview(r.Context())
	if err != nil {
		h.Log.Error("console: read the overview", "err", err)
		http.Error(w, texts[lang]["unreadable"], http.StatusInternalServerError)
		return
	}
	var b bytes.Buffer // rendered whole before the first byte leaves: half a page with status 200 would look like a true one
	if err := pages.ExecuteTemplate(&b, "page.html", h.view(ov, lang)); err != nil {
		h.Log.Error("console: render", "err", err)
		http.Error(w, texts[lang]["unreadable"], http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept-Language")
	w.Write(b.Bytes()) //nolint:errcheck // the reader has gone; there is nobody to tell
}

// view is the page's, with the ways to the others.
func (h *handler) view(ov store.Overview, lang string) pageView {
	v := view(ov, lang, h.Location)
	v.Links = h.links("", lang)
	return v
}

// link is a way to another page: Path is relative to the pages' folder.
type link struct{ Path, Text string }

// links are the ways from one page to the others there are.
func (h *handler) links(from, lang string) (out []link) {
	for _, p := range []struct {
		path string
		is   bool
	}{{"", true}, {"business", h.Monitor != nil}, {"channels", h.Channels != nil}, {"merchants", h.Monitor != nil}, {"accounts", h.Monitor != nil}} {
		if p.is && p.path != from {
			out = append(out, link{p.path + "?lang=" + lang, texts[lang]["page."+p.path]})
		}
	}
	return out
}

// headers keeps foreign script, frames and referrers away from the page.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// static serves an embedded file, to be asked about again after each restart: a new binary may bring a new one.
func static(name, kind string) http.Handler {
	body, err := files.ReadFile("static/" + name)
	if err != nil {
		panic("console: " + name + " is not embedded") // a fault of the build, found by every test
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}
