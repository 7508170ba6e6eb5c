package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Config of a keeper. Only Settings is needed.
type Config struct {
	Settings func(health.Cell) health.Settings // of a cell; must pass their own check
	Clock    clock.Clock

	// Probe makes the smallest real call of a channel and reports whether it failed by the channel's fault. Nil: nothing is probed, and quiet channels are
	// found faulty by their payers alone.
	Probe func(context.Context, health.Cell) (failed bool)

	// Sinks are who is told of moves and alarms. Each has an outbox topic of its own, [Topic], so that one that fails holds up no other.
	Sinks []string

	Log *slog.Logger
}

// Topic is the outbox topic of a sink.
func Topic(sink string) string { return "channel." + sink }

// Keeper keeps the health of channels. It is safe for concurrent use.
type Keeper struct {
	store *store.Store
	cfg   Config

	mu     sync.Mutex // of the board and what goes with it
	board  *health.Board
	calls  health.Calls
	cells  map[uint64]health.Cell // of calls
	began  map[uint64]time.Time   // of calls
	due    []health.Move          // to be kept
	alarms []health.Alarm
	alone  map[health.Cell]bool // moved while the store was away

	assumed map[health.Cell]float64 // shares until the store is heard
	samples samples                 // for people's eyes

	keeping sync.Mutex // one at a time speaks to the store
	shares  atomic.Pointer[map[health.Cell]float64]
	heard   atomic.Int64 // Unix ms of the last word with the store
	wake    chan struct{}
	probes  sync.WaitGroup
}

// New makes a keeper over a store. It knows nothing until [Keeper.Load] or Run.
func New(st *store.Store, cfg Config) *Keeper {
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{store: st, cfg: cfg, board: health.NewBoard(cfg.Settings), cells: map[uint64]health.Cell{}, began: map[uint64]time.Time{}, alone: map[health.Cell]bool{}, wake: make(chan struct{}, 1)}
	k.publish()
	return k
}

// Watch makes a channel known, so that it is probed before its first payment.
func (k *Keeper) Watch(channel string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.board.Watch(health.Cell{Channel: channel})
}

// Share is how much of its traffic a cell may take. It waits for nothing.
func (k *Keeper) Share(c health.Cell) float64 {
	return health.ShareOf(*k.shares.Load(), c)
}

// Shares are the cells that take less than all. It waits for nothing, and is not to be changed.
func (k *Keeper) Shares() map[health.Cell]float64 { return *k.shares.Load() }

// Assume has cells take what is known of before, until the store is heard for the first time; a cell that moves here meanwhile takes what that gave.
func (k *Keeper) Assume(shares map[health.Cell]float64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.assumed = shares
	k.publish()
}

// publish makes the board's shares what Share says. The caller holds mu, or nobody else knows k.
func (k *Keeper) publish() {
	all := map[health.Cell]float64{}
	if k.heard.Load() == 0 {
		maps.Copy(all, k.assumed)
	}
	for _, s := range k.board.All() {
		switch {
		case s.Share < 1:
			all[s.Cell] = s.Share
		case s.Version > 0:
			delete(all, s.Cell)
		}
	}
	k.shares.Store(&all)
}

// Statuses lists every cell known, by name.
func (k *Keeper) Statuses() []health.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.board.All()
}

// Heard is when the store was last spoken with: states of other processes are as old as that.
func (k *Keeper) Heard() time.Time { return time.UnixMilli(k.heard.Load()) }

// Began notes that a channel is called, and returns a number for [Keeper.Ended].
func (k *Keeper) Began(c health.Cell) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Clock.Now()
	n := k.calls.Began(c, now)
	k.cells[n], k.began[n] = c, now
	return n
}

// Ended tells what a call came to: failed by the channel's or the bank's fault. Where it says nothing of them (the payer cancelled), counts is false.
func (k *Keeper) Ended(number uint64, failed, counts bool) {
	k.mu.Lock()
	c, began := k.cells[number], k.began[number]
	delete(k.cells, number)
	delete(k.began, number)
	if counts = k.calls.Ended(number) && counts; counts {
		now := k.cfg.Clock.Now()
		k.samples.count(now, c, failed, now.Sub(began))
		k.observe(health.Observation{At: now, Cell: c, Failed: failed})
	}
	k.mu.Unlock()
}

// observe feeds the board; what follows of it waits for Step. The caller holds mu.
func (k *Keeper) observe(o health.Observation) {
	m, a := k.board.Observe(o)
	if m != nil {
		k.due = append(k.due, *m)
	}
	if a != nil {
		k.alarms = append(k.alarms, *a)
	}
	if m != nil || a != nil {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// beat is how often a keeper looks: a change of state reaches every process within it.
const beat = 250 * time.Millisecond

// Run keeps health until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.probes.Wait()
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		k.Step(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-k.wake:
		}
	}
}

// Step lets time pass once: late calls, steps that are due, probes, what is to be kept, and what others have kept. An error of the store is logged, and
// nothing more: health goes on without it.
func (k *Keeper) Step(ctx context.Context) {
	now := k.cfg.Clock.Now()
	k.mu.Lock()
	for _, o := range k.calls.Late(now, func(c health.Cell) time.Duration { return k.cfg.Settings(c).Slow }) {
		k.samples.count(o.At, o.Cell, true, k.cfg.Settings(o.Cell).Slow)
		k.observe(o)
	}
	moves, probes := k.board.Tick(now)
	for _, m := range moves {
		k.due = append(k.due, *m)
	}
	k.mu.Unlock()
	if k.cfg.Probe != nil {
		for _, c := range probes {
			k.probes.Go(func() { k.probe(ctx, c) })
		}
	}
	k.keeping.Lock()
	defer k.keeping.Unlock()
	k.keepDue(ctx)
	if err := errors.Join(k.load(ctx), k.keepSamples(ctx, now)); err != nil && ctx.Err() == nil {
		k.cfg.Log.Error("channel health: the store is away, this process goes on by itself", "error", err)
	}
}

func (k *Keeper) probe(ctx context.Context, c health.Cell) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Settings(c).Slow)
	defer cancel()
	failed := k.cfg.Probe(ctx, c) || ctx.Err() != nil
	k.mu.Lock()
	defer k.mu.Unlock()
	k.observe(health.Observation{At: k.cfg.Clock.Now(), Cell: c, Failed: failed, Probe: true})
}

// keepDue brings moves and alarms to the store, in their order. What a store that is away does not take, is done here all the same and waits.
func (k *Keeper) keepDue(ctx context.Context) {
	k.mu.Lock()
	moves, alarms := k.due, k.alarms
	k.due, k.alarms = nil, nil
	k.mu.Unlock()
	var owed []health.Move
	refused := map[health.Cell]bool{}
	for _, m := range moves {
		if refused[m.Cell] {
			continue // it was built on one that did not stand
		}
		err := k.keep(ctx, m)
		k.mu.Lock()
		switch {
		case err == nil:
			k.board.Adopt(m.Status, m.At)
			delete(k.alone, m.Cell)
		case errors.Is(err, store.ErrChannelMoved):
			k.board.Refused(m.Cell)
			refused[m.Cell] = true
			k.alone[m.Cell] = true // load overrules it
		default:
			k.cfg.Log.Error("channel health: a move is not kept yet", "cell", m.Cell.String(), "event", m.On, "error", err)
			k.board.Adopt(m.Status, m.At)
			owed = append(owed, m)
		}
		k.publish()
		k.mu.Unlock()
	}
	var untold []health.Alarm
	for _, a := range alarms {
		if err := k.tell(ctx, a); err != nil {
			k.cfg.Log.Error("channel health: alarm", "cell", a.Cell.String(), "payments", a.Evidence.Payments, "failed", a.Evidence.Failed, "error", err)
			untold = append(untold, a)
		}
	}
	k.mu.Lock()
	k.due, k.alarms = append(owed, k.due...), append(untold, k.alarms...)
	k.mu.Unlock()
}

// Notice is what sinks are told: the body of an outbox message. Version 1 of docs/channel-health.md.
type Notice struct {
	Version  int       `json:"version"`
	Channel  string    `json:"channel"`
	Bank     string    `json:"bank,omitempty"`
	Card     string    `json:"card,omitempty"`
	Alarm    bool      `json:"alarm,omitempty"` // a fault of a channel that people switch
	Event    string    `json:"event,omitempty"`
	Action   string    `json:"action,omitempty"`
	State    string    `json:"state,omitempty"`
	Share    float64   `json:"share"`
	Incident uint64    `json:"incident,omitempty"`
	At       time.Time `json:"at"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Payments int       `json:"payments,omitempty"`
	Failed   int       `json:"failed,omitempty"`
}

// keep writes a move with what sinks are told of it, in one transaction: exactly one process tells of a move.
func (k *Keeper) keep(ctx context.Context, m health.Move) error {
	n := Notice{Version: 1, Channel: m.Cell.Channel, Bank: m.Cell.Bank, Card: m.Cell.Card, Event: string(m.On), Action: string(m.Does), State: m.State.String(),
		Share: m.Share, Incident: m.Incident, At: m.At.UTC(), By: m.By, Reason: m.Reason, Payments: m.Evidence.Payments, Failed: m.Evidence.Failed}
	return k.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.MoveChannel(ctx, m); err != nil {
			return err
		}
		return k.add(ctx, tx, fmt.Sprintf("move-%d", m.Version), m.Cell, n)
	})
}

func (k *Keeper) tell(ctx context.Context, a health.Alarm) error {
	n := Notice{Version: 1, Channel: a.Cell.Channel, Bank: a.Cell.Bank, Card: a.Cell.Card, Alarm: true, Share: 1, At: a.At.UTC(), Payments: a.Evidence.Payments, Failed: a.Evidence.Failed}
	return k.store.Update(ctx, func(tx *store.Tx) error {
		return k.add(ctx, tx, fmt.Sprintf("alarm-%d", a.At.UnixMilli()), a.Cell, n)
	})
}

func (k *Keeper) add(ctx context.Context, tx *store.Tx, id string, c health.Cell, n Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	for _, sink := range k.cfg.Sinks {
		if err := tx.AddOutbox(ctx, store.OutboxMessage{ID: id + "-" + sink, Topic: Topic(sink), Key: "channel/" + c.String(), Body: body, AtMS: n.At.UnixMilli()}); err != nil {
			return err
		}
	}
	return nil
}

// Load takes over what is in the store.
func (k *Keeper) Load(ctx context.Context) error {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	return k.load(ctx)
}

func (k *Keeper) load(ctx context.Context) error {
	var all []health.Status
	err := k.store.View(ctx, func(tx *store.Tx) error {
		var err error
		all, err = tx.ChannelStates(ctx)
		return err
	})
	if err != nil {
		return err
	}
	now := k.cfg.Clock.Now()
	k.heard.Store(now.UnixMilli())
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range all {
		if k.alone[s.Cell] {
			k.board.Overrule(s, now)
			delete(k.alone, s.Cell)
			continue
		}
		k.board.Adopt(s, now)
	}
	k.publish()
	return nil
}

// Switch does what a person asks: [health.SwitchedOff] or [health.SwitchedOn], at the version that was looked at. It is kept before it is done. Errors:
// [health.ErrStale], also where another was faster; [health.ErrMove]; [health.ErrReason]; and the store's, where nothing was switched.
func (k *Keeper) Switch(ctx context.Context, c health.Cell, e health.Event, version uint64, by, reason string) (health.Status, error) {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	now := k.cfg.Clock.Now()
	k.mu.Lock()
	m, err := k.board.Switch(c, e, version, now, by, reason)
	k.mu.Unlock()
	if err != nil {
		return health.Status{}, err
	}
	if err := k.keep(ctx, *m); errors.Is(err, store.ErrChannelMoved) {
		return health.Status{}, fmt.Errorf("%v: %w: %w", c, health.ErrStale, errors.Join(err, k.load(ctx)))
	} else if err != nil {
		return health.Status{}, fmt.Errorf("%v is not switched: %w", c, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.board.Adopt(m.Status, now)
	k.publish()
	return m.Status, nil
}
