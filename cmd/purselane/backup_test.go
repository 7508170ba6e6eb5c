package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/backup"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
)

// runBackup runs `purselane backup …` and returns what it printed.
func runBackup(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Backup BackupCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Writers(&out, &out), kong.BindTo(t.Context(), (*context.Context)(nil)))
	require.NoError(t, err)
	k, err := parser.Parse(append([]string{"backup"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func TestBackupMakeCheckRestore(t *testing.T) {
	dir, other, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "monday")
	_, err := runBackup(t, "make", "--dir", dir, "--out", file)
	require.ErrorIs(t, err, os.ErrNotExist)

	path := node.DatabasePath(filepath.Join(dir, folderData))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	s, err := store.Open(t.Context(), path, store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close() // the backend goes on serving
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus", Name: "Bus"})
	}))

	out, err := runBackup(t, "make", "--dir", dir, "--out", file)
	require.NoError(t, err)
	require.Contains(t, out, "made: monday of ")
	out, err = runBackup(t, "check", file)
	require.NoError(t, err)
	require.Contains(t, out, "sound: monday of ")
	_, err = runBackup(t, "restore", "--dir", dir, file)
	require.ErrorIs(t, err, backup.ErrExists)
	out, err = runBackup(t, "restore", "--dir", other, file)
	require.NoError(t, err)
	require.Contains(t, out, "restored: monday of ")

	again, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(other, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	defer again.Close()
	require.NoError(t, again.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Acquirers(t.Context())
		require.Len(t, all, 1)
		return err
	}))
}
