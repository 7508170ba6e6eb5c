//go:build postgres

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

func TestBackupOfPostgres(t *testing.T) {
	from, to := pgtest.Store(t, filepath.Join(t.TempDir(), "from")), pgtest.Store(t, filepath.Join(t.TempDir(), "to"))
	s, err := store.Open(t.Context(), from, store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close() // the backend goes on serving
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus", Name: "Bus"})
	}))
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "monday")
	t.Setenv(envStore, from)
	out, err := runBackup(t, "make", "--dir", dir, "--out", file)
	require.NoError(t, err)
	require.Contains(t, out, "made: monday of ")

	_, err = runBackup(t, "check", file)
	require.ErrorContains(t, err, "--server")
	_, err = runBackup(t, "check", "--server", to, file)
	require.ErrorContains(t, err, envCheckServer, "an argument can be read by all")
	t.Setenv(envCheckServer, to)
	out, err = runBackup(t, "check", file)
	require.NoError(t, err)
	require.Contains(t, out, "sound: monday of ")

	t.Setenv(envStore, to)
	out, err = runBackup(t, "restore", "--dir", dir, file)
	require.NoError(t, err)
	require.Contains(t, out, "restored: monday of ")
	again, err := store.Open(t.Context(), to, store.Options{NoSync: true})
	require.NoError(t, err)
	defer again.Close()
	require.NoError(t, again.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Acquirers(t.Context())
		require.Len(t, all, 1)
		return err
	}))
}
