package api

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// buckets of a tap's time, in seconds: a gate wants 0.3 s, and a card alone takes tenths.
var buckets = []float64{.001, .002, .005, .01, .02, .05, .1, .15, .2, .25, .3, .35, .4, .5, .75, 1, 2, 5, 10}

// Metrics counts what a terminal does, for Prometheus. Names are an outside contract: docs/terminal-api.md.
type Metrics struct {
	registry *prometheus.Registry
	outcomes *prometheus.CounterVec
	tap      *prometheus.HistogramVec
	phases   *prometheus.HistogramVec
}

// NewMetrics makes the metrics; health is asked at each scrape.
func NewMetrics(health func() (Health, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "purselane_terminal_outcomes_total", Help: "Outcomes shown."}, []string{"outcome"}),
		tap: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "purselane_terminal_tap_seconds", Help: "From the card in the field to the outcome.",
			Buckets: buckets}, []string{"result"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "purselane_terminal_tap_phase_seconds", Help: "Parts of a tap that let a rider pass.",
			Buckets: buckets}, []string{"phase"}),
	}
	for o := tap.Granted; o <= tap.OutOfService; o++ {
		m.outcomes.WithLabelValues(o.String())
	}
	m.registry.MustRegister(m.outcomes, m.tap, m.phases, &healthCollector{health: health}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Show counts an event.
func (m *Metrics) Show(e edge.Event) {
	if e.Card || e.Ready {
		return
	}
	m.outcomes.WithLabelValues(e.Result.Outcome.String()).Inc()
	if e.Lane == edge.AllLanes || e.Took == 0 {
		return
	}
	result := "refused"
	switch {
	case e.Result.Outcome.Pass():
		result = "pass"
	case e.Result.Outcome == tap.PresentAgain:
		result = "again"
	}
	m.tap.WithLabelValues(result).Observe(e.Took.Seconds())
	if !e.Result.Outcome.Pass() {
		return
	}
	for _, p := range e.Phases.List() {
		m.phases.WithLabelValues(p.Name).Observe(p.Took.Seconds())
	}
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// healthCollector turns the health into gauges at each scrape.
type healthCollector struct{ health func() (Health, error) }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("purselane_terminal_"+name, help, labels, nil)
}

var (
	descInUse    = gauge("in_use", "1 while the terminal sells.")
	descRecords  = gauge("journal_records", "Records without a receipt.")
	descOpen     = gauge("journal_open_intents", "Taps whose outcome is not known yet.")
	descBytes    = gauge("journal_bytes", "Size of the journal on disk.")
	descMax      = gauge("journal_max_bytes", "Size at which the terminal stops selling.")
	descOldest   = gauge("journal_oldest_timestamp_seconds", "Time of the oldest record without a receipt.")
	descClock    = gauge("clock_error_seconds", "Bound of the clock's error.")
	descClockBad = gauge("clock_state", "1 for the state the clock is in.", "state")
	descReader   = gauge("reader_up", "1 while a lane's reader works.", "lane", "mode")
	descProfile  = gauge("profile_version", "Version of the profile in use.")
	descUplink   = gauge("uplink_backlog", "Records that the link has to send.")
	descResends  = gauge("uplink_resends", "Batches sent again since start.")
	descFailed   = gauge("health_failed", "1 when the terminal could not be asked.")
)

// Describe implements prometheus.Collector.
func (c *healthCollector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *healthCollector) Collect(out chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	h, err := c.health()
	if err != nil {
		put(descFailed, 1)
		put(descInUse, 0)
		return
	}
	put(descFailed, 0)
	put(descInUse, one(h.InUse))
	put(descRecords, float64(h.Journal.Records))
	put(descOpen, float64(h.Journal.OpenIntents))
	put(descBytes, float64(h.Journal.Bytes))
	put(descMax, float64(h.Journal.MaxBytes))
	if h.Journal.Oldest != nil {
		put(descOldest, float64(h.Journal.Oldest.Unix()))
	}
	put(descClock, float64(h.Clock.ErrorMS)/1000)
	for _, s := range []string{"good", "holdover", "bad"} {
		put(descClockBad, one(h.Clock.State == s), s)
	}
	for _, l := range h.Lanes {
		put(descReader, one(l.State != string(edge.LaneLost) && l.State != string(edge.LaneFailing)), strconv.Itoa(l.Lane), l.Mode)
	}
	put(descProfile, float64(h.Profile.Version))
	if h.Uplink != nil {
		put(descUplink, float64(h.Uplink.Backlog))
		put(descResends, float64(h.Uplink.Resends))
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
