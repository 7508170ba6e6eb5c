package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// seqRange is a run of record numbers, both ends included.
type seqRange struct{ first, last uint64 }

// batch is a batch on its way. Every record above the acknowledged one is in a batch, wanted again, or not yet sent.
type batch struct {
	seqRange
	number uint64
	sent   time.Time
	stamp  time.Duration // of the first sending, on the stopwatch
	due    time.Time     // send again
	tries  int
	// answered: the backend has it, but something before it is missing there, so that no receipt reaches it yet. It takes
	// no place among those in flight. Should the backend lose it again, due brings it back.
	answered bool
}

func (s *Sender) inFlight() int {
	n := 0
	for _, b := range s.batches {
		if !b.answered {
			n++
		}
	}
	return n
}

// forgetUnanswered drops the batches whose fate is unknown once the link has broken: the answer to hello tells it.
func (s *Sender) forgetUnanswered() {
	kept := s.batches[:0]
	for _, b := range s.batches {
		if b.answered {
			kept = append(kept, b)
		}
	}
	s.batches = kept
}

// resend makes again the batches that have waited too long for their receipt. One that cannot be read holds up no other.
func (s *Sender) resend(now time.Time) (out []Message, err error) {
	s.recut()
	for i := range s.batches {
		b := &s.batches[i]
		if now.Before(b.due) {
			continue
		}
		if b.answered && s.inFlight() >= s.cfg.InFlight {
			b.due = now.Add(s.cfg.ResendMin) // no place for it now
			continue
		}
		raw, failed := s.again(now, b)
		if failed != nil {
			b.due, err = now.Add(s.cfg.ResendMin), errors.Join(err, failed)
			continue
		}
		b.answered = false
		b.tries++
		b.sent, b.due = now, now.Add(s.wait(b.tries))
		s.stats.Resends++
		out = append(out, Message{wire.KindUp, raw})
	}
	return out, err
}

// again makes the envelope of a batch once more. Its range is fixed: a number names one content for ever.
func (s *Sender) again(now time.Time, b *batch) ([]byte, error) {
	n := b.last - b.first + 1
	records, err := s.cfg.Source.Read(b.first, int(n), maxBatchBytes)
	if err != nil {
		return nil, fmt.Errorf("uplink: read journal: %w", err)
	}
	if uint64(len(records)) != n {
		return nil, fmt.Errorf("uplink: the journal gives %d records for %d to %d", len(records), b.first, b.last)
	}
	return s.seal(now, b.number, b.first, records)
}

// recut takes apart the batches of which a part is pruned by now: they cannot be sent again as they were. What is above
// the acknowledged record goes into a new batch by itself, and what is below was wanted again.
func (s *Sender) recut() {
	first, acked := s.cfg.Source.FirstSeq(), s.cfg.Source.AckedSeq()
	kept := s.batches[:0]
	for _, b := range s.batches {
		if b.first >= first {
			kept = append(kept, b)
		} else if r := (seqRange{first, min(b.last, acked)}); r.first <= r.last {
			s.wanted = append(s.wanted, r)
		}
	}
	s.batches = kept
}

// send fills the places in flight: first what the backend wants again, then what it has never been sent.
func (s *Sender) send(now time.Time) (out []Message, err error) {
	var unread []seqRange
	defer func() { s.wanted = append(s.wanted, unread...) }()
	for s.inFlight() < s.cfg.InFlight {
		r, again := s.nextWanted()
		if !again {
			var ok bool
			r, ok = s.nextFresh()
			// Too many that wait for one hole: only what fills it may still go.
			if !ok || len(s.batches) >= maxWaiting && r.first != s.cfg.Source.AckedSeq()+1 {
				return out, err
			}
		}
		m, failed := s.pack(now, r)
		if failed != nil {
			err = errors.Join(err, failed)
			if !again {
				return out, err
			}
			unread = append(unread, r) // what nobody asked for must not wait for it
			continue
		}
		s.stats.Sent++
		out = append(out, m)
	}
	return out, err
}

// pack makes a new batch of the first records of r. What does not fit stays wanted, or not yet sent.
func (s *Sender) pack(now time.Time, r seqRange) (Message, error) {
	records, err := s.cfg.Source.Read(r.first, int(min(r.last-r.first+1, uint64(s.cfg.BatchRecords))), s.cfg.BatchBytes)
	if err != nil {
		return Message{}, fmt.Errorf("uplink: read journal: %w", err)
	}
	n := uint64(len(records))
	if n == 0 || n > r.last-r.first+1 {
		return Message{}, fmt.Errorf("uplink: the journal gives %d records for %d to %d", n, r.first, r.last)
	}
	b := batch{seqRange: seqRange{r.first, r.first + n - 1}, number: s.number + 1, sent: now, stamp: s.stamp(), due: now.Add(s.wait(1)), tries: 1}
	raw, err := s.seal(now, b.number, b.first, records)
	if err != nil {
		return Message{}, err
	}
	s.number = b.number
	s.batches = append(s.batches, b)
	if rest := (seqRange{b.last + 1, min(r.last, s.cfg.Source.AckedSeq())}); rest.first <= rest.last {
		s.wanted = append([]seqRange{rest}, s.wanted...)
	}
	return Message{wire.KindUp, raw}, nil
}

func (s *Sender) seal(now time.Time, number, first uint64, records [][]byte) ([]byte, error) {
	raw, err := wire.SealEnvelope(s.cfg.Key, &wire.EnvelopeHeader{
		Terminal: string(s.cfg.Terminal), Epoch: s.cfg.Source.Epoch(), Batch: number, FirstSeq: first,
		SentAtMs: now.UnixMilli(), ProfileVersion: s.cfg.Profile, NewestSeq: s.cfg.Source.LastSeq(),
	}, records)
	if err != nil {
		return nil, fmt.Errorf("uplink: batch of %d records from %d: %w", len(records), first, err)
	}
	return raw, nil
}

// nextWanted takes the first range that the backend asked for, or what is left of it.
func (s *Sender) nextWanted() (seqRange, bool) {
	held := s.cfg.Source.FirstSeq()
	for len(s.wanted) > 0 {
		r := s.wanted[0]
		s.wanted = s.wanted[1:]
		if r.first < held {
			s.stats.Gone++ // the next hello says so
			r.first = held
		}
		if r.first <= r.last {
			return r, true
		}
	}
	return seqRange{}, false
}

// nextFresh is the first run of records above the acknowledged one that is in no batch.
func (s *Sender) nextFresh() (seqRange, bool) {
	free := seqRange{s.cfg.Source.AckedSeq() + 1, s.cfg.Source.LastSeq()}
	for {
		jumped := false
		for _, b := range s.batches {
			if b.first <= free.first && free.first <= b.last {
				free.first, jumped = b.last+1, true
			}
		}
		if !jumped {
			break
		}
	}
	for _, b := range s.batches {
		if b.first > free.first {
			free.last = min(free.last, b.first-1)
		}
	}
	return free, free.first <= free.last
}

// minus takes a range out of others.
func minus(from []seqRange, out seqRange) (left []seqRange) {
	for _, r := range from {
		if out.last < r.first || r.last < out.first {
			left = append(left, r)
			continue
		}
		if r.first < out.first {
			left = append(left, seqRange{r.first, out.first - 1})
		}
		if out.last < r.last {
			left = append(left, seqRange{out.last + 1, r.last})
		}
	}
	return left
}
