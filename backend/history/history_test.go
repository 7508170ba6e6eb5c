package history_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/webhook"
	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// town is a store with orders and its outbox, and a history beside it.
type town struct {
	t     require.TestingT
	ctx   context.Context
	store *store.Store
	clock *clock.Manual
	feed  history.Feed
	lines map[string]int
}

func newTown(t *testing.T) *town {
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { st.Close() })
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "history ?#.db"))
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	c := clock.NewManual(noon)
	return &town{t: t, ctx: t.Context(), store: st, clock: c, lines: map[string]int{},
		feed: history.Feed{From: st, To: h, Location: time.FixedZone("", 8*3600), Clock: c, Log: slog.New(slog.DiscardHandler)}}
}

func (w *town) update(f func(tx *store.Tx) error) {
	require.NoError(w.t, w.store.Update(w.ctx, f))
}

// move takes an order into a state, and leaves the event of it.
func (w *town) move(id, app, state string, received int64) {
	w.lines[id]++
	n := w.lines[id]
	w.update(func(tx *store.Tx) error {
		o, err := tx.GatewayOrder(w.ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			o = store.GatewayOrder{ID: id, App: app, IdempotencyKey: id, Merchant: "m1", Amount: money.Minor(100), Currency: "CNY", Created: w.clock.Now(), Expires: noon}
			if err := tx.AddGatewayOrder(w.ctx, o); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		o.State, o.Changed, o.Received = state, w.clock.Now(), money.Minor(received)
		if err := tx.SetGatewayOrder(w.ctx, o); err != nil {
			return err
		}
		data, err := json.Marshal(gateway.Message{Order: id, About: id, Event: state, State: state})
		if err != nil {
			return err
		}
		m, err := webhook.Message(fmt.Sprintf("%s-%d", id, n), id, w.clock.Now(), webhook.Notice{App: app, Type: "order." + state, Data: data})
		if err != nil {
			return err
		}
		return tx.AddOutbox(w.ctx, m)
	})
}

// deliver notes what is due as delivered, at a time by some process's clock.
func (w *town) deliver(at time.Time) (n int) {
	w.update(func(tx *store.Tx) error {
		all, err := tx.LeaseOutbox(w.ctx, webhook.Topic, "p", w.clock.Now().UnixMilli(), w.clock.Now().Add(time.Minute).UnixMilli(), 100)
		if err != nil {
			return err
		}
		n = len(all)
		for _, m := range all {
			if err := tx.DoneOutbox(w.ctx, m, "p", at.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	return n
}

func (w *town) step() int {
	n, err := w.feed.Step(w.ctx)
	require.NoError(w.t, err)
	return n
}

func (w *town) lag() history.Lag {
	l, err := history.LagOf(w.ctx, w.store, w.feed.To, w.clock.Now())
	require.NoError(w.t, err)
	return l
}

func TestWhatBecameOfOrdersIsKept(t *testing.T) {
	w := newTown(t)
	require.Zero(t, w.step())
	require.Zero(t, w.lag().Events)
	w.move("1a", "shop", "open", 0)
	w.move("1b", "kiosk", "open", 0)
	w.clock.Advance(time.Second)
	w.move("1a", "shop", "paid", 100)
	w.update(func(tx *store.Tx) error { // an event of something else
		m, err := webhook.Message("c1", "channel/x", noon, webhook.Notice{App: "shop", Type: "channel.state", Data: json.RawMessage(`{"channel":"x"}`)})
		if err != nil {
			return err
		}
		return tx.AddOutbox(w.ctx, m)
	})
	w.clock.Advance(time.Minute)
	l := w.lag()
	require.EqualValues(t, 4, l.Events)
	require.Equal(t, 61*time.Second, l.Behind)
	require.True(t, l.Read.Equal(noon))
	require.Zero(t, w.step(), "what is not delivered is not there yet")
	require.Equal(t, 3, w.deliver(w.clock.Now()))
	require.Equal(t, 2, w.step())
	require.Equal(t, 1, w.deliver(w.clock.Now()), "the second of a key")
	require.Equal(t, 1, w.step())
	require.Zero(t, w.step(), "each once")
	l = w.lag()
	require.Zero(t, l.Events)
	require.Zero(t, l.Behind)

	days, err := w.feed.To.Days(t.Context(), "2026-11-25", "2026-11-25", "")
	require.NoError(t, err)
	require.Equal(t, []history.DayCount{{Day: "2026-11-25", App: "kiosk", Currency: "CNY", Orders: 1, Amount: money.Minor(100)},
		{Day: "2026-11-25", App: "shop", Currency: "CNY", Orders: 1, Paid: 1, Amount: money.Minor(100), Received: money.Minor(100)}}, days)
	orders, err := w.feed.To.Orders(t.Context(), "2026-11-25", "shop", 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "paid", orders[0].State)
	events, err := w.feed.To.Events(t.Context(), "1a")
	require.NoError(t, err)
	require.Equal(t, []string{"order.open", "order.paid"}, []string{events[0].Type, events[1].Type})

	// A day is the scheme's, not UTC's.
	w.clock.Advance(4 * time.Hour) // 16:01 UTC is 00:01 in the east
	w.move("1c", "shop", "open", 0)
	w.deliver(w.clock.Now())
	w.step()
	orders, err = w.feed.To.Orders(t.Context(), "2026-11-26", "", 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
}

func TestManyOfOneMillisecond(t *testing.T) {
	w := newTown(t)
	for i := range 700 { // more than a page
		w.move(fmt.Sprintf("1%03d", i), "shop", "open", 0)
	}
	for w.deliver(noon) > 0 {
	}
	require.Equal(t, 700, w.step())
	require.Zero(t, w.step())
}

// TestEachEventOnceWhateverDies: processes that note deliveries by clocks a little apart, and a feed that dies before its commits.
func TestEachEventOnceWhateverDies(t *testing.T) {
	died := errors.New("died")
	w, run := newTown(t), 0 // one database for all runs: each has orders of its own, and ends with nothing left to do
	rapid.Check(t, func(r *rapid.T) {
		w.t, w.lines = r, map[string]int{}
		run++
		made := 0
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				w.move(fmt.Sprintf("1-%d-%d", run, rapid.IntRange(0, 5).Draw(r, "order")), "shop", "open", int64(made))
				made++
			case 1:
				w.deliver(w.clock.Now().Add(-time.Duration(rapid.IntRange(0, 20).Draw(r, "behind")) * time.Second))
			case 2:
				w.clock.Advance(time.Duration(rapid.IntRange(0, 5).Draw(r, "pause")) * time.Second)
			case 3:
				if rapid.Bool().Draw(r, "dies") {
					w.feed.Fault = func() error { return died }
					_, err := w.feed.Step(w.ctx)
					require.ErrorIs(r, err, died)
					w.feed.Fault = nil
				} else {
					w.step()
				}
			}
		}
		for w.deliver(w.clock.Now()) > 0 {
		}
		w.step()
		have := 0
		for id, n := range w.lines {
			events, err := w.feed.To.Events(w.ctx, id)
			require.NoError(r, err)
			require.Len(r, events, n)
			have += n
			require.NoError(r, w.store.View(w.ctx, func(tx *store.Tx) error {
				o, err := tx.GatewayOrder(w.ctx, id)
				if err != nil {
					return err
				}
				all, err := w.feed.To.Orders(w.ctx, o.Created.In(w.feed.Location).Format(time.DateOnly), "", 10_000)
				require.NotEmpty(r, all)
				for _, x := range all {
					if x.ID == id {
						require.Equal(r, o.Received, x.Received)
					}
				}
				return err
			}))
		}
		require.Equal(r, made, have)
	})
}

func TestAFileOfAnotherVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	_, err := history.Look(t.Context(), path)
	require.ErrorIs(t, err, history.ErrNone)
	h, err := history.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, h.Close())
	h, err = history.Look(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, h.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `PRAGMA user_version = 99`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = history.Open(t.Context(), path)
	require.ErrorIs(t, err, history.ErrVersion)
}
