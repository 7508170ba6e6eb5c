package intake

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	uplink "github.com/purselane/purselane/uplink/intake"
)

// Options of a pipeline.
type Options struct {
	// TokenKey keys the tokens of cards that we never issued and whose records our keys verify. It must be the key that the
	// tokens of issued cards are made with. Required.
	TokenKey []byte

	// EC are the keys that records of electronic cash cards are verified with.
	//
	// Default nil: such records are refused as unreadable.
	EC *ECKeys

	// DESFire is the key that transaction MACs of DESFire cards are verified with.
	//
	// Default nil: such records are refused as unreadable.
	DESFire desfire.HSM

	// Location is the scheme's time zone: clearing days begin at its midnight.
	//
	// Default time.UTC.
	Location *time.Location

	// Group is the most records posted in one transaction.
	//
	// Default 1000.
	Group int

	// Windows say how a fleet that comes home at once is spread.
	Windows Windows

	// Workers verify TACs side by side.
	//
	// Default runtime.GOMAXPROCS(0).
	Workers int

	// Posters post side by side, each the records of its own lanes: 1 to store.Lanes, and 1 on SQLite, whose file has one writer.
	//
	// Default 1 on SQLite, else as many as GOMAXPROCS, at most 4.
	Posters int

	// Posting is how: strictly or journal-first. On PostgreSQL a backend that posts journal-first has one poster.
	//
	// Default Strict.
	Posting Posting

	// Log gets what an operator should hear of at once.
	//
	// Default slog.Default().
	Log *slog.Logger
}

// maxHoles bounds the ranges asked for in one receipt; the terminal is asked for the rest once these have come.
const maxHoles = 16

// Pipeline accepts batches and posts their records. It is safe for concurrent use.
type Pipeline struct {
	store   *store.Store
	doors   doors
	readers map[string]reader // by family
	clock   clock.Clock
	opt     Options

	slots    *slots
	pressure pressure

	turn    atomic.Uint64       // the lane that the next group begins with
	step    sync.Mutex          // one Step at a time: two would post the same records, the second one in vain
	journal *store.JournalFirst // of Step; nil if it posts strictly
	work    []chan struct{}     // something was accepted; one for each poster
}

var _ uplink.Handler = (*Pipeline)(nil)

// New makes a pipeline; it starts nothing.
func New(s *store.Store, hsm keys.HSM, c clock.Clock, o Options) (*Pipeline, error) {
	if len(o.TokenKey) < store.MinTokenKey {
		return nil, fmt.Errorf("intake: TokenKey of %d bytes: want at least %d", len(o.TokenKey), store.MinTokenKey)
	}
	if o.Group < 0 || o.Workers < 0 {
		return nil, fmt.Errorf("intake: Group %d, Workers %d: want zero (the default) or more", o.Group, o.Workers)
	}
	if err := o.EC.check(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if err := o.Windows.setDefaults(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Group == 0 {
		o.Group = 1000
	}
	if err := o.Posting.Check(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if err := o.setPosters(s.Shared()); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	k := doors{ep: hsm, ec: o.EC, desfire: o.DESFire}
	p := &Pipeline{store: s, doors: k, readers: readersOf(k), clock: c, opt: o, slots: newSlots(o.Windows), work: make([]chan struct{}, o.Posters)}
	p.journal = p.memory()
	for i := range p.work {
		p.work[i] = make(chan struct{}, 1)
	}
	return p, nil
}

// usualPosters is the most posters that run unless more are asked for: the database has work of its own to do for each.
const usualPosters = 4

func (o *Options) setPosters(shared bool) error {
	switch {
	case o.Posters < 0 || o.Posters > store.Lanes:
		return fmt.Errorf("%d posters: want 1 to %d, or none for the usual number", o.Posters, store.Lanes)
	case o.Posters > 1 && shared && o.Posting == JournalFirst:
		return fmt.Errorf("%d posters that post journal-first: their groups would collide. Leave the number out, or post strictly", o.Posters)
	case o.Posters > 1 && !shared:
		return fmt.Errorf("%d posters on an SQLite file: its one writer posts all. Leave them out, or keep the scheme in PostgreSQL", o.Posters)
	case o.Posters == 0 && shared && o.Posting != JournalFirst:
		o.Posters = min(runtime.GOMAXPROCS(0), usualPosters)
	case o.Posters == 0:
		o.Posters = 1
	}
	return nil
}

// Device is the Device of an uplink Processor: the public key of a terminal that is registered and not stopped.
func (p *Pipeline) Device(ctx context.Context, id ids.TerminalID) (ed25519.PublicKey, bool, error) {
	var m store.Terminal
	err := p.store.Glance(ctx, func(tx *store.Tx) error {
		var err error
		m, err = tx.Terminal(ctx, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return m.PublicKey, err == nil && m.Active, err
}

// Run posts what is accepted until ctx ends. A step that fails is logged and made again. Where other processes may have the same database, its posters post their share.
func (p *Pipeline) Run(ctx context.Context) error {
	const (
		retry = time.Second     // after a failure
		look  = 5 * time.Second // for what nobody tells of: a load that changes what a card's taps are worth
	)
	defer p.writeOut(ctx, p.journal)
	if !p.store.Shared() {
		return p.run(ctx, p.work[0], p.Step, retry, look)
	}
	var all errgroup.Group
	for _, work := range p.work {
		all.Go(func() error { return p.runPoster(ctx, work, retry) })
	}
	return all.Wait()
}

// runPoster is one poster from its first beat to its end.
func (p *Pipeline) runPoster(ctx context.Context, work <-chan struct{}, retry time.Duration) error {
	o := p.poster()
	defer func() {
		if err := o.leave(ctx); err != nil {
			p.opt.Log.WarnContext(ctx, "intake: lanes not given back: others take them in a while", "error", err)
		}
	}()
	var beaten time.Time
	return p.run(ctx, work, func(ctx context.Context) (int, error) {
		if now := time.Now(); now.Sub(beaten) >= beatEvery {
			if err := o.beat(ctx); err != nil {
				return 0, err
			}
			beaten = now
		}
		return o.step(ctx)
	}, retry, beatEvery) // others accept for these lanes too, and nobody tells of that
}

func (p *Pipeline) run(ctx context.Context, work <-chan struct{}, step func(context.Context) (int, error), retry, look time.Duration) error {
	for {
		n, err := step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := look
		switch {
		case err != nil:
			p.opt.Log.ErrorContext(ctx, "intake: nothing posted", "error", err, "retry", retry)
			wait = retry
		case n > 0:
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-work:
		case <-time.After(wait):
		}
	}
}

// wake tells Run that there is something to post.
func (p *Pipeline) wake() {
	for _, work := range p.work {
		select {
		case work <- struct{}{}:
		default: // the last word is not taken yet; this is seen with it
		}
	}
}
