package client

import (
	"time"

	"github.com/purselane/purselane/uplink/wire"
)

// ServerTime is the backend's time, told by a signed receipt that answers something sent by this sender. It was read at some moment
// between Sent and Heard: so it is neither older nor newer than that, whoever carried the messages.
type ServerTime struct {
	At          time.Time     // by the backend's clock, to the millisecond below
	Sent, Heard time.Duration // on the stopwatch
}

// stamp reads the stopwatch.
func (s *Sender) stamp() time.Duration {
	if s.cfg.Elapsed == nil {
		return 0
	}
	return s.cfg.Elapsed()
}

// answers reports whether a receipt answers something for the first time, and when that was sent first: of a batch sent twice
// nobody knows which one was answered. A hello is known by its nonce; a backend that does not send it back tells no time by its answer.
func (s *Sender) answers(r *wire.Receipt) (sent time.Duration, ok bool) {
	if r.GetBatch() == 0 {
		if s.helloNonce == 0 || r.GetHelloNonce() != s.helloNonce {
			return 0, false
		}
		s.helloNonce = 0
		return s.helloStamp, true
	}
	for _, b := range s.batches {
		if b.number == r.GetBatch() && !b.answered {
			return b.stamp, true
		}
	}
	return 0, false
}
