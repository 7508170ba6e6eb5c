package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// Marks of how far the watch has come.
const (
	markGroups = "groups" // the last posting group that was looked at
	markTurn   = "turn"   // counts what any watch has written: who looked before that has seen something old
)

// chunk is how many cards are looked at in one snapshot of a sweep.
const chunk = 200

// How often the watch runs. Nobody waits for it.
const (
	lookEvery  = 30 * time.Second
	sweepEvery = time.Hour
)

// Watch looks for what is suspicious. It is safe for concurrent use, and several may watch one store: one that was overtaken looks again.
type Watch struct {
	store    *store.Store
	clock    clock.Clock
	settings Settings
	limits   shadowaccount.Limits
	where    func(spot, terminal string) string
	log      *slog.Logger
	turn     sync.Mutex // one look at a time

	recent *recent
	wrote  int64 // the turn of its last write: what is known by heart is void if another has written since
}

// New makes a watch; it starts nothing. A nil log is slog.Default().
func New(s *store.Store, c clock.Clock, settings Settings, log *slog.Logger) (*Watch, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.Default()
	}
	return &Watch{store: s, clock: c, settings: settings, limits: settings.limits(), where: settings.where(), log: log,
		recent: newRecent(settings.limits()), wrote: -1}, nil
}

// Report is what a pass has done.
type Report struct {
	Groups  int `json:"groups"`  // posting groups looked at
	Records int `json:"records"` // in them
	Cards   int `json:"cards"`   // looks at a card
	Opened  int `json:"opened"`  // findings
	Cleared int `json:"cleared"`
}

func (r *Report) add(o Report) {
	r.Groups, r.Records, r.Cards, r.Opened, r.Cleared = r.Groups+o.Groups, r.Records+o.Records, r.Cards+o.Cards, r.Opened+o.Opened, r.Cleared+o.Cleared
}

// Run watches until ctx ends. What fails is logged and made again.
func (w *Watch) Run(ctx context.Context) error {
	var swept time.Time
	for {
		_, err := w.Catch(ctx)
		if now := w.clock.Now(); err == nil && now.Sub(swept) >= sweepEvery {
			if _, err = w.Sweep(ctx); err == nil {
				swept = now
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			w.log.ErrorContext(ctx, "watch: not finished", "error", err, "retry", lookEvery)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// Pass catches up with what is posted and sweeps once.
func (w *Watch) Pass(ctx context.Context) (Report, error) {
	all, err := w.Catch(ctx)
	if err != nil {
		return all, err
	}
	swept, err := w.Sweep(ctx)
	all.add(swept)
	return all, err
}

// Again forgets how far the watch has come: the next pass looks at every record, as after a change of the settings.
func (w *Watch) Again(ctx context.Context) error {
	return w.store.Update(ctx, func(tx *store.Tx) error {
		for chain := range store.Chains {
			was, err := tx.WatchMark(ctx, markOf(chain))
			if err != nil {
				return err
			}
			if was == 0 {
				continue
			}
			if err := tx.MoveWatchMark(ctx, markOf(chain), was, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// markOf is the mark of a chain of posting groups. The first has that of before there were others.
func markOf(chain int) string {
	if chain == 0 {
		return markGroups
	}
	return markGroups + "/" + strconv.Itoa(chain)
}

// Catch makes steps until the watch has seen all that is posted.
func (w *Watch) Catch(ctx context.Context) (Report, error) {
	var all Report
	for {
		r, more, err := w.Step(ctx)
		if err != nil {
			return all, err
		}
		all.add(r)
		if !more {
			return all, nil
		}
	}
}

// Step looks at one posting group that it has not seen, and at some of the cards that it was asked to look at. False: there was nothing.
func (w *Watch) Step(ctx context.Context) (Report, bool, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	var mark, group int64
	var records []store.Posted
	var looks []store.Look
	if err := w.store.View(ctx, func(tx *store.Tx) (err error) {
		for chain := range store.Chains {
			if mark, err = tx.WatchMark(ctx, markOf(chain)); err != nil {
				return err
			}
			if group, err = tx.GroupAfter(ctx, chain, mark); err != nil {
				return err
			}
			if group != 0 {
				break
			}
		}
		if looks, err = tx.WantedLooks(ctx, chunk); err != nil || group == 0 {
			return err
		}
		records, err = tx.GroupRecords(ctx, group)
		return err
	}); err != nil {
		return Report{}, false, fmt.Errorf("watch: read posting group: %w", err)
	}
	if group == 0 && len(looks) == 0 {
		return Report{}, false, nil
	}
	seen := gather(records)
	var kept changes
	var cards int
	r, err := w.look(ctx, func(tx *store.Tx) (out []store.Notes, err error) {
		touched := map[ids.CardNumber][]spent{}
		for _, l := range looks {
			touched[l.Card] = nil
		}
		for c, taps := range seen.cards {
			n, known := c.name, true
			if c.alias {
				if n, known, err = tx.CardOfAlias(ctx, c.name); err != nil {
					return nil, err
				}
			}
			if known {
				touched[n] = append(touched[n], taps...)
			}
		}
		cards = len(touched)
		if out, err = w.cards(ctx, tx, touched, out); err != nil {
			return nil, err
		}
		kept = changes{ahead: seen.ahead}
		if kept.serials, err = serials(ctx, tx, seen); err != nil {
			return nil, err
		}
		if out, kept.stamps, err = w.clocks(ctx, tx, seen, out); err != nil {
			return nil, err
		}
		return w.ahead(ctx, tx, seen, out)
	}, func(tx *store.Tx) error {
		for _, l := range looks {
			if err := tx.Looked(ctx, l); err != nil {
				return err
			}
		}
		if group == 0 {
			return nil
		}
		if err := kept.keep(ctx, tx); err != nil {
			return err
		}
		return tx.MoveWatchMark(ctx, markOf(store.ChainOf(group)), mark, group)
	})
	if errors.Is(err, store.ErrWatchMoved) {
		return Report{}, true, nil // nothing was written: look again
	}
	if err != nil {
		return Report{}, false, fmt.Errorf("watch: posting group %d: %w", group, err)
	}
	r.Cards = cards
	if group != 0 {
		r.Groups, r.Records = 1, len(records)
	}
	return r, true, nil
}

// look finds notes in a snapshot and writes those that change something, with what else is to be written then. If another watch wrote
// between, nothing is written: ErrWatchMoved.
func (w *Watch) look(ctx context.Context, find func(*store.Tx) ([]store.Notes, error), also func(*store.Tx) error) (Report, error) {
	var turn int64
	var news []store.Notes
	if err := w.store.View(ctx, func(tx *store.Tx) (err error) {
		if turn, err = tx.WatchMark(ctx, markTurn); err != nil {
			return err
		}
		if turn != w.wrote {
			w.recent.forget()
			w.wrote = turn
		}
		all, err := find(tx)
		if err != nil {
			return err
		}
		news = nil
		for _, n := range all {
			changes, err := tx.NotesChange(ctx, n)
			if err != nil {
				return err
			}
			if changes {
				news = append(news, n)
			}
		}
		return nil
	}); err != nil {
		return Report{}, err
	}
	if len(news) == 0 && also == nil {
		return Report{}, nil
	}
	now := w.clock.Now()
	var r Report
	err := w.store.Update(ctx, func(tx *store.Tx) error {
		r = Report{}
		if err := tx.MoveWatchMark(ctx, markTurn, turn, turn+1); err != nil {
			return err
		}
		for _, n := range news {
			opened, cleared, err := tx.SetNotes(ctx, n, now)
			if err != nil {
				return err
			}
			r.Opened, r.Cleared = r.Opened+opened, r.Cleared+cleared
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
	if err != nil {
		return Report{}, err // it may stand all the same, and then all is forgotten
	}
	w.wrote = turn + 1
	return r, nil
}
