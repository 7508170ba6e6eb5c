// Command benchtap measures a terminal's own share of a tap: everything but the card, the reader and the SAM, with the
// durable journal. Beside it, in the same run and on the same disk, it measures what nothing that keeps the two promises of a tap can do
// without: two bare bbolt commits of a value as large as the record, and two bare fsyncs.
//
// Start with [bench.run]. The three are measured in turns, so that other work of the machine hits them alike. The last lines are for programs:
//
//	BENCH tap ratio=1.08 own=0.91ms floor=0.84ms
//
// with the medians; tap-p99 has the 99th percentiles, tap-fsync the bare fsyncs as the floor.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	dir := flag.String("dir", os.TempDir(), "folder for the files, on the disk to measure")
	taps := flag.Int("taps", 3000, "taps to measure at most")
	limit := flag.Duration("limit", 15*time.Second, "time to measure at most")
	most := flag.Float64("max", 1.3, "largest good ratio of the medians of own share and two commits")
	flag.Parse()
	if err := bench(*dir, *taps, *limit, *most); err != nil {
		fmt.Fprintln(os.Stderr, "benchtap:", err)
		os.Exit(1)
	}
}

func bench(dir string, taps int, limit time.Duration, most float64) error {
	work, err := os.MkdirTemp(dir, "benchtap-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	s, err := newStand(work)
	if err != nil {
		return err
	}
	defer s.close()
	m, err := s.run(context.Background(), taps, limit)
	if err != nil {
		return err
	}
	fmt.Printf("%d bus rides on %s: record of %d bytes, %d card and %d SAM commands a ride\n", len(m.own), work, s.recordSize, s.cardCommands, s.samCommands)
	fmt.Printf("card and SAM, not counted: %s in the middle\n", ms(median(m.away)))
	fmt.Println(line("tap", median(m.own), median(m.commits)))
	fmt.Println(line("tap-p99", percentile(m.own, 99), percentile(m.commits, 99)))
	fmt.Println(line("tap-fsync", median(m.own), median(m.fsyncs)))
	if r := ratio(median(m.own), median(m.commits)); r > most {
		return fmt.Errorf("the own share is %.2f times two bare commits: want at most %.2f", r, most)
	}
	return nil
}
