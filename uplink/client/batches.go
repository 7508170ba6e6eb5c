package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// seqRange is a run of record numbers, both ends included.
type seqRange struct{ first, last uint64 }

// batch is a batch on its way. Every record above the acknowledged one is in exactly one place: in a batch, or not yet sent.
type batch struct {
	seqRange
	number uint64
	sent   time.Time
	due    time.Time // send again
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

// resend makes again the batches that have waited too long for their receipt.
func (s *Sender) resend(now time.Time) (out []Message, err error) {
	for i := range s.batches {
		b := &s.batches[i]
		if now.Before(b.due) {
			continue
		}
		if b.answered && s.inFlight() >= s.cfg.InFlight {
			b.due = now.Add(s.cfg.ResendMin) // no place for it now
			continue
		}
		records, err := s.cfg.Source.Read(b.first, int(b.last-b.first+1), maxBatchBytes)
		if err != nil {
			return out, fmt.Errorf("uplink: read journal: %w", err)
		}
		// The range is fixed: a number names one content for ever. Only a journal that changed under us could give less.
		if uint64(len(records)) != b.last-b.first+1 {
			return out, fmt.Errorf("uplink: the journal gives %d records for %d to %d", len(records), b.first, b.last)
		}
		raw, err := s.seal(now, b.number, b.first, records)
		if err != nil {
			return out, err
		}
		b.answered = false
		b.tries++
		b.sent, b.due = now, now.Add(s.wait(b.tries))
		s.stats.Resends++
		out = append(out, Message{wire.KindUp, raw})
	}
	return out, nil
}

// send fills the places in flight: first what the backend wants again, then what it has never been sent.
func (s *Sender) send(now time.Time) (out []Message, err error) {
	for s.inFlight() < s.cfg.InFlight {
		r, again := s.nextWanted()
		if !again {
			var ok bool
			r, ok = s.nextFresh()
			// Too many that wait for one hole: only what fills it may still go.
			if !ok || len(s.batches) >= maxWaiting && r.first != s.cfg.Source.AckedSeq()+1 {
				return out, nil
			}
		}
		records, err := s.cfg.Source.Read(r.first, int(min(r.last-r.first+1, uint64(s.cfg.BatchRecords))), s.cfg.BatchBytes)
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("no record %d", r.first)
		}
		if err != nil && again {
			s.stats.Gone++ // pruned or damaged; what is not asked for must not wait for it
			continue
		}
		if err != nil {
			return out, fmt.Errorf("uplink: read journal: %w", err)
		}
		b := batch{seqRange: seqRange{r.first, r.first + uint64(len(records)) - 1}, number: s.number + 1, sent: now, tries: 1}
		if b.last > r.last {
			return out, errors.New("uplink: the journal gives more records than asked for")
		}
		raw, err := s.seal(now, b.number, b.first, records)
		if err != nil {
			return out, err
		}
		s.number = b.number
		b.due = now.Add(s.wait(1))
		s.batches = append(s.batches, b)
		if again && b.last < r.last {
			s.wanted = append([]seqRange{{b.last + 1, r.last}}, s.wanted...)
		}
		s.stats.Sent++
		out = append(out, Message{wire.KindUp, raw})
	}
	return out, nil
}

func (s *Sender) seal(now time.Time, number, first uint64, records [][]byte) ([]byte, error) {
	raw, err := wire.SealEnvelope(s.cfg.Key, &wire.EnvelopeHeader{
		Terminal: string(s.cfg.Terminal), Epoch: s.cfg.Source.Epoch(), Batch: number, FirstSeq: first,
		SentAtMs: now.UnixMilli(), ProfileVersion: s.cfg.Profile,
	}, records)
	if err != nil {
		return nil, fmt.Errorf("uplink: batch of %d records from %d: %w", len(records), first, err)
	}
	return raw, nil
}

// nextWanted takes the first range that the backend asked for.
func (s *Sender) nextWanted() (seqRange, bool) {
	if len(s.wanted) == 0 {
		return seqRange{}, false
	}
	r := s.wanted[0]
	s.wanted = s.wanted[1:]
	return r, true
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

// firstHeld is the number of the oldest record in the journal, 0 where the journal does not tell.
func (s *Sender) firstHeld() uint64 {
	if o, ok := s.cfg.Source.(oldest); ok {
		return o.FirstSeq()
	}
	return 0
}
