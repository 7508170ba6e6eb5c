// Package store keeps the backend's state in SQLite or PostgreSQL, and offers it in the domain's own operations: accept a
// batch, post a group, authorise a load, close a day. It is no SQL abstraction: both engines run the same queries, and what they
// do not agree about stands in dialect.go, sqlite.go and postgres.go.
//
// Start with [Open], [Store.Update] and the methods of [Tx], one file an area. On SQLite there is one writer: Update runs in
// BEGIN IMMEDIATE on a connection of its own, so that a transaction never fails half way for a lock, and small changes of many callers may share one ([Store.Together]). On PostgreSQL Update is
// SERIALIZABLE and is run again when it collides with another one, and posters post beside it and beside each other ([Store.Posting]). A commit is durable unless Options say otherwise, because a
// receipt leaves right after it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/purselane/purselane/shadowaccount/books"
)

// Options of a store.
type Options struct {
	// NoSync gives up durability for speed: for simulations, where power is cut between commits only.
	NoSync bool

	// BooksKey seals the rows of accounts, so that nobody changes one by SQL unseen. Nil: sealed books can be read, not written.
	BooksKey []byte

	// Fault, when set, is called at "commit:before" and "commit:after" of every Update, of each caller of Together too, and its error is returned: before the
	// commit the transaction is rolled back, of Together the caller's own changes, after it the commit stands. This is how tests let the backend die.
	//
	// An error that is [ErrRunAgain] before the commit has the Update run again, as a collision in PostgreSQL does.
	Fault func(point string) error

	// Wait passes the time between two runs of an Update, and Chance, from 0 to below 1, spreads it. Defaults: the machine's.
	Wait   func(context.Context, time.Duration) error
	Chance func() float64
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	writer  *sql.DB // one connection
	reader  *sql.DB
	posters *sql.DB // nil: posting is one Update among others
	opt     Options

	mu      sync.Mutex   // one Update at a time
	coming  atomic.Int64 // callers of Together that wait for mu
	open    *shared      // that callers of Together share; under mu
	posting sync.RWMutex // held by Postings; an Update that collides again and again takes it alone
	changes atomic.Uint64

	writing, reading statements
}

// Open opens a database and brings its schema up to date. at is an SQLite file, "PATH" or "sqlite:PATH", which is made if it is not
// there, or a PostgreSQL database, "postgres://USER@HOST/NAME". Several processes may do it at once. No error holds a password.
func Open(ctx context.Context, at string, opt Options) (*Store, error) {
	if opt.Wait == nil {
		opt.Wait = wait
	}
	if opt.Chance == nil {
		opt.Chance = rand.Float64
	}
	open := openSQLite
	if IsPostgres(at) {
		open = openPostgres
	}
	s, err := open(ctx, at, opt)
	if err != nil {
		return nil, err
	}
	s.writing, s.reading = statements{db: s.writer}, statements{db: s.reader}
	err = s.migrate(ctx)
	if err == nil {
		err = s.sealBooks(ctx)
	}
	if err == nil {
		err = s.sealHolds(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("store %s: %w", Name(at), err)
	}
	return s, nil
}

// Shared reports whether several processes may share the posting of what they accept: a file's one writer posts all.
func (s *Store) Shared() bool { return s.posters != nil }

// Close closes the database.
func (s *Store) Close() error {
	err := errors.Join(s.reading.close(), s.writing.close(), s.reader.Close(), s.writer.Close())
	if s.posters != nil {
		err = errors.Join(err, s.posters.Close())
	}
	return err
}

// Changes counts the updates committed since Open: a page polls it to learn that there is something new.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// Tx is one transaction. Its methods are the domain's operations.
type Tx struct {
	tx      *sql.Tx
	conn    *sql.Conn // that of tx; nil on SQLite
	dialect dialect
	known   *statements
	own     map[string]*sql.Stmt         // of this transaction, by text
	rerun   rerun                        // what the engine said of this transaction
	seal    sealer                       // of account rows
	edited  []books.Account              // rows found whose seal does not fit
	lane    int                          // whose chain a group goes into
	shared  bool                         // with other callers: see [Store.Together]
	beside  bool                         // it is a Posting: only rows that it has locked stay as it read them
	opened  map[books.Account]bool       // accounts that got their row from this Posting
	ahead   map[books.Account]accountRow // rows that this Posting has locked and read for the entry at hand
}

// Update runs f in one write transaction and commits it if f returns nil. Where the transaction collides with another one f is run
// again from its start, on the state the other left: f must set, not add to, what it hands out, and do nothing else that counts.
//
// Groups that were posted journal-first are written out first ([JournalFirst]).
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error {
	return s.Apart(ctx, writtenOut(ctx, f))
}

// Apart is Update for what asks and changes nothing of cards, claims and verdicts, and so has no need to have the journal written out: to accept, to beat.
func (s *Store) Apart(ctx context.Context, f func(*Tx) error) (err error) {
	f, edited := noteEdited(f)
	defer func() { err = s.freezeEdited(ctx, edited(), err) }() // after the lock is gone
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commitShared()
	return s.untilDone(ctx, func(run int) (rerun, error) {
		if run > sharedRuns {
			s.posting.Lock()
			defer s.posting.Unlock()
		}
		return s.update(ctx, s.writer, s.dialect.writing(), f)
	})
}

// Posting runs f as Update does, beside Updates and other Postings where the engine lets several write. On PostgreSQL it is READ COMMITTED: only rows that f has
// locked stay as it read them, and each statement sees what others have committed before it. It is for posting groups and nothing else. What it locks, in this
// order: its lanes ([Tx.HoldLanes]), its cards, the accounts, which are everybody's and come last.
func (s *Store) Posting(ctx context.Context, f func(*Tx) error) (err error) {
	if s.posters == nil {
		return s.Update(ctx, f)
	}
	f, edited := noteEdited(stillWrittenOut(ctx, f))
	defer func() { err = s.freezeEdited(ctx, edited(), err) }()
	return s.untilDone(ctx, func(int) (rerun, error) {
		s.posting.RLock()
		defer s.posting.RUnlock()
		return s.update(ctx, s.posters, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, f)
	})
}

// untilDone runs a transaction until it does not collide.
func (s *Store) untilDone(ctx context.Context, once func(run int) (rerun, error)) error {
	doubts := 0
	for run := 1; ; run++ {
		again, err := once(run)
		if again == perhaps {
			doubts++
		}
		if again == final || doubts == maxPerhaps {
			return err
		}
		if run == maxRuns {
			return fmt.Errorf("store: %d runs of one transaction all collided with others: %w", run, err)
		}
		if err := s.opt.Wait(ctx, pause(run, s.opt.Chance())); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
}

// update runs f once, and reports whether nothing came of it and it is to be run again.
func (s *Store) update(ctx context.Context, on *sql.DB, how *sql.TxOptions, f func(*Tx) error) (again rerun, err error) {
	tx, conn, err := s.begin(ctx, on, how)
	if err != nil {
		return rerunOf(err), fmt.Errorf("store: begin: %w", err)
	}
	t := &Tx{tx: tx, conn: conn, dialect: s.dialect, known: &s.writing, own: map[string]*sql.Stmt{}, seal: sealer{s.opt.BooksKey}, beside: on == s.posters}
	defer func() {
		_ = tx.Rollback() // after Commit it does nothing; before it the error in hand is the one that matters
		if conn != nil {
			_ = conn.Close() // it only goes back to the others
		}
		s.writing.learn(t.own)
	}()
	if err := f(t); err != nil {
		return max(t.rerun, rerunOf(err)), err
	}
	if err := s.fault("commit:before"); err != nil {
		return rerunOf(err), err
	}
	if err := tx.Commit(); err != nil {
		return max(t.rerun, rerunOf(err)), fmt.Errorf("store: commit: %w", err)
	}
	s.changes.Add(1)
	return final, s.fault("commit:after")
}

// begin begins a transaction. On PostgreSQL it has its connection at hand, for what goes past the driver's statements.
func (s *Store) begin(ctx context.Context, on *sql.DB, how *sql.TxOptions) (*sql.Tx, *sql.Conn, error) {
	if s.dialect != postgres {
		tx, err := on.BeginTx(ctx, how)
		return tx, nil, err
	}
	conn, err := on.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := conn.BeginTx(ctx, how)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return tx, conn, nil
}

func (s *Store) fault(point string) error {
	if s.opt.Fault == nil {
		return nil
	}
	return s.opt.Fault(point)
}

// View runs f on one consistent snapshot, read-only, in which every group that is posted is written out ([JournalFirst]).
func (s *Store) View(ctx context.Context, f func(*Tx) error) error {
	for range viewsOfUnwritten {
		unwritten := false
		err := s.Glance(ctx, func(t *Tx) (err error) {
			if unwritten, err = t.unwritten(ctx); err != nil || unwritten {
				return err
			}
			return f(t)
		})
		if err != nil || !unwritten {
			return err
		}
		if err := s.Update(ctx, func(*Tx) error { return nil }); err != nil {
			return err
		}
	}
	return s.Update(ctx, f) // posters are quicker than this: they wait
}

// viewsOfUnwritten is how often a View tries to find the journal written out before it keeps posters from writing into it.
const viewsOfUnwritten = 3

// Glance is View for what asks nothing of cards, claims and verdicts: groups may be unwritten.
func (s *Store) Glance(ctx context.Context, f func(*Tx) error) (err error) {
	f, edited := noteEdited(f)
	defer func() { err = s.freezeEdited(ctx, edited(), err) }()
	tx, err := s.reader.BeginTx(ctx, s.dialect.reading())
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	t := &Tx{tx: tx, dialect: s.dialect, known: &s.reading, own: map[string]*sql.Stmt{}, seal: sealer{s.opt.BooksKey}}
	defer func() {
		_ = tx.Rollback() // nothing was written
		s.reading.learn(t.own)
	}()
	return f(t)
}

// exec runs a statement and names it in the error.
func (t *Tx) exec(ctx context.Context, what, query string, args ...any) (sql.Result, error) {
	ctx = t.steady(ctx)
	st, args, err := t.prepare(ctx, query, args)
	if err != nil {
		return nil, t.failed(what, err)
	}
	r, err := st.ExecContext(ctx, args...)
	if err != nil {
		return nil, t.failed(what, err)
	}
	return r, nil
}

// rows runs a query and calls each with a scanner for every row. each must not ask the database.
func (t *Tx) rows(ctx context.Context, what string, each func(scan func(...any) error) error, query string, args ...any) error {
	ctx = t.steady(ctx)
	st, args, err := t.prepare(ctx, query, args)
	if err != nil {
		return t.failed(what, err)
	}
	r, err := st.QueryContext(ctx, args...)
	if err != nil {
		return t.failed(what, err)
	}
	defer r.Close()
	for r.Next() {
		if err := each(r.Scan); err != nil {
			return fmt.Errorf("store: %s: %w", what, err)
		}
	}
	if err := r.Err(); err != nil {
		return t.failed(what, err)
	}
	return nil
}

// one reads a single row and reports whether there was one.
func (t *Tx) one(ctx context.Context, what string, query string, args []any, into ...any) (bool, error) {
	ctx = t.steady(ctx)
	st, args, err := t.prepare(ctx, query, args)
	if err != nil {
		return false, t.failed(what, err)
	}
	err = st.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, t.failed(what, err)
	}
	return true, nil
}

// steady is a ctx whose end does not interrupt a statement that would take other callers' changes with it.
func (t *Tx) steady(ctx context.Context) context.Context {
	if t.shared {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// failed names a statement in its error, and remembers an error that means run again: f may bury it under one of its own.
func (t *Tx) failed(what string, err error) error {
	t.rerun = max(t.rerun, rerunOf(err))
	return fmt.Errorf("store: %s: %w", what, err)
}

// ErrNotFound says that what was asked for is not there.
var ErrNotFound = errors.New("not found")
