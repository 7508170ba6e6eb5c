package edge

import (
	"context"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// Phases are the parts of a tap's time, by the machine's monotonic clock. The card and the journal work side by side for a while: Both is in Card and in Journal.
type Phases struct {
	Detect  time.Duration // before the visit: from the reader seeing the card to the first command; 0: the reader does not tell
	Select  time.Duration // the first command with its answer
	Card    time.Duration // all commands, the first included, with air and link
	SAM     time.Duration // waited for a SAM, and its commands
	Journal time.Duration // commits
	Both    time.Duration // the card and the journal at once
	Own     time.Duration // what is left of the whole
}

// Phase is one part by its name; names are an outside contract of the metrics.
type Phase struct {
	Name string
	Took time.Duration
}

// List names the parts that are known.
func (p Phases) List() []Phase {
	all := []Phase{{"select", p.Select}, {"card", p.Card}, {"sam", p.SAM}, {"journal", p.Journal}, {"outcome", p.Own}}
	if p.Detect > 0 {
		all = append(all, Phase{"detect", p.Detect})
	}
	return all
}

// watch is one lane's stopwatch. A lane's visits come one after the other, but the card is talked to on another goroutine while the journal commits; each part
// is touched by one goroutine at a time.
type watch struct {
	waiting time.Time // since then a card was waited for; zero: by others than Run
	seen    time.Time // by the reader; zero: it does not tell
	detect  time.Duration
	start   time.Time
	card    time.Duration
	first   time.Duration
	sam     time.Duration
	journal time.Duration

	commands []span // of the card
	intents  []span // commits of intents: the card may be talked to meanwhile
}

// span is from one moment to another.
type span struct{ from, to time.Time }

func (w *watch) begin(card apdu.Transmitter) {
	*w = watch{waiting: w.waiting, start: time.Now(), commands: w.commands[:0], intents: w.intents[:0]}
	if s, tells := card.(reader.Seer); tells {
		w.seen = s.Seen()
	}
}

// detected is the time from the reader seeing the card to the first command. A card that lay there before it was waited for counts from when it was.
func (w *watch) detected(first time.Time) time.Duration {
	if w.seen.IsZero() {
		return 0
	}
	from := w.seen
	if w.waiting.After(from) {
		from = w.waiting
	}
	return max(0, first.Sub(from))
}

// both is for how long a command to the card and the commit of an intent were under way at once.
func (w *watch) both() (sum time.Duration) {
	for _, i := range w.intents {
		for _, c := range w.commands {
			from, to := c.from, c.to
			if i.from.After(from) {
				from = i.from
			}
			if i.to.Before(to) {
				to = i.to
			}
			sum += max(0, to.Sub(from))
		}
	}
	return sum
}

func (w *watch) phases() Phases {
	whole, both := time.Since(w.start), w.both()
	return Phases{Detect: w.detect, Select: w.first, Card: w.card, SAM: w.sam, Journal: w.journal, Both: both, Own: max(0, whole-w.card-w.sam-w.journal+both)}
}

// timedCard times the card.
type timedCard struct {
	apdu.Transmitter
	w *watch
}

// Transmit implements apdu.Transmitter.
func (c timedCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	from := time.Now()
	response, err := c.Transmitter.Transmit(ctx, command)
	to := time.Now()
	took := to.Sub(from)
	if len(c.w.commands) == 0 {
		c.w.first, c.w.detect = took, c.w.detected(from)
	}
	c.w.commands = append(c.w.commands, span{from, to})
	c.w.card += took
	return response, err
}

// timedSAMs times how long a lane waits for a SAM and for its answers.
type timedSAMs struct {
	keys.SAMs
	w *watch
}

// Acquire implements keys.SAMs.
func (s timedSAMs) Acquire(ctx context.Context) (keys.SAM, func(), error) {
	from := time.Now()
	sam, release, err := s.SAMs.Acquire(ctx)
	s.w.sam += time.Since(from)
	if err != nil {
		return nil, nil, err
	}
	return timedSAM{sam, s.w}, release, nil
}

type timedSAM struct {
	keys.SAM
	w *watch
}

// InitPurchase implements keys.SAM.
func (s timedSAM) InitPurchase(ctx context.Context, r keys.PurchaseRequest) (serial uint32, mac1 [4]byte, err error) {
	defer func(from time.Time) { s.w.sam += time.Since(from) }(time.Now())
	return s.SAM.InitPurchase(ctx, r)
}

// CheckMAC2 implements keys.SAM.
func (s timedSAM) CheckMAC2(ctx context.Context, mac2 [4]byte) error {
	defer func(from time.Time) { s.w.sam += time.Since(from) }(time.Now())
	return s.SAM.CheckMAC2(ctx, mac2)
}

// timedJournal times what a tap waits for on the disk.
type timedJournal struct {
	tap.Journal
	w *watch
}

func (j timedJournal) took(from time.Time) { j.w.journal += time.Since(from) }

// Begin implements tap.Journal.
func (j timedJournal) Begin(draft *wire.Record) (uint64, error) {
	from := time.Now()
	defer func() {
		j.took(from)
		j.w.intents = append(j.w.intents, span{from, time.Now()})
	}()
	return j.Journal.Begin(draft)
}

// Drop implements tap.Journal.
func (j timedJournal) Drop(n uint64) error {
	defer j.took(time.Now())
	return j.Journal.Drop(n)
}

// MarkUnknown implements tap.Journal.
func (j timedJournal) MarkUnknown(n uint64) error {
	defer j.took(time.Now())
	return j.Journal.MarkUnknown(n)
}

// Finish implements tap.Journal.
func (j timedJournal) Finish(n uint64, final *wire.Record) error {
	defer j.took(time.Now())
	return j.Journal.Finish(n, final)
}
