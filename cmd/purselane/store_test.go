package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/simulator/city"
)

// TestWhichDatabaseAFolderHas: the flag or the environment, else scheme.yaml, else a file in the folder.
func TestWhichDatabaseAFolderHas(t *testing.T) {
	t.Setenv(envStore, "")
	f := schemeFolder{Dir: t.TempDir()}
	is := func(want string) {
		t.Helper()
		at, err := f.database(nil)
		require.NoError(t, err)
		require.Equal(t, want, at)
	}
	scheme := func(line string) {
		require.NoError(t, os.WriteFile(f.path(fileScheme), append(city.SchemeYAML(), line...), 0o600))
	}
	is(node.DatabasePath(f.path(folderData))) // no scheme: a tool that only reads the books needs none
	scheme("")
	is(node.DatabasePath(f.path(folderData)))
	scheme("\nstore: sqlite:elsewhere.db\n")
	is(f.path("elsewhere.db"))
	scheme("\nstore: sqlite:" + filepath.Join(f.Dir, "abs.db") + "\n")
	is("sqlite:" + filepath.Join(f.Dir, "abs.db"))
	scheme("\nstore: postgres://purselane@db.example/scheme\n")
	is("postgres://purselane@db.example/scheme")
	f.Store = "sqlite:mine.db"
	is("sqlite:mine.db")

	f.Store = "postgres://purselane:s3cret@db.example/scheme"
	_, err := f.database(nil)
	require.ErrorContains(t, err, envStore, "an argument can be read by all")
	require.NotContains(t, err.Error(), "s3cret")
	t.Setenv(envStore, f.Store)
	is(f.Store)
}

// TestInitWritesTheDatabaseDown, and no password with it.
func TestInitWritesTheDatabaseDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scheme")
	out, err := run(t, "init", "--dir", dir, "--store", "postgres://purselane:s3cret@db.example/scheme")
	require.ErrorContains(t, err, "password")
	require.NotContains(t, out+err.Error(), "s3cret")
	require.NoDirExists(t, dir)
	_, err = run(t, "init", "--dir", dir, "--store", "postgres://purselane@db.example/scheme")
	require.NoError(t, err)
	at, err := schemeFolder{Dir: dir}.database(nil)
	require.NoError(t, err)
	require.Equal(t, "postgres://purselane@db.example/scheme", at)
}
