package watch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// maxHoles bounds the holes that are told of one journal.
const maxHoles = 100

// Sweep looks at everything that may change with time or without a record: cards with an unknown tap, a gap or a finding, and all terminals
// and PSAMs.
func (w *Watch) Sweep(ctx context.Context) (Report, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	all, err := w.sweepCards(ctx)
	if err != nil {
		return all, fmt.Errorf("watch: sweep cards: %w", err)
	}
	r, err := w.lookUntilDone(ctx, w.terminals)
	all.add(r)
	if err != nil {
		return all, fmt.Errorf("watch: sweep terminals: %w", err)
	}
	r, err = w.lookUntilDone(ctx, w.psams)
	all.add(r)
	if err != nil {
		return all, fmt.Errorf("watch: sweep PSAMs: %w", err)
	}
	return all, nil
}

func (w *Watch) sweepCards(ctx context.Context) (Report, error) {
	var all Report
	var after ids.CardNumber
	for {
		var cards []ids.CardNumber
		r, err := w.lookUntilDone(ctx, func(ctx context.Context, tx *store.Tx) (out []store.Notes, err error) {
			if cards, err = tx.LooseCards(ctx, after, chunk); err != nil {
				return nil, err
			}
			for _, n := range cards {
				if out, err = w.card(ctx, tx, n, out); err != nil {
					return nil, err
				}
			}
			return out, nil
		})
		r.Cards = len(cards)
		all.add(r)
		if err != nil || len(cards) < chunk {
			return all, err
		}
		after = cards[len(cards)-1]
	}
}

// lookUntilDone looks again whenever another watch was faster.
func (w *Watch) lookUntilDone(ctx context.Context, find func(context.Context, *store.Tx) ([]store.Notes, error)) (Report, error) {
	for {
		r, err := w.look(ctx, func(tx *store.Tx) ([]store.Notes, error) { return find(ctx, tx) }, nil)
		if !errors.Is(err, store.ErrWatchMoved) {
			return r, err
		}
	}
}

// terminals looks at what is missing in terminals' journals.
func (w *Watch) terminals(ctx context.Context, tx *store.Tx) ([]store.Notes, error) {
	all, err := tx.Terminals(ctx)
	if err != nil {
		return nil, err
	}
	codes := []shadowaccount.Code{shadowaccount.FindRecordsMissing, shadowaccount.FindRecordsLost, shadowaccount.FindRecordConflict}
	var out []store.Notes
	for _, m := range all {
		n := store.Notes{Kind: store.OfTerminal, Subject: string(m.ID), Mine: func(c shadowaccount.Code, _ string) bool { return slices.Contains(codes, c) }}
		holes, err := tx.HolesOfTerminal(ctx, m.ID, maxHoles)
		if err != nil {
			return nil, err
		}
		for _, h := range holes {
			if w.old(h) {
				n.Found = append(n.Found, w.missing(shadowaccount.FindRecordsMissing, h))
			}
		}
		lost, err := tx.LostOfTerminal(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		for _, h := range lost {
			n.Found = append(n.Found, w.missing(shadowaccount.FindRecordsLost, h))
		}
		conflicts, err := tx.ConflictsOfTerminal(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range conflicts {
			n.Found = append(n.Found, shadowaccount.Note{Code: shadowaccount.FindRecordConflict, Item: fmt.Sprintf("%x/%d", c.Epoch, c.First),
				Detail: fmt.Sprintf("record %d of its journal %x", c.First, c.Epoch)})
		}
		out = append(out, n)
	}
	return out, nil
}

// old reports whether a hole has been there for too long.
func (w *Watch) old(h store.Aging) bool {
	age := w.settings.holeAge()
	return age > 0 && w.clock.Now().Sub(time.UnixMilli(h.SinceMS)) >= age
}

func (w *Watch) missing(code shadowaccount.Code, h store.Aging) shadowaccount.Note {
	return shadowaccount.Note{Code: code, Item: fmt.Sprintf("%x/%d-%d", h.Epoch, h.First, h.Last),
		Detail: fmt.Sprintf("records %d to %d of its journal %x", h.First, h.Last, h.Epoch)}
}

// psams looks at the numbers of PSAMs of which no record came.
func (w *Watch) psams(ctx context.Context, tx *store.Tx) ([]store.Notes, error) {
	all, err := tx.WatchedPSAMs(ctx)
	if err != nil {
		return nil, err
	}
	least := or(w.settings.SAMHole, 20)
	var out []store.Notes
	for _, psam := range all {
		n := store.Notes{Kind: store.OfPSAM, Subject: hex.EncodeToString(psam[:]), Mine: func(c shadowaccount.Code, _ string) bool { return c == shadowaccount.FindSAMHole }}
		holes, err := tx.HolesOfPSAM(ctx, psam)
		if err != nil {
			return nil, err
		}
		for _, h := range holes {
			if least > 0 && h.Len() >= uint64(least) && w.old(h) {
				n.Found = append(n.Found, shadowaccount.Note{Code: shadowaccount.FindSAMHole, Item: fmt.Sprintf("%d-%d", h.First, h.Last),
					Detail: fmt.Sprintf("purchases %d to %d, %d in all", h.First, h.Last, h.Len())})
			}
		}
		out = append(out, n)
	}
	return out, nil
}
