package watch

import (
	"context"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// FactOf is factOf, for the tests.
func FactOf(r store.Posted) (f store.Fact, name ids.CardNumber, alias, ok bool) {
	f, card, ok := factOf(r)
	return f, card.name, card.alias, ok
}

// Look is look, with nothing else to write.
func (w *Watch) Look(ctx context.Context, find func(*store.Tx) ([]store.Notes, error)) (Report, error) {
	return w.look(ctx, find, nil)
}

// Where is where, for the tests.
func (s Settings) Where() func(spot, terminal string) string { return s.where() }

// Card is card, and Plain what passes cards over, for the tests.
func (w *Watch) Card(ctx context.Context, tx *store.Tx, n ids.CardNumber) ([]store.Notes, error) {
	return w.card(ctx, tx, n, nil)
}

func (w *Watch) Plain(ctx context.Context, tx *store.Tx, all []ids.CardNumber) (map[ids.CardNumber]bool, error) {
	return tx.PlainCards(ctx, all, w.limits)
}
