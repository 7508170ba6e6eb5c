package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver that backend/store uses
)

// bare is the least that posting must do, on a schema with nothing but what it needs.
type bare struct {
	db       *sql.DB
	cards    int
	counters []int64
	group    int64
	random   *rand.Rand
}

func newBare(ctx context.Context, dir string, cards int) (*bare, error) {
	path := filepath.Join(dir, fmt.Sprintf("bare-%d.db", rand.Uint32()))
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(20000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	b := &bare{db: db, cards: cards, counters: make([]int64, cards), random: rand.New(rand.NewPCG(1, 2))}
	for _, q := range []string{
		`CREATE TABLE debit (card BLOB NOT NULL, counter INTEGER NOT NULL, terminal TEXT NOT NULL, seq INTEGER NOT NULL, merchant TEXT NOT NULL, amount INTEGER NOT NULL,
			after INTEGER NOT NULL, at_ms INTEGER NOT NULL, tac BLOB NOT NULL, PRIMARY KEY (card, counter)) STRICT, WITHOUT ROWID`,
		`CREATE TABLE card (number BLOB PRIMARY KEY, shadow INTEGER NOT NULL, next INTEGER NOT NULL, tail INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE merchant (id TEXT PRIMARY KEY, pending INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
		`INSERT INTO merchant (id, pending) VALUES ('m0', 0)`,
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	err = b.inOne(ctx, func(tx *sql.Tx) error {
		for i := range cards {
			n := numberOf(i)
			if _, err := tx.ExecContext(ctx, `INSERT INTO card (number, shadow, next, tail) VALUES (?, ?, 0, ?)`, n[:], loaded, loaded); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

func (b *bare) inOne(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// post posts one group of random cards.
func (b *bare) post(ctx context.Context) (time.Duration, error) {
	b.group++
	picks := make([]int, size)
	for i := range picks {
		picks[i] = b.random.IntN(b.cards)
	}
	return timed(func() error {
		return b.inOne(ctx, func(tx *sql.Tx) error {
			insert, err := tx.PrepareContext(ctx, `INSERT INTO debit (card, counter, terminal, seq, merchant, amount, after, at_ms, tac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
			if err != nil {
				return err
			}
			update, err := tx.PrepareContext(ctx, `UPDATE card SET shadow = shadow - ?, next = ?, tail = ? WHERE number = ?`)
			if err != nil {
				return err
			}
			total := int64(0)
			for i, c := range picks {
				n, counter := numberOf(c), b.counters[c]
				b.counters[c]++
				after := loaded - b.counters[c]*fare
				if _, err := insert.ExecContext(ctx, n[:], counter, "t0", b.group*size+int64(i), "m0", int64(fare), after, b.group, n[:4]); err != nil {
					return err
				}
				if _, err := update.ExecContext(ctx, int64(fare), counter+1, after, n[:]); err != nil {
					return err
				}
				total += fare
			}
			_, err = tx.ExecContext(ctx, `UPDATE merchant SET pending = pending + ? WHERE id = 'm0'`, total)
			return err
		})
	})
}
