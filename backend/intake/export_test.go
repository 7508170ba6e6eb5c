package intake

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Judged is what a record is found to be.
type Judged struct {
	Family string
	Card   *ids.CardNumber
	Proof  shadowaccount.Proof
	Debit  string
}

// Judge reads and verifies the bytes of a record with the keys of o. ErrUnreadable is the record's, any other error a key's.
func Judge(o Options, body []byte, terminal ids.TerminalID, epoch, seq uint64) (Judged, error) {
	k := doors{ec: o.EC, desfire: o.DESFire}
	d, err := read(readersOf(k), body, terminal, epoch, seq)
	if err != nil || d.family == "ep" {
		return Judged{}, err
	}
	card, err := d.evidence.whose(k)
	if err != nil {
		return Judged{}, err
	}
	v, err := d.evidence.verify(context.Background(), k, &d)
	return Judged{d.family, card.number, v.proof, v.debit}, err
}

// Slots is a line of slots.
type Slots struct{ *slots }

// NewSlots makes an empty line.
func NewSlots(w Windows) (Slots, error) {
	err := w.setDefaults()
	return Slots{newSlots(w)}, err
}

// Ask is what a hello asks.
func (s Slots) Ask(t ids.TerminalID, backlog int, now time.Time) time.Duration {
	return s.ask(t, backlog, now)
}

// Left is what a batch asks.
func (s Slots) Left(t ids.TerminalID, now time.Time) time.Duration { return s.left(t, now) }

// Remembered is how many terminals have a slot.
func (s Slots) Remembered() int { return len(s.of) }

// Pause is how long a receipt asks to hold back.
func (w Windows) Pause(unposted int) (time.Duration, error) {
	err := w.setDefaults()
	return w.pause(unposted), err
}

// Poster is a poster of a pipeline.
type Poster struct{ *poster }

// NewPoster makes one.
func (p *Pipeline) NewPoster() Poster { return Poster{p.poster()} }

// ID is its name.
func (o Poster) ID() string { return o.id }

// Beat, Step and Leave are what Run does with it.
func (o Poster) Beat(ctx context.Context) error        { return o.beat(ctx) }
func (o Poster) Step(ctx context.Context) (int, error) { return o.step(ctx) }
func (o Poster) Leave(ctx context.Context) error       { return o.leave(ctx) }

// Patience is how long a beat may stand still.
const Patience = patience

// OneDay is what a group takes of pending records.
var OneDay = oneDay
