package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// line is one comparison. Own and floor each do one group and say how long its timed part took; where they cannot take turns, all does all groups of both.
type line struct {
	name       string
	records    int // of a group
	own, floor func() (time.Duration, error)
	all        func(limit time.Duration) (own, floors []time.Duration, err error)
	end        func() error
	spent      func() string // CPU time, where it is told; for people
}

// result is the time of each group.
type result struct {
	name        string
	records     int
	own, floors []time.Duration
}

// Groups before those that count, and at least those that count.
const (
	warmUp = 2
	groups = 5
)

func (l line) measure(limit time.Duration) (result, error) {
	r := result{name: l.name, records: l.records}
	if l.all != nil {
		var err error
		r.own, r.floors, err = l.all(limit)
		return r, err
	}
	for start, n := time.Now(), 0; n < warmUp+groups || time.Since(start) < limit; n++ {
		own, err := l.own()
		if err != nil {
			return r, err
		}
		floor, err := l.floor()
		if err != nil {
			return r, err
		}
		if n >= warmUp {
			r.own, r.floors = append(r.own, own), append(r.floors, floor)
		}
	}
	return r, nil
}

func endOf(l line, err error) error {
	if l.end == nil {
		return err
	}
	return errors.Join(err, l.end())
}

// ratio is how many times the floor's speed own has.
func (r result) ratio() float64 {
	if own := middle(r.own); own > 0 {
		return float64(middle(r.floors)) / float64(own)
	}
	return 0
}

// String is the result as programs read it.
func (r result) String() string {
	return fmt.Sprintf("BENCH %s ratio=%.3f own=%.0f/s floor=%.0f/s", r.name, r.ratio(), r.perSecond(r.own), r.perSecond(r.floors))
}

// says is the result for people.
func (r result) says() string {
	return fmt.Sprintf("%s: %.0f records a second, floor %.0f, %d groups of %d each", r.name, r.perSecond(r.own), r.perSecond(r.floors), len(r.own), r.records)
}

func (r result) perSecond(times []time.Duration) float64 {
	if m := middle(times); m > 0 {
		return float64(r.records) / m.Seconds()
	}
	return 0
}

func middle(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// timer runs what is measured and says how long it took.
type timer func(f func() error) (time.Duration, error)

// timed runs f and says how long it took.
func timed(f func() error) (time.Duration, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin), err
}
