package selfheal

import (
	"context"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// countEvery is how often what was taken of day limits is read: as long, a process does not know what others take.
const countEvery = 2 * time.Second

// Limits counts payments against the limits of a day from now on. What it returns reads what all processes have taken, until its context ends; decisions themselves read
// memory only, with what this process has decided since.
func (x *Channels) Limits(st *store.Store, log *slog.Logger) func(context.Context) error {
	x.counts = true
	return func(ctx context.Context) error {
		t := time.NewTicker(countEvery)
		defer t.Stop()
		for {
			if err := x.CountLimits(ctx, st); err != nil && ctx.Err() == nil {
				log.Error("day limits of channels: this process goes on by its own count", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
		}
	}
}

// CountLimits reads once what was taken of each limit. The store is not asked where no account has one.
func (x *Channels) CountLimits(ctx context.Context, st *store.Store) error {
	now := x.clock.Now()
	limited := x.router.Limited(now)
	if len(limited) == 0 {
		return nil
	}
	return st.View(ctx, func(tx *store.Tx) error {
		for account, from := range limited {
			spent, err := tx.ChannelSpent(ctx, account, from)
			if err != nil {
				return err
			}
			x.router.SetSpent(account, spent, now)
		}
		return nil
	})
}
