package intake

import (
	"context"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// pressure knows how many accepted records wait to be posted. It counts a second apart at most: receipts need no exact word,
// and to count at each would cost more than to keep the batch.
type pressure struct {
	mu      sync.Mutex
	counted time.Time
	depth   int
}

const countEvery = time.Second

// unposted is the depth, bounded by ten times the limit, above which nobody has to know more.
func (p *pressure) unposted(ctx context.Context, s *store.Store, limit int, now time.Time) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.counted); d >= 0 && d < countEvery {
		return p.depth, nil
	}
	err := s.Glance(ctx, func(tx *store.Tx) error {
		var err error
		p.depth, err = tx.CountPending(ctx, 10*limit)
		return err
	})
	if err == nil {
		p.counted = now
	}
	return p.depth, err
}

// holdBack is what a receipt of a batch tells its terminal to wait: the rest of the way to its slot, or what posting needs, whichever is
// more. What it is told is no part of what is committed, so that nothing here can take a receipt away.
func (p *Pipeline) holdBack(ctx context.Context, t ids.TerminalID, now time.Time) time.Duration {
	depth, err := p.pressure.unposted(ctx, p.store, p.opt.Windows.Unposted, now)
	if err != nil {
		p.opt.Log.WarnContext(ctx, "intake: cannot tell how many records wait to be posted", "error", err)
	}
	return max(p.slots.left(t, now), p.opt.Windows.pause(depth))
}
