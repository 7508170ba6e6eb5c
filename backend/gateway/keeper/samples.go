package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/store"
)

// How often counts are brought to the store, how many a process holds while that is away, how long they are kept there, and how often old ones are looked for.
const (
	flushEvery = store.SampleSpan
	maxSamples = 10_000
	keepFor    = 7 * 24 * time.Hour
	pruneEvery = time.Hour
)

type sampleKey struct {
	at   int64 // Unix ms
	cell health.Cell
}

// samples are counts that are not in the store yet.
type samples struct {
	counts  map[sampleKey]store.ChannelSample
	flushed time.Time
	pruned  time.Time
}

// count notes what became of a call. The caller holds mu.
func (s *samples) count(at time.Time, c health.Cell, failed bool, took time.Duration) {
	if s.counts == nil {
		s.counts = map[sampleKey]store.ChannelSample{}
	}
	begin := at.Truncate(store.SampleSpan)
	key := sampleKey{begin.UnixMilli(), c}
	x, there := s.counts[key]
	if !there && len(s.counts) >= maxSamples {
		return // the store has been away for hours: these counts are for people's eyes
	}
	x.At, x.Cell = begin, c
	x.Payments++
	if failed {
		x.Failed++
	}
	x.Took += took
	s.counts[key] = x
}

// keepSamples brings counts to the store. What it does not take waits.
func (k *Keeper) keepSamples(ctx context.Context, now time.Time) error {
	k.mu.Lock()
	due, old := now.Sub(k.samples.flushed) >= flushEvery && len(k.samples.counts) > 0, now.Sub(k.samples.pruned) >= pruneEvery
	if !due {
		k.mu.Unlock()
		return nil
	}
	counts := k.samples.counts
	k.samples.counts, k.samples.flushed = nil, now
	k.mu.Unlock()
	var all []store.ChannelSample
	for _, s := range counts {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b store.ChannelSample) int { // one order, so that two processes do not wait for each other crosswise
		if d := a.At.Compare(b.At); d != 0 {
			return d
		}
		return a.Cell.Compare(b.Cell)
	})
	err := k.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AddChannelSamples(ctx, all); err != nil || !old {
			return err
		}
		return tx.PruneChannelSamples(ctx, now.Add(-keepFor))
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		if old {
			k.samples.pruned = now
		}
		return nil
	}
	for key, s := range counts { // counted meanwhile: both
		x := k.samples.counts[key]
		s.Payments, s.Failed, s.Took = s.Payments+x.Payments, s.Failed+x.Failed, s.Took+x.Took
		if k.samples.counts == nil {
			k.samples.counts = map[sampleKey]store.ChannelSample{}
		}
		k.samples.counts[key] = s
	}
	return err
}
