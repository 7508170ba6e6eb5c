package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
)

// rowsLine is posting with many posted taps in the tables; its floor is posting with few. On the way the store is filled journal-first, as fast as it takes records, with taps that
// are whole but for their TACs; groups that are measured are posted strictly, as many at each size.
func rowsLine(sizes []int) func(context.Context, string, int) (line, error) {
	return func(ctx context.Context, dir string, cards int) (line, error) {
		s, err := newSchemeAt(ctx, filepath.Join(dir, "rows.db"), cards)
		if err != nil {
			return line{}, err
		}
		all := func(limit time.Duration) (own, floors []time.Duration, err error) {
			j := s.store.JournalFirst(intake.FlushEvery)
			for i, rows := range sizes {
				if err := s.fill(j, rows); err != nil {
					return nil, nil, err
				}
				l := line{records: size, own: s.posted(s.draw), floor: func() (time.Duration, error) { return 0, nil }}
				r, err := l.measure(limit)
				if err != nil {
					return nil, nil, err
				}
				fmt.Printf("posting-rows: with %d taps posted: %.0f records a second, %d groups of %d each\n", rows, r.perSecond(r.own), len(r.own), size)
				if own = r.own; i == 0 {
					floors = r.own
				}
			}
			return own, floors, nil
		}
		return line{records: size, all: all, end: s.end}, nil
	}
}

// fill posts taps until so many are posted.
func (s *scheme) fill(j *store.JournalFirst, rows int) error {
	for s.taps() < rows {
		if j.Due() {
			if _, err := j.Flush(s.ctx); err != nil {
				return err
			}
		}
		b, err := s.unsigned(s.next(), s.picks())
		if err != nil {
			return err
		}
		if _, err := s.postAhead(j, b); err != nil {
			return err
		}
	}
	_, err := j.Flush(s.ctx)
	return err
}

// taps is how many there were.
func (s *scheme) taps() (n int) {
	for _, c := range s.counters {
		n += int(c)
	}
	return n
}

// sizesOf reads numbers of rows with commas between, each above the one before.
func sizesOf(text string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n <= 0 || len(out) > 0 && n <= out[len(out)-1] {
			return nil, fmt.Errorf("rows %q: want numbers that grow, with commas between", text)
		}
		out = append(out, n)
	}
	if len(out) < 2 {
		return nil, errors.New("rows: want two sizes at least")
	}
	return out, nil
}
