package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the SQLite driver, pure Go
)

// openSQLite opens a database file.
func openSQLite(_ context.Context, at string, opt Options) (*Store, error) {
	path := strings.TrimPrefix(at, sqliteScheme)
	sync := "FULL"
	if opt.NoSync {
		sync = "OFF"
	}
	dsn := func(extra string) string {
		v := url.Values{}
		v.Add("_pragma", "busy_timeout(10000)")
		v.Add("_pragma", "journal_mode(WAL)")
		v.Add("_pragma", "synchronous("+sync+")")
		v.Add("_pragma", "wal_autocheckpoint(20000)")
		v.Add("_pragma", "foreign_keys(1)")
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode() + extra
	}
	// A transaction of many rows should not be written to the log twice for want of memory (kibibytes), nor to a file of its own while a statement runs.
	writer, err := sql.Open("sqlite", dsn("&_txlock=immediate&_pragma=cache_size(-65536)&_pragma=temp_store(2)"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", dsn("&_pragma=query_only(1)"))
	if err != nil {
		writer.Close()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	reader.SetMaxOpenConns(4)
	return &Store{dialect: sqlite, writer: writer, reader: reader, opt: opt}, nil
}
