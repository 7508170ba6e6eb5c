// Package intake is the backend's side of the uplink: it takes envelopes, checks whose they are, hands them on, and answers with a signed
// receipt when, and only when, they are committed.
//
// Start with [Processor], which knows no transport, and [Run], which feeds one from the broker.
package intake

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// Accepted is an envelope whose signature and form are good.
type Accepted struct {
	Terminal          ids.TerminalID
	Epoch, Batch      uint64
	FirstSeq, LastSeq uint64
	ProfileVersion    uint64
	NewestSeq         uint64   // in the journal when it was sent, 0: not told
	Records           [][]byte // as the terminal stored them
	Envelope          []byte   // as it came, for evidence
	ReceivedAt        time.Time
}

// SeqRange is a run of record numbers, both ends included.
type SeqRange struct{ First, Last uint64 }

// Committed is what the handler has made durable.
type Committed struct {
	Through uint64 // every record of the epoch up to it is kept or quarantined
	// ThroughHash is the hash of record Through as it is kept; zero where it is not known (none, or quarantined). A terminal
	// whose own record has another hash does not prune.
	ThroughHash [32]byte
	Unreadable  []Unreadable
	Wanted      []SeqRange
	RetryAfter  time.Duration
}

// Unreadable is a record, or with Seq 0 a batch, that was kept as evidence and cannot be read.
type Unreadable struct {
	Seq    uint64
	Reason string
}

// Handler keeps what arrives. When it returns without an error everything it was given is durable; doing it again changes nothing.
type Handler interface {
	Accept(ctx context.Context, a Accepted) (Committed, error)
	// Quarantine keeps an envelope that is signed by the device and cannot be read, so that it does not block the terminal's
	// queue.
	Quarantine(ctx context.Context, a Accepted, reason string) (Committed, error)
	Hello(ctx context.Context, h *wire.Hello, at time.Time) (Committed, error)
}

// Processor turns a message of a terminal into a receipt.
type Processor struct {
	// Device returns the public key of a terminal that may send; false for any other.
	Device  func(ctx context.Context, t ids.TerminalID) (ed25519.PublicKey, bool, error)
	Key     ed25519.PrivateKey // signs receipts
	Handler Handler
	// State is told what a terminal says of its link. It comes from the state topic and is not signed: it is for people to look at.
	// Nil: nobody listens.
	State func(ctx context.Context, t ids.TerminalID, s *wire.DeviceState, at time.Time) error
}

// maxUnreadable bounds what one receipt names, so that it stays small enough to be sent whatever the batch was.
const (
	maxUnreadable = 200
	maxReason     = 200 // bytes
)

// ErrDropped says that a message is nobody's word (not signed by the terminal whose topic it came on) or cannot be
// answered. It is dropped without a receipt, and is an alarm. Any other error means "not committed, try again".
var ErrDropped = errors.New("message dropped")

// Process handles one message that came on the topic of a terminal. A state has no receipt.
func (p *Processor) Process(ctx context.Context, t ids.TerminalID, kind string, raw []byte, now time.Time) (receipt []byte, err error) {
	key, known, err := p.Device(ctx, t)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, fmt.Errorf("%w: terminal %s is not registered or is stopped", ErrDropped, t)
	}
	if kind == wire.KindState {
		return nil, p.state(ctx, t, raw, now)
	}
	r := &wire.Receipt{Terminal: string(t), ServerTimeMs: now.UnixMilli()}
	var c Committed
	switch kind {
	case wire.KindHello:
		h, err := wire.OpenHello(key, raw)
		if err != nil {
			return nil, fmt.Errorf("%w: terminal %s: %w", ErrDropped, t, err)
		}
		if h.GetTerminal() != string(t) {
			return nil, fmt.Errorf("%w: a hello of %q on the topic of %s", ErrDropped, h.GetTerminal(), t)
		}
		r.Epoch, r.HelloNonce = h.GetEpoch(), h.GetNonce()
		if c, err = p.Handler.Hello(ctx, h, now); err != nil {
			return nil, err
		}
	case wire.KindUp:
		o, err := wire.OpenEnvelope(key, raw)
		if err != nil && (!errors.Is(err, wire.ErrMalformed) || o.Header == nil) {
			return nil, fmt.Errorf("%w: terminal %s: %w", ErrDropped, t, err)
		}
		h := o.Header
		if h.GetTerminal() != string(t) {
			return nil, fmt.Errorf("%w: an envelope of %q on the topic of %s", ErrDropped, h.GetTerminal(), t)
		}
		r.Epoch, r.Batch = h.GetEpoch(), h.GetBatch()
		a := Accepted{
			Terminal: t, Epoch: h.GetEpoch(), Batch: h.GetBatch(), FirstSeq: h.GetFirstSeq(), LastSeq: h.GetLastSeq(),
			ProfileVersion: h.GetProfileVersion(), NewestSeq: h.GetNewestSeq(), Records: o.Records, Envelope: raw, ReceivedAt: now,
		}
		if err != nil {
			c, err = p.Handler.Quarantine(ctx, a, err.Error())
		} else {
			c, err = p.Handler.Accept(ctx, a)
		}
		if err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: kind %q", ErrDropped, kind)
	}
	r.ThroughSeq, r.RetryAfterMs = c.Through, uint32(c.RetryAfter.Milliseconds())
	if c.ThroughHash != ([32]byte{}) {
		r.ThroughHash = c.ThroughHash[:]
	}
	for _, u := range c.Unreadable[:min(len(c.Unreadable), maxUnreadable)] {
		r.Unreadable = append(r.Unreadable, &wire.Unreadable{Seq: u.Seq, Reason: strings.ToValidUTF8(u.Reason[:min(len(u.Reason), maxReason)], "?")})
	}
	for _, w := range c.Wanted {
		r.Wanted = append(r.Wanted, &wire.Range{First: w.First, Last: w.Last})
	}
	return wire.SealReceipt(p.Key, r)
}

func (p *Processor) state(ctx context.Context, t ids.TerminalID, raw []byte, now time.Time) error {
	if p.State == nil {
		return nil
	}
	var s wire.DeviceState
	if err := proto.Unmarshal(raw, &s); err != nil || s.GetTerminal() != string(t) {
		return fmt.Errorf("%w: no state of terminal %s", ErrDropped, t)
	}
	return p.State(ctx, t, &s, now)
}
