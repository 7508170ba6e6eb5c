package channel_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

func TestOnlyAFailedDialToTheHostItselfIsNotSent(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	redirects := httptest.NewServer(http.RedirectHandler(dead.URL, http.StatusTemporaryRedirect))
	defer redirects.Close()
	cuts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cuts.Close()
	var heard atomic.Int32
	stranger := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer stranger.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer plain.Close()
	picky := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	picky.Config.ErrorLog = stranger.Config.ErrorLog
	picky.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	picky.StartTLS()
	defer picky.Close()
	for _, tt := range []struct {
		name, url string
		notSent   bool
	}{
		{"nobody listens", dead.URL, true},
		{"nobody listens where the host sends us", redirects.URL, false},
		{"the connection is cut", cuts.URL, false},
		{"a certificate of somebody", stranger.URL, true},
		{"no TLS at all", "https" + strings.TrimPrefix(plain.URL, "http"), false},
		{"it wants a certificate of ours", picky.URL, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, tt.url, http.NoBody)
			require.NoError(t, err)
			c := http.DefaultClient
			if tt.url == picky.URL {
				c = picky.Client()
			}
			_, err = c.Do(req)
			require.Error(t, err)
			require.Equal(t, tt.notSent, channel.NotSent(req, err), err)
		})
	}
	require.Zero(t, heard.Load())
	req := httptest.NewRequest(http.MethodGet, "http://a/", nil)
	require.False(t, channel.NotSent(req, errors.New("of nothing known")))
	require.False(t, channel.NotSent(req, &net.OpError{Op: "read", Err: errors.New("reset")}))
}

// TestWhatGoSendsAgainHasLeft: a kept connection breaks after a request with an Idempotency-Key has arrived, Go sends it again, and by then nobody listens. The last error is
// that of a dial, and the request has been heard.
func TestWhatGoSendsAgainHasLeft(t *testing.T) {
	for _, hosts := range []bool{false, true} {
		var heard atomic.Int32
		var s *httptest.Server
		s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if heard.Add(1) == 2 {
				_ = s.Listener.Close()
				panic(http.ErrAbortHandler)
			}
		}))
		plain := &http.Transport{}
		var next http.RoundTripper = channel.Once{Next: plain}
		if hosts {
			var err error
			next, err = channel.NewHosts(plain, s.URL, "http://127.0.0.1:1")
			require.NoError(t, err)
		}
		c := &http.Client{Transport: next}
		post := func() (*http.Request, error) {
			req, err := http.NewRequest(http.MethodPost, s.URL, strings.NewReader("pay"))
			require.NoError(t, err)
			req.Header.Set("Idempotency-Key", "1")
			resp, err := c.Do(req)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			return req, err
		}
		_, err := post()
		require.NoError(t, err)
		req, err := post()
		require.ErrorContains(t, err, "another could not be opened")
		require.False(t, channel.NotSent(req, err), err)
		require.EqualValues(t, 2, heard.Load())
		req, err = post()
		require.Error(t, err)
		require.True(t, channel.NotSent(req, err), err)
		plain.CloseIdleConnections()
		s.Close()
	}
}
