package storetest_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/storetest"
)

func TestSQLite(t *testing.T) { storetest.Run(t, freshSQLite) }

var empty struct {
	once sync.Once
	file []byte
}

// freshSQLite copies an empty database that was made once: to make one takes longer than most histories do.
func freshSQLite(t testing.TB) string {
	empty.once.Do(func() {
		path := filepath.Join(t.TempDir(), "empty.db")
		s, err := store.Open(context.Background(), path, store.Options{NoSync: true})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		empty.file, err = os.ReadFile(path)
		require.NoError(t, err)
	})
	path := filepath.Join(t.TempDir(), "scheme.db")
	require.NoError(t, os.WriteFile(path, empty.file, 0o600))
	return path
}
