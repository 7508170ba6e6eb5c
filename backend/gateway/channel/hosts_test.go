package channel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// TestTheNextHostIsAskedWhereNoConnectionOpens, and never where the request may have arrived.
func TestTheNextHostIsAskedWhereNoConnectionOpens(t *testing.T) {
	var heard [2]atomic.Int32
	serve := func(i int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard[i].Add(1)
			body, _ := io.ReadAll(r.Body)
			if string(body) == "cut" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, r.URL.Path+" "+string(body))
		}))
	}
	one, two := serve(0), serve(1)
	defer two.Close()
	c, err := channel.Client(5*time.Second, one.URL+"/gateway", two.URL)
	require.NoError(t, err)
	ask := func(body string) (string, error) {
		resp, err := c.Post(one.URL+"/gateway/pay", "text/plain", strings.NewReader(body))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		return string(said), err
	}
	count := func() [2]int32 { return [2]int32{heard[0].Load(), heard[1].Load()} }

	said, err := ask("a")
	require.NoError(t, err)
	require.Equal(t, "/gateway/pay a", said)
	_, err = ask("cut")
	require.Error(t, err)
	require.Equal(t, [2]int32{2, 0}, count(), "what may have arrived is not sent again")
	one.Close()
	for i := range 2 { // it stays with the second one
		said, err = ask("b")
		require.NoError(t, err)
		require.Equal(t, "/gateway/pay b", said)
		require.Equal(t, [2]int32{2, int32(i + 1)}, count())
	}
	_, err = ask("cut")
	require.Error(t, err)
	require.Equal(t, [2]int32{2, 3}, count())
	two.Close()
	req, err := http.NewRequest(http.MethodPost, one.URL+"/gateway/pay", strings.NewReader("c"))
	require.NoError(t, err)
	_, err = c.Do(req)
	require.True(t, channel.NotSent(req, err), "%v", err)
}

func TestHostsThatAreNone(t *testing.T) {
	for _, bad := range []string{"api.example.org", "https://", "ftp://a", "https://u@a", "://"} {
		_, err := channel.NewHosts(nil, "https://a", bad)
		require.ErrorContains(t, err, "hosts[1]", bad)
	}
	_, err := channel.NewHosts(nil, "https://a/path", "https://b/path")
	require.Error(t, err, "the path is the channel's own")
}

var errDial = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}

type round func(*http.Request) (*http.Response, error)

func (f round) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAContextThatEndsAsksNobodyElse: the caller has gone.
func TestAContextThatEndsAsksNobodyElse(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	asked := 0
	h, err := channel.NewHosts(round(func(r *http.Request) (*http.Response, error) {
		asked++
		stop()
		return nil, errDial
	}), "https://a", "https://b")
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a/x", http.NoBody)
	require.NoError(t, err)
	_, err = h.RoundTrip(req)
	require.ErrorIs(t, err, errDial)
	require.Equal(t, 1, asked)
	require.False(t, errors.Is(err, context.Canceled))
}
