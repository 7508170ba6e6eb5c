//go:build stripemock

package stripe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/channel/channeltest"
)

// seen are the requests that the adapter made while the suite ran, one of each shape.
type seen struct {
	mu  sync.Mutex
	all map[string]*http.Request
}

// recorder keeps the requests that pass.
type recorder struct {
	*seen
	next http.RoundTripper
}

func (s recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	kept := r.Clone(context.Background())
	kept.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.all[shape(r, body)] = kept
	s.mu.Unlock()
	return s.next.RoundTrip(r)
}

// shape is what makes two requests the same to a schema: method, path without ids, and the names of the parameters.
func shape(r *http.Request, body []byte) string {
	path := strings.Split(r.URL.Path, "/")
	for i, p := range path {
		if strings.Contains(p, "_3S") {
			path[i] = "{id}"
		}
	}
	var names []string
	for _, pair := range strings.Split(r.URL.RawQuery+"&"+string(body), "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return r.Method + " " + strings.Join(path, "/") + " " + strings.Join(slices.Compact(names), "&")
}

// TestRequestsHaveStripesShape sends every shape of request that the suite makes to stripe-mock, which knows Stripe's own description of
// the API. It keeps nothing, so its answers are not looked at.
func TestRequestsHaveStripesShape(t *testing.T) {
	mock := startMock(t)
	record := &seen{all: map[string]*http.Request{}}
	t.Run("suite", func(t *testing.T) {
		channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
			return benchOf(t, func(c *http.Client) { c.Transport = recorder{record, c.Transport} })
		})
	})
	require.Greater(t, len(record.all), 10, "the suite makes requests of more kinds")
	for name, r := range record.all {
		r.URL.Scheme, r.URL.Host, r.Host = "http", mock, mock
		r.RequestURI = ""
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode, "%s: %s", name, body)
	}

	bad, err := http.NewRequest(http.MethodPost, "http://"+mock+"/v1/payment_intents", strings.NewReader("amount=abc&currency=usd"))
	require.NoError(t, err)
	bad.Header.Set("Authorization", "Bearer "+key)
	bad.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(bad)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusBadRequest, answer.StatusCode, "the mock must look at the parameters at all")
}

// startMock runs stripe-mock on a free port until the test ends.
func startMock(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("stripe-mock")
	require.NoError(t, err, "stripe-mock is missing: run scripts/setup.sh stripe, or go install github.com/stripe/stripe-mock@v0.203.0")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	l.Close()
	var out bytes.Buffer
	cmd := exec.Command(program, "-http-addr", at)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		select {
		case <-ended:
			t.Fatalf("stripe-mock ended: %s", out.String())
		default:
		}
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			c.Close()
			return at
		}
	}
	require.Fail(t, fmt.Sprintf("stripe-mock does not listen on %s", at))
	return ""
}
