package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/openapi"
)

// maxBody bounds a request's body, in bytes; real ones are below 1 KiB.
const maxBody = 8 << 10

// gate lets a request through to its operation's handler: whose it is, then what it may do, then whether it follows the
// document. Nothing of the request is read before its token is known.
func (s *server) gate(op operation, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note := noteOf(r.Context())
		note.operation = op.id
		if len(op.roles) > 0 {
			c, err := s.admit(op, r)
			note.caller = c.Name
			if err != nil {
				s.fail(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		}
		if err := check(op, w, r); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit says whose request it is, and refuses one whose token is not good for the operation.
func (s *server) admit(op operation, r *http.Request) (caller, error) {
	var c caller
	token, found := "", false
	if headers := r.Header.Values("Authorization"); len(headers) == 1 {
		token, found = bearer(headers[0])
	}
	if found {
		c, found = s.Tokens.find(token)
	}
	if !found {
		return caller{}, refusal{code: codeUnauthor}
	}
	if !slices.Contains(op.roles, c.Role) {
		return c, refusal{codeForbidden, "the token is an " + string(c.Role) + "'s"}
	}
	return c, nil
}

// check holds a request against the document: parameters, body, unknown fields. After it the body can be read again.
func check(op operation, w http.ResponseWriter, r *http.Request) error {
	if op.body {
		if err := readBody(w, r); err != nil {
			return err
		}
	}
	if wrong := openapi.Check(r, op.route); wrong != "" {
		return refusal{codeRequest, wrong}
	}
	// An id that cannot be one goes no further: it may be anything, a card number too, and later steps name the order.
	if id := r.PathValue("id"); id != "" && !topup.IsOrderID(id) {
		return refusal{code: codeOrder}
	}
	return nil
}

func readBody(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refusal{code: codeMediaType}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return refusal{code: codeTooLarge}
	}
	if err != nil {
		return refusal{codeRequest, "the body ended early"}
	}
	// The document's checker reads the first JSON value and stops; what is behind it would go unseen.
	if !json.Valid(raw) {
		return refusal{codeRequest, "the body is not one JSON value"}
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	return nil
}
