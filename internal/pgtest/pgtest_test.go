//go:build postgres

package pgtest_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/pgtest"
)

// TestEachPathIsADatabaseOfItsOwn: what one test writes no other sees, and one path is one database.
func TestEachPathIsADatabaseOfItsOwn(t *testing.T) {
	open := func(path string) *sql.DB {
		db, err := sql.Open("pgx", pgtest.Store(t, path))
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		return db
	}
	one, again, other := open("one"), open("one"), open("other")
	_, err := one.ExecContext(context.Background(), `CREATE TABLE t (n BIGINT)`)
	require.NoError(t, err)
	_, err = again.Exec(`INSERT INTO t VALUES (1)`)
	require.NoError(t, err)
	_, err = other.Exec(`INSERT INTO t VALUES (1)`)
	require.ErrorContains(t, err, "does not exist")
}
