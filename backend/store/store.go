// Package store keeps the backend's state in SQLite, and offers it in the domain's own operations: accept a batch, post a
// group, authorise a load, close a day. It is no SQL abstraction; another engine is another package with the same
// operations.
//
// Start with [Open], [Store.Update] and the methods of [Tx], one file an area. There is one writer: Update runs in
// BEGIN IMMEDIATE on a connection of its own, so that a transaction never fails half way for a lock. A commit is durable
// (WAL, synchronous=FULL) unless Options say otherwise, because a receipt leaves right after it.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the SQLite driver, pure Go
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a store.
type Options struct {
	// NoSync gives up durability for speed: for simulations, where power is cut between commits only.
	NoSync bool

	// Fault, when set, is called at "commit:before" and "commit:after" of every Update, and its error is returned: before the
	// commit the transaction is rolled back, after it the commit stands. This is how tests let the backend die.
	Fault func(point string) error
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	writer *sql.DB // one connection
	reader *sql.DB
	opt    Options

	mu      sync.Mutex // one Update at a time
	changes atomic.Uint64

	writing, reading statements
}

// Open opens the database file at path, making it and bringing its schema up to date as needed.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
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
	writer, err := sql.Open("sqlite", dsn("&_txlock=immediate"))
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
	s := &Store{writer: writer, reader: reader, opt: opt, writing: statements{db: writer}, reading: statements{db: reader}}
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, dir)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema up to date: %w", err)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	return errors.Join(s.reading.close(), s.writing.close(), s.reader.Close(), s.writer.Close())
}

// Changes counts the updates committed since Open: a page polls it to learn that there is something new.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// Tx is one transaction. Its methods are the domain's operations.
type Tx struct {
	tx    *sql.Tx
	known *statements
	own   map[string]*sql.Stmt // of this transaction, by text
}

// Update runs f in one write transaction and commits it if f returns nil.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	t := &Tx{tx: tx, known: &s.writing, own: map[string]*sql.Stmt{}}
	defer func() {
		_ = tx.Rollback() // after Commit it does nothing; before it the error in hand is the one that matters
		s.writing.learn(t)
	}()
	if err := f(t); err != nil {
		return err
	}
	if err := s.fault("commit:before"); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	s.changes.Add(1)
	return s.fault("commit:after")
}

func (s *Store) fault(point string) error {
	if s.opt.Fault == nil {
		return nil
	}
	return s.opt.Fault(point)
}

// View runs f on one consistent snapshot, read-only.
func (s *Store) View(ctx context.Context, f func(*Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	t := &Tx{tx: tx, known: &s.reading, own: map[string]*sql.Stmt{}}
	defer func() {
		_ = tx.Rollback() // nothing was written
		s.reading.learn(t)
	}()
	return f(t)
}

// exec runs a statement and names it in the error.
func (t *Tx) exec(ctx context.Context, what, query string, args ...any) (sql.Result, error) {
	st, err := t.prepare(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, err)
	}
	r, err := st.ExecContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, err)
	}
	return r, nil
}

// rows runs a query and calls each with a scanner for every row.
func (t *Tx) rows(ctx context.Context, what string, each func(scan func(...any) error) error, query string, args ...any) error {
	st, err := t.prepare(ctx, query)
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	r, err := st.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	defer r.Close()
	for r.Next() {
		if err := each(r.Scan); err != nil {
			return fmt.Errorf("store: %s: %w", what, err)
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

// one reads a single row and reports whether there was one.
func (t *Tx) one(ctx context.Context, what string, query string, args []any, into ...any) (bool, error) {
	st, err := t.prepare(ctx, query)
	if err != nil {
		return false, fmt.Errorf("store: %s: %w", what, err)
	}
	err = st.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: %s: %w", what, err)
	}
	return true, nil
}

// ErrNotFound says that what was asked for is not there.
var ErrNotFound = errors.New("not found")
