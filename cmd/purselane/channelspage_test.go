package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/node"
)

// TestTheConsoleSwitchesAChannel: with the operator's token that init made; the agent's is refused.
func TestTheConsoleSwitchesAChannel(t *testing.T) {
	x := newPayTown(t)
	c, err := x.config(t)
	require.NoError(t, err)
	n, err := node.Open(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	post := func(tokenFile, channel string) (int, string) {
		t.Helper()
		token, err := os.ReadFile(x.path(tokenFile))
		require.NoError(t, err)
		form := url.Values{"channel": {channel}, "version": {"0"}, "to": {"off"}, "reason": {"tests"}, "token": {string(token)}}
		r := httptest.NewRequest(http.MethodPost, "/channels/switch?lang=en", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		n.Console().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	code, _ := post("agent.token", "wechat")
	require.Equal(t, http.StatusForbidden, code)
	code, body := post("operator.token", "wehcat")
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, body, "names no such channel")
	keep := n.Channels().Keeper()
	require.Equal(t, 1.0, keep.Share(health.Cell{Channel: "wechat"}))
	code, body = post("operator.token", "wechat")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "Done: wechat")
	require.Zero(t, keep.Share(health.Cell{Channel: "wechat"}))
	require.Equal(t, []string{"alipay", "wechat"}, n.Channels().Names())
	require.NotContains(t, body, "One channel alone takes qr CNY", "two take it")
	code, _ = post("operator.token", "wechat")
	require.Equal(t, http.StatusConflict, code, "it has moved since")
	for _, page := range []string{"business", "merchants", "accounts"} {
		w := httptest.NewRecorder()
		n.Console().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+page+"?lang=en", nil))
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), "Nothing to look at.")
	}
}
