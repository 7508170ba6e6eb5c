package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

func field(t *testing.T, w *httptest.ResponseRecorder, name string) any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m), w.Body.String())
	return m[name]
}

func TestStatusAndReadiness(t *testing.T) {
	s := newStand(t, nil)
	w := s.do("GET", "/v1/status", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "shop-1", field(t, w, "terminal"))
	require.Equal(t, http.StatusOK, s.do("GET", "/v1/readyz", "").Code)
	s.device.broken = "the SAM is gone"
	w = s.do("GET", "/v1/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "the SAM is gone", field(t, w, "detail"))
	require.Equal(t, http.StatusNoContent, s.do("GET", "/v1/livez", "").Code, "it lives, though it does not sell")
	require.Contains(t, s.do("GET", "/v1/openapi.yaml", "").Body.String(), "openapi: 3.0.3")
	require.Equal(t, http.StatusNotFound, s.do("GET", "/v1/nothing", "").Code)
}

func TestSaleIsAnsweredByWhatTheJournalKnows(t *testing.T) {
	s := newStand(t, nil)
	w := s.do("POST", "/v1/sales", `{"request":"r1","amount":"12.50"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "completed", field(t, w, "state"))
	require.Equal(t, "12.50", field(t, w, "amount"))
	require.Equal(t, "12.34", field(t, w, "balance"))
	require.Equal(t, w.Body.String(), s.do("GET", "/v1/sales/r1", "").Body.String(), "and the same afterwards")
	require.Equal(t, w.Body.String(), s.do("POST", "/v1/sales", `{"request":"r1","amount":"12.50"}`).Body.String(), "and when it is sold again")

	// A card that left: the call ends with its patience, and the journal says that the outcome is not known.
	s.device.next = func(_ context.Context, a money.Amount, r string) (tap.Result, error) {
		return s.device.note(a, r, wire.State_STATE_UNKNOWN, tap.PresentAgain), context.DeadlineExceeded
	}
	w = s.do("POST", "/v1/sales", `{"request":"r2","amount":"1.00","lane":1}`)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, "the deadline was not this request's own: the terminal failed")
	require.Equal(t, "unknown", field(t, s.do("GET", "/v1/sales/r2", ""), "state"))
}

func TestSaleWithoutACard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, func(o *api.Options) { o.Patience = 20 * time.Second })
		s.device.next = func(ctx context.Context, a money.Amount, r string) (tap.Result, error) {
			<-ctx.Done()
			if r == "torn" {
				return s.device.note(a, r, wire.State_STATE_UNKNOWN, tap.PresentAgain), ctx.Err()
			}
			return tap.Result{Outcome: tap.PresentAgain}, ctx.Err()
		}
		w := s.do("POST", "/v1/sales", `{"request":"none","amount":"1.00"}`)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Equal(t, "no-card", field(t, w, "state"))
		require.Equal(t, http.StatusNotFound, s.do("GET", "/v1/sales/none", "").Code)
		w = s.do("POST", "/v1/sales", `{"request":"torn","amount":"1.00"}`)
		require.Equal(t, "unknown", field(t, w, "state"), "never no-card while a card may have been debited")
	})
}

func TestSaleRefused(t *testing.T) {
	s := newStand(t, nil)
	s.device.next = func(context.Context, money.Amount, string) (tap.Result, error) {
		return tap.Result{Outcome: tap.RefusedBalance, Card: card, Reason: "nothing taken"}, nil
	}
	w := s.do("POST", "/v1/sales", `{"request":"r","amount":"1.00"}`)
	require.Equal(t, "refused", field(t, w, "state"))
	require.Equal(t, "refused-balance", field(t, w, "outcome"))
	require.Equal(t, "****1234", field(t, w, "card"), "masked")
}

func TestBadSales(t *testing.T) {
	s := newStand(t, nil)
	s.device.sales["r1"] = edge.Sale{Request: "r1", State: wire.State_STATE_COMPLETED, Amount: money.Minor(100)}
	for _, c := range []struct {
		body, code string
		status     int
	}{
		{``, "request", 400},
		{`{`, "request", 400},
		{`{"request":"a","amount":"1.00"}{}`, "request", 400},
		{`{"request":"a","amount":1.00}`, "request", 400},
		{`{"request":"a","amount":"1.005"}`, "request", 400},
		{`{"request":"a","amount":"1.00","pin":"1234"}`, "request", 400},
		{`{"amount":"1.00"}`, "request", 400},
		{`{"request":"a","amount":"0.00"}`, "request", 400},
		{`{"request":"a","amount":"-1.00"}`, "request", 400},
		{`{"request":"a","amount":"42949672.96"}`, "request", 400},
		{`{"request":"a","amount":"1.00","lane":0}`, "lane", 422},
		{`{"request":"a","amount":"1.00","lane":9}`, "lane", 422},
		{`{"request":"r1","amount":"2.00"}`, "request-reused", 422},
		{`{"request":"` + strings.Repeat("x", 5000) + `","amount":"1.00"}`, "request", 400},
	} {
		w := s.do("POST", "/v1/sales", c.body)
		require.Equal(t, c.status, w.Code, c.body)
		require.Equal(t, c.code, field(t, w, "code"), c.body)
		require.NotEmpty(t, field(t, w, "remedy"))
	}
	w := s.do("POST", "/v1/sales", `{"request":"a","amount":"1.00"}`, "Content-Type", "text/plain")
	require.Equal(t, http.StatusUnsupportedMediaType, w.Code, "a form of another page can send text")
	require.Len(t, s.device.sales, 1, "nothing was sold")
}

func TestVoid(t *testing.T) {
	s := newStand(t, nil)
	for request, state := range map[string]wire.State{"done": wire.State_STATE_COMPLETED, "open": wire.State_STATE_UNKNOWN, "not": wire.State_STATE_VOIDED} {
		s.device.sales[request] = edge.Sale{Request: request, State: state, Amount: money.Minor(100)}
	}
	require.Equal(t, "void-impossible", field(t, s.do("POST", "/v1/sales/done/void", ""), "code"))
	require.Equal(t, http.StatusConflict, s.do("POST", "/v1/sales/open/void", "").Code)
	require.Equal(t, "voided", field(t, s.do("POST", "/v1/sales/not/void", ""), "state"))
	require.Equal(t, http.StatusNotFound, s.do("POST", "/v1/sales/who/void", "").Code)
	for family, says := range map[string]string{"ep": "load that the issuer authorises", "ec": "issuer script", "desfire": "no credit at a terminal", "other": "no card family"} {
		s.device.sales["done"] = edge.Sale{Request: "done", State: wire.State_STATE_COMPLETED, Amount: money.Minor(100), Family: family}
		w := s.do("POST", "/v1/sales/done/void", "")
		require.Equal(t, http.StatusConflict, w.Code, family)
		require.Contains(t, field(t, w, "detail"), says, family)
	}
}

func TestExport(t *testing.T) {
	s := newStand(t, nil)
	w := s.do("GET", "/v1/journal/export?first=41", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, uint64(41), s.device.exported)
	require.Contains(t, w.Body.String(), "purselane-export-1")
	for _, bad := range []string{"0", "-1", "x"} {
		require.Equal(t, http.StatusBadRequest, s.do("GET", "/v1/journal/export?first="+bad, "").Code)
	}
	s.device.broken = "journal is damaged"
	w = s.do("GET", "/v1/journal/export", "")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "half of it")
}

func TestRestartAndLogLevel(t *testing.T) {
	s := newStand(t, nil)
	require.Equal(t, http.StatusAccepted, s.do("POST", "/v1/lanes/1/restart", "").Code)
	require.Equal(t, []int{1}, s.device.restarts)
	require.Equal(t, http.StatusUnprocessableEntity, s.do("POST", "/v1/lanes/7/restart", "").Code)
	require.Equal(t, http.StatusBadRequest, s.do("POST", "/v1/lanes/x/restart", "").Code)
	require.Equal(t, "info", field(t, s.do("GET", "/v1/log-level", ""), "level"))
	require.Equal(t, http.StatusOK, s.do("PUT", "/v1/log-level", `{"level":"debug"}`).Code)
	require.Equal(t, slog.LevelDebug, s.level.Level())
	require.Equal(t, http.StatusBadRequest, s.do("PUT", "/v1/log-level", `{"level":"loud"}`).Code)
	require.Equal(t, slog.LevelDebug, s.level.Level())
}

func TestWhoMayUseIt(t *testing.T) {
	s := newStand(t, nil)
	for _, host := range []string{"127.0.0.1:8801", "localhost:8801", "[::1]:8801", "localhost", "unix"} {
		require.Equal(t, http.StatusOK, s.do("GET", "/v1/status", "", "Host", host).Code, host)
	}
	for _, host := range []string{"evil.example:8801", "10.0.0.7:8801", "127.0.0.1.evil.example"} {
		require.Equal(t, http.StatusForbidden, s.do("GET", "/v1/status", "", "Host", host).Code, host)
	}
	require.Equal(t, http.StatusForbidden, s.do("POST", "/v1/sales", `{"request":"a","amount":"1.00"}`, "Origin", "http://evil.example").Code)
	require.Equal(t, http.StatusForbidden, s.do("GET", "/v1/status", "", "Origin", "http://127.0.0.1:9999").Code, "another port is another site")
	require.Equal(t, http.StatusOK, s.do("GET", "/v1/status", "", "Origin", "http://127.0.0.1:8801").Code)
	require.Empty(t, s.device.sales)

	s = newStand(t, func(o *api.Options) { o.Token = "right" })
	for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "right"}, {"Authorization", "Basic right"}, {"Authorization", "Bearer "}} {
		w := s.do("GET", "/v1/status", "", header...)
		require.Equal(t, http.StatusUnauthorized, w.Code, header)
		require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	}
	require.Equal(t, http.StatusOK, s.do("GET", "/v1/status", "", "Authorization", "Bearer right", "Host", "bus-17.depot:8801").Code)
}

// stream reads events of an open stream until n came.
func (s *stand) stream(after string, n int, meanwhile func()) (text string) {
	s.t.Helper()
	server := httptest.NewServer(s.h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/events", nil)
	require.NoError(s.t, err)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	var out strings.Builder
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "retry:") {
			meanwhile()
		}
		if strings.HasPrefix(lines.Text(), "event:") {
			n--
		}
		if n == 0 && strings.HasPrefix(lines.Text(), "data:") {
			return out.String()
		}
	}
	require.NoError(s.t, lines.Err())
	return out.String()
}

func TestEvents(t *testing.T) {
	s := newStand(t, nil)
	granted := edge.Event{Lane: 0, At: start, Took: 312 * time.Millisecond, Result: tap.Result{Outcome: tap.Granted, Card: card, Balance: money.Minor(800)},
		Pattern: tap.Granted.Pattern(firmwareconfig.Sample())}
	got := s.stream("", 4, func() {
		s.hub.Show(edge.Event{Lane: 0, At: start, Card: true})
		s.hub.Show(granted)
		s.hub.Show(edge.Event{Lane: edge.AllLanes, At: start, Result: tap.Result{Outcome: tap.OutOfService, Reason: "SAM"}, Pattern: tap.OutOfService.Pattern(firmwareconfig.Sample())})
		s.hub.Show(edge.Event{Lane: edge.AllLanes, At: start, Ready: true})
	})
	require.Contains(t, got, "id: 1\nevent: card\ndata: {")
	require.Contains(t, got, `"outcome":"granted","pass":true,"light":"green","beeps":1,"blink":{"on_ms":100,"off_ms":100,"repeats":1,"beep_ms":100},"balance":"8.00","card":"****1234","took_ms":312`)
	require.Contains(t, got, "event: out-of-service\n")
	require.Contains(t, got, "event: ready\n")
	require.NotContains(t, got, card.Reveal())

	got = s.stream("2", 2, func() {})
	require.NotContains(t, got, "id: 2\n", "seen before")
	require.Contains(t, got, "id: 3\n")
	require.Contains(t, got, "id: 4\n")
	require.NotContains(t, got, "event: lost")

	s.hub.Depth(7, start)
	s.hub.Depth(7, start)
	got = s.stream("4", 1, func() {})
	require.Contains(t, got, "event: journal\n")
	require.Contains(t, got, `"records":7`)
	require.Equal(t, 1, strings.Count(got, "event: journal"), "told when it is news")

	got = s.stream("900", 1, func() {})
	require.Contains(t, got, "event: lost", "an id of an earlier life of the program")

	for range 300 {
		s.hub.Show(granted)
	}
	got = s.stream("5", 3, func() {})
	require.Contains(t, got, "event: lost", "more than is kept")
}

func TestNoEventHoldsUpATap(t *testing.T) {
	s := newStand(t, nil)
	server := httptest.NewServer(s.h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/events", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close() // never read
	for range 20000 {
		s.hub.Show(edge.Event{At: start, Result: tap.Result{Outcome: tap.Granted, Reason: strings.Repeat("x", 500)}})
	}
}

func TestTooManyStreams(t *testing.T) {
	s := newStand(t, nil)
	server := httptest.NewServer(s.h)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 33 {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/events", nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		if i < 32 {
			require.Equal(t, http.StatusOK, answer.StatusCode)
		} else {
			require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
		}
	}
}

func TestListen(t *testing.T) {
	for address, wrong := range map[string]string{
		"127.0.0.1:8801": "", "[::1]:8801": "", "localhost:1": "", "unix:/run/x.sock": "", "unix:": "want a path", "8801": "want an address", "0.0.0.0:8801": "want a token", ":8801": "want a token",
		"10.1.2.3:8801": "want a token",
	} {
		err := api.CheckAddress(address, false)
		if wrong == "" {
			require.NoError(t, err, address)
			continue
		}
		require.ErrorContains(t, err, wrong, address)
	}
	require.NoError(t, api.CheckAddress("0.0.0.0:8801", true))

	path := "unix:" + t.TempDir() + "/api.sock"
	l, err := api.Listen(path)
	require.NoError(t, err)
	_, err = api.Listen(path)
	require.ErrorContains(t, err, "another process")
	require.NoError(t, l.Close())
	l, err = api.Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func FuzzSaleRequest(f *testing.F) {
	f.Add([]byte(`{"request":"a","amount":"1.00","lane":1}`))
	f.Add([]byte(`{"request":"a","amount":"-1.00"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &device{sales: map[string]edge.Sale{}}
		d.next = d.pays
		h := api.New(api.Options{Terminal: d, Hub: api.NewHub(nil), Log: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest("POST", "http://127.0.0.1/v1/sales", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.True(t, json.Valid(w.Body.Bytes()))
		require.True(t, w.Code == http.StatusOK || len(d.sales) == 0, "an error, and yet something was sold")
	})
}
