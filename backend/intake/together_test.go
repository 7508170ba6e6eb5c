package intake_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
)

// TestTwoBackendsOnOneDatabasePostEverythingOnce: each accepts and posts what it can, as two processes would. The books are as if there were
// one, and no record is in two groups.
func TestTwoBackendsOnOneDatabasePostEverythingOnce(t *testing.T) {
	const taps = 40
	story := func(s *scheme, accept func(i int, f func() error)) {
		for i := range taps {
			terminal := []ids.TerminalID{"bus-1", "bus-2"}[i%2]
			record := s.record(tap{terminal: terminal, tap: uint64(i + 1), card: byte(1 + i%2), counter: uint16(1 + i/2), before: 10_00 - int64(i/2)*10, amount: 10})
			seq := s.seq[terminal]
			accept(i, func() error { _, err := s.accept(terminal, seq, record); return err })
		}
	}
	alone := start(t, store.Options{})
	story(alone, func(_ int, f func() error) { require.NoError(t, f()) })
	alone.drain()

	s := start(t, store.Options{})
	s.opt.Group = 3 // many groups
	other, err := store.Open(t.Context(), emptystore.At(t, s.path), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { other.Close() })
	var pipes [2]*intake.Pipeline
	for i, db := range []*store.Store{s.store, other} {
		pipes[i], err = intake.New(db, s.hsm, s.clock, s.options())
		require.NoError(t, err)
	}
	var g errgroup.Group
	arrived := make(chan struct{})
	for _, p := range pipes {
		g.Go(func() error {
			for last := false; ; {
				n, err := p.Step(t.Context())
				if err != nil || n == 0 && last {
					return err
				}
				select {
				case <-arrived:
					last = n == 0
				default:
				}
			}
		})
	}
	story(s, func(i int, f func() error) { s.pipe = pipes[i%2]; require.NoError(t, f()) })
	close(arrived)
	require.NoError(t, g.Wait())

	s.proveBooks()
	require.Equal(t, alone.balances(), s.balances())
	require.Equal(t, alone.statuses(1), s.statuses(1))
	require.Equal(t, alone.codes(), s.codes())
	posted := map[string]bool{}
	s.view(func(tx *store.Tx) error {
		last, err := tx.LastGroup(t.Context(), 0)
		require.NoError(t, err)
		require.GreaterOrEqual(t, last, int64(taps/3), "groups of 3")
		require.LessOrEqual(t, last, int64(taps))
		for group := range last {
			records, err := tx.GroupRecords(t.Context(), group+1)
			require.NoError(t, err)
			require.NotEmpty(t, records, "group %d was posted in vain", group+1)
			for _, r := range records {
				name := fmt.Sprint(r.Terminal, r.Epoch, r.Seq)
				require.False(t, posted[name], name)
				posted[name] = true
			}
		}
		return nil
	})
	require.Len(t, posted, taps)
}
