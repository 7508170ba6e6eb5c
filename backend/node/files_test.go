package node_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// Acquirers fetch their files at the API's address, in the scheme's currency; the API is where it was.
func TestAcquirersFetchTheirFilesBesideTheAPI(t *testing.T) {
	cfg := config(t)
	token, hash := api.NewToken(bytes.NewReader(bytes.Repeat([]byte{3}, 32)))
	operator, operatorHash := api.NewToken(bytes.NewReader(bytes.Repeat([]byte{4}, 32)))
	var err error
	cfg.Tokens, err = api.LoadTokens([]byte("version: 1\ntokens: [{name: a, role: agent, acquirer: bus, sha256: " + hash + "}, {name: o, role: operator, sha256: " + operatorHash + "}]\n"))
	require.NoError(t, err)
	cfg.Scheme, err = node.ParseScheme([]byte(strings.Replace(whole, "term: D+1", "term: D+1\ncurrency: HKD", 1)))
	require.NoError(t, err)
	n, err := node.Open(t.Context(), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	_, err = n.Settle(t.Context(), "2026-11-24")
	require.NoError(t, err)
	get := func(path, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		n.API().ServeHTTP(w, r)
		return w
	}
	got := get("/v1/settlement/2026-11-24/files/bus-2026-11-24-report.csv", token)
	require.Equal(t, 200, got.Code)
	require.True(t, strings.HasPrefix(got.Body.String(), "header,purselane-acquirer-file,1,report,bus,2026-11-24,HKD,"), got.Body.String())
	require.Equal(t, 401, get("/v1/settlement/2026-11-24/files", "").Code)
	require.Equal(t, 200, get("/v1/health", "").Code)
	require.Equal(t, 404, get("//v1/health", "").Code)
	require.Equal(t, 200, get("/v1/settlement/days", operator).Code, "the operators' settlement is where it was")
	require.Equal(t, 200, get("/v1/settlement/days/2026-11-24/report", operator).Code)
}

// An acquirer's cut-off is registered, and taken back when the scheme no longer names one.
func TestACutOffIsOfTheScheme(t *testing.T) {
	cfg := config(t)
	cfg.Dir = t.TempDir()
	at := time.Date(2026, 11, 24, 15, 30, 0, 0, time.UTC) // 23:30 in Shanghai
	for _, c := range []struct{ more, want string }{{"cut_off: '23:00',", "2026-11-25"}, {"", "2026-11-24"}, {"time_zone: Europe/London, cut_off: '15:00',", "2026-11-25"}} {
		scheme, err := node.ParseScheme([]byte(strings.Replace(whole, "id: bus, name: Bus,", "id: bus, name: Bus, "+c.more, 1)))
		require.NoError(t, err)
		cfg.Scheme = scheme
		n, err := node.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, n.Store().Update(t.Context(), func(tx *store.Tx) error {
			require.NoError(t, tx.PutTerminal(t.Context(), store.Terminal{ID: "bus-1", Merchant: "m1", PublicKey: make([]byte, 32), Active: true}))
			day, err := tx.ArrivalDay(t.Context(), "bus-1", at, scheme.Location())
			require.Equal(t, c.want, day, c.more)
			return err
		}))
		require.NoError(t, n.Close())
	}
}
