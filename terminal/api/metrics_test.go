package api_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

func TestMetrics(t *testing.T) {
	d := &device{}
	m := api.NewMetrics(d.Health)
	m.Show(edge.Event{Lane: 0, At: start, Card: true})
	m.Show(edge.Event{Lane: 0, At: start, Took: 310 * time.Millisecond, Result: tap.Result{Outcome: tap.Granted, Card: card},
		Phases: edge.Phases{Detect: 40 * time.Millisecond, Select: 20 * time.Millisecond, Card: 280 * time.Millisecond, SAM: 9 * time.Millisecond, Journal: 4 * time.Millisecond, Own: time.Millisecond}})
	m.Show(edge.Event{Lane: 0, At: start, Took: 60 * time.Millisecond, Result: tap.Result{Outcome: tap.RefusedBalance}})
	m.Show(edge.Event{Lane: edge.AllLanes, At: start, Result: tap.Result{Outcome: tap.OutOfService}})
	m.Show(edge.Event{Lane: edge.AllLanes, At: start, Ready: true})
	scrape := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		require.Equal(t, 200, w.Code, w.Body)
		return w.Body.String()
	}
	got := scrape()
	for _, line := range []string{
		`purselane_terminal_outcomes_total{outcome="granted"} 1`,
		`purselane_terminal_outcomes_total{outcome="refused-denied"} 0`,
		`purselane_terminal_outcomes_total{outcome="out-of-service"} 1`,
		`purselane_terminal_tap_seconds_bucket{result="pass",le="0.3"} 0`,
		`purselane_terminal_tap_seconds_bucket{result="pass",le="0.35"} 1`,
		`purselane_terminal_tap_seconds_count{result="refused"} 1`,
		`purselane_terminal_tap_phase_seconds_sum{phase="card"} 0.28`,
		`purselane_terminal_tap_phase_seconds_count{phase="journal"} 1`,
		`purselane_terminal_tap_phase_seconds_sum{phase="detect"} 0.04`,
		`purselane_terminal_journal_records 12`,
		`purselane_terminal_reader_up{lane="0",mode="bus-flat"} 1`,
		`purselane_terminal_reader_up{lane="1",mode="sale"} 0`,
		`purselane_terminal_clock_state{state="good"} 1`,
		`purselane_terminal_in_use 1`,
	} {
		require.True(t, strings.Contains(got, line+"\n"), line)
	}
	for line := range strings.Lines(got) {
		require.False(t, strings.HasPrefix(line, "purselane") && strings.Contains(line, "1234"), "a card, if only masked: %s", line)
	}

	broken := api.NewMetrics(func() (api.Health, error) { return api.Health{}, errors.New("journal is damaged") })
	w := httptest.NewRecorder()
	broken.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	require.True(t, strings.Contains(w.Body.String(), "purselane_terminal_health_failed 1\n"))
}
