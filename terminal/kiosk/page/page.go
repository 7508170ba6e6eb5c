package page

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/purselane/purselane/terminal/kiosk/session"
)

//go:embed static
var files embed.FS

// Kiosk is the kiosk behind the page: [session.Kiosk].
type Kiosk interface {
	Now() (session.View, <-chan struct{})
	Say(session.Choice)
}

// maxChoice bounds what a page sends, in bytes.
const maxChoice = 1 << 10

// beat is how often an open stream says that it is alive: a page that hears nothing for three of them says that the kiosk is gone.
const beat = 5 * time.Second

// New serves the page. language is what it begins in.
func New(k Kiosk, language string, t Texts) (http.Handler, error) {
	if t[language] == nil {
		return nil, fmt.Errorf("kiosk page: language %q: want one of the texts'", language)
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	words, err := json.Marshal(map[string]any{"language": language, "texts": t})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, static, "kiosk.html") })
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	mux.HandleFunc("GET /static/texts.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(words)
	})
	mux.HandleFunc("GET /view", func(w http.ResponseWriter, r *http.Request) { stream(w, r, k) })
	mux.HandleFunc("POST /choice", func(w http.ResponseWriter, r *http.Request) { choice(w, r, k) })
	return guard(mux), nil
}

// guard lets through only a page of this machine. What else a browser here shows must not be able to choose for the rider: so neither another Origin nor a name
// that was made to point here passes.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !localHost(r.Host) {
			http.Error(w, "want this machine's loopback address", http.StatusForbidden)
			return
		}
		if o := r.Header.Get("Origin"); o != "" {
			if u, err := url.Parse(o); err != nil || u.Host != r.Host {
				http.Error(w, "a page of another site", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// Listen opens the page's address, which must be of this machine alone.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%q: want an address such as 127.0.0.1:8811", address)
	}
	if !localHost(host) {
		return nil, fmt.Errorf("%s: other machines could choose for the rider: want a loopback address", address)
	}
	return net.Listen("tcp", address)
}

// stream sends each view as a server-sent event, the one that is shown first.
func stream(w http.ResponseWriter, r *http.Request, k Kiosk) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(beat)) // some writers have none
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	if !send("retry: 1000\n\n") {
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		view, changed := k.Now()
		raw, err := json.Marshal(view)
		if err != nil || !send(fmt.Sprintf("data: %s\n\n", raw)) {
			return
		}
		for again := true; again; {
			select {
			case <-r.Context().Done():
				return
			case <-changed:
				again = false
			case <-tick.C:
				if !send("event: beat\ndata: {}\n\n") {
					return
				}
			}
		}
	}
}

// choice takes what the rider touched.
func choice(w http.ResponseWriter, r *http.Request, k Kiosk) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "want application/json", http.StatusUnsupportedMediaType)
		return
	}
	c, err := readChoice(http.MaxBytesReader(w, r.Body, maxChoice))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.Say(c)
	w.WriteHeader(http.StatusNoContent)
}

var errChoice = errors.New("want one choice in JSON: seq, choice, and amount or way")
