//go:build postgres

package backup_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/backup"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

// TestWhatCameAfterABackupComesAgainOnPostgres loses a database, restores yesterday's into an empty one, and lets the terminal send what is missing.
func TestWhatCameAfterABackupComesAgainOnPostgres(t *testing.T) {
	s := startAt(t, pgtest.Store(t, filepath.Join(t.TempDir(), "first")))
	for range 3 {
		s.tap(1_00)
	}
	s.upload()
	yesterday := s.state()
	file := filepath.Join(t.TempDir(), "monday.backup")
	made, err := backup.Make(s.ctx, s.path, file, noon)
	require.NoError(t, err)
	require.EqualValues(t, 1, made.LastGroup)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "card numbers are in it")
	_, err = backup.Make(s.ctx, s.path, file, noon)
	require.ErrorIs(t, err, backup.ErrExists)

	server := pgtest.Store(t, filepath.Join(t.TempDir(), "server"))
	before := databases(t, server)
	checked, err := backup.CheckPostgres(s.ctx, file, server)
	require.NoError(t, err)
	require.Equal(t, made, checked)
	require.Equal(t, before, databases(t, server), "it drops what it made")

	for range 4 {
		s.tap(2_00)
	}
	s.upload()
	today := s.state()
	_, err = backup.RestorePostgres(s.ctx, file, s.path)
	require.ErrorIs(t, err, backup.ErrExists)
	require.Equal(t, today, s.state(), "it was not touched")

	require.NoError(t, s.store.Close())
	s.path = server
	restored, err := backup.RestorePostgres(s.ctx, file, s.path)
	require.NoError(t, err)
	require.Equal(t, made, restored)
	s.open()
	require.Equal(t, yesterday, s.state())
	s.upload()
	require.Equal(t, today, s.state(), "the journal sent again what it had a receipt for")
}

// TestAnUnsoundBackupLeavesThePostgresDatabaseEmpty: a float that moved without its cards is found after all was read, and nothing stays.
func TestAnUnsoundBackupLeavesThePostgresDatabaseEmpty(t *testing.T) {
	s := startAt(t, pgtest.Store(t, filepath.Join(t.TempDir(), "first")))
	s.tap(1_00)
	s.upload()
	db, err := sql.Open("pgx", s.path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`UPDATE card SET shadow = shadow + 1`)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "b")
	_, err = backup.Make(s.ctx, s.path, file, noon)
	require.NoError(t, err, "what is wrong in the database is in its backup: only a check says so")

	target := pgtest.Store(t, filepath.Join(t.TempDir(), "target"))
	before := databases(t, target)
	_, err = backup.CheckPostgres(s.ctx, file, target)
	require.ErrorIs(t, err, backup.ErrUnsound)
	require.Equal(t, before, databases(t, target))
	_, err = backup.RestorePostgres(s.ctx, file, target)
	require.ErrorIs(t, err, backup.ErrUnsound)
	require.Zero(t, tables(t, target))

	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	_, err = backup.RestorePostgres(s.ctx, file, target)
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.Zero(t, tables(t, target))
	_, err = backup.Restore(s.ctx, file, filepath.Join(t.TempDir(), "x.db"))
	require.ErrorIs(t, err, backup.ErrEngine)
	_, err = backup.Check(s.ctx, file)
	require.ErrorIs(t, err, backup.ErrEngine)
}

func TestWithoutPostgresProgramsItSaysSo(t *testing.T) {
	at := pgtest.Store(t, filepath.Join(t.TempDir(), "x"))
	st, err := store.Open(t.Context(), at, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, st.Close())
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	out := filepath.Join(t.TempDir(), "b")
	_, err = backup.Make(t.Context(), at, out, noon)
	require.ErrorIs(t, err, backup.ErrTool)
	require.ErrorContains(t, err, "pg_dump is not on the PATH")
	require.NoFileExists(t, out)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "pg_dump"), []byte("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n"), 0o700))
	_, err = backup.Make(t.Context(), at, out, noon)
	require.ErrorIs(t, err, backup.ErrTool)
	require.ErrorContains(t, err, "9.6.1")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(out), "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func one(t *testing.T, at, query string) (n int) {
	t.Helper()
	db, err := sql.Open("pgx", at)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.QueryRow(query).Scan(&n))
	return n
}

func databases(t *testing.T, at string) int { return one(t, at, `SELECT COUNT(*) FROM pg_database`) }

func tables(t *testing.T, at string) int {
	return one(t, at, `SELECT COUNT(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
}
