package bill

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

// Lately is what the last reconciliation with a channel found, minutes after the payments and long before the bill.
type Lately struct {
	At          time.Time // zero: never
	Asked       int
	Differences int
	Amount      money.Amount // by how much in all
}

// Watch asks channels about payments that were paid a moment ago: near-real-time reconciliation. It is safe for concurrent use.
type Watch struct {
	store    *store.Store
	clock    clock.Clock
	channels map[string]channel.Channel
	log      *slog.Logger

	asking sync.Mutex // one account at a time

	mu   sync.Mutex
	last map[string]Lately
	from map[string]time.Time // until when an account's payments have been asked about
}

const (
	watchEvery  = 5 * time.Minute
	watchMost   = 100              // payments of an account in a round
	firstWithin = 10 * time.Second // that a withdrawal waits for a first round
	watchAfter  = time.Minute      // so that a channel's own parts agree
)

// NewWatch makes one over our accounts; payments from now on are asked about.
func NewWatch(s *store.Store, c clock.Clock, channels map[string]channel.Channel, log *slog.Logger) *Watch {
	return &Watch{store: s, clock: c, channels: maps.Clone(channels), log: log, last: map[string]Lately{}, from: map[string]time.Time{}}
}

// Lately is what the last round of an account found.
func (w *Watch) Lately(account string) Lately {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[account]
}

// Asked is what the last round of an account found; where there was none yet, the account is asked about now. A withdrawal wants it right after a start.
func (w *Watch) Asked(ctx context.Context, account string) Lately {
	if l := w.Lately(account); !l.At.IsZero() {
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, firstWithin)
	defer cancel()
	w.asking.Lock()
	defer w.asking.Unlock()
	if ch := w.channels[account]; ch != nil && w.Lately(account).At.IsZero() {
		w.round(ctx, account, ch)
	}
	return w.Lately(account)
}

// Run goes round until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	for {
		w.Round(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}

// Round asks about what was paid since the last round, at most so many of an account: the latest. A channel that does not answer leaves what was found before, which grows old.
func (w *Watch) Round(ctx context.Context) {
	for account, ch := range w.channels {
		w.asking.Lock()
		w.round(ctx, account, ch)
		w.asking.Unlock()
	}
}

// round asks about one account. The caller holds asking.
func (w *Watch) round(ctx context.Context, account string, ch channel.Channel) {
	until := w.clock.Now().Add(-watchAfter)
	w.mu.Lock()
	from, known := w.from[account]
	w.mu.Unlock()
	if !known {
		from = until.Add(-watchEvery)
	}
	found, err := w.ask(ctx, account, ch, from, until)
	if err != nil {
		w.log.WarnContext(ctx, "payments could not be compared with their channel", "account", account, "error", err)
		return
	}
	if found.Differences > 0 {
		w.log.ErrorContext(ctx, "payments differ from their channel", "account", account, "differ", found.Differences, "asked", found.Asked, "amount", found.Amount.String())
	}
	w.mu.Lock()
	w.last[account], w.from[account] = found, until
	w.mu.Unlock()
}

func (w *Watch) ask(ctx context.Context, account string, ch channel.Channel, from, until time.Time) (Lately, error) {
	out := Lately{At: w.clock.Now()}
	var paid []store.GatewayPayment
	if err := w.store.View(ctx, func(tx *store.Tx) (err error) { paid, _, err = tx.GatewayMoved(ctx, account, from, until); return err }); err != nil {
		return out, err
	}
	for _, p := range paid[max(0, len(paid)-watchMost):] {
		e, counts := paymentEntry(p)
		if !counts || !e.Done || e.Kind != channel.OfPayment {
			continue
		}
		r, err := ch.Query(ctx, channel.Ref{Number: p.Number, ChannelID: p.ChannelID, Money: e.Money, Sent: p.Sent})
		if err != nil {
			return out, err
		}
		out.Asked++
		differ := e.Money.Amount
		switch {
		case r.Outcome == channel.Succeeded && (r.Money.Amount.IsZero() || r.Money == e.Money):
			continue
		case r.Outcome == channel.Succeeded:
			if differ, err = e.Money.Amount.Sub(r.Money.Amount); err != nil {
				return out, err
			}
		}
		out.Differences++
		if out.Amount, err = out.Amount.Add(abs(differ)); err != nil {
			return out, err
		}
	}
	return out, nil
}
