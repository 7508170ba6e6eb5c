// Package client is the terminal's side of the uplink: it sends what the journal holds until the backend has given a receipt for it.
//
// Start with [Sender], a plain state machine without I/O: what to send is a function of the journal, the clock and the receipts. [Client]
// runs one over MQTT. A publish that the broker acknowledged proves nothing; only a signed receipt does.
package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Source is the journal as the sender needs it; terminal/journal has it.
type Source interface {
	Epoch() uint64
	LastSeq() uint64
	AckedSeq() uint64
	Read(first uint64, maxRecords, maxBytes int) ([][]byte, error)
	Ack(through uint64) error
}

// SenderConfig is fixed for a sender's life.
type SenderConfig struct {
	Terminal ids.TerminalID
	Key      ed25519.PrivateKey // the device's
	Backend  ed25519.PublicKey  // whose receipts count
	Source   Source
	Profile  uint64 // version, told in hello

	// InFlight bounds the batches without a receipt. Default 2.
	InFlight int
	// BatchBytes and BatchRecords bound one batch, unpacked. Default 32 KiB and 500.
	BatchBytes, BatchRecords int
	// ResendMin and ResendMax bound the wait for a receipt. A long ResendMax spares a loaded backend; the price is that a lost
	// batch arrives that much later. Default 5 s and 5 min.
	ResendMin, ResendMax time.Duration
	// Rand draws the jitter. Required, so that a simulation can replay it.
	Rand *rand.Rand
}

// Message is something to publish under the terminal's topic of that kind.
type Message struct {
	Kind string
	Raw  []byte
}

// seqRange is a run of record numbers, both ends included.
type seqRange struct{ first, last uint64 }

// batch is a batch on its way.
type batch struct {
	number      uint64
	first, last uint64
	sent, due   time.Time // due: send again
	tries       int
}

// Sender decides what to send and when. States: offline (nothing is sent), greeting (hello is out, batches wait for its receipt, so
// that nothing already committed is sent again), sending. It is safe for concurrent use.
//
//	offline  --OnConnect--> greeting --receipt--> sending
//	greeting, sending --OnDisconnect--> offline
type Sender struct {
	mu  sync.Mutex
	cfg SenderConfig

	state     state
	next      uint64 // first record not yet in a batch on its way
	inFlight  []batch
	wanted    []seqRange
	number    uint64
	helloDue  time.Time
	helloTry  int
	notBefore time.Time // the backend is busy until then
	rtt       time.Duration

	forged  int
	resends int
	quarant int
}

type state int

const (
	offline state = iota
	greeting
	sending
)

// NewSender checks the settings and starts offline.
func NewSender(cfg SenderConfig) (*Sender, error) {
	if err := ids.Check(string(cfg.Terminal)); err != nil {
		return nil, fmt.Errorf("uplink: terminal id: %w", err)
	}
	if len(cfg.Key) != ed25519.PrivateKeySize || len(cfg.Backend) != ed25519.PublicKeySize {
		return nil, errors.New("uplink: device key and backend key are both needed (Ed25519)")
	}
	if cfg.Source == nil || cfg.Rand == nil {
		return nil, errors.New("uplink: Source and Rand are both needed")
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 2
	}
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = 32 << 10
	}
	if cfg.BatchRecords == 0 {
		cfg.BatchRecords = 500
	}
	if cfg.ResendMin == 0 {
		cfg.ResendMin = 5 * time.Second
	}
	if cfg.ResendMax == 0 {
		cfg.ResendMax = 5 * time.Minute
	}
	// Batch numbers start anywhere, so that a late receipt of an earlier life of this program cannot be taken for one of
	// a batch that is on its way now.
	return &Sender{cfg: cfg, number: cfg.Rand.Uint64() >> 1}, nil
}

// OnConnect is told that the link is up: a hello is due at once.
func (s *Sender) OnConnect(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.helloDue, s.helloTry = greeting, now, 0
	s.inFlight = nil
	s.next = s.cfg.Source.AckedSeq() + 1
}

// OnDisconnect is told that the link is down.
func (s *Sender) OnDisconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.inFlight = offline, nil
}

// Due returns what to publish now, and when to ask again at the latest; a zero time means when something happens.
func (s *Sender) Due(now time.Time) (out []Message, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case offline:
		return nil, time.Time{}, nil
	case greeting:
		if now.Before(s.helloDue) {
			return nil, s.helloDue, nil
		}
		hello, err := s.hello(now)
		if err != nil {
			return nil, time.Time{}, err
		}
		s.helloTry++
		s.helloDue = now.Add(s.wait(s.helloTry))
		return []Message{{wire.KindHello, hello}}, s.helloDue, nil
	}
	if now.Before(s.notBefore) {
		return nil, s.notBefore, nil
	}
	for i := range s.inFlight {
		b := &s.inFlight[i]
		if now.Before(b.due) {
			continue
		}
		raw, err := s.seal(now, b)
		if err != nil {
			return out, time.Time{}, err
		}
		b.tries++
		b.sent, b.due = now, now.Add(s.wait(b.tries))
		s.resends++
		out = append(out, Message{wire.KindUp, raw})
	}
	if acked := s.cfg.Source.AckedSeq(); len(s.inFlight) == 0 && len(s.wanted) == 0 && s.next > acked+1 {
		s.next = acked + 1 // everything was answered and something is still without a receipt: send it again
	}
	for len(s.inFlight) < s.cfg.InFlight {
		b, ok := s.cut()
		if !ok {
			break
		}
		raw, err := s.seal(now, &b)
		if err != nil {
			return out, time.Time{}, err
		}
		b.tries, b.sent, b.due = 1, now, now.Add(s.wait(1))
		s.inFlight = append(s.inFlight, b)
		out = append(out, Message{wire.KindUp, raw})
	}
	for _, b := range s.inFlight {
		if next.IsZero() || b.due.Before(next) {
			next = b.due
		}
	}
	return out, next, nil
}

// cut takes the next range to send: what the backend wants again first, then what has never been sent.
func (s *Sender) cut() (batch, bool) {
	last := s.cfg.Source.LastSeq()
	var first uint64
	if len(s.wanted) > 0 {
		first, last = s.wanted[0].first, min(last, s.wanted[0].last)
		s.wanted = s.wanted[1:]
	} else {
		first = s.next
	}
	if first > last {
		return batch{}, false
	}
	s.number++
	return batch{number: s.number, first: first, last: last}, true
}

// seal reads the batch's records and fixes its last number by what fitted. A resend has the same range.
func (s *Sender) seal(now time.Time, b *batch) ([]byte, error) {
	n := min(b.last-b.first+1, uint64(s.cfg.BatchRecords))
	records, err := s.cfg.Source.Read(b.first, int(n), s.cfg.BatchBytes)
	if err != nil {
		return nil, fmt.Errorf("uplink: read journal: %w", err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("uplink: the journal has no record %d", b.first)
	}
	wantedLast := b.last
	b.last = b.first + uint64(len(records)) - 1
	if b.tries == 0 {
		if b.first == s.next {
			s.next = b.last + 1
		} else if b.last < wantedLast { // a wanted range too long for one batch
			s.wanted = append([]seqRange{{b.last + 1, wantedLast}}, s.wanted...)
		}
	}
	return wire.SealEnvelope(s.cfg.Key, &wire.EnvelopeHeader{
		Terminal: string(s.cfg.Terminal), Epoch: s.cfg.Source.Epoch(), Batch: b.number, FirstSeq: b.first,
		SentAtMs: now.UnixMilli(), ProfileVersion: s.cfg.Profile,
	}, records)
}

func (s *Sender) hello(now time.Time) ([]byte, error) {
	src := s.cfg.Source
	last, acked := src.LastSeq(), src.AckedSeq()
	return wire.SealHello(s.cfg.Key, &wire.Hello{
		Terminal: string(s.cfg.Terminal), Epoch: src.Epoch(), LastSeq: last, AckedSeq: acked,
		ProfileVersion: s.cfg.Profile, NowMs: now.UnixMilli(), Backlog: uint32(last - acked),
	})
}

// wait is the time to the next try: at least max(ResendMin, 4×RTT), doubling, with full jitter above the minimum.
func (s *Sender) wait(tries int) time.Duration {
	base := max(s.cfg.ResendMin, 4*s.rtt)
	top := base
	for range tries - 1 {
		if top *= 2; top >= s.cfg.ResendMax {
			top = s.cfg.ResendMax
			break
		}
	}
	if top <= base {
		return base
	}
	return base + time.Duration(s.cfg.Rand.Int64N(int64(top-base)))
}

// OnReceipt takes a receipt. One that is forged, of another terminal or of another epoch is counted and changes nothing; the
// error says so. A receipt is cumulative: one heals the loss of those before it.
func (s *Sender) OnReceipt(now time.Time, raw []byte) error {
	r, err := wire.OpenReceipt(s.cfg.Backend, raw)
	if err != nil {
		s.mu.Lock()
		s.forged++
		s.mu.Unlock()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.cfg.Source
	if r.GetTerminal() != string(s.cfg.Terminal) || r.GetEpoch() != src.Epoch() {
		s.forged++
		return fmt.Errorf("uplink: receipt for terminal %q, epoch %x", r.GetTerminal(), r.GetEpoch())
	}
	if r.GetThroughSeq() > src.LastSeq() {
		// The backend knows more of this epoch than this journal: a restored disk image. Going on would reuse numbers.
		s.forged++
		return fmt.Errorf("uplink: receipt through %d, the journal ends at %d: the journal is older than what was sent from it", r.GetThroughSeq(), src.LastSeq())
	}
	if err := src.Ack(r.GetThroughSeq()); err != nil {
		return fmt.Errorf("uplink: note the receipt: %w", err)
	}
	s.quarant += len(r.GetUnreadable())
	acked := src.AckedSeq()
	s.next = max(s.next, acked+1)
	kept := s.inFlight[:0]
	for _, b := range s.inFlight {
		if b.number == r.GetBatch() && b.tries == 1 {
			s.rtt = now.Sub(b.sent)
		}
		if b.number != r.GetBatch() && b.last > acked {
			kept = append(kept, b)
		}
	}
	s.inFlight = kept
	if s.state == greeting {
		s.state = sending
	}
	s.wanted = s.wanted[:0]
	for _, w := range r.GetWanted() {
		if w.GetFirst() >= 1 && w.GetFirst() <= w.GetLast() && w.GetFirst() <= src.LastSeq() && !s.onItsWay(w) {
			s.wanted = append(s.wanted, seqRange{w.GetFirst(), w.GetLast()})
		}
	}
	if d := r.GetRetryAfterMs(); d > 0 {
		s.notBefore = now.Add(time.Duration(d) * time.Millisecond)
	}
	return nil
}

// onItsWay reports whether a wanted range starts in a batch that has no receipt yet: asking for it again is then only
// haste.
func (s *Sender) onItsWay(w *wire.Range) bool {
	for _, b := range s.inFlight {
		if b.first <= w.GetFirst() && w.GetFirst() <= b.last {
			return true
		}
	}
	return false
}

// Stats is how the sender does.
type Stats struct {
	Online                       bool
	InFlight                     int
	Resends, Forged, Quarantined int
	Backlog                      uint64
}

// Stats reads the figures.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.cfg.Source
	return Stats{Online: s.state != offline, InFlight: len(s.inFlight), Resends: s.resends, Forged: s.forged, Quarantined: s.quarant,
		Backlog: src.LastSeq() - src.AckedSeq()}
}
