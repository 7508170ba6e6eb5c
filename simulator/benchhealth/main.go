// Command benchhealth plays the life of payment channels under the three modes and prints what the health of channels made of it, beside the figures
// published for the best known system of the kind.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/simulator/channellife"
)

// published are the figures of the three stages of Meituan's channel automation, as its payment team wrote them up in 2017: fault response, recovery
// delay and human effort in minutes, and the accuracy of alarms.
var published = map[health.Mode]struct{ response, recovery, effort, accuracy string }{
	health.Manual:        {"20 min", "180 min", "60 min", "-"},
	health.SemiAutomatic: {"1 min", "180 min", "43 min", "-"},
	health.Automatic:     {"1 min", "20 min", "2 min", "95 %"},
}

const publishedResponse = time.Minute // of the automatic mode

func main() {
	busy := flag.Int("busy", 20, "faults of each shape on channels with ten payments a second")
	quiet := flag.Int("quiet", 12, "faults of each shape on channels with a payment every ten seconds")
	windows := flag.Int("windows", 2000, "healthy windows of ten minutes")
	set := flag.String("seeds", "reporting", "tuning or reporting")
	html := flag.String("html", "", "write a report of one run of each shape, with charts, to this file")
	flag.Parse()
	if err := run(*busy, *quiet, *windows, *set, *html); err != nil {
		fmt.Fprintln(os.Stderr, "benchhealth:", err)
		os.Exit(1)
	}
}

func run(busy, quiet, windows int, set, html string) error {
	seeds := map[string]channellife.Seeds{"tuning": channellife.Tuning, "reporting": channellife.Reporting}
	s, known := seeds[set]
	if !known {
		return fmt.Errorf("-seeds %s: want tuning or reporting", set)
	}
	var all []channellife.Figures
	for _, mode := range []health.Mode{health.Manual, health.SemiAutomatic, health.Automatic} {
		size := channellife.Size{Busy: busy, Quiet: quiet, Windows: windows}
		if mode == health.Manual {
			size.Windows = windows / 10 // it finds faults as the others do
		}
		all = append(all, channellife.Measure(mode, s, size))
	}
	table(os.Stdout, s, all)
	lines(os.Stdout, all[len(all)-1])
	if html == "" {
		return nil
	}
	f, err := os.Create(html)
	if err != nil {
		return err
	}
	if err := report(f, s, all); err != nil {
		_ = f.Close() // the report's own error is the one that matters
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Println("report:", html)
	return nil
}

// rows of the table: a name, and what it says of a mode.
var rows = []struct {
	name string
	of   func(channellife.Figures) string
}{
	{"faults played", func(f channellife.Figures) string { return fmt.Sprint(f.Faults) }},
	{"healthy windows", func(f channellife.Figures) string { return fmt.Sprint(f.Windows) }},
	{"fault response, 10/s, p50 / p95", func(f channellife.Figures) string { return pair(f.Response) }},
	{"fault response, 1 in 10 s, p50 / p95", func(f channellife.Figures) string { return pair(f.Slow) }},
	{"  published", func(f channellife.Figures) string { return published[f.Mode].response }},
	{"recovery delay, p50 / p95", func(f channellife.Figures) string { return pair(f.Recovery) }},
	{"  published", func(f channellife.Figures) string { return published[f.Mode].recovery }},
	{"precision / recall of alarms", func(f channellife.Figures) string { return fmt.Sprintf("%.4f / %.4f", f.Precision(), f.Recall()) }},
	{"  published accuracy", func(f channellife.Figures) string { return published[f.Mode].accuracy }},
	{"operator actions an incident", func(f channellife.Figures) string {
		return fmt.Sprintf("%.1f", float64(f.Actions)/float64(max(f.Faults, 1)))
	}},
	{"  published effort", func(f channellife.Figures) string { return published[f.Mode].effort }},
	{"second faults an incident", func(f channellife.Figures) string {
		return fmt.Sprintf("%.1f", float64(f.Again)/float64(max(f.Faults, 1)))
	}},
	{"most payments one of them cost", func(f channellife.Figures) string { return fmt.Sprint(f.MaxSeen) }},
	{"payments lost an incident", func(f channellife.Figures) string {
		return fmt.Sprintf("%.0f", float64(f.Lost)/float64(max(f.Faults, 1)))
	}},
}

func pair(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	return short(channellife.Quantile(all, 0.5)) + " / " + short(channellife.Quantile(all, 0.95))
}

func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
}

func table(w io.Writer, s channellife.Seeds, all []channellife.Figures) {
	fmt.Fprintf(w, "channel health, %s seeds from %d; people are a model (docs/channel-health.md)\n\n%-38s", s.Name, s.First, "")
	for _, f := range all {
		fmt.Fprintf(w, "%20s", f.Mode)
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		fmt.Fprintf(w, "%-38s", r.name)
		for _, f := range all {
			fmt.Fprintf(w, "%20s", r.of(f))
		}
		fmt.Fprintln(w)
	}
	auto := all[len(all)-1]
	fmt.Fprintf(w, "\nautomatic, by shape\n%-12s%8s%8s%8s%22s%22s%22s\n", "", "faults", "found", "wrong", "response 10/s", "response 1 in 10 s", "recovery")
	for _, s := range channellife.Shapes {
		if f := auto.ByShape[s]; f != nil {
			fmt.Fprintf(w, "%-12s%8d%8d%8d%22s%22s%22s\n", s, f.Faults, f.Found, f.Wrong, pair(f.Response), pair(f.Slow), pair(f.Recovery))
		}
	}
	fmt.Fprintln(w)
}

// lines are for machines. The first compares the response with the published one.
func lines(w io.Writer, f channellife.Figures) {
	response := channellife.Quantile(f.Response, 0.95)
	line := func(name string, own, floor float64) {
		fmt.Fprintf(w, "BENCH %s ratio=%.3f own=%.3f floor=%.3f\n", name, own/floor, own, floor)
	}
	line("channel-health-quiet", channellife.Quantile(f.Slow, 0.95).Seconds(), publishedResponse.Seconds())
	line("channel-health-recovery", channellife.Quantile(f.Recovery, 0.95).Seconds(), (20 * time.Minute).Seconds())
	line("channel-health-precision", f.Precision(), 0.95)
	line("channel-health-recall", f.Recall(), 0.95)
	line("channel-health", response.Seconds(), publishedResponse.Seconds())
}

// report writes a page with a chart of one run of each shape.
func report(w io.Writer, s channellife.Seeds, all []channellife.Figures) error {
	var b strings.Builder
	table(&b, s, all)
	var charts []chart
	for _, shape := range channellife.Shapes {
		charts = append(charts, played(shape, s.First))
	}
	return page.Execute(w, struct {
		Table  string
		Charts []chart
	}{b.String(), charts})
}
