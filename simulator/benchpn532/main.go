// Command benchpn532 measures what the PN532 reader adds to one exchange with a card: the same exchange over the same emulated chip, once through the
// reader, once with nothing but a write and reads of a serial port, and once in the manner of drivers with fixed sleeps.
//
// Start with [measure]. The three are measured in turns, so that other work of the machine hits them alike. The last line is for programs:
//
//	BENCH pn532 ratio=1.30 own=0.065ms floor=0.050ms
//
// with the medians of an exchange through the reader and of the bare one; pn532-fixed-sleep has the fixed sleeps against the same floor. It
// fails when the reader adds more than -max.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

func main() {
	n := flag.Int("exchanges", 3000, "exchanges to measure")
	most := flag.Duration("max", 500*time.Microsecond, "most that the reader may add to an exchange, in the middle")
	flag.Parse()
	if err := bench(context.Background(), os.Stdout, *n, *most); err != nil {
		fmt.Fprintln(os.Stderr, "benchpn532:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, out io.Writer, n int, most time.Duration) error {
	m, err := measure(ctx, n)
	if err != nil {
		return err
	}
	own, floor, slept := median(m.own), median(m.bare), median(m.slept)
	fmt.Fprintf(out, "%d exchanges of a command of 5 bytes and an answer of 16, unpaced\n", len(m.own))
	fmt.Fprintf(out, "the reader adds %s in the middle; fixed sleeps of 6 and 5 ms add %s\n", ms(own-floor), ms(slept-floor))
	fmt.Fprintf(out, "99th percentile: reader %s, bare %s\n", ms(percentile(m.own, 99)), ms(percentile(m.bare, 99)))
	fmt.Fprintln(out, line("pn532-fixed-sleep", slept, floor))
	fmt.Fprintln(out, line("pn532", own, floor))
	if own-floor > most {
		return fmt.Errorf("the reader adds %s to an exchange: want at most %s", ms(own-floor), ms(most))
	}
	return nil
}

// percentile is the smallest of the times that at least p of a hundred do not exceed (nearest rank); 0 of none.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

func median(times []time.Duration) time.Duration { return percentile(times, 50) }

func ms(d time.Duration) string { return fmt.Sprintf("%.3fms", float64(d)/float64(time.Millisecond)) }

// line is a result as programs read it.
func line(name string, own, floor time.Duration) string {
	ratio := 0.0
	if floor > 0 {
		ratio = float64(own) / float64(floor)
	}
	return fmt.Sprintf("BENCH %s ratio=%.3f own=%s floor=%s", name, ratio, ms(own), ms(floor))
}
