package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

// unlike are words that only one of SQLite and PostgreSQL understands, or that mean different things to them.
var unlike = regexp.MustCompile(`(?i)([^\\]\bx'|\binsert or\b|\browid\b|\bprintf\s*\(|\bgroup_concat\b|\bstring_agg\b|\bhex\s*\(|\bifnull\b|\bzeroblob\b|\bunhex\b|\bglob\b|\blike\b|\bilike\b|::|` +
	`\bpragma\b|\b(max|min)\s*\([^()]*,|\blength\s*\(|\bsubstr\s*\(|\bjulianday\b|\bstrftime\b|\bnow\s*\()`)

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

// queries calls f with every string of the package's code that looks like a part of a query.
func queries(t *testing.T, f func(at, query string)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	looks := regexp.MustCompile(`\b(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|VALUES|FROM)\b`)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			if looks.MatchString(text) {
				found++
				f(set.Position(lit.Pos()).String(), text)
			}
			return true
		})
	}
	require.Greater(t, found, 50, "the walk has lost the queries")
}

// TestQueriesArePortable keeps the queries to what SQLite and PostgreSQL both understand, in one meaning. Those that only PostgreSQL gets stand in files
// named so.
func TestQueriesArePortable(t *testing.T) {
	queries(t, func(at, query string) {
		if w := lacking.FindString(query); w != "" {
			t.Errorf("%s: %q: not every engine has it", at, w)
		}
		if w := unlike.FindString(query); w != "" && !strings.Contains(at, "_postgres.go:") {
			t.Errorf("%s: %q: SQLite and PostgreSQL do not agree about it", at, w)
		}
	})
}
