package main

import (
	"context"
	"errors"
	"time"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
)

// journalFirstLine is posting journal-first; its floor is posting strictly, of as many groups in a store of its own. The time of a group has its share of writing the
// journal out.
func journalFirstLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	strict, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	j := s.store.JournalFirst(intake.FlushEvery)
	own := func() (time.Duration, error) {
		total := time.Duration(0)
		for range intake.FlushEvery {
			spent, err := s.postedAhead(j)
			if err != nil {
				return 0, err
			}
			total += spent
		}
		if n := j.Unwritten(); n != intake.FlushEvery {
			return 0, errors.New("not all groups were posted journal-first")
		}
		spent, err := timed(func() error { _, err := j.Flush(ctx); return err })
		return (total + spent) / intake.FlushEvery, err
	}
	floor := func() (time.Duration, error) {
		total := time.Duration(0)
		for range intake.FlushEvery / 4 {
			spent, err := strict.posted(strict.draw)()
			if err != nil {
				return 0, err
			}
			total += spent
		}
		return total / (intake.FlushEvery / 4), nil
	}
	return line{records: size, own: own, floor: floor, end: func() error { return errors.Join(s.end(), strict.end()) }}, nil
}

// burstLine is posting journal-first while the journal is not written out, as in a burst that fits into it; its floor is posting strictly.
func burstLine(ctx context.Context, dir string, cards int) (line, error) {
	s, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	strict, err := newScheme(ctx, dir, cards)
	if err != nil {
		return line{}, err
	}
	j := s.store.JournalFirst(intake.FlushEvery)
	own := func() (time.Duration, error) {
		if j.Due() {
			if _, err := j.Flush(ctx); err != nil {
				return 0, err
			}
		}
		return s.postedAhead(j)
	}
	return line{records: size, own: own, floor: strict.posted(strict.draw), end: func() error { return errors.Join(s.end(), strict.end()) }}, nil
}

// postedAhead times the posting of a group, journal-first.
func (s *scheme) postedAhead(j *store.JournalFirst) (time.Duration, error) {
	b, err := s.draw()
	if err != nil {
		return 0, err
	}
	return s.postAhead(j, b)
}

// postAhead keeps a batch and times its posting, journal-first.
func (s *scheme) postAhead(j *store.JournalFirst, b batch) (time.Duration, error) {
	held, err := s.readAhead(j, &b)
	if err != nil {
		return 0, err
	}
	return timed(func() error {
		later, err := j.Post(s.ctx, held, s.group(), b.verified, func(*store.Tx) error { return nil })
		if err == nil && later > 0 {
			err = errors.New("not all records were posted journal-first")
		}
		return err
	})
}

// readAhead keeps a batch and reads its records as a step of the intake does that posts journal-first.
func (s *scheme) readAhead(j *store.JournalFirst, b *batch) (held store.Held, err error) {
	if err := s.keepApart(*b); err != nil {
		return held, err
	}
	err = s.store.Glance(s.ctx, func(tx *store.Tx) error {
		if held, err = tx.EveryLane(s.ctx); err != nil {
			return err
		}
		pending, err := j.Pending(s.ctx, tx, held, 0, size)
		if err == nil && (len(pending) != len(b.verified) || pending[0].Seq != b.arrived.FirstSeq) {
			err = errors.New("not the records of the batch wait")
		}
		for i := range pending {
			b.verified[i].Pending = pending[i]
		}
		return err
	})
	return held, err
}

// keepApart keeps a batch as the intake does.
func (s *scheme) keepApart(b batch) error {
	a := b.arrived
	return s.store.Apart(s.ctx, func(tx *store.Tx) error {
		_, err := tx.Keep(s.ctx, store.Arrived{Terminal: a.Terminal, Epoch: a.Epoch, FirstSeq: a.FirstSeq, Records: a.Records, Envelope: a.Envelope, At: a.ReceivedAt, Day: day})
		return err
	})
}
