package main

import (
	"fmt"
	"slices"
	"time"
)

// percentile is the smallest of the times that at least p of a hundred do not exceed (nearest rank); 0 of none.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

func median(times []time.Duration) time.Duration { return percentile(times, 50) }

// ratio is how many times the floor own is; 0 without a floor.
func ratio(own, floor time.Duration) float64 {
	if floor <= 0 {
		return 0
	}
	return float64(own) / float64(floor)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3fms", float64(d)/float64(time.Millisecond)) }

// line is a result as programs read it.
func line(name string, own, floor time.Duration) string {
	return fmt.Sprintf("BENCH %s ratio=%.3f own=%s floor=%s", name, ratio(own, floor), ms(own), ms(floor))
}
