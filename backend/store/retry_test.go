package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount/books"
)

// collide makes each commit fail so often before it stands, and counts the pauses.
func collide(times int, pauses *[]time.Duration) store.Options {
	left := times
	return store.Options{
		NoSync: true,
		Fault: func(point string) error {
			switch {
			case point == "commit:after":
				left = times
			case left > 0:
				left--
				return fmt.Errorf("test: %w", store.ErrRunAgain)
			}
			return nil
		},
		Wait:   func(_ context.Context, d time.Duration) error { *pauses = append(*pauses, d); return nil },
		Chance: func() float64 { return 0 },
	}
}

// TestAnUpdateThatCollidesIsRunAgain: what collisions leave is what would be there without.
func TestAnUpdateThatCollidesIsRunAgain(t *testing.T) {
	state := func(times int) (string, []time.Duration) {
		var pauses []time.Duration
		s := open(t, filepath.Join(t.TempDir(), "scheme.db"), collide(times, &pauses))
		for _, id := range []string{"a", "b", "a"} {
			update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry(id, 100)) })
		}
		postTap(t, s)
		require.Empty(t, faults(t, s))
		require.EqualValues(t, 4, s.Changes(), "runs that collided changed nothing")
		return balance(t, s, books.Trust) + " " + balance(t, s, books.Float), pauses
	}
	want, none := state(0)
	require.Empty(t, none)
	for _, times := range []int{1, 3, 11} {
		got, pauses := state(times)
		require.Equal(t, want, got)
		require.Len(t, pauses, 4*times)
	}
}

// TestAnUpdateThatAlwaysCollidesEnds: with an error that says so, and nothing written.
func TestAnUpdateThatAlwaysCollidesEnds(t *testing.T) {
	var pauses []time.Duration
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), collide(1000, &pauses))
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("a", 100)) })
	require.ErrorIs(t, err, store.ErrRunAgain)
	require.ErrorContains(t, err, "12 runs")
	require.Len(t, pauses, 11)
	require.Equal(t, "0.00", balance(t, s, books.Trust))
}

// TestAFailureThatIsNoCollisionIsNotRunAgain, nor one after the commit.
func TestAFailureThatIsNoCollisionIsNotRunAgain(t *testing.T) {
	boom := errors.New("boom")
	fault := error(nil)
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), store.Options{NoSync: true, Fault: func(point string) error {
		if point == "commit:after" {
			return fault
		}
		return nil
	}})
	runs := 0
	require.ErrorIs(t, s.Update(t.Context(), func(*store.Tx) error { runs++; return boom }), boom)
	require.Equal(t, 1, runs)
	fault = store.ErrRunAgain
	require.ErrorIs(t, s.Update(t.Context(), func(tx *store.Tx) error { runs++; return tx.Post(t.Context(), entry("a", 100)) }), store.ErrRunAgain)
	require.Equal(t, 2, runs, "it stands: to run it again would post it twice")
	require.Equal(t, "1.00", balance(t, s, books.Trust))
}

// TestWaitingEndsWithTheContext: a caller that gave up is not kept.
func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var pauses []time.Duration
	opt := collide(1000, &pauses)
	opt.Wait = nil
	s := open(t, filepath.Join(t.TempDir(), "scheme.db"), opt)
	err := s.Update(ctx, func(*store.Tx) error { stop(); return store.ErrRunAgain })
	require.ErrorIs(t, err, context.Canceled)
}

// TestTextThatPostgresCannotHoldStopsNothing: a NUL in a text from outside.
func TestTextThatPostgresCannotHoldStopsNothing(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: "a", Name: "A\x00\xff"}))
		all, err := tx.Acquirers(ctx)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, ids.AcquirerID("a"), all[0].ID)
		return nil
	})
}

// TestThoseThatStartAtOnceAllComeUp: each finds the schema whole, whoever of them made it.
func TestThoseThatStartAtOnceAllComeUp(t *testing.T) {
	at := pgtest.Store(t, filepath.Join(t.TempDir(), "scheme.db"))
	var g errgroup.Group
	for i := range 5 {
		g.Go(func() error {
			s, err := store.Open(t.Context(), at, store.Options{NoSync: true})
			if err != nil {
				return err
			}
			err = s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry(fmt.Sprint(i), 100)) })
			return errors.Join(err, s.Close())
		})
	}
	require.NoError(t, g.Wait())
	s, err := store.Open(t.Context(), at, store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, "5.00", balance(t, s, books.Trust))
	require.Empty(t, faults(t, s))
}
