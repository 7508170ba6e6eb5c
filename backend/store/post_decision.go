package store

import (
	"context"
	"fmt"
	"math"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount"
)

// DecideClaim notes what officers decided of a tap's claim, decides its slot again and books what has changed, as posting does. It returns what the claim is worth
// now: a proof is stronger than a decision, whichever comes first. Error: [ErrNotFound].
func (t *Tx) DecideClaim(ctx context.Context, g Group, k TapKey, d shadowaccount.Decision) (shadowaccount.Status, error) {
	t.asideChain()
	p := posting{t: t, g: g, cards: map[ids.CardNumber]*cardWork{}}
	w, err := p.card(ctx, numberFrom(k.Card))
	if err != nil {
		return shadowaccount.Nothing, err
	}
	if err := t.loadSlots(ctx, w, 0, math.MaxUint32); err != nil {
		return shadowaccount.Nothing, err
	}
	var claim *claimRow
	for i := range w.slots[k.Counter] {
		if row := &w.slots[k.Counter][i]; row.Tap == (ids.TapID{Terminal: k.Terminal, Epoch: k.Epoch, Tap: k.Tap}) {
			claim = row
		}
	}
	if claim == nil {
		return shadowaccount.Nothing, fmt.Errorf("claim of tap %v to counter %d: %w", ids.TapID{Terminal: k.Terminal, Epoch: k.Epoch, Tap: k.Tap}, k.Counter, ErrNotFound)
	}
	if claim.Decision != d {
		claim.Decision, claim.changed = d, true
	}
	w.touched[k.Counter] = true
	if err := p.settle(ctx); err != nil || len(p.lines) == 0 {
		return claim.status, err
	}
	number, err := t.nextGroup(ctx)
	if err != nil {
		return shadowaccount.Nothing, err
	}
	return claim.status, t.closeGroup(ctx, g, number, p.lines, 0, evidenceOf(nil))
}
