package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlaceholdersAreNumbered(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT 1`: `SELECT 1`,
		`SELECT a FROM t WHERE b = ? AND c IN (?, ?)`:                       `SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)`,
		`SELECT ?2, ?1, ?12`:                                                `SELECT $2, $1, $12`,
		`SELECT '?', "a?b", 'it''s ?' WHERE x = ?`:                          `SELECT '?', "a?b", 'it''s ?' WHERE x = $1`,
		`SELECT * FROM unnest(?::bigint[], ?::bytea[])`:                     `SELECT * FROM unnest($1::bigint[], $2::bytea[])`,
		`UPDATE t SET a = CASE b WHEN 0 THEN ? ELSE '“?”' END WHERE c <= ?`: `UPDATE t SET a = CASE b WHEN 0 THEN $1 ELSE '“?”' END WHERE c <= $2`,
	} {
		require.Equal(t, want, numbered(query))
		require.Equal(t, want, numbered(query), "from memory")
	}
}

func TestArgumentsTakePostgresForm(t *testing.T) {
	given := []any{true, false, "a\x00b\xff", []string{"x\x00"}, int64(7), []byte{0, 0xFF}, nil}
	require.Equal(t, []any{int64(1), int64(0), "a\uFFFDb\uFFFD", []string{"x\uFFFD"}, int64(7), []byte{0, 0xFF}, nil}, forPostgres(given))
	require.Equal(t, "a\x00b\xff", given[2], "what was given stays")
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		out := storable(s)
		require.True(t, utf8.ValidString(out))
		require.NotContains(t, out, "\x00")
		require.Equal(t, out, storable(out))
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
			require.Equal(t, s, out)
		}
	})
}

func TestWhatIsRunAgain(t *testing.T) {
	for code, want := range map[string]rerun{"40001": surely, "40P01": surely, "23505": perhaps, "23503": final, "40003": final, "08006": final, "57014": final} {
		require.Equal(t, want, rerunOf(fmt.Errorf("commit: %w", &pgconn.PgError{Code: code})), code)
	}
	require.Equal(t, surely, rerunOf(fmt.Errorf("x: %w", ErrRunAgain)))
	require.Equal(t, final, rerunOf(errors.New("connection reset")), "what became of a commit then, nobody knows")
	require.Equal(t, final, rerunOf(nil))
}

func TestPausesGrowAndAreSpread(t *testing.T) {
	before := time.Duration(0)
	for run := 1; run < 100; run++ {
		longest, shortest := pause(run, 0), pause(run, 0.999999)
		require.GreaterOrEqual(t, longest, before)
		require.LessOrEqual(t, longest, maxPause)
		require.GreaterOrEqual(t, shortest, longest/2)
		before = longest
	}
	require.Equal(t, firstPause, pause(1, 0))
	require.Equal(t, maxPause, before)
}

func TestAddresses(t *testing.T) {
	for at, want := range map[string]struct {
		postgres bool
		name     string
	}{
		"data/purselane.db":        {false, "data/purselane.db"},
		"sqlite:data/purselane.db": {false, "data/purselane.db"},
		"postgres://purse:s3cret@db.example:5433/scheme?sslmode=verify-full": {true, "postgres://purse@db.example:5433/scheme"},
		"postgresql://purse@[::1]/scheme?password=s3cret":                    {true, "postgres://purse@[::1]:5432/scheme"},
		"postgres://purse:s3cret@:bad port/":                                 {true, "postgres"},
	} {
		require.Equal(t, want.postgres, IsPostgres(at), at)
		require.Equal(t, want.name, Name(at))
		if want.postgres {
			_, err := Open(t.Context(), strings.Replace(at, "db.example:5433", "127.0.0.1:1", 1), Options{})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "s3cret")
		}
	}
}
