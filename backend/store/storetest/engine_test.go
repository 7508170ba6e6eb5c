package storetest_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/storetest"
	"github.com/purselane/purselane/internal/pgtest"
)

// TestStore runs the suite on SQLite, and with the tag postgres on PostgreSQL.
func TestStore(t *testing.T) { storetest.Run(t, fresh) }

var empty struct {
	once sync.Once
	path string
}

// fresh copies an empty database that was made once: to make one takes longer than most histories do.
func fresh(t testing.TB) string {
	empty.once.Do(func() {
		empty.path = filepath.Join(t.TempDir(), "empty.db")
		s, err := store.Open(context.Background(), pgtest.Store(t, empty.path), store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
	return pgtest.Copy(t, empty.path, filepath.Join(t.TempDir(), "scheme.db"))
}

// TestStoreJournalFirst is TestStore with a backend that posts journal-first.
func TestStoreJournalFirst(t *testing.T) { storetest.RunJournalFirst(t, 3, fresh) }
