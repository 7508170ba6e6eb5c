package channel

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// NotSent reports that a request of HTTP that ended with err has not left: the connection to its own host could not be opened.
//
// A failed dial after a redirect does not count, because the first host has had the request by then. Nor does a connection that broke:
// what was written may have arrived.
func NotSent(req *http.Request, err error) bool {
	var of *url.Error
	if errors.As(err, &of) && of.URL != req.URL.String() {
		return false
	}
	return Opening(err)
}

// Opening reports that err ended the opening of a connection, before anything of a request went over it: nobody is there, or whoever is has not proven that he is the
// channel. Any other end of a handshake says nothing: in TLS 1.3 a request may be on its way before the other side refuses our certificate.
func Opening(err error) bool {
	var op *net.OpError
	var stranger *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &stranger)
}

// Once is a transport whose errors are of [Opening] only where nothing of the request has left over any connection. Go's own transport sends a request with an Idempotency-Key again by itself
// when a connection that it had kept breaks; where the second one could not be opened, its error is that of a request that never left.
type Once struct{ Next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (o Once) RoundTrip(req *http.Request) (*http.Response, error) {
	var left atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { left.Store(true) }}
	resp, err := o.Next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && left.Load() && Opening(err) {
		return nil, fmt.Errorf("the connection broke after the request had left, and another could not be opened: %v", err) // its kind is hidden
	}
	return resp, err
}
