package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBothEnginesHaveTheSameMigrations: a migration is written twice, under one number and name.
func TestBothEnginesHaveTheSameMigrations(t *testing.T) {
	names := func(dir string) (out []string) {
		files, err := fs.Glob(os.DirFS("migrations"), filepath.Join(dir, "*.sql"))
		require.NoError(t, err)
		for _, f := range files {
			out = append(out, filepath.Base(f))
		}
		return out
	}
	sqlite := names(".")
	require.NotEmpty(t, sqlite)
	require.Equal(t, sqlite, names("postgres"), "write each migration for both engines")
	numbers := map[string]string{}
	for _, n := range sqlite {
		number, _, _ := strings.Cut(n, "_")
		require.Empty(t, numbers[number], "%s: its number is taken by %s", n, numbers[number])
		numbers[number] = n
	}
}

// lacking are words that one of the engines behind PostgreSQL's protocol does not understand.
var lacking = regexp.MustCompile(`(?i)\b(serial|bigserial|smallserial|create sequence|nextval|identity|trigger|function|procedure|pg_advisory\w*|pg_try_advisory\w*|listen|notify|deferrable|deferred|` +
	`exclude using|lock table|temp|temporary|unlogged|truncate|savepoint|partition by|create extension|create type|do \$\$)\b`)

var sqlComment = regexp.MustCompile(`--[^\n]*`)

// TestMigrationsArePortable keeps the schema to what every engine behind PostgreSQL's protocol has, and each folder to its own types.
func TestMigrationsArePortable(t *testing.T) {
	foreign := map[string]*regexp.Regexp{
		"migrations/*.sql":          regexp.MustCompile(`(?i)\b(bigint|bytea|timestamptz|boolean|jsonb?|collate)\b`),
		"migrations/postgres/*.sql": regexp.MustCompile(`(?i)(\b(integer|int|smallint|blob|strict|rowid|boolean|timestamptz|jsonb?|real|double)\b|[^\\]x')`),
	}
	// Text is compared byte by byte in SQLite; a PostgreSQL database may have any collation.
	loose := regexp.MustCompile(`\bTEXT\b(?: COLLATE "C")?`)
	for glob, types := range foreign {
		files, err := filepath.Glob(glob)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			sql := sqlComment.ReplaceAllString(string(raw), "")
			if w := lacking.FindString(sql); w != "" {
				t.Errorf("%s: %q: not every engine has it", f, w)
			}
			if w := types.FindString(sql); w != "" {
				t.Errorf("%s: %q: not of this engine", f, w)
			}
			if strings.Contains(glob, "postgres") {
				for _, w := range loose.FindAllString(sql, -1) {
					if !strings.HasSuffix(w, `"C"`) {
						t.Errorf("%s: a TEXT column without COLLATE \"C\": its order is the database's, not the bytes'", f)
						break
					}
				}
			}
		}
	}
}
