package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/cardlife"
	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/kiosksale"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/clock"
)

// Config of an API.
type Config struct {
	Store *store.Store   // required
	TopUp *topup.Service // required

	// Life ends the lives of cards.
	//
	// Default one with cardlife's own defaults over Store.
	Life *cardlife.Service

	// Cases runs the cases of taps that officers decide.
	//
	// Default one with cases' own defaults over Store.
	Cases *cases.Service

	// Online sells loads that riders pay through the online gateway.
	//
	// Default: nobody does; the answer is that online payment is not set up here.
	Online OnlineSales

	// Files answers the operations on acquirers' files (backend/settlement/delivery), behind this API's gate.
	//
	// Default: there are none.
	Files http.Handler

	// Tokens is who may call. The zero value lets nobody in: health and the document still answer.
	Tokens Tokens

	// Location is in which times are written.
	//
	// Default time.UTC.
	Location *time.Location

	// Log gets a line for each request, and the error behind an answer that says nothing of it. No line has a URL, a body or
	// a header.
	//
	// Default slog.Default().
	Log *slog.Logger

	// Clock times requests for the log.
	//
	// Default clock.System.
	Clock clock.Clock
}

// server is the API at work; it implements StrictServerInterface.
type server struct {
	Config
	doc *document
}

var _ StrictServerInterface = (*server)(nil)

// New makes the API's handler. It serves paths below /v1 and is safe for concurrent use. Time-outs of a connection are
// the http.Server's.
func New(cfg Config) (http.Handler, error) {
	if cfg.Store == nil || cfg.TopUp == nil {
		return nil, errors.New("api: Store and TopUp are needed")
	}
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Life == nil {
		life, err := cardlife.New(cfg.Store, cfg.Clock, cardlife.Config{Location: cfg.Location, Log: cfg.Log})
		if err != nil {
			return nil, err
		}
		cfg.Life = life
	}
	if cfg.Cases == nil {
		officers, err := cases.New(cfg.Store, cfg.Clock, cases.Config{Location: cfg.Location, Log: cfg.Log})
		if err != nil {
			return nil, err
		}
		cfg.Cases = officers
	}
	if cfg.Online == nil {
		cfg.Online = (*kiosksale.Service)(nil) // which says so
	}
	doc, err := theDocument()
	if err != nil {
		return nil, err
	}
	s := &server{Config: cfg, doc: doc}
	mux := &gatedMux{ServeMux: http.NewServeMux(), server: s}
	strict := NewStrictHandlerWithOptions(s, nil, StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  s.failDecode,
		ResponseErrorHandlerFunc: s.fail,
	})
	HandlerWithOptions(strict, StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: s.failDecode})
	files := s.files()
	if err := errors.Join(mux.err, files.err); err != nil {
		return nil, err
	}
	return s.guard(s.route(mux.ServeMux, files.ServeMux)), nil
}

// gatedMux puts the gate of its operation before each handler that the generated code registers.
type gatedMux struct {
	*http.ServeMux
	server *server
	err    error
}

// HandleFunc registers a handler for "METHOD /path".
func (m *gatedMux) HandleFunc(pattern string, f func(http.ResponseWriter, *http.Request)) {
	op, found := m.server.doc.operations[pattern]
	if !found {
		m.err = fmt.Errorf("api: %s is not in openapi.yaml: generate api.gen.go anew", pattern)
		return
	}
	m.ServeMux.Handle(pattern, m.server.gate(op, http.HandlerFunc(f)))
}

// route asks one mux after the other, and answers with a problem where a mux would answer in plain text.
func (s *server) route(muxes ...*http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := ""
		for _, mux := range muxes {
			h, pattern := mux.Handler(r)
			if pattern != "" && path.Clean(r.URL.Path) == r.URL.Path {
				mux.ServeHTTP(w, r)
				return
			}
			answer := plainAnswer{header: http.Header{}}
			if pattern == "" {
				h.ServeHTTP(&answer, r)
			}
			if answer.status == http.StatusMethodNotAllowed {
				allowed = answer.header.Get("Allow")
			}
		}
		if allowed != "" {
			w.Header().Set("Allow", allowed)
			s.fail(w, r, refusal{code: codeMethod})
			return
		}
		s.fail(w, r, refusal{code: codeNotFound})
	})
}

// plainAnswer takes the mux's own answer.
type plainAnswer struct {
	header http.Header
	status int
}

func (a *plainAnswer) Header() http.Header         { return a.header }
func (a *plainAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (a *plainAnswer) WriteHeader(status int)      { a.status = status }

// note is what the log line of a request says of it.
type note struct{ operation, caller string }

type noteKey struct{}

func noteOf(ctx context.Context) *note {
	n, is := ctx.Value(noteKey{}).(*note)
	if !is {
		return &note{}
	}
	return n
}

// guard stands round everything: headers, the log line, and a panic's end.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.Clock.Now()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		n := &note{operation: "none", caller: "none"}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
		out := &statusWriter{ResponseWriter: w}
		defer func() {
			fault := recover()
			if fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				s.Log.ErrorContext(r.Context(), "api: panic", "operation", n.operation, "fault", fmt.Sprint(fault), "at", frames())
				if out.status == 0 {
					writeProblem(out, problemOf(refusal{code: codeInternal}))
				}
			}
			s.Log.InfoContext(r.Context(), "api: request", "operation", n.operation, "caller", n.caller, "status", out.status,
				"ms", s.Clock.Now().Sub(began).Milliseconds())
			if fault == http.ErrAbortHandler { //nolint:errorlint // as above
				panic(fault)
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// frames says where a panic came from, without the values that a stack dump would show.
func frames() string {
	pcs := make([]uintptr, 32)
	all := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var b bytes.Buffer
	for {
		f, more := all.Next()
		fmt.Fprintf(&b, "%s:%d\n", f.Function, f.Line)
		if !more {
			return strings.TrimSpace(b.String())
		}
	}
}

// statusWriter remembers the status that was written.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// fail answers with an error's problem, and tells the log what the answer does not.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "api: request failed", "operation", noteOf(r.Context()).operation, "code", p.Code, "error", err)
	}
	writeProblem(w, p)
}

// failDecode answers a request that the document allows and a Go type does not hold, such as an amount out of range.
func (s *server) failDecode(w http.ResponseWriter, r *http.Request, _ error) {
	s.fail(w, r, refusal{codeRequest, "a value is out of range"})
}
