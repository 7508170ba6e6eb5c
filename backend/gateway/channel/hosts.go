package channel

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// DialTime bounds the opening of a connection, so that the next host can be tried while the payer waits.
const DialTime = 3 * time.Second

// Hosts sends requests to the next of a channel's hosts while no connection to the one before could be opened, and stays with the one that could. A
// request that may have left is never sent again. It is safe for concurrent use.
type Hosts struct {
	next  http.RoundTripper
	hosts []*url.URL // the first one is the channel's own
	now   atomic.Int64
}

// NewHosts makes one over hosts such as https://api.example.org, the channel's own first. Requests to another host than that go as they are. next nil:
// Go's own transport, with [DialTime].
func NewHosts(next http.RoundTripper, hosts ...string) (*Hosts, error) {
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: DialTime, KeepAlive: 30 * time.Second}).DialContext
		next = t
	}
	h := &Hosts{next: Once{next}}
	for i, text := range hosts {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || i > 0 && (u.Path != "" || u.RawQuery != "") {
			return nil, fmt.Errorf("hosts[%d]: want an address such as https://api.example.org", i)
		}
		h.hosts = append(h.hosts, u)
	}
	return h, nil
}

// RoundTrip implements [http.RoundTripper]. Its error is that of the last host, and [NotSent] holds of it only where no host could be reached.
func (h *Hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(h.hosts) < 2 || req.URL.Host != h.hosts[0].Host || req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return h.next.RoundTrip(req)
	}
	first := int(h.now.Load())
	var last error
	for i := range h.hosts {
		at := (first + i) % len(h.hosts)
		one := req.Clone(req.Context())
		one.URL.Scheme, one.URL.Host = h.hosts[at].Scheme, h.hosts[at].Host
		one.Host = ""
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			one.Body = body
		}
		resp, err := h.next.RoundTrip(one)
		if err == nil || !NotSent(one, err) {
			h.now.Store(int64(at))
			closeBody(req)
			return resp, err
		}
		if last = err; req.Context().Err() != nil {
			break
		}
	}
	closeBody(req)
	return nil, last
}

// closeBody closes the body that was not sent itself, as a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was read
	}
}

// Client is an HTTP client over a channel's hosts that follows no redirect. Errors: as [NewHosts].
func Client(timeout time.Duration, hosts ...string) (*http.Client, error) {
	h, err := NewHosts(nil, slices.DeleteFunc(slices.Clone(hosts), func(s string) bool { return s == "" })...)
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: timeout, Transport: h, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}
