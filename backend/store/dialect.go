package store

import (
	"database/sql"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// dialect is an engine where the engines differ. A method that has a quicker query for one of them asks t.dialect == postgres, and there
// may bind slices, as to `unnest(?::bigint[], ?::bytea[])`.
type dialect int

const (
	sqlite dialect = iota
	postgres
)

const sqliteScheme = "sqlite:"

// IsPostgres reports whether an address of a store is a PostgreSQL database's, and not a file.
func IsPostgres(at string) bool {
	return strings.HasPrefix(at, "postgres://") || strings.HasPrefix(at, "postgresql://")
}

// HasPassword reports whether an address has a password in it, which then shows wherever the address does.
func HasPassword(at string) bool {
	if !IsPostgres(at) {
		return false
	}
	u, err := url.Parse(at)
	if err != nil {
		return strings.Contains(at, "@") // it cannot be opened either
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

// Name is how errors and logs call a store: its file, or its database without the password.
func Name(at string) string {
	if IsPostgres(at) {
		return postgresName(at)
	}
	return strings.TrimPrefix(at, sqliteScheme)
}

// writing and reading are the transactions of Update and of View. SQLite's are serial anyhow.
func (d dialect) writing() *sql.TxOptions {
	if d == postgres {
		return &sql.TxOptions{Isolation: sql.LevelSerializable}
	}
	return nil
}

func (d dialect) reading() *sql.TxOptions {
	if d == postgres {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// forUpdate is what locks the rows that a query reads until the transaction ends. SQLite's writer has locked all of them.
func (d dialect) forUpdate() string {
	if d == postgres {
		return ` FOR UPDATE`
	}
	return ""
}

// noBytes is a literal of no bytes. A query over an index of some rows must repeat its condition to the letter, so it cannot bind them.
func (d dialect) noBytes() string {
	if d == postgres {
		return `'\x'`
	}
	return `x''`
}

var numberedQueries sync.Map // by the query with question marks; there are as many as the code has queries

// numbered writes a query's placeholders as PostgreSQL has them: ? as $1, $2 … in their order, ?3 as $3.
func numbered(query string) string {
	if q, ok := numberedQueries.Load(query); ok {
		return q.(string)
	}
	q := number(query)
	numberedQueries.Store(query, q)
	return q
}

func number(query string) string {
	var b strings.Builder
	n := 0
	quote := byte(0) // inside a literal or a quoted name
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			digits := i + 1
			for digits < len(query) && '0' <= query[digits] && query[digits] <= '9' {
				digits++
			}
			b.WriteByte('$')
			if digits > i+1 {
				b.WriteString(query[i+1 : digits])
			} else {
				n++
				b.WriteString(strconv.Itoa(n))
			}
			i = digits - 1
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// forPostgres gives arguments the form PostgreSQL wants: a truth is 0 or 1, as in SQLite, and text is text.
func forPostgres(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case bool:
			out[i] = int64(0)
			if v {
				out[i] = int64(1)
			}
		case string:
			out[i] = storable(v)
		case []string:
			texts := make([]string, len(v))
			for j, s := range v {
				texts[j] = storable(s)
			}
			out[i] = texts
		default:
			out[i] = a
		}
	}
	return out
}

// storable replaces what PostgreSQL's text cannot hold: a NUL, and bytes that are no UTF-8. Text from outside may have them, in a
// terminal's record say, and must not stop what is posted with it. Bytes that count are kept as bytes.
func storable(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
