package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// statements are prepared once and kept: to compile a statement costs more than to run it.
type statements struct {
	db *sql.DB
	mu sync.Mutex
	by map[string]*sql.Stmt
}

func (s *statements) find(query string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[query]
}

// learn prepares, now that its transaction has given the connection back, what a transaction had to prepare for itself. A
// failure costs speed only.
func (s *statements) learn(own map[string]*sql.Stmt) {
	for query := range own {
		if s.find(query) != nil {
			continue
		}
		st, err := s.db.Prepare(query)
		if err != nil {
			continue
		}
		s.mu.Lock()
		if s.by == nil {
			s.by = map[string]*sql.Stmt{}
		}
		if s.by[query] == nil {
			s.by[query], st = st, nil
		}
		s.mu.Unlock()
		if st != nil {
			_ = st.Close() // another transaction was quicker
		}
	}
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.by {
		errs = append(errs, st.Close())
	}
	s.by = nil
	return errors.Join(errs...)
}

// querier is what runs one query: a prepared statement, or a connection that keeps prepared ones by text.
type querier interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
}

// prepare finds the statement of a query, for this transaction, and gives the arguments the engine's form. A statement runs once at a
// time: rows must be read to their end before the database is asked again.
func (t *Tx) prepare(ctx context.Context, query string, args []any) (querier, []any, error) {
	if t.dialect == postgres {
		return byText{t.tx, numbered(query)}, forPostgres(args), nil
	}
	st, err := t.prepareSQLite(ctx, query)
	return st, args, err
}

// byText is a query by its text: PostgreSQL's driver keeps the prepared statements of each connection itself.
type byText struct {
	tx    *sql.Tx
	query string
}

func (b byText) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return b.tx.ExecContext(ctx, b.query, args...)
}

func (b byText) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return b.tx.QueryContext(ctx, b.query, args...)
}

func (b byText) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return b.tx.QueryRowContext(ctx, b.query, args...)
}

func (t *Tx) prepareSQLite(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := t.own[query]; st != nil {
		return st, nil
	}
	var st *sql.Stmt
	if known := t.known.find(query); known != nil {
		st = t.tx.StmtContext(ctx, known)
	} else {
		var err error
		if st, err = t.tx.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
	}
	t.own[query] = st
	return st, nil
}
