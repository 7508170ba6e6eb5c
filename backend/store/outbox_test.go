package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

func message(key, id string) store.OutboxMessage {
	return store.OutboxMessage{ID: id, Topic: "t", Key: key, Body: []byte("body of " + id), AtMS: 1000}
}

func leased(t *testing.T, s *store.Store, by string, now, until int64) []store.OutboxMessage {
	var out []store.OutboxMessage
	update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = tx.LeaseOutbox(ctx, "t", by, now, until, 10)
		return err
	})
	return out
}

func TestTheOutboxGivesTheFirstOfEachKey(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.AddOutbox(ctx, message("a", "1")), tx.AddOutbox(ctx, message("a", "2")), tx.AddOutbox(ctx, message("b", "1")))
	})
	require.Empty(t, leased(t, s, "p", 999, 2000), "it has not happened yet")
	got := leased(t, s, "p", 1000, 2000)
	require.Len(t, got, 2)
	require.Equal(t, store.OutboxMessage{ID: "1", Topic: "t", Key: "a", Body: []byte("body of 1"), AtMS: 1000, Number: 1}, got[0])
	require.Equal(t, "b", got[1].Key)
	require.Empty(t, leased(t, s, "q", 1999, 3000), "another process has them, and 2 comes after 1")

	again := leased(t, s, "q", 2000, 3000) // the lease is over
	require.Equal(t, got, again)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DoneOutbox(ctx, got[0], "p", 2001) })
	require.Empty(t, leased(t, s, "p", 2001, 3000), "p lost its lease: what it says does not count")

	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.DoneOutbox(ctx, got[0], "q", 2002), tx.FailOutbox(ctx, got[1], "q", 5000, "no route"))
	})
	got = leased(t, s, "p", 4999, 9000)
	require.Len(t, got, 1)
	require.Equal(t, "2", got[0].ID)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.OutboxWaiting(ctx, 10)
		require.Len(t, all, 2)
		require.Equal(t, "no route", all[1].Error)
		require.Equal(t, 1, all[1].Attempts)
		return err
	})
	require.Len(t, leased(t, s, "p", 5000, 9000), 1)
}

func TestAddingTheSameMessageAgainChangesNothing(t *testing.T) {
	s, _ := fresh(t)
	for range 2 {
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.AddOutbox(ctx, message("a", "1")) })
	}
	require.Len(t, leased(t, s, "p", 1000, 2000), 1)
	other := message("a", "1")
	other.Body = []byte("something else")
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddOutbox(t.Context(), other) })
	require.ErrorIs(t, err, store.ErrOutboxConflict)
	require.Error(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddOutbox(t.Context(), store.OutboxMessage{ID: "1", Topic: "t"}) }))
}

func TestDeliveredMessagesAreForgottenInTime(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.AddOutbox(ctx, message("a", "1")), tx.AddOutbox(ctx, message("a", "2")))
	})
	first := leased(t, s, "p", 1000, 2000)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DoneOutbox(ctx, first[0], "p", 1500) })
	for _, c := range []struct{ before, want int64 }{{1500, 0}, {1501, 1}, {9999, 0}} { // the other one waits, and is never forgotten
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PruneOutbox(ctx, c.before, 10)
			require.EqualValues(t, c.want, n)
			return err
		})
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.AddOutbox(ctx, message("a", "3")) })
	second := leased(t, s, "p", 2000, 3000)
	require.Equal(t, "2", second[0].ID)
	require.Len(t, second, 1)
}
