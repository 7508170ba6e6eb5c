// Package emptystore gives tests a database with today's schema and nothing in it. One is made in each test binary, and copied: to make the schema takes ten times
// longer than a copy, and longer than most tests do.
package emptystore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

// At is the address of a test's database at path, on the engine that the tests run on: [pgtest.Store] with the schema in it. One path is one database, so asking
// again leaves what is there.
func At(t require.TestingT, path string) string {
	if !pgtest.Postgres {
		return File(t, path)
	}
	if pgtest.Has(path) {
		return pgtest.Store(t, path)
	}
	made.Do(func() { closed(t, pgtest.Store(t, template)) })
	return pgtest.Copy(t, template, path)
}

// File is [At] for tests that run on SQLite alone: path itself.
func File(t require.TestingT, path string) string {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path
	}
	require.NoError(t, err)
	madeFile.Do(func() {
		dir, err := os.MkdirTemp("", "purselane-emptystore-")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		at := filepath.Join(dir, template)
		closed(t, at)
		file, err = os.ReadFile(at)
		require.NoError(t, err)
	})
	_, err = f.Write(file)
	require.NoError(t, errors.Join(err, f.Close()))
	return path
}

const template = "template.db"

var (
	made, madeFile sync.Once
	file           []byte
)

// closed makes the schema at an address and closes the database.
func closed(t require.TestingT, at string) {
	s, err := store.Open(context.Background(), at, store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
