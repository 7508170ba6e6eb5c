package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// warmUp is how many rides of each lane go before those that count: files grow to their first size, caches fill.
	warmUp = 25
	// turn is how many rides of each lane follow each other before it is the floors' turn.
	turn = 4
)

// measured are times of the same turns.
type measured struct {
	own, away, commits, fsyncs []time.Duration
	recordSize, commands       int
	again                      int // rides that the line to the card failed: begun anew and not counted
}

// run measures turns of rides, of two bare commits each and of two bare fsyncs each, with so many lanes at once, until there are taps of them or limit is
// over.
func (s *stand) run(ctx context.Context, dir string, lanes, taps int, limit time.Duration) (m measured, err error) {
	if _, _, err := s.ride(ctx, 0); err != nil {
		return m, err
	}
	raw, err := s.Journal().Read(1, 1, 1<<20)
	if err != nil {
		return m, err
	}
	b, err := openBare(dir, len(raw[0]))
	if err != nil {
		return m, err
	}
	defer b.close()
	var mu sync.Mutex
	var pause [doors]time.Duration // before each of a tap's commits the card and the SAM take half of their time
	each := func(do func(lane int) error) func() error {
		return func() error {
			return atOnce(lanes, func(lane int) error {
				for range turn {
					if err := do(lane); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	note := func(to *[]time.Duration, d time.Duration) { mu.Lock(); *to = append(*to, d); mu.Unlock() }
	parts := []func() error{
		each(func(lane int) error {
			own, away, err := s.ride(ctx, lane)
			if errors.Is(err, errAgain) {
				mu.Lock()
				m.again++
				mu.Unlock()
				return nil
			}
			pause[lane] = away / 2
			note(&m.own, own)
			note(&m.away, away)
			return err
		}),
		each(func(lane int) error {
			took, err := b.twoCommits(pause[lane])
			note(&m.commits, took)
			return err
		}),
		each(func(lane int) error {
			took, err := b.twoFsyncs(lane, pause[lane])
			note(&m.fsyncs, took)
			return err
		}),
	}
	round := 0
	one := func() error {
		for i := range parts {
			if err := parts[(i+round)%len(parts)](); err != nil {
				return err
			}
		}
		round++
		// As receipts do, now and then: a terminal stops selling when none come.
		return s.Journal().Ack(s.Journal().LastSeq())
	}
	for range warmUp/turn + 1 {
		if err := one(); err != nil {
			return m, err
		}
	}
	m = measured{recordSize: len(raw[0]), again: m.again}
	_, m.commands = s.meter[0].read()
	for end := time.Now().Add(limit); len(m.own) < taps && time.Now().Before(end); {
		if err := one(); err != nil {
			return m, err
		}
	}
	return m, nil
}
