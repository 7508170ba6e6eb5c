package api

import (
	"bytes"
	"context"
	_ "embed" // the document
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/openapi"
)

//go:embed openapi.yaml
var documentYAML []byte

// theDocument is read once: it is part of the program.
var theDocument = sync.OnceValues(func() (*openapi3.T, error) {
	spec, err := openapi3.NewLoader().LoadFromData(documentYAML)
	if err == nil {
		err = spec.Validate(context.Background())
	}
	if err != nil {
		return nil, fmt.Errorf("gateway api: openapi.yaml: %w", err)
	}
	return spec, nil
})

// Config of an API. Gateway and Apps are required.
type Config struct {
	Gateway *gateway.Service
	Apps    *app.Service
	Clock   clock.Clock  // default: the machine's
	Log     *slog.Logger // default slog.Default(); no line has a URL, a body or a header
}

// server is the API at work; it implements StrictServerInterface.
type server struct {
	Config
	spec *openapi3.T
}

var _ StrictServerInterface = (*server)(nil)

// New makes the API's handler. It is safe for concurrent use, and must see the path that was sent: it is signed. Time-outs of a connection are the http.Server's.
func New(cfg Config) (http.Handler, error) {
	if cfg.Gateway == nil || cfg.Apps == nil {
		return nil, errors.New("gateway api: Gateway and Apps are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	spec, err := theDocument()
	if err != nil {
		return nil, err
	}
	s := &server{Config: cfg, spec: spec}
	mux := &gatedMux{ServeMux: http.NewServeMux(), server: s}
	decode := func(w http.ResponseWriter, r *http.Request, _ error) {
		s.fail(w, r, refusal{"request", http.StatusBadRequest, "a value is out of range"})
	}
	strict := NewStrictHandlerWithOptions(s, nil, StrictHTTPServerOptions{RequestErrorHandlerFunc: decode, ResponseErrorHandlerFunc: s.fail})
	HandlerWithOptions(strict, StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: decode})
	if mux.err != nil {
		return nil, mux.err
	}
	mux.ServeMux.HandleFunc("POST /notify/{account}", s.notify)
	return s.route(mux.ServeMux), nil
}

// gatedMux puts the signature, and what the document says, before each handler that the generated code registers.
type gatedMux struct {
	*http.ServeMux
	server *server
	err    error
}

// HandleFunc registers a handler for "METHOD /path".
func (m *gatedMux) HandleFunc(pattern string, f func(http.ResponseWriter, *http.Request)) {
	method, at, _ := strings.Cut(pattern, " ")
	item := m.server.spec.Paths.Value(at)
	if item == nil || item.GetOperation(method) == nil {
		m.err = errors.Join(m.err, fmt.Errorf("gateway api: %s is not in openapi.yaml: generate api.gen.go anew", pattern))
		return
	}
	op := item.GetOperation(method)
	h := m.server.check(&routers.Route{Spec: m.server.spec, Path: at, PathItem: item, Method: method, Operation: op}, http.HandlerFunc(f))
	// Only an operation that says so by an empty list is open to anyone, so that one that forgets to is refused.
	if public := op.Security != nil && len(*op.Security) == 0; !public {
		h = m.server.Apps.Handler(h)
	}
	m.ServeMux.Handle(pattern, h)
}

// route answers with a problem where a mux would answer in plain text, or by a redirect, which no signature is good for.
func (s *server) route(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if _, pattern := mux.Handler(r); pattern != "" && path.Clean(r.URL.Path) == r.URL.Path {
			mux.ServeHTTP(w, r)
			return
		}
		app.WriteProblem(w, http.StatusNotFound, "not-found", "There is no such resource, or it does not have that method: see /v1/openapi.yaml.")
	})
}

// check holds a request against the document: parameters, body, unknown fields.
func (s *server) check(route *routers.Route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.Operation.RequestBody != nil {
			if err := jsonBody(r); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		if wrong := openapi.Check(r, route); wrong != "" {
			s.fail(w, r, refusal{"request", http.StatusBadRequest, wrong})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// jsonBody refuses what is not one JSON value: the document's checker reads the first one and stops. The body is whole and bounded, because it was signed.
func jsonBody(r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refusal{"media-type", http.StatusUnsupportedMediaType, "want Content-Type: application/json"}
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(raw) {
		return refusal{"request", http.StatusBadRequest, "the body is not one JSON value"}
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	return nil
}

// maxNotification bounds a channel's notification, in bytes.
const maxNotification = 1 << 20

// notify hands a channel's notification on as it came. It is answered when what it says is kept.
func (s *server) notify(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// The error is what the answer comes from, and the gateway has logged it.
	reply, _ := s.Gateway.Notified(r.Context(), r.PathValue("account"), channel.Notification{Header: r.Header, Query: r.URL.RawQuery, Body: body, At: s.Clock.Now()})
	if reply.Status == 0 { // an adapter that forgot it: the channel tells again
		reply = channel.Reply{Status: http.StatusInternalServerError}
	}
	if reply.Type != "" {
		w.Header().Set("Content-Type", reply.Type)
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // the channel is gone: it will tell again
}
