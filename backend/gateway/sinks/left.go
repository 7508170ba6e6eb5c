package sinks

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

// Leftovers looks after what was said to sinks that are no more.
type Leftovers struct {
	Store *store.Store
	Sinks []string // that there are
	Clock clock.Clock
	Log   *slog.Logger
}

const (
	leftFor   = 24 * time.Hour // another process may have a sink that this one does not know yet
	leftEvery = time.Hour
	leftMost  = 100
)

// Run looks now and then until ctx ends.
func (l Leftovers) Run(ctx context.Context) error {
	t := time.NewTicker(leftEvery)
	defer t.Stop()
	for {
		if err := l.Step(ctx); err != nil && ctx.Err() == nil {
			l.Log.ErrorContext(ctx, "notices of channels to sinks that are no more", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Step gives up what has waited for a day for a sink that is not there, and logs each as it was: the log is the dead letter.
func (l Leftovers) Step(ctx context.Context) error {
	var topics []string
	if err := l.Store.View(ctx, func(tx *store.Tx) (err error) { topics, err = tx.OutboxTopics(ctx, keeper.Topic("")); return err }); err != nil {
		return err
	}
	for _, topic := range topics {
		if slices.ContainsFunc(l.Sinks, func(s string) bool { return keeper.Topic(s) == topic }) {
			continue
		}
		for {
			var gone []store.OutboxMessage
			if err := l.Store.Update(ctx, func(tx *store.Tx) (err error) {
				now := l.Clock.Now()
				gone, err = tx.GiveUpOutbox(ctx, topic, now.Add(-leftFor).UnixMilli(), now.UnixMilli(), "given up: the sink is not in the scheme any more", leftMost)
				return err
			}); err != nil {
				return err
			}
			for _, m := range gone {
				l.Log.ErrorContext(ctx, "dead letter: the sink is not in the scheme any more", "topic", m.Topic, "id", m.ID, "notice", string(m.Body))
			}
			if len(gone) < leftMost {
				break
			}
		}
	}
	return nil
}
