package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Handler delivers a message; an error has it come again. Its text is kept and shown: it must hold no secret. A handler gets messages of several keys at
// once, those of one key one after the other, and some more than once.
type Handler func(context.Context, store.OutboxMessage) error

// Config of a relay. Handlers is required.
type Config struct {
	// Handlers by topic. Messages of other topics are left for other processes.
	Handlers map[string]Handler

	// Lease is how long a process has messages for itself. A handler is given half of it, so that a message that is late is not
	// delivered beside another process.
	//
	// Default one minute.
	Lease time.Duration

	// AtOnce is how many messages a step takes of a topic, and delivers side by side.
	//
	// Default 100.
	AtOnce int

	// Keep is how long delivered messages are remembered.
	//
	// Default 7 days.
	Keep time.Duration

	Clock clock.Clock  // default: the machine's
	Log   *slog.Logger // default slog.Default()

	// Fault, when set, is called between the steps of a delivery ("leased", "delivered"), and what it returns ends the step there: this is how
	// tests let the process die.
	Fault func(point string) error
}

// Relay delivers messages. It is safe for concurrent use.
type Relay struct {
	store *store.Store
	cfg   Config
	name  string // of this process, in leases
}

// New makes a relay; it starts nothing.
func New(s *store.Store, cfg Config) (*Relay, error) {
	if len(cfg.Handlers) == 0 {
		return nil, errors.New("outbox: no handlers: there is nobody to deliver to")
	}
	if cfg.Lease < 0 || cfg.AtOnce < 0 || cfg.Keep < 0 {
		return nil, errors.New("outbox: Lease, AtOnce and Keep: want zero (the default) or more")
	}
	if cfg.Lease == 0 {
		cfg.Lease = time.Minute
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = 100
	}
	if cfg.Keep == 0 {
		cfg.Keep = 7 * 24 * time.Hour
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Relay{store: s, cfg: cfg, name: rand.Text()}, nil
}

// Step delivers what is due now, of each key at most one message, and says how many were delivered. Who wants all of them steps until there are none. An error is the
// store's; a message that could not be delivered is not one.
func (r *Relay) Step(ctx context.Context) (int, error) {
	done := 0
	for _, topic := range slices.Sorted(maps.Keys(r.cfg.Handlers)) {
		n, err := r.step(ctx, topic)
		done += n
		if err != nil {
			return done, fmt.Errorf("outbox: %w", err)
		}
	}
	return done, nil
}

func (r *Relay) step(ctx context.Context, topic string) (int, error) {
	taken, err := r.lease(ctx, topic)
	if err != nil || len(taken) == 0 {
		return 0, err
	}
	if err := r.fault("leased"); err != nil {
		return 0, err
	}
	failed := r.deliver(ctx, r.cfg.Handlers[topic], taken)
	if err := r.fault("delivered"); err != nil {
		return 0, err
	}
	// What was delivered is noted even when ctx has just ended: else it would all come again.
	ctx = context.WithoutCancel(ctx)
	done := 0
	err = r.store.Update(ctx, func(tx *store.Tx) error {
		done = 0
		now := r.cfg.Clock.Now()
		for i, m := range taken {
			if failed[i] == nil {
				done++
				if err := tx.DoneOutbox(ctx, m, r.name, now.UnixMilli()); err != nil {
					return err
				}
				continue
			}
			if err := tx.FailOutbox(ctx, m, r.name, now.Add(Pause(m.Attempts+1)).UnixMilli(), failed[i].Error()); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// lease takes what is due. It looks first without writing, so that a relay with nothing to do writes nothing.
func (r *Relay) lease(ctx context.Context, topic string) ([]store.OutboxMessage, error) {
	now := r.cfg.Clock.Now()
	due := false
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.OutboxDue(ctx, topic, now.UnixMilli())
		return err
	})
	if err != nil || !due {
		return nil, err
	}
	var taken []store.OutboxMessage
	err = r.store.Update(ctx, func(tx *store.Tx) (err error) {
		taken, err = tx.LeaseOutbox(ctx, topic, r.name, now.UnixMilli(), now.Add(r.cfg.Lease).UnixMilli(), r.cfg.AtOnce)
		return err
	})
	return taken, err
}

// deliver hands messages to a handler, side by side, and returns what became of each.
func (r *Relay) deliver(ctx context.Context, h Handler, all []store.OutboxMessage) []error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/2)
	defer cancel()
	failed := make([]error, len(all))
	var each sync.WaitGroup
	for i, m := range all {
		each.Go(func() {
			if failed[i] = h(ctx, m); failed[i] != nil && ctx.Err() == nil {
				r.cfg.Log.WarnContext(ctx, "outbox: a message was not delivered, and will be tried again", "topic", m.Topic, "id", m.ID, "attempt", m.Attempts+1, "error", failed[i])
			}
		})
	}
	each.Wait()
	return failed
}

func (r *Relay) fault(point string) error {
	if r.cfg.Fault == nil {
		return nil
	}
	return r.cfg.Fault(point)
}

// Pauses between two attempts.
const (
	firstPause = time.Second
	maxPause   = 5 * time.Minute
)

// Pause is how long to wait after an attempt, counted from 1: a second, then twice as long each time, up to five minutes.
func Pause(attempt int) time.Duration {
	if attempt > 10 {
		return maxPause
	}
	return min(firstPause<<(max(attempt, 1)-1), maxPause)
}

// Prune forgets messages that were delivered long ago, and says how many.
func (r *Relay) Prune(ctx context.Context) (int, error) {
	all := 0
	for {
		n := 0
		err := r.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.PruneOutbox(ctx, r.cfg.Clock.Now().Add(-r.cfg.Keep).UnixMilli(), r.cfg.AtOnce)
			return err
		})
		all += n
		if err != nil || n < r.cfg.AtOnce {
			return all, err
		}
	}
}

// How often Run looks: at whether this process has committed something, whether anything is due by time or from another process, and at what is old.
const (
	lookEvery  = 20 * time.Millisecond
	askEvery   = time.Second
	pruneEvery = time.Hour
)

// Run delivers until ctx ends. What fails is logged and made again.
func (r *Relay) Run(ctx context.Context) error {
	look, ask, prune := time.NewTicker(lookEvery), time.NewTicker(askEvery), time.NewTicker(pruneEvery)
	defer look.Stop()
	defer ask.Stop()
	defer prune.Stop()
	seen := r.store.Changes() - 1 // look at once
	for {
		if now := r.store.Changes(); now != seen {
			seen = now
			r.all(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case <-ask.C:
			r.all(ctx)
		case <-prune.C:
			if _, err := r.Prune(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Log.ErrorContext(ctx, "outbox: forget old messages", "error", err)
			}
		}
	}
}

func (r *Relay) all(ctx context.Context) {
	for {
		n, err := r.Step(ctx)
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "outbox", "error", err)
		}
		if err != nil || n == 0 {
			return
		}
	}
}
