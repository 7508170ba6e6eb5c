// Command benchtap measures a terminal's own share of a tap under two readers at once: everything but the card with what leads to it, and the SAM's
// commands, with the durable journal, from the card in the field to the outcome shown. Beside it, in the same run, on the same disk and as many at
// once, it measures what nothing that keeps the two promises of a tap can do without: two bare bbolt commits of a value as large as the record, and
// two bare fsyncs, as far apart as those of the tap.
//
// Start with [stand.run]. The three are measured in turns, so that other work of the machine hits them alike. Lines for programs:
//
//	BENCH tap ratio=1.08 own=0.91ms floor=0.84ms
//
// tap has the medians against the commits; tap-p99 the 99th percentiles, tap-fsync the medians against the fsyncs. tap-one is the same with one reader at a
// time; tap-pn532 and tap-vpcd are two readers over an emulated PN532 and over a real pcscd. While the intent is written a command goes to the card: the time
// in which both are at work is the terminal's, and what the card takes longer is the card's. But tap-felt counts that time as the card's: so it is what a rider waits for the terminal,
// with cards that think as real ones do, during which the intent is written.
//
// With -soak it does that many taps in a row instead (see soak.go), with -boot it measures how long a journal takes to open (see boot.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	dir := flag.String("dir", os.TempDir(), "folder for the files, on the disk to measure")
	taps := flag.Int("taps", 3000, "taps to measure at most, of each kind of reader")
	limit := flag.Duration("limit", 15*time.Second, "time to measure at most, for each kind of reader")
	most := flag.Float64("max", 1.15, "largest good ratio of the medians of own share and two commits")
	soakTaps := flag.Int("soak", 0, "do so many taps in a row instead, and print what the process holds")
	sync := flag.Bool("sync", true, "with -soak: make each commit durable")
	day := flag.Int("day", soakDay, "with -soak: taps of a day")
	boot := flag.Int64("boot", 0, "measure how a journal of so many MiB opens, instead")
	flag.Parse()
	ctx := context.Background()
	var err error
	switch {
	case *soakTaps > 0:
		var all []held
		if all, err = soak(ctx, os.Stdout, soakOptions{dir: *dir, taps: *soakTaps, day: *day, sync: *sync}); err == nil {
			taps := *soakTaps
			if len(all) > 1 {
				taps -= all[len(all)-2].taps
			}
			last := all[len(all)-1].wrote
			fmt.Printf("BENCH wear calls=%.0fB/tap dirtied=%.0fB/tap; %d taps a day are %.0f and %.0f GB a year\n", float64(last.calls)/float64(taps), float64(last.dirtied)/float64(taps),
				*day, perYear(float64(last.calls)/float64(taps), *day), perYear(float64(last.dirtied)/float64(taps), *day))
		}
	case *boot > 0:
		err = benchBoot(os.Stdout, *dir, *boot<<20)
	default:
		err = bench(ctx, os.Stdout, *dir, *taps, *limit, *most)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchtap:", err)
		os.Exit(1)
	}
}

// kinds of readers that are measured.
var kinds = []struct {
	line, what string
	lanes      int
	open       func(context.Context) (*field, error)
}{
	{"tap-one", "one stub reader", 1, stubField},
	{"tap-pn532", "two PN532 on pseudo terminals", 2, pn532Field},
	{"tap-vpcd", "two slots of pcscd with vpcd", 2, vpcdField},
	{"tap-felt", "two stub readers, cards that take 10 ms a command", 2, slowField},
	{"tap", "two stub readers", 2, stubField},
}

func bench(ctx context.Context, out io.Writer, dir string, taps int, limit time.Duration, most float64) error {
	var slow error
	for _, k := range kinds {
		m, err := measure(ctx, dir, k.lanes, k.open, taps, limit)
		if errors.Is(err, errSkipped) {
			fmt.Fprintf(out, "BENCH %s %v\n", k.line, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k.what, err)
		}
		fmt.Fprintf(out, "%s: %d bus rides, record of %d bytes, %d commands to card and SAM a ride; card and SAM, not counted: %s in the middle; begun anew: %d\n", k.what, len(m.own), m.recordSize, m.commands,
			ms(median(m.away)), m.again)
		fmt.Fprintln(out, line(k.line, median(m.own), median(m.commits)))
		fmt.Fprintln(out, line(k.line+"-p99", percentile(m.own, 99), percentile(m.commits, 99)))
		fmt.Fprintln(out, line(k.line+"-fsync", median(m.own), median(m.fsyncs)))
		if r := ratio(median(m.own), median(m.commits)); r > most && k.lanes > 1 {
			slow = errors.Join(slow, fmt.Errorf("%s: the own share is %.2f times two bare commits: want at most %.2f", k.what, r, most))
		}
	}
	return slow
}

// measure measures one kind of reader, on files of its own.
func measure(ctx context.Context, dir string, lanes int, open func(context.Context) (*field, error), taps int, limit time.Duration) (m measured, err error) {
	work, err := os.MkdirTemp(dir, "benchtap-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(work)
	f, err := open(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	s, err := newStand(work, f, nil)
	if err != nil {
		return m, err
	}
	defer s.Close()
	return s.run(ctx, work, lanes, taps, limit)
}
