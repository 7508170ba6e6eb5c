package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount/books"
)

// caller is one of several at once.
type caller struct {
	ctx context.Context
	do  func(*store.Tx) error
}

// crowd lets callers change together: on SQLite the first one keeps the transaction until all others wait for it. It returns what each was told, by index.
func crowd(s *store.Store, all ...caller) []error {
	told := make([]error, len(all))
	waits := make(chan struct{})
	var wait sync.WaitGroup
	for i, c := range all {
		wait.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					told[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			if i > 0 {
				<-waits
			}
			first := i == 0
			told[i] = s.Together(c.ctx, func(tx *store.Tx) error {
				if first {
					first = false // it may run again
					close(waits)
					for !pgtest.Postgres && s.Coming() < int64(len(all)-1) {
						runtime.Gosched()
					}
				}
				return c.do(tx)
			})
		})
	}
	wait.Wait()
	return told
}

// TestTogetherIsOneCommit: until the last has run nobody else sees what the first ones changed, and then all of it.
func TestTogetherIsOneCommit(t *testing.T) {
	if pgtest.Postgres {
		t.Skip("callers share a transaction on SQLite alone")
	}
	s, _ := fresh(t)
	var seen []string
	var all []caller
	for i := range 4 {
		all = append(all, caller{t.Context(), func(tx *store.Tx) error {
			seen = append(seen, balance(t, s, books.Trust))
			return tx.Post(t.Context(), entry(fmt.Sprint(i), 100))
		}})
	}
	for _, err := range crowd(s, all...) {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"0.00", "0.00", "0.00", "0.00"}, seen)
	require.Equal(t, "4.00", balance(t, s, books.Trust))
	require.EqualValues(t, 4, s.Changes())
	require.Empty(t, faults(t, s))
}

// TestTogetherEachIsWholeInItself: whatever becomes of the others, what a caller changed is there if and only if he was told so.
func TestTogetherEachIsWholeInItself(t *testing.T) {
	boom := errors.New("boom")
	running := "" // whose turn it is
	s := open(t, t.TempDir()+"/scheme.db", store.Options{NoSync: true, Chance: func() float64 { return 1 }, Fault: func(point string) error {
		if point == "commit:before" && running == "refused" {
			return boom
		}
		return nil
	}})
	made := 0
	trust := func() (out money.Amount) {
		require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) { out, err = tx.Balance(t.Context(), books.Trust); return err }))
		return out
	}
	rapid.Check(t, func(r *rapid.T) {
		fates := rapid.SliceOfN(rapid.SampledFrom([]string{"good", "good", "fails", "panics", "gone", "again", "refused", "torn"}), 2, 8).Draw(r, "fates")
		var all []caller
		for _, fate := range fates {
			made++
			id, runs := fmt.Sprint(made), 0
			ctx, end := context.WithCancel(t.Context())
			defer end()
			all = append(all, caller{ctx, func(tx *store.Tx) error {
				running = fate
				if runs++; runs > 3 {
					return fmt.Errorf("%s runs again", fate)
				}
				if err := tx.Post(ctx, entry(id, 100)); err != nil {
					return err
				}
				switch {
				case fate == "fails":
					return boom
				case fate == "panics":
					panic(boom)
				case fate == "gone":
					end()
				case fate == "again" && runs < 3:
					return store.ErrRunAgain
				case fate == "torn":
					return errors.Join(boom, tx.Post(ctx, entry(id, 200)))
				}
				return nil
			}})
		}
		before, had := s.Changes(), trust()
		came := int64(0)
		for i, err := range crowd(s, all...) {
			switch fates[i] {
			case "good", "again":
				came++
				require.NoError(r, err, fates[i])
			case "gone":
				require.Error(r, err) // each engine has words of its own
			default:
				require.ErrorContains(r, err, "boom", fates[i])
			}
		}
		more, err := trust().Sub(had)
		require.NoError(r, err)
		require.Equal(r, 100*came, more.Minor(), fates)
		require.EqualValues(r, came, s.Changes()-before)
	})
	require.Empty(t, faults(t, s))
}

// TestTogetherNobodyIsToldOfWhatTheEngineUndid: those whose transaction is lost hear so, and those behind them begin another.
func TestTogetherNobodyIsToldOfWhatTheEngineUndid(t *testing.T) {
	if pgtest.Postgres {
		t.Skip("callers share a transaction on SQLite alone")
	}
	s, _ := fresh(t)
	n := 0 // of the turn
	undone := map[int]bool{}
	var all []caller
	for i := range 5 {
		all = append(all, caller{t.Context(), func(tx *store.Tx) error {
			n++
			undone[i] = n <= 3
			if err := tx.Post(t.Context(), entry(fmt.Sprint(i), 100)); err != nil || n != 3 {
				return err
			}
			return tx.Undo(t.Context())
		}})
	}
	for i, err := range crowd(s, all...) {
		if undone[i] {
			require.ErrorContains(t, err, "was undone")
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, "2.00", balance(t, s, books.Trust))
	require.EqualValues(t, 2, s.Changes())
	require.Empty(t, faults(t, s))
}

// TestTogetherAndUpdates: an Update does not run inside of what others share, and waits for it.
func TestTogetherAndUpdates(t *testing.T) {
	s, _ := fresh(t)
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			change := s.Together
			if i%4 == 0 {
				change = s.Update
			}
			require.NoError(t, change(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry(fmt.Sprint(i), 100)) }))
		})
	}
	wait.Wait()
	require.Equal(t, "40.00", balance(t, s, books.Trust))
	require.Empty(t, faults(t, s))
}
