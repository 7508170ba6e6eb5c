package town

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	uplink "github.com/purselane/purselane/uplink/intake"
)

// errDied is a backend that died at a commit.
var errDied = errors.New("the backend died")

// Limits of loads.
var (
	maxLoad    = money.Minor(500_00)
	maxBalance = money.Minor(1000_00)
)

// backend is the backend in one process, which may die and come back.
type backend struct {
	w    *town
	path string
	hsm  *keys.Soft

	store     *store.Store // nil: dead
	pipeline  *intake.Pipeline
	topup     *topup.Service
	processor *uplink.Processor

	closed []settlement.Output // clearing days, in order

	idle   bool   // nothing has arrived since all was posted
	backup []byte // of the database, as it was some time; nil: none
	stale  bool   // something has happened since the backup that no terminal can tell again
}

func newBackend(w *town) *backend {
	raw, err := emptyBackend()
	must(err)
	b := &backend{w: w, path: filepath.Join(w.cfg.Dir, "scheme.db"), hsm: keys.NewSoft(masters)}
	must(os.WriteFile(b.path, raw, 0o600))
	b.open()
	return b
}

func (b *backend) open() {
	w, quiet := b.w, slog.New(slog.DiscardHandler)
	s, err := store.Open(w.ctx, b.path, store.Options{NoSync: true, Fault: b.fault})
	must(err)
	b.store, b.idle = s, false
	b.pipeline, err = intake.New(s, b.hsm, w.clock, intake.Options{TokenKey: tokenKey, Location: w.zone, Group: w.group, Workers: 1, Log: quiet})
	must(err)
	b.topup, err = topup.New(s, b.hsm, w.clock, topup.Config{MaxAmount: maxLoad, MaxBalance: maxBalance, Location: w.zone, Rand: rngReader{w.rng}, Log: quiet})
	must(err)
	b.processor = &uplink.Processor{Device: b.pipeline.Device, Key: receiptKey, Handler: w.cfg.sabotage.handlerOf(b.pipeline)}
}

func (b *backend) fault(point string) error {
	if chance(b.w.rng, b.w.faults.BackendDies) {
		return fmt.Errorf("%w at %s", errDied, point)
	}
	return nil
}

// died takes down a backend whose commit failed as drawn, and reports whether that was it.
func (b *backend) died(err error) bool {
	if !errors.Is(err, errDied) {
		return false
	}
	b.w.log.add(nobody, "backend: %v", errDied)
	b.w.tally.BackendDeaths++
	must(b.store.Close())
	b.store = nil
	if b.w.embedded {
		b.w.link.broken = true
		b.w.link.cut()
		b.w.reconnect(60)
	}
	b.w.agenda.add(b.w.clock.Now().Add(time.Duration(1+b.w.rng.IntN(600))*time.Second), b.comeBack)
	return true
}

// comeBack starts a backend that died, on its database or, where no harm is done that terminals cannot heal, on an older
// copy of it.
func (b *backend) comeBack() {
	if b.w.embedded { // else nobody would say hello to it, and it would not learn what it lacks
		b.restore()
	}
	b.open()
	b.w.log.add(nobody, "backend is back")
	if b.w.link.broken {
		b.w.link.broken = false
		b.w.reconnect(60)
	}
}

func (b *backend) restore() {
	if b.backup != nil && !b.stale && b.w.rng.IntN(2) == 0 {
		must(os.WriteFile(b.path, b.backup, 0o600))
		b.w.tally.Restores++
		b.w.log.add(nobody, "backend is restored from a backup")
	} else if b.w.rng.IntN(2) == 0 {
		var err error
		b.backup, err = os.ReadFile(b.path) // it was closed in order, so there is no other file beside it
		must(err)
		b.stale = false
		b.w.log.add(nobody, "backend has a backup")
	}
}

// receive processes one message and sends the receipt.
func (b *backend) receive(m message, now time.Time) {
	retry := func() {
		if b.w.rng.IntN(2) == 0 { // the broker still has it
			m.due = now.Add(time.Duration(1+b.w.rng.IntN(300)) * time.Second)
			b.w.link.queue = append(b.w.link.queue, m)
		}
	}
	if b.store == nil {
		retry()
		return
	}
	b.idle = false
	receipt, err := b.processor.Process(b.w.ctx, b.w.terminals[m.terminal].id, m.kind, m.raw, now)
	switch {
	case err == nil:
		b.w.link.send(message{terminal: m.terminal, raw: receipt}, now)
	case b.died(err):
		retry()
	default:
		b.w.fail("uplink", nobody, "%s: a message is refused: %v", b.w.terminals[m.terminal].id, err)
	}
}

// post verifies and posts what is accepted, and settles the loads that records prove. It reports whether it got through.
func (b *backend) post() bool {
	if b.store == nil {
		return false
	}
	if b.idle {
		return true
	}
	for {
		n, err := b.pipeline.Step(b.w.ctx)
		if err == nil && n > 0 {
			b.w.log.add(nobody, "backend posts %d", n)
			b.w.cfg.sabotage.afterPosting(b)
			continue
		}
		settled := 0
		if err == nil {
			settled, err = b.topup.SettleByRecords(b.w.ctx)
		}
		if b.died(err) {
			return false
		}
		must(err)
		if settled == 0 {
			b.idle = true
			return true
		}
		b.w.tally.LoadsByRecord += settled
		b.w.log.add(nobody, "backend settles %d loads by records", settled)
	}
}

// age calls loads uncertain that nobody has confirmed.
func (b *backend) age() {
	if b.store == nil {
		return
	}
	if _, err := b.topup.AgeUnconfirmed(b.w.ctx); err != nil && !b.died(err) {
		must(err)
	}
}

// closeDay closes a clearing day once everything that arrived is posted; until it works it is tried again.
func (b *backend) closeDay(day string) {
	again := func() {
		b.w.agenda.add(b.w.clock.Now().Add(10*time.Minute), func() { b.closeDay(day) })
	}
	if !b.post() {
		again()
		return
	}
	out, err := settlement.Close(b.w.ctx, b.store, day, settlement.Options{Now: b.w.clock.Now(), Location: b.w.zone})
	if b.died(err) {
		again()
		return
	}
	if err != nil {
		b.w.fail("settlement", nobody, "day %s does not close: %v", day, err)
	}
	b.closed, b.stale = append(b.closed, out), true
	b.w.log.add(nobody, "backend closes %s: %s", day, out.Digest)
}

// view reads the store.
func (b *backend) view(f func(ctx context.Context, tx *store.Tx) error) {
	must(b.store.View(b.w.ctx, func(tx *store.Tx) error { return f(b.w.ctx, tx) }))
}

// pending is how many accepted records are not posted.
func (b *backend) pending() (n int) {
	b.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.PendingRecords(ctx, 1000)
		n = len(all)
		return err
	})
	return n
}

// cardOf is a card as the backend has it.
func (b *backend) cardOf(n ids.CardNumber) (c store.Card) {
	b.view(func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = tx.CardByNumber(ctx, n)
		return err
	})
	return c
}
