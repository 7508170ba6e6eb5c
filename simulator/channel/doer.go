package channel

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
)

// Doer reaches a handler without a network: a broken connection is [ErrBroken], an unreachable one is the dialler's error, and a context
// that has ended sends nothing. Who wants sockets serves the same handler with httptest.
func Doer(h http.Handler, w *Weather) gateway.Doer { return doer{h, w} }

type doer struct {
	handler http.Handler
	weather *Weather
}

func (d doer) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if d.weather != nil && !d.weather.Reachable() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	got, err := asReceived(r)
	if err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	if !serve(d.handler, rec, got) {
		return nil, ErrBroken
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer := rec.Result()
	answer.Request = r
	return answer, nil
}

// RoundTrip lets an *http.Client use a doer as its Transport.
func (d doer) RoundTrip(r *http.Request) (*http.Response, error) { return d.Do(r) }

// Client is a [Doer] as an *http.Client, for libraries that want one.
func Client(h http.Handler, w *Weather) *http.Client { return &http.Client{Transport: doer{h, w}} }

// asReceived is a client's request as a server sees it.
func asReceived(r *http.Request) (*http.Request, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	got := r.Clone(r.Context())
	got.Body, got.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	got.RequestURI = r.URL.RequestURI()
	if got.Host == "" {
		got.Host = r.URL.Host
	}
	return got, nil
}

// serve is false where the handler broke the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			whole = false
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return true
}
