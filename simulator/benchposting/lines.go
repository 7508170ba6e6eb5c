package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// posted times the posting of what draw makes; that it is kept first is not timed.
func (s *scheme) posted(draw func() (batch, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		b, err := draw()
		if err != nil {
			return 0, err
		}
		if err := errors.Join(s.keep(b), s.read(&b)); err != nil {
			return 0, err
		}
		return s.timed(func() error { return s.post(b) })
	}
}

// stepped times a whole step of the intake over what it draws; that this is kept first is not timed.
func (s *scheme) stepped() (time.Duration, error) {
	b, err := s.draw()
	if err != nil {
		return 0, err
	}
	if err := s.keep(b); err != nil {
		return 0, err
	}
	return s.timed(s.step)
}

// step is a step of the intake over one batch.
func (s *scheme) step() error {
	n, err := s.pipe.Step(s.ctx)
	if err == nil && n != size {
		err = fmt.Errorf("a step posted %d of %d records", n, size)
	}
	return err
}

func bareLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	f, err := newBare(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	return line{records: size, own: s.posted(s.draw), floor: func() (time.Duration, error) { return f.post(ctx) },
		end: func() error { return errors.Join(s.end(), f.db.Close()) }}, nil
}

func pipelineLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	f, err := newBare(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	return line{records: size, own: s.stepped, floor: func() (time.Duration, error) { return f.post(ctx) },
		end: func() error { return errors.Join(s.end(), f.db.Close()) }}, nil
}

func acceptLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	var last batch
	own := func() (time.Duration, error) {
		if last, err = s.draw(); err != nil {
			return 0, err
		}
		return timed(func() error { return s.keep(last) })
	}
	return line{records: size, own: own, end: s.end, floor: func() (time.Duration, error) {
		if err := s.read(&last); err != nil {
			return 0, err
		}
		return timed(func() error { return s.post(last) })
	}}, nil
}

func duplicatesLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	last, err := s.draw()
	if err != nil {
		return line{}, err
	}
	if err := errors.Join(s.keep(last), s.post(last)); err != nil {
		return line{}, err
	}
	own := func() (time.Duration, error) { return timed(func() error { return s.keep(last) }) }
	return line{records: size, own: own, end: s.end, floor: func() (time.Duration, error) {
		if last, err = s.draw(); err != nil {
			return 0, err
		}
		return timed(func() error { return errors.Join(s.keep(last), s.post(last)) })
	}}, nil
}

func hotLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	spread := func() (batch, error) {
		b, err := s.draw()
		for i := range b.verified {
			b.verified[i].Claim.Merchant = merchantOf(i % merchants)
		}
		return b, err
	}
	hot := func() (batch, error) {
		b, err := s.draw()
		for i := range b.verified {
			b.verified[i].Claim.Merchant = merchantOf(0)
		}
		return b, err
	}
	return line{records: size, own: s.posted(hot), floor: s.posted(spread), end: s.end}, nil
}

// Taps behind the cards of the growth line.
const (
	young = 10
	aged  = 2000
)

// growthLine has two kinds of cards in one store, so that only what is behind a card differs, and few, so that they age in seconds. A group has each of its cards
// ten times; of the young there are so many that they stay young.
func growthLine(ctx context.Context, dir string, _ int) (line, error) {
	const few, sets = 100, 50
	s, err := newScheme(ctx, dir, few*(1+sets))
	if err != nil {
		return line{}, err
	}
	set, turn := 0, 0
	group := func() (batch, error) { return s.batch(s.next(), even(few*set, few)) }
	for s.counters[0] < aged {
		if _, err := s.posted(group)(); err != nil {
			return line{}, err
		}
	}
	next := func() (batch, error) {
		turn++
		set = 1 + turn%sets
		return group()
	}
	for s.counters[few] < young {
		if _, err := s.posted(next)(); err != nil {
			return line{}, err
		}
	}
	own := func() (batch, error) { set = 0; return group() }
	return line{records: size, end: s.end, own: s.posted(own), floor: s.posted(next)}, nil
}

// even has each of a few cards, from one on, as often as the others.
func even(from, few int) []int {
	out := make([]int, size)
	for i := range out {
		out[i] = from + i%few
	}
	return out
}
