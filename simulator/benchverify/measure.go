package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// line is one comparison: own and floor verify the same number of taps in each turn.
type line struct {
	name       string
	taps       int
	own, floor func() error
}

// reading is the middle time of one verification, over many turns.
type reading struct{ own, floor time.Duration }

func (r reading) ratio() float64 {
	if r.own <= 0 {
		return 0
	}
	return float64(r.floor) / float64(r.own)
}

// result is the readings of a line, slowest ratio first.
type result struct {
	name     string
	readings []reading
}

// ratio is that of the middle reading.
func (r result) ratio() float64 { return r.middle().ratio() }

func (r result) middle() reading {
	if len(r.readings) == 0 {
		return reading{}
	}
	return r.readings[len(r.readings)/2]
}

// String is the result as programs read it.
func (r result) String() string {
	m := r.middle()
	return fmt.Sprintf("BENCH %s ratio=%.3f own=%s floor=%s", r.name, m.ratio(), us(m.own), us(m.floor))
}

// says is the result for people.
func (r result) says() string {
	var each []string
	for _, x := range r.readings {
		each = append(each, fmt.Sprintf("%.2f", x.ratio()))
	}
	return fmt.Sprintf("%s: %.0f verifications a second and core; bare loop %.0f; readings %s", r.name, perSecond(r.middle().own), perSecond(r.middle().floor), strings.Join(each, " "))
}

func us(d time.Duration) string { return fmt.Sprintf("%.3fus", float64(d)/float64(time.Microsecond)) }

func perSecond(d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(time.Second) / float64(d)
}

// Readings of a line, and turns of a reading at least.
const (
	readings = 7
	turns    = 5
)

// measure takes the readings, on one core, each within its part of limit. The first turn of both only warms up.
func (l line) measure(limit time.Duration) (result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := result{name: l.name}
	if _, err := l.read(0); err != nil {
		return r, err
	}
	for range readings {
		x, err := l.read(limit / readings)
		if err != nil {
			return r, err
		}
		r.readings = append(r.readings, x)
	}
	slices.SortFunc(r.readings, func(a, b reading) int { return cmp.Compare(a.ratio(), b.ratio()) })
	return r, nil
}

// read takes one reading: a turn is a millisecond at most.
func (l line) read(limit time.Duration) (reading, error) {
	var owns, floors []time.Duration
	for start := time.Now(); len(owns) < turns || time.Since(start) < limit; {
		for _, turn := range []struct {
			run  func() error
			into *[]time.Duration
		}{{l.own, &owns}, {l.floor, &floors}} {
			begin := time.Now()
			if err := turn.run(); err != nil {
				return reading{}, fmt.Errorf("%s: %w", l.name, err)
			}
			*turn.into = append(*turn.into, time.Since(begin))
		}
	}
	n := time.Duration(l.taps)
	return reading{middle(owns) / n, middle(floors) / n}, nil
}

func middle(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
