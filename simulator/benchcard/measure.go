package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// result is the middle time of one verification, through a door and bare.
type result struct {
	name       string
	own, floor time.Duration
}

func (r result) ratio() float64 {
	if r.floor <= 0 {
		return 0
	}
	return float64(r.own) / float64(r.floor)
}

// String is the result as programs read it.
func (r result) String() string {
	return fmt.Sprintf("BENCH %s ratio=%.3f own=%s floor=%s", r.name, r.ratio(), us(r.own), us(r.floor))
}

func us(d time.Duration) string { return fmt.Sprintf("%.3fus", float64(d)/float64(time.Microsecond)) }

func perSecond(d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(time.Second) / float64(d)
}

// rounds is how often own and floor take turns at least.
const rounds = 5

// inTurns runs own and floor over the same n taps in turns, on one core, until limit is over, and takes the middle of each. The first
// turn of both only warms up.
func inTurns(name string, limit time.Duration, n int, own, floor func() error) (result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var owns, floors []time.Duration
	start := time.Now()
	for len(owns) <= rounds || time.Since(start) < limit {
		for _, turn := range []struct {
			run  func() error
			into *[]time.Duration
		}{{own, &owns}, {floor, &floors}} {
			begin := time.Now()
			if err := turn.run(); err != nil {
				return result{}, fmt.Errorf("%s: %w", name, err)
			}
			*turn.into = append(*turn.into, time.Since(begin)/time.Duration(n))
		}
	}
	return result{name, middle(owns[1:]), middle(floors[1:])}, nil
}

func middle(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
