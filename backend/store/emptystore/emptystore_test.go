package emptystore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
)

// TestAskingAgainLeavesWhatIsThere: a path is one database, with what a test put there, and no other sees it.
func TestAskingAgainLeavesWhatIsThere(t *testing.T) {
	for name, at := range map[string]func(require.TestingT, string) string{"at": emptystore.At, "file": emptystore.File} {
		t.Run(name, func(t *testing.T) {
			acquirers := func(path string, put ...store.Acquirer) (n int) {
				s, err := store.Open(t.Context(), at(t, path), store.Options{NoSync: true})
				require.NoError(t, err)
				defer s.Close()
				require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
					for _, a := range put {
						require.NoError(t, tx.PutAcquirer(t.Context(), a))
					}
					all, err := tx.Acquirers(t.Context())
					n = len(all)
					return err
				}))
				return n
			}
			one, other := filepath.Join(t.TempDir(), "one.db"), filepath.Join(t.TempDir(), "other.db")
			require.Equal(t, 1, acquirers(one, store.Acquirer{ID: "bus"}))
			require.Equal(t, 1, acquirers(one))
			require.Zero(t, acquirers(other))
		})
	}
}

// TestThePathIsTheFile: a test that looks at the file itself finds it.
func TestThePathIsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scheme ?#%.db")
	require.Equal(t, path, emptystore.File(t, path))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "SQLite format 3\x00", string(raw[:16]))
}
