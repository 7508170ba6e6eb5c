package town

import (
	"context"
	"log/slog"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/watch"
	"github.com/purselane/purselane/shadowaccount/books"
)

// account is the final reckoning, with every check there is. What it is held against is the truth from inside the cards and from
// the hands that paid, and the records as the terminals wrote them.
func (w *town) account() {
	w.checkQueues()
	w.checkAcknowledged()
	w.checkBooks("before the last day is closed")
	owed := w.checkCards()
	w.checkMoney(owed)
	w.checkFindings()
	w.checkWatch()
	w.closeDays(owed)
	w.checkBooks("after the last day is closed")
	w.pay()
	w.checkBooks("after the last day is paid")
	w.log.add(nobody, "all is accounted for: %d cards, %d terminals", len(w.riders), len(w.terminals))
}

// checkBooks: what must hold of the books by themselves.
func (w *town) checkBooks(when string) {
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.TrialBalance(ctx)
		if err != nil {
			return err
		}
		total, err := books.Total(all)
		if err != nil {
			return err
		}
		if !total.IsZero() {
			w.fail("books", nobody, "%s the trial balance is off by %v", when, total)
		}
		faults, err := tx.VerifyBooks(ctx)
		if len(faults) > 0 {
			w.fail("books", nobody, "%s: %s", when, strings.Join(faults, "; "))
		}
		return err
	})
}

// checkFindings: in a town of honest people nothing is suspicious once all has arrived.
func (w *town) checkFindings() {
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Findings(ctx, "", 100)
		if err != nil {
			return err
		}
		for _, f := range found {
			r := w.riderOfToken(f.Token)
			if r != nil && r.away { // what his open taps and loads did is not known
				continue
			}
			index := nobody
			if r != nil {
				index = r.index
			}
			w.fail("finding", index, "%s at counter %d: %s, in an honest town", f.Code, f.Counter, f.Detail)
		}
		loads, err := tx.LoadFindings(ctx, "", 100)
		for _, f := range loads {
			w.fail("finding", nobody, "%s of order %s: %s, in an honest town", f.Code, f.Order, f.Detail)
		}
		return err
	})
}

// checkWatch: nor do time, places, clocks and numbers look suspicious. It is looked at twice: nothing may be found only then.
func (w *town) checkWatch() {
	look, err := watch.New(w.backend.store, w.clock, watch.Settings{}, slog.New(slog.DiscardHandler))
	must(err)
	_, err = look.Pass(w.ctx)
	must(err)
	again, err := look.Pass(w.ctx)
	must(err)
	if again.Opened+again.Cleared > 0 {
		w.fail("watch", nobody, "looked at twice, %d findings are opened and %d cleared", again.Opened, again.Cleared)
	}
	w.backend.view(func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.WatchedFindings(ctx, store.WatchedFilter{State: store.FindingOpen}, 100)
		for _, f := range found {
			if r := w.riderOfToken(f.Subject); r == nil || !r.away {
				w.fail("watch", nobody, "%s of %s %s, %s: %s, in an honest town", f.Code, f.Kind, f.Subject, f.Item, f.Detail)
			}
		}
		return err
	})
}

func (w *town) riderOfToken(token string) *rider {
	for _, r := range w.riders {
		if store.Token(tokenKey, r.card.Number()) == token {
			return r
		}
	}
	return nil
}
