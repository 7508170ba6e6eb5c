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
