package channel_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
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
	for _, tt := range []struct {
		name, url string
		notSent   bool
	}{
		{"nobody listens", dead.URL, true},
		{"nobody listens where the host sends us", redirects.URL, false},
		{"the connection is cut", cuts.URL, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, tt.url, http.NoBody)
			require.NoError(t, err)
			_, err = http.DefaultClient.Do(req)
			require.Error(t, err)
			require.Equal(t, tt.notSent, channel.NotSent(req, err), err)
		})
	}
	req := httptest.NewRequest(http.MethodGet, "http://a/", nil)
	require.False(t, channel.NotSent(req, errors.New("of nothing known")))
	require.False(t, channel.NotSent(req, &net.OpError{Op: "read", Err: errors.New("reset")}))
}
