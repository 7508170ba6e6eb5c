package storetest

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
)

var (
	histories = flag.Int("histories", 300, "how many random histories the store's suite tries")
	seed      = flag.Uint64("history-seed", 1, "the seed they are made from")
)

// Run holds one engine to the suite. fresh makes an empty database and returns its name as [store.Open] takes it; opening that
// name again finds what was committed.
func Run(t *testing.T, fresh func(t testing.TB) string) { run(t, suite{fresh: fresh}) }

// RunJournalFirst is Run with a backend that posts journal-first and writes out after so many groups ([store.JournalFirst]).
func RunJournalFirst(t *testing.T, groups int, fresh func(t testing.TB) string) {
	run(t, suite{fresh: fresh, groups: groups})
	require.Greater(t, unwritten.Load(), int64(1), "the journal never had several groups: the suite proves less than it says")
}

func run(t *testing.T, s suite) {
	if s.child(t) {
		return
	}
	t.Run("orders", s.orders)
	if s.groups == 0 { // one poster of a database posts journal-first
		t.Run("beside", s.beside)
	}
	t.Run("found", s.found)
	t.Run("crash", s.crash)
	t.Run("kill", s.kill)
	t.Run("operations", s.operations)
	t.Run("settlement", s.settlement)
}

type suite struct {
	fresh  func(t testing.TB) string
	groups int // posted before they are written out; 0: strictly
}

// open opens a database. What dies here dies by an error or a kill and never for want of power, so nothing waits for a disk.
func open(t testing.TB, name string, fault func(string) error) *store.Store {
	s, err := store.Open(context.Background(), name, store.Options{NoSync: true, Fault: fault})
	require.NoError(t, err)
	return s
}

func chance(a, b uint64) *rand.Rand { return rand.New(rand.NewPCG(a, b)) }
