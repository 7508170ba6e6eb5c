package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

const (
	every   = 5 * time.Second
	overlap = 30 * time.Second // a delivery may be noted with a time a little before one that is here already, by another process
	page    = 500              // messages a transaction
	most    = 100_000          // messages delivered within one millisecond: more is a fault
)

// Feed takes events over from the outbox.
type Feed struct {
	From     *store.Store
	To       *History
	Location *time.Location // of days
	Clock    clock.Clock
	Log      *slog.Logger

	// Fault, when set, is called before a page is committed, and what it returns ends the step there: this is how tests let the process die.
	Fault func() error
}

// Step takes over what was delivered since the last step, and says how many events are new.
func (f *Feed) Step(ctx context.Context) (fresh int, err error) {
	mark, _, err := f.To.Mark(ctx)
	if err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	since := mark
	if !mark.IsZero() {
		since = mark.Add(-overlap)
	}
	for limit := page; ; {
		n, last, full, err := f.page(ctx, since, limit)
		fresh += n
		if err != nil || !full {
			return fresh, err
		}
		if last.After(since) {
			since, limit = last, page
			continue
		}
		if limit *= 2; limit > most { // all of one millisecond
			return fresh, fmt.Errorf("history: more than %d events were delivered at %v", most, last)
		}
	}
}

// page takes over one page: events, the orders they are about, and how far that is.
func (f *Feed) page(ctx context.Context, since time.Time, limit int) (fresh int, last time.Time, full bool, err error) {
	var found []store.OutboxMessage
	var events []Event
	orders := map[string]store.GatewayOrder{}
	err = f.From.View(ctx, func(tx *store.Tx) error {
		found, events = nil, nil
		clear(orders)
		all, done, err := tx.OutboxDone(ctx, webhook.Topic, since, limit)
		if err != nil {
			return err
		}
		found = all
		if len(done) > 0 {
			last = done[len(done)-1]
		}
		for _, m := range all {
			e, is := eventOf(m)
			if !is {
				continue
			}
			if known, err := f.To.has(ctx, e.ID); err != nil || known { // most of the half minute that is read again
				if err != nil {
					return err
				}
				continue
			}
			if _, have := orders[e.Order]; !have {
				o, err := tx.GatewayOrder(ctx, e.Order)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				orders[e.Order] = o
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return 0, last, false, fmt.Errorf("history: %w", err)
	}
	err = f.To.update(ctx, func(tx *sql.Tx) error {
		fresh = 0
		changed := map[string]bool{}
		for _, e := range events {
			r, err := tx.ExecContext(ctx, `INSERT INTO event (id, order_id, about, type, state, at_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, e.ID, e.Order, e.About, e.Type, e.State, e.At.UnixMilli())
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			fresh += int(n)
			changed[e.Order] = changed[e.Order] || n > 0
		}
		for id, yes := range changed {
			if yes {
				if err := f.put(ctx, tx, orders[id]); err != nil {
					return err
				}
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE mark SET done_ms = max(done_ms, ?), read_ms = ?`, max(last.UnixMilli(), 0), f.Clock.Now().UnixMilli()); err != nil {
			return err
		}
		if f.Fault != nil {
			return f.Fault()
		}
		return nil
	})
	if err != nil {
		return 0, last, false, fmt.Errorf("history: %w", err)
	}
	return fresh, last, len(found) == limit, nil
}

// put writes an order, unless a later one is there: two processes may feed one file.
func (f *Feed) put(ctx context.Context, tx *sql.Tx, o store.GatewayOrder) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO orders (id, app, merchant, context, currency, state, amount, received, refunded, fee, day, created_ms, changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET context = excluded.context, state = excluded.state, received = excluded.received, refunded = excluded.refunded, fee = excluded.fee, changed_ms = excluded.changed_ms
		WHERE excluded.changed_ms >= orders.changed_ms`,
		o.ID, o.App, string(o.Merchant), o.Context, o.Currency, o.State, o.Amount.Minor(), o.Received.Minor(), o.Refunded.Minor(), o.Fee.Minor(), o.Created.In(f.Location).Format(time.DateOnly),
		o.Created.UnixMilli(), o.Changed.UnixMilli())
	return err
}

// eventOf reads an event of an order. Others, as of agreements and of channels, are not kept.
func eventOf(m store.OutboxMessage) (Event, bool) {
	var n webhook.Notice
	var d gateway.Message
	if json.Unmarshal(m.Body, &n) != nil || json.Unmarshal(n.Data, &d) != nil || d.Order == "" || d.Order != m.Key {
		return Event{}, false
	}
	return Event{ID: m.ID, Order: d.Order, About: d.About, Type: n.Type, State: d.State, At: time.UnixMilli(m.AtMS)}, true
}

// Run takes over until ctx ends. What fails is logged and made again.
func (f *Feed) Run(ctx context.Context) error {
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		if _, err := f.Step(ctx); err != nil && ctx.Err() == nil {
			f.Log.ErrorContext(ctx, "history: the file falls behind; payments do not wait for it", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}

// Lag is how far the history is behind.
type Lag struct {
	Events int64         // delivered, and not in the file; or not delivered yet
	Behind time.Duration // how long the oldest of them has waited; 0: the file has all
	Read   time.Time     // when the outbox was read last; zero: never
}

// Waited is Behind to the second, for people.
func (l Lag) Waited() string { return l.Behind.Round(time.Second).String() }

// LagOf says how far a history is behind a store. Events that are no orders' count until the feed has seen that.
func LagOf(ctx context.Context, s *store.Store, h *History, now time.Time) (l Lag, err error) {
	done, read, err := h.Mark(ctx)
	if err != nil {
		return l, fmt.Errorf("history: %w", err)
	}
	l.Read = read
	err = s.View(ctx, func(tx *store.Tx) error {
		waits, oldest, err := tx.OutboxWaits(ctx, webhook.Topic)
		if err != nil {
			return err
		}
		n, first, err := tx.OutboxDoneSince(ctx, webhook.Topic, done)
		if err != nil {
			return err
		}
		l.Events = waits + n
		for _, at := range []time.Time{oldest, first} {
			if !at.IsZero() {
				l.Behind = max(l.Behind, now.Sub(at))
			}
		}
		return nil
	})
	return l, err
}
