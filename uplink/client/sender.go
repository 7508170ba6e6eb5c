package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
	// FirstSeq is the oldest record still held; those before it have a receipt and are pruned.
	FirstSeq() uint64
	// Read returns records from number first on, as stored: at most maxRecords, as many as fit maxBytes but at least one.
	Read(first uint64, maxRecords, maxBytes int) ([][]byte, error)
	// Ack notes that the backend has every record through that number. It never goes back.
	Ack(through uint64) error
}

// SenderConfig is fixed for a sender's life.
type SenderConfig struct {
	Terminal ids.TerminalID
	Key      ed25519.PrivateKey // the device's
	Backend  ed25519.PublicKey  // whose receipts count
	Source   Source
	Profile  uint64 // version of the profile in force, told to the backend; see SetProfile

	// InFlight bounds the batches without a receipt, 1 to 4. Default 2.
	InFlight int
	// BatchBytes and BatchRecords bound one batch, unpacked: at most 64 KiB and wire.MaxRecords. A record larger than
	// BatchBytes travels alone. Default 32 KiB and 500.
	BatchBytes, BatchRecords int
	// ResendMin and ResendMax bound the wait for a receipt. A long ResendMax spares a loaded backend; the price is that a
	// lost batch arrives that much later. Default 5 s and 5 min.
	ResendMin, ResendMax time.Duration
	// ServerTime is told the backend's time when a receipt answers what this sender has sent: nobody else learns how old the word is. It
	// must return soon. Nil: nobody asks.
	ServerTime func(ServerTime)
	// Elapsed is the stopwatch of ServerTime: the time since any moment, whatever is done to a clock. Needed with ServerTime.
	Elapsed func() time.Duration
	// Rand draws the jitter and the first batch number. Required, so that a simulation can replay it. The sender is its only user.
	Rand *rand.Rand
}

// Limits of a configuration, and of what a backend may ask.
const (
	maxInFlight   = 4
	maxBatchBytes = 64 << 10
	// maxRetryAfter bounds how long a receipt can silence a terminal: a wrong one must not do it for weeks.
	maxRetryAfter = time.Hour
	// maxWaiting bounds the batches whose receipt came but did not reach them, because of a hole before them.
	maxWaiting = 64
	// maxWanted bounds the ranges to send again; the backend asks for the rest once these have come.
	maxWanted = 64
)

func (c *SenderConfig) check() error {
	if err := ids.Check(string(c.Terminal)); err != nil {
		return fmt.Errorf("uplink: terminal id: %w", err)
	}
	if len(c.Key) != ed25519.PrivateKeySize || len(c.Backend) != ed25519.PublicKeySize {
		return errors.New("uplink: device key and backend key are both needed (Ed25519)")
	}
	if c.Source == nil || c.Rand == nil {
		return errors.New("uplink: Source and Rand are both needed")
	}
	if (c.ServerTime == nil) != (c.Elapsed == nil) {
		return errors.New("uplink: ServerTime and Elapsed: want both or none")
	}
	setDefault(&c.InFlight, 2)
	setDefault(&c.BatchBytes, 32<<10)
	setDefault(&c.BatchRecords, 500)
	setDefault(&c.ResendMin, 5*time.Second)
	setDefault(&c.ResendMax, 5*time.Minute)
	switch {
	case c.InFlight < 1 || c.InFlight > maxInFlight:
		return fmt.Errorf("uplink: InFlight %d: want 1 to %d", c.InFlight, maxInFlight)
	case c.BatchBytes < 1 || c.BatchBytes > maxBatchBytes:
		return fmt.Errorf("uplink: BatchBytes %d: want 1 to %d", c.BatchBytes, maxBatchBytes)
	case c.BatchRecords < 1 || c.BatchRecords > wire.MaxRecords:
		return fmt.Errorf("uplink: BatchRecords %d: want 1 to %d", c.BatchRecords, wire.MaxRecords)
	case c.ResendMin < 0 || c.ResendMax < c.ResendMin:
		return fmt.Errorf("uplink: ResendMin %v and ResendMax %v: want 0 < ResendMin <= ResendMax", c.ResendMin, c.ResendMax)
	}
	return nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Message is something to publish under the terminal's topic of that kind.
type Message struct {
	Kind string // wire.KindHello or wire.KindUp
	Raw  []byte
}

// State of a sender.
//
//	state     what is sent                          leaves by
//	Offline   nothing                               OnConnect -> Greeting
//	Greeting  hello, until it is answered           its answer -> Sending, so that nothing committed is sent again
//	Sending   batches, until each has its receipt   -
//	Halted    nothing, for the sender's life        -
//	any       -                                     OnDisconnect -> Offline (but Halted stays)
//	any       -                                     a receipt that this journal cannot have earned -> Halted
type State int

// States; see [State].
const (
	Offline State = iota
	Greeting
	Sending
	Halted
)

// String is the state's name, for logs and pages.
func (s State) String() string {
	switch s {
	case Offline:
		return "offline"
	case Greeting:
		return "greeting"
	case Sending:
		return "sending"
	case Halted:
		return "halted"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Sender decides what to send and when. It is safe for concurrent use.
type Sender struct {
	mu  sync.Mutex
	cfg SenderConfig

	state   State
	batches []batch    // on their way, or answered and waiting for a receipt that reaches them
	wanted  []seqRange // what the backend asked for and is not on its way
	number  uint64     // of the last batch

	helloDue   time.Time // zero: none
	helloSent  time.Time
	helloTries int    // without an answer
	nonce      uint64 // of the last hello
	helloNonce uint64 // the same, until it is answered; 0: none
	helloStamp time.Duration
	notBefore  time.Time // the backend is busy until then
	newest     int64     // server time of the newest receipt of this connection, Unix milliseconds
	rtt        time.Duration

	stats Stats
}

// NewSender checks the settings and starts Offline.
func NewSender(cfg SenderConfig) (*Sender, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	// Batch numbers start anywhere, so that a late receipt of an earlier life of this program cannot be taken for one of
	// a batch that is on its way now. 0 is no number: it stands for a hello.
	first := cfg.Rand.Uint64() >> 2
	return &Sender{cfg: cfg, number: first, nonce: first}, nil // nonces too: an old answer tells an old time
}

// SetProfile tells the version of the profile in force from now on.
func (s *Sender) SetProfile(version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Profile = version
}

// OnConnect is told that the link is up and receipts can be heard: a hello is due at once.
func (s *Sender) OnConnect(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Halted {
		return
	}
	s.state, s.helloDue, s.helloTries, s.newest = Greeting, now, 0, 0
	s.forgetUnanswered()
}

// OnDisconnect is told that the link is down.
func (s *Sender) OnDisconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Halted {
		return
	}
	s.state = Offline
	s.forgetUnanswered()
}

// Due returns what to publish now, and when to ask again at the latest; a zero time means when something happens. What
// could be made is returned also when there is an error.
func (s *Sender) Due(now time.Time) (out []Message, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Offline || s.state == Halted {
		return nil, time.Time{}, nil
	}
	if now.Before(s.notBefore) {
		return nil, s.notBefore, nil
	}
	out, err = s.greet(now)
	if s.state == Sending {
		again, failed := s.resend(now)
		fresh, failedToo := s.send(now)
		out, err = slices.Concat(out, again, fresh), errors.Join(err, failed, failedToo)
	}
	return out, s.nextLook(now, err), err
}

// nextLook is when something will be due. After an error it is soon: the journal may be readable again then.
func (s *Sender) nextLook(now time.Time, err error) (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if err != nil {
		sooner(now.Add(s.cfg.ResendMin))
	}
	if !s.helloDue.IsZero() {
		sooner(s.helloDue)
	}
	if s.state == Sending {
		for _, b := range s.batches {
			sooner(b.due)
		}
	}
	return next
}

// greet makes a hello if one is due, and makes it again until it is answered.
func (s *Sender) greet(now time.Time) ([]Message, error) {
	if s.helloDue.IsZero() || now.Before(s.helloDue) {
		return nil, nil
	}
	s.helloTries++
	s.helloSent, s.helloDue = now, now.Add(s.wait(s.helloTries))
	src := s.cfg.Source
	last, acked := src.LastSeq(), src.AckedSeq()
	s.nonce++
	s.helloNonce, s.helloStamp = s.nonce, s.stamp()
	h := &wire.Hello{
		Terminal: string(s.cfg.Terminal), Epoch: src.Epoch(), LastSeq: last, AckedSeq: acked, ProfileVersion: s.cfg.Profile,
		NowMs: now.UnixMilli(), Backlog: uint32(min(last-acked, math.MaxUint32)), FirstSeq: src.FirstSeq(), Nonce: s.helloNonce,
	}
	raw, err := wire.SealHello(s.cfg.Key, h)
	if err != nil {
		return nil, fmt.Errorf("uplink: hello: %w", err)
	}
	return []Message{{wire.KindHello, raw}}, nil
}

// wait is the time from a try to the next: at least max(ResendMin, 4×RTT), its upper end doubling up to ResendMax, drawn
// evenly between the two, so that a fleet that lost one receipt each does not come back as one.
func (s *Sender) wait(tries int) time.Duration {
	least := min(max(s.cfg.ResendMin, 4*s.rtt), s.cfg.ResendMax)
	most := least
	for i := 1; i < tries && most < s.cfg.ResendMax; i++ {
		most *= 2
	}
	most = min(most, s.cfg.ResendMax)
	return least + jitter(s.cfg.Rand, most-least)
}

// jitter is evenly between 0 and most.
func jitter(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most) + 1))
}

// Stats is how the sender does.
type Stats struct {
	State    State
	InFlight int    // batches without a receipt
	Waiting  int    // batches with a receipt that did not reach them: something before them is missing at the backend
	Backlog  uint64 // records without a receipt

	Sent, Resends int // batches
	Forged        int // receipts not signed by the backend
	Foreign       int // receipts of another terminal or epoch
	Quarantined   int // records, or whole batches, that the backend could not read
	Gone          int // ranges, or parts of them, that the backend wanted and the journal no longer holds
}

// Stats reads the figures.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.State, st.Backlog = s.state, s.cfg.Source.LastSeq()-s.cfg.Source.AckedSeq()
	st.InFlight = s.inFlight()
	st.Waiting = len(s.batches) - st.InFlight
	return st
}
