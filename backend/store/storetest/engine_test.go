package storetest_test

import (
	"path/filepath"
	"testing"

	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/backend/store/storetest"
)

// TestStore runs the suite on SQLite, and with the tag postgres on PostgreSQL.
func TestStore(t *testing.T) { storetest.Run(t, fresh) }

func fresh(t testing.TB) string { return emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")) }

// TestStoreJournalFirst is TestStore with a backend that posts journal-first.
func TestStoreJournalFirst(t *testing.T) { storetest.RunJournalFirst(t, 3, fresh) }
