package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/purselane/purselane/backend/gateway/app/sign"
	"github.com/purselane/purselane/internal/clock"
)

// Key signs requests: a [sign.Secret] or a [sign.RSA].
type Key interface {
	Sign(text []byte) ([]byte, error)
}

// Signer is a transport that signs each request. It is safe for concurrent use. A request that is sent again through it is signed anew; that it is one order stays the idempotency key's business. Redirects are
// not followed: a signature does not name the host, so another one could pass it on.
type Signer struct {
	App   string // the app's name
	KeyID string
	Key   Key

	// Base sends the signed request.
	//
	// Default http.DefaultTransport.
	Base http.RoundTripper

	// MaxBody bounds a request's body, in bytes, which is held in memory to be signed.
	//
	// Default 1 MiB, as the gateway takes.
	MaxBody int64

	Clock clock.Clock // default: the machine's
}

// Refusals to sign, beside [sign.ErrRequest] and [sign.ErrKey].
var (
	// ErrBody: the body is too large.
	ErrBody = errors.New("the body is larger than the gateway takes")
	// ErrRedirect: the request is where another one was redirected to.
	ErrRedirect = errors.New("the gateway does not redirect: see whether the address is its own")
)

// RoundTrip signs a copy of a request and sends it. Errors: [ErrBody], [ErrRedirect], [sign.ErrRequest], [sign.ErrKey], and those of the network.
func (s *Signer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := s.body(r)
	if err == nil && r.Response != nil {
		err = ErrRedirect
	}
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	out := r.Clone(r.Context())
	if r.Body != nil {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	header, err := s.header(out, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	out.Header.Set("Authorization", header)
	base := s.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(out)
}

// body reads a request's body and closes it, as a transport must.
func (s *Signer) body(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	limit := s.MaxBody
	if limit <= 0 {
		limit = 1 << 20
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrBody)
	}
	return body, nil
}

func (s *Signer) header(r *http.Request, body []byte) (string, error) {
	if s.Key == nil {
		return "", fmt.Errorf("Signer.Key is needed: %w", sign.ErrKey)
	}
	now := s.Clock
	if now == nil {
		now = clock.System{}
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	h := sign.Header{App: s.App, Key: s.KeyID, Timestamp: now.Now().Unix(), Nonce: rand.Text()}
	text, err := sign.Request{Method: method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Timestamp: h.Timestamp, Nonce: h.Nonce, App: h.App, Key: h.Key, Body: body}.Text()
	if err != nil {
		return "", err
	}
	if h.Signature, err = s.Key.Sign(text); err != nil {
		return "", err
	}
	return h.String(), nil
}
