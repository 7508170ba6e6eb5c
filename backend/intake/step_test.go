package intake_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
)

// TestADayThatClosesWaitsForItsOwnLanes: another lane has records of the next day, and its poster is in the middle of them.
func TestADayThatClosesWaitsForItsOwnLanes(t *testing.T) {
	s := start(t, store.Options{})
	require.NotEqual(t, store.LaneOf(number(1)), store.LaneOf(number(2)))
	s.send("bus-1", tap{tap: 1, card: 1, before: 10_00, amount: 2_00})
	s.clock.Advance(24 * time.Hour)
	s.send("bus-1", tap{tap: 2, card: 2, before: 10_00, amount: 3_00})
	const today = "2026-11-24"
	s.view(func(tx *store.Tx) error {
		held, err := tx.LanesThrough(t.Context(), today)
		require.Equal(t, []int{store.LaneOf(number(1))}, held.Lanes())
		return err
	})
	close := func() {
		for _, want := range []int{1, 0} {
			n, err := s.pipe.StepThrough(t.Context(), today)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	}
	if !s.store.Shared() {
		close() // with one writer nobody else is in the middle of anything
	} else {
		s.update(func(tx *store.Tx) error {
			all, err := tx.AllLanes(t.Context())
			require.NoError(t, err)
			return tx.GiveLane(t.Context(), all[store.LaneOf(number(2))], "other")
		})
		busy, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			done <- s.store.Posting(context.Background(), func(tx *store.Tx) error {
				held, err := tx.LanesOf(context.Background(), "other")
				if err != nil {
					return err
				}
				if err := tx.HoldLanes(context.Background(), held); err != nil {
					return err
				}
				busy <- struct{}{}
				<-goOn
				return nil
			})
		}()
		<-busy
		close()
		goOn <- struct{}{}
		require.NoError(t, <-done)
	}
	s.view(func(tx *store.Tx) error {
		waiting, err := tx.PendingRecords(t.Context(), 10)
		require.Len(t, waiting, 1)
		return err
	})
	s.drain()
	require.Equal(t, "8.00", s.card(1).Shadow.String())
	require.Equal(t, "7.00", s.card(2).Shadow.String())
	s.proveBooks()
}

// TestAGroupTakesOneDayFromAmongTwo: between two acquirers' cut-offs the days alternate, and groups must not shrink to single records.
func TestAGroupTakesOneDayFromAmongTwo(t *testing.T) {
	var all []store.Pending
	for seq := range uint64(10) {
		day := "2026-11-25"
		if seq%2 == 0 {
			day = "2026-11-24"
		}
		all = append(all, store.Pending{Terminal: "bus-1", Epoch: 1, Seq: seq + 1, Day: day})
	}
	got := intake.OneDay(all)
	require.Len(t, got, 5)
	for i, r := range got {
		require.Equal(t, "2026-11-24", r.Day)
		require.EqualValues(t, 2*i+1, r.Seq, "in the order they came")
	}
}
