package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// loadStore opens a new store, and gives its Update.
func loadStore(t *testing.T) func(func(context.Context, *store.Tx) error) error {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return func(f func(context.Context, *store.Tx) error) error {
		return s.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) })
	}
}

// TestLoadOrdersComeBackAsTheyWere writes every field and reads it.
func TestLoadOrdersComeBackAsTheyWere(t *testing.T) {
	update := loadStore(t)
	at := time.UnixMilli(1_790_000_000_123)
	card := ids.CardNumber{0x31, 9: 1}
	o := store.LoadOrder{ID: "L1", Agent: "bus", IdempotencyKey: "k", Amount: money.Minor(50_00), State: "paid", Created: at, Changed: at}
	v := store.LoadSession{Order: "L1", N: 1, Booking: 1, Card: card, Counter: 65535, Balance: money.Minor(7), Terminal: [6]byte{1, 2, 3, 4, 5, 6}, Version: 255,
		Algorithm: 254, Random: [4]byte{0xFF, 1}, MAC1: [4]byte{0xFE, 2}, DateTime: [7]byte{0x20, 0x26, 6: 0x59}, At: at}
	require.NoError(t, update(func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.IssueCard(ctx, store.Card{Number: card, Token: "t1", Levels: 2}))
		require.NoError(t, tx.AddLoadOrder(ctx, o))
		have, err := tx.LoadOrder(ctx, "L1")
		require.NoError(t, err)
		require.Equal(t, o, have)
		o.State, o.Card, o.Token, o.Counter, o.Challenge = "in_progress", &card, "t1", 65535, [6]byte{9, 8, 7, 6, 5, 4}
		o.Bookings, o.Sessions, o.Proof, o.Changed = 1, 1, "tac", at.Add(time.Millisecond)
		require.NoError(t, tx.SetLoadOrder(ctx, o))
		have, err = tx.LoadOrderByKey(ctx, "bus", "k")
		require.NoError(t, err)
		require.Equal(t, o, have)
		have, err = tx.OpenLoadOrder(ctx, card)
		require.NoError(t, err)
		require.Equal(t, o, have)
		require.NoError(t, tx.AddLoadSession(ctx, v))
		sessions, err := tx.LoadSessions(ctx, "L1")
		require.NoError(t, err)
		require.Equal(t, []store.LoadSession{v}, sessions)
		for _, missing := range []error{
			func() error { _, err := tx.LoadOrder(ctx, "L2"); return err }(),
			func() error { _, err := tx.LoadOrderByKey(ctx, "metro", "k"); return err }(),
			func() error { _, err := tx.OpenLoadOrder(ctx, ids.CardNumber{}); return err }(),
			tx.SetLoadOrder(ctx, store.LoadOrder{ID: "L2"}),
		} {
			require.ErrorIs(t, missing, store.ErrNotFound)
		}
		return nil
	}))
}

// TestOneOpenLoadACard: the schema refuses a second one, whatever the code above does.
func TestOneOpenLoadACard(t *testing.T) {
	update := loadStore(t)
	card := ids.CardNumber{9: 1}
	put := func(id, state string) error {
		return update(func(ctx context.Context, tx *store.Tx) error {
			if err := tx.AddLoadOrder(ctx, store.LoadOrder{ID: id, Agent: "bus", IdempotencyKey: id, State: "paid"}); err != nil {
				return err
			}
			return tx.SetLoadOrder(ctx, store.LoadOrder{ID: id, State: state, Card: &card})
		})
	}
	require.NoError(t, put("L1", "loaded"))
	require.NoError(t, put("L2", "in_progress"))
	require.NoError(t, put("L3", "loaded"))
	for _, state := range []string{"in_progress", "uncertain"} {
		require.Regexp(t, "(?i)unique", put("L4", state).Error())
	}
	require.Regexp(t, "(?i)unique", put("L1", "paid").Error(), "an id is used once")
}

// TestLoadFindingsNameTheCard also after the order has let go of it.
func TestLoadFindingsNameTheCard(t *testing.T) {
	update := loadStore(t)
	at := time.UnixMilli(1_790_000_000_000)
	require.NoError(t, update(func(ctx context.Context, tx *store.Tx) error {
		for n := byte(1); n <= 2; n++ {
			require.NoError(t, tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{9: n}, Token: string('s' + rune(n)), Levels: 2}))
		}
		require.NoError(t, tx.AddLoadOrder(ctx, store.LoadOrder{ID: "L1", Agent: "bus", IdempotencyKey: "k", State: "paid"}))
		for n := byte(1); n <= 2; n++ {
			require.NoError(t, tx.AddLoadSession(ctx, store.LoadSession{Order: "L1", N: int(n), Card: ids.CardNumber{9: n}, Counter: 40 + uint16(n)}))
		}
		for range 2 {
			require.NoError(t, tx.AddLoadFinding(ctx, store.LoadFinding{Order: "L1", Code: "X", Detail: "d", At: at}))
			require.NoError(t, tx.AddLoadFinding(ctx, store.LoadFinding{Order: "L2", Code: "X", Detail: "d", At: at.Add(time.Second)}))
		}
		one := store.LoadFinding{Order: "L1", Token: "u", Counter: 42, Code: "X", Detail: "d", At: at}
		all, err := tx.LoadFindings(ctx, "", 10)
		require.NoError(t, err)
		require.Equal(t, []store.LoadFinding{{Order: "L2", Code: "X", Detail: "d", At: at.Add(time.Second)}, one}, all)
		all, err = tx.LoadFindings(ctx, "u", 10)
		require.NoError(t, err)
		require.Equal(t, []store.LoadFinding{one}, all)
		all, err = tx.LoadFindings(ctx, "t", 10)
		require.NoError(t, err)
		require.Empty(t, all)
		return nil
	}))
}

// TestListsOfLoadOrders filter, sort and stop.
func TestListsOfLoadOrders(t *testing.T) {
	update := loadStore(t)
	require.NoError(t, update(func(ctx context.Context, tx *store.Tx) error {
		for i, o := range []store.LoadOrder{{ID: "L1", Agent: "bus", State: "paid"}, {ID: "L2", Agent: "metro", State: "paid"}, {ID: "L3", Agent: "bus", State: "loaded"}} {
			o.IdempotencyKey, o.Created = o.ID, time.UnixMilli(int64(i))
			o.Changed = o.Created
			require.NoError(t, tx.AddLoadOrder(ctx, o))
		}
		list := func(agent ids.AcquirerID, state string, limit int) (out []string) {
			all, err := tx.LoadOrders(ctx, agent, state, limit)
			require.NoError(t, err)
			for _, o := range all {
				out = append(out, o.ID)
			}
			return out
		}
		require.Equal(t, []string{"L3", "L2", "L1"}, list("", "", 10))
		require.Equal(t, []string{"L3", "L2"}, list("", "", 2))
		require.Equal(t, []string{"L3", "L1"}, list("bus", "", 10))
		require.Equal(t, []string{"L2", "L1"}, list("", "paid", 10))
		require.Nil(t, list("metro", "loaded", 10))
		old, err := tx.LoadOrdersUnchangedSince(ctx, "paid", time.UnixMilli(0))
		require.NoError(t, err)
		require.Len(t, old, 1)
		known, err := tx.HasAcquirer(ctx, "bus")
		require.NoError(t, err)
		require.False(t, known)
		return nil
	}))
}
