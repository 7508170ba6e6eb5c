package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/purselane/purselane/backend/gateway/app/sign"
)

type callerKey struct{}

// CallerOf is whom a request is from, behind [Service.Handler].
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// refusals are what a caller is told, by kind of error.
var refusals = []struct {
	is     error
	kind   string
	status int
}{
	{sign.ErrHeader, "authorization-header", http.StatusUnauthorized},
	{sign.ErrRequest, "request-unsignable", http.StatusBadRequest},
	{ErrClock, "request-time", http.StatusUnauthorized},
	{ErrSignature, "signature", http.StatusUnauthorized},
	{ErrReplay, "nonce-used", http.StatusUnauthorized},
	{ErrNotActive, "app-not-active", http.StatusForbidden},
}

// Handler lets signed requests through to next, with their [Caller] and their whole body, and answers all others by a problem (RFC 9457). It must see the path that was sent, so it stands in front of whatever
// strips a prefix.
func (s *Service) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
		if err != nil {
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				WriteProblem(w, http.StatusRequestEntityTooLarge, "body-too-large", "The body is larger than is taken.")
			} else {
				WriteProblem(w, http.StatusBadRequest, "body-unread", "The body did not come whole.")
			}
			return
		}
		c, err := s.Verify(r.Context(), r, body)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	for _, k := range refusals {
		if errors.Is(err, k.is) {
			WriteProblem(w, k.status, k.kind, err.Error())
			return
		}
	}
	s.cfg.Log.ErrorContext(r.Context(), "app: verify a request", "error", err)
	WriteProblem(w, http.StatusServiceUnavailable, "unavailable", "The request could not be verified. Sign it anew and send it again.")
}

// WriteProblem answers with a problem document (RFC 9457). kind is a word that is never given a new meaning.
func WriteProblem(w http.ResponseWriter, status int, kind, detail string) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"urn:purselane:gateway:" + kind, http.StatusText(status), status, detail})
	if err != nil {
		panic(err) // strings and a number
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", sign.Scheme)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone: nobody to tell
}
