package client

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// Errors of a receipt. Match with errors.Is. After each of them nothing is pruned.
var (
	// ErrForeign: the receipt is the backend's and not for this terminal, or not for this life of its journal.
	ErrForeign = errors.New("receipt for another terminal or journal")
	// ErrJournalOlder: the backend has records of this journal's epoch that the journal does not have, or others than it
	// has. The journal is an old copy, and going on would give numbers out twice. The sender halts; the terminal needs a new epoch.
	ErrJournalOlder = errors.New("the journal is older than what was sent from it")
)

// OnReceipt takes a receipt. A receipt is cumulative: one heals the loss of those before it. One that is forged or foreign
// is counted and changes nothing; the error says so.
func (s *Sender) OnReceipt(now time.Time, raw []byte) error {
	stamp := s.stamp()
	r, err := wire.OpenReceipt(s.cfg.Backend, raw)
	sent, answers, err := s.take(now, r, err)
	if answers && s.cfg.ServerTime != nil { // not under the lock: whoever listens may ask back
		s.cfg.ServerTime(ServerTime{At: time.UnixMilli(r.GetServerTimeMs()), Sent: sent, Heard: stamp})
	}
	return err
}

// take is OnReceipt with the receipt opened, or the error of that. answers: it is the first answer to something sent then.
func (s *Sender) take(now time.Time, r *wire.Receipt, err error) (sent time.Duration, answers bool, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.Forged++
		return 0, false, fmt.Errorf("uplink: %w", err)
	}
	src := s.cfg.Source
	if r.GetTerminal() != string(s.cfg.Terminal) || r.GetEpoch() != src.Epoch() {
		s.stats.Foreign++
		return 0, false, fmt.Errorf("uplink: %w: terminal %q, epoch %x", ErrForeign, r.GetTerminal(), r.GetEpoch())
	}
	if s.state == Halted {
		return 0, false, nil
	}
	if err := s.ours(r); err != nil {
		if errors.Is(err, ErrJournalOlder) {
			s.state, s.batches, s.wanted = Halted, nil, nil
		}
		return 0, false, fmt.Errorf("uplink: %w", err)
	}
	sent, answers = s.answers(r)
	if err := src.Ack(r.GetThroughSeq()); err != nil {
		return sent, answers, fmt.Errorf("uplink: note the receipt: %w", err) // nothing is forgotten: the batches are sent again
	}
	s.stats.Quarantined += len(r.GetUnreadable())
	s.settle(now, r)
	if r.GetBatch() == 0 || r.GetServerTimeMs() >= s.newest { // one that was overtaken says nothing about what is missing now
		s.newest = max(s.newest, r.GetServerTimeMs())
		s.ask(r)
		s.greetAgain(now, r)
	}
	if d := time.Duration(r.GetRetryAfterMs()) * time.Millisecond; d > 0 {
		d = min(d, maxRetryAfter)
		s.notBefore = now.Add(d + jitter(s.cfg.Rand, d/4)) // a fleet that was told the same must not come back as one
	}
	return sent, answers, nil
}

// ours checks that a receipt can be about this journal: pruning on the word of another one would lose records.
func (s *Sender) ours(r *wire.Receipt) error {
	src, through := s.cfg.Source, r.GetThroughSeq()
	if through > src.LastSeq() {
		return fmt.Errorf("%w: receipt through %d, the journal ends at %d", ErrJournalOlder, through, src.LastSeq())
	}
	if len(r.GetThroughHash()) == 0 || through <= src.AckedSeq() {
		return nil
	}
	records, err := src.Read(through, 1, maxBatchBytes)
	if err != nil || len(records) != 1 {
		return fmt.Errorf("read record %d to check the receipt: %w", through, err)
	}
	if own := wire.RecordHash(records[0]); !bytes.Equal(own[:], r.GetThroughHash()) {
		return fmt.Errorf("%w: record %d is not the one the backend has", ErrJournalOlder, through)
	}
	return nil
}

// settle marks what the receipt answers.
func (s *Sender) settle(now time.Time, r *wire.Receipt) {
	acked := s.cfg.Source.AckedSeq()
	kept := s.batches[:0]
	for _, b := range s.batches {
		named := b.number == r.GetBatch()
		if named && b.tries == 1 && !b.answered { // of a batch sent twice nobody knows which one was answered
			s.measure(now.Sub(b.sent))
		}
		switch {
		case b.last <= r.GetThroughSeq():
			continue // done
		case named && b.last <= acked:
			continue // it was sent because it was wanted again, and is there now
		case named:
			b.answered, b.due = true, now.Add(s.cfg.ResendMax)
		}
		kept = append(kept, b)
	}
	s.batches = kept
}

// measure takes one round trip into the running mean.
func (s *Sender) measure(rtt time.Duration) {
	rtt = max(rtt, 0) // a clock may be set back
	if s.rtt == 0 {
		s.rtt = rtt
		return
	}
	s.rtt += (rtt - s.rtt) / 8
}

// ask notes what the backend wants, without what is on its way or no longer held. The answer to a hello is complete, and
// replaces what was wanted; a receipt of a batch knows the holes below the highest record only, and adds to it.
func (s *Sender) ask(r *wire.Receipt) {
	if r.GetBatch() == 0 {
		s.wanted = nil
	}
	s.wanted = minus(s.wanted, seqRange{1, r.GetThroughSeq()})
	for _, w := range r.GetWanted() {
		want := seqRange{max(w.GetFirst(), 1), min(w.GetLast(), s.cfg.Source.LastSeq())}
		if len(s.wanted) >= maxWanted || want.first > want.last {
			continue
		}
		left := []seqRange{want}
		for _, b := range s.batches {
			if !b.answered { // one that was answered and is missing again is lost there
				left = minus(left, b.seqRange)
			}
		}
		for _, earlier := range s.wanted {
			left = minus(left, earlier)
		}
		s.wanted = append(s.wanted, left...)
	}
}

// greetAgain sees to the next hello. A watermark below what has a receipt shows that the backend has lost records, after a
// restored backup. Only the answer to a hello names all it lacks, and only a hello tells it what is pruned here; so there is one at once,
// and one from time to time until the watermark is back.
func (s *Sender) greetAgain(now time.Time, r *wire.Receipt) {
	if r.GetBatch() == 0 {
		s.helloDue, s.helloTries = time.Time{}, 0
		if s.state == Greeting {
			s.state = Sending
		}
	}
	if r.GetThroughSeq() < s.cfg.Source.AckedSeq() && s.helloDue.IsZero() {
		s.helloDue = s.helloSent.Add(s.cfg.ResendMax)
	}
}
