package api

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

//go:embed openapi.yaml
var document []byte

// Document is the OpenAPI document.
func Document() []byte { return document }

// Options of a server. Terminal, Hub and Log are required.
type Options struct {
	Terminal Terminal
	Hub      *Hub
	Log      *slog.Logger
	Level    *slog.LevelVar // what PUT /v1/log-level sets; nil: it cannot be set
	Token    string         // wanted of every request; empty: none, for loopback and unix sockets alone
	Metrics  http.Handler   // /metrics; nil: none
	Screens  http.Handler   // all that is not below /v1; nil: none
	Patience time.Duration  // how long a sale waits for a card; default 60 s
}

const (
	maxBody     = 4 << 10
	writeWithin = 10 * time.Second // an event stream whose client takes longer is ended
	heartbeat   = 15 * time.Second
	maxStreams  = 32
)

// New makes the handler.
func New(o Options) http.Handler {
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	s := &server{Options: o, streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(document)
	})
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /v1/readyz", s.ready)
	mux.HandleFunc("GET /v1/events", s.events)
	mux.HandleFunc("POST /v1/sales", s.sell)
	mux.HandleFunc("GET /v1/sales/{request}", s.sale)
	mux.HandleFunc("POST /v1/sales/{request}/void", s.void)
	mux.HandleFunc("GET /v1/journal/export", s.export)
	mux.HandleFunc("POST /v1/lanes/{lane}/restart", s.restart)
	mux.HandleFunc("GET /v1/log-level", s.level)
	mux.HandleFunc("PUT /v1/log-level", s.setLevel)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) { probNotFound.write(w) })
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	if o.Screens != nil {
		mux.Handle("/", o.Screens)
	}
	return s.guard(mux)
}

type server struct {
	Options
	streams chan struct{} // holds a token for each open event stream
}

// read reads a JSON body strictly. False: the problem is written.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if err = d.Decode(new(any)); errors.Is(err, io.EOF) {
			return true
		}
		err = errors.New("more than one JSON value")
	}
	probRequest.with(err.Error()).write(w)
	return false
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone if this fails
}
