// Command gen writes the DES round of package bitslice as gates: the S-boxes' circuits of circuits.txt, which it checks against the standard's
// tables, and the standard's wiring around them.
//
//	go run ./gen                      # writes round.go from circuits.txt
//	go run ./gen -search 1000 -seed 7 # looks for smaller circuits first, a thousand tries for each S-box, and keeps those it finds
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"sync"
)

const circuitsFile, roundFile = "gen/circuits.txt", "round.go"

func main() {
	tries := flag.Int("search", 0, "tries to find a smaller circuit for each S-box")
	seed := flag.Uint64("seed", 1, "of the search: the same seed finds the same")
	flag.Parse()
	if err := run(*tries, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(tries int, seed uint64) error {
	raw, err := os.ReadFile(circuitsFile)
	if err != nil {
		return err
	}
	boxes, err := readCircuits(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if tries > 0 {
		var all sync.WaitGroup
		for i := range boxes {
			all.Go(func() {
				if c, found := smallest(i, tries, len(boxes[i].gates), seed); found {
					boxes[i] = c
				}
			})
		}
		all.Wait()
		if err := os.WriteFile(circuitsFile, writeCircuits(boxes), 0o644); err != nil {
			return err
		}
	}
	src, err := round(boxes)
	if err != nil {
		return err
	}
	return os.WriteFile(roundFile, src, 0o644)
}
