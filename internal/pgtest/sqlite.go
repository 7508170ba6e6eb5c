//go:build !postgres

package pgtest

import (
	"os"
	"sync"

	"github.com/stretchr/testify/require"
)

// Postgres says which engine the tests run on.
const Postgres = false

// Store is the address of a test's database: the SQLite file at path, or with the tag postgres a PostgreSQL database that is empty at
// first, and one and the same for one path.
func Store(_ require.TestingT, path string) string { return path }

// Has reports whether there is a database at path already.
func Has(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var (
	mu        sync.Mutex
	templates = map[string][]byte{}
)

// Copy is the address of a new database at path to, with what a closed one at from had when it was first copied: to make a schema takes
// longer than most tests do.
func Copy(t require.TestingT, from, to string) string {
	mu.Lock()
	defer mu.Unlock()
	if templates[from] == nil {
		raw, err := os.ReadFile(from)
		require.NoError(t, err)
		templates[from] = raw
	}
	require.NoError(t, os.WriteFile(to, templates[from], 0o600))
	return to
}
