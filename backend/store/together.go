package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Together is Update for small changes of many callers at once, such as those of orders. Callers that come while another one is at work share its transaction, each behind a
// savepoint of its own, and one commit, which is one sync of the disk, makes all of them durable. Each stays whole in itself: one that fails takes back its own changes
// alone, and nobody is answered before the commit stands. A later one sees what the earlier ones have changed; where the commit fails it fails for all of them.
//
// A statement is not interrupted when its caller's ctx ends: that would take the others' changes back too. What a caller changed whose ctx has ended is taken back.
//
// On PostgreSQL it is Update: there one that collides with another process would have all of them run again.
func (s *Store) Together(ctx context.Context, f func(*Tx) error) (err error) {
	if s.dialect == postgres {
		return s.Update(ctx, f)
	}
	f, edited := noteEdited(writtenOut(ctx, f))
	defer func() { err = s.freezeEdited(ctx, edited(), err) }()
	return s.untilDone(ctx, func(int) (rerun, error) {
		b, again, err := s.share(ctx, f)
		if b == nil {
			return again, err
		}
		<-b.done
		switch {
		case b.err != nil:
			return final, errors.Join(err, b.err)
		case err != nil:
			return again, err
		}
		s.changes.Add(1)
		return final, s.fault("commit:after")
	})
}

// maxShared is how many callers share one transaction at most: the first waits for the last.
const maxShared = 64

// shared is one transaction of several callers. Whoever has the store's lock runs in it.
type shared struct {
	tx   *sql.Tx
	own  map[string]*sql.Stmt // its prepared statements, by text
	runs int
	done chan struct{} // closed when it is committed, or has come to nothing
	err  error         // why it has come to nothing; behind done
}

// share runs f in the transaction that is open, or begins one, and commits it if nobody is behind: each one who comes is counted before it waits for the lock. A
// nil transaction could not be begun.
func (s *Store) share(ctx context.Context, f func(*Tx) error) (b *shared, again rerun, err error) {
	s.coming.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming.Add(-1)
	if s.open == nil {
		tx, err := s.writer.BeginTx(context.WithoutCancel(ctx), s.dialect.writing())
		if err != nil {
			return nil, rerunOf(err), fmt.Errorf("store: begin: %w", err)
		}
		s.open = &shared{tx: tx, own: map[string]*sql.Stmt{}, done: make(chan struct{})}
	}
	b = s.open
	b.runs++
	defer func() { // of a panic too: the others wait
		if s.coming.Load() == 0 || b.runs == maxShared || b.err != nil {
			s.commitShared()
		}
	}()
	again, err = s.behindSavepoint(ctx, b, f)
	return b, again, err
}

// behindSavepoint runs f once. The transaction itself is lost (b.err) when the savepoint is: the engine undoes all of it when the disk is full, say.
func (s *Store) behindSavepoint(ctx context.Context, b *shared, f func(*Tx) error) (again rerun, err error) {
	t := &Tx{tx: b.tx, dialect: s.dialect, known: &s.writing, own: b.own, seal: sealer{s.opt.BooksKey}, shared: true}
	mark := func(what, query string) {
		if _, err := t.exec(ctx, what, query); err != nil && b.err == nil {
			b.err = fmt.Errorf("store: the transaction that this change shared was undone: %w", err)
		}
	}
	if mark("set savepoint", `SAVEPOINT one_of_many`); b.err != nil {
		return final, nil
	}
	stands := false
	defer func() {
		if !stands {
			mark("take back", `ROLLBACK TO one_of_many`)
		}
		mark("release savepoint", `RELEASE one_of_many`)
	}()
	if err := f(t); err != nil {
		return max(t.rerun, rerunOf(err)), err
	}
	if err := ctx.Err(); err != nil {
		return final, fmt.Errorf("store: %w", err)
	}
	if err := s.fault("commit:before"); err != nil {
		return rerunOf(err), err
	}
	stands = true
	return final, nil
}

// commitShared commits the transaction that callers share, if one is open, and lets them go. The store's lock is held.
func (s *Store) commitShared() {
	b := s.open
	if b == nil {
		return
	}
	s.open = nil
	defer close(b.done)
	if b.err != nil {
		_ = b.tx.Rollback() // why it is lost is known already
		return
	}
	if err := b.tx.Commit(); err != nil {
		b.err = fmt.Errorf("store: commit: %w", err)
		_ = b.tx.Rollback()
		return
	}
	s.writing.learn(b.own)
}
