package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"
)

// bareSet is the least that posting must do on PostgreSQL: one statement a group, written by hand, in one round trip and one commit.
type bareSet struct {
	db       *sql.DB
	cards    int
	counters []int64
	group    int64
	random   *rand.Rand
	timed    timer
}

func newBareSet(ctx context.Context, url string, cards int) (*bareSet, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	b := &bareSet{db: db, cards: cards, counters: make([]int64, cards), random: rand.New(rand.NewPCG(1, 2)), timed: timed}
	for _, q := range []string{
		`DROP SCHEMA IF EXISTS bare CASCADE`, `CREATE SCHEMA bare`,
		`CREATE TABLE bare.debit (card BYTEA NOT NULL, counter BIGINT NOT NULL, terminal TEXT NOT NULL, seq BIGINT NOT NULL, merchant TEXT NOT NULL, amount BIGINT NOT NULL,
			after BIGINT NOT NULL, at_ms BIGINT NOT NULL, tac BYTEA NOT NULL, PRIMARY KEY (card, counter))`,
		`CREATE TABLE bare.card (number BYTEA PRIMARY KEY, shadow BIGINT NOT NULL, next BIGINT NOT NULL, tail BIGINT NOT NULL)`,
		`CREATE TABLE bare.merchant (id TEXT PRIMARY KEY, pending BIGINT NOT NULL)`,
		`INSERT INTO bare.merchant (id, pending) VALUES ('m0', 0)`,
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	numbers := make([][]byte, cards)
	for i := range numbers {
		n := numberOf(i)
		numbers[i] = n[:]
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO bare.card (number, shadow, next, tail) SELECT n, $2, 0, $2 FROM unnest($1::bytea[]) AS n`, numbers, int64(loaded)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

const bareSetStatement = `WITH new AS (
		INSERT INTO bare.debit (card, counter, terminal, seq, merchant, amount, after, at_ms, tac)
		SELECT r.card, r.counter, 't0', r.seq, 'm0', r.amount, r.after, $6, r.tac FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $7::bytea[])
			AS r (card, counter, seq, amount, after, tac)
		ON CONFLICT DO NOTHING RETURNING card, counter, amount, after),
	moved AS (
		UPDATE bare.card c SET shadow = c.shadow - n.amount, next = n.next, tail = n.tail
		FROM (SELECT card, SUM(amount)::bigint AS amount, MAX(counter) + 1 AS next, MIN(after) AS tail FROM new GROUP BY card) n WHERE c.number = n.card)
	UPDATE bare.merchant SET pending = pending + (SELECT COALESCE(SUM(amount), 0)::bigint FROM new) WHERE id = 'm0'`

// post posts one group of random cards.
func (b *bareSet) post(ctx context.Context) (time.Duration, error) {
	b.group++
	cards, tacs := make([][]byte, size), make([][]byte, size)
	counters, seqs, amounts, afters := make([]int64, size), make([]int64, size), make([]int64, size), make([]int64, size)
	for i := range size {
		c := b.random.IntN(b.cards)
		n := numberOf(c)
		cards[i], tacs[i] = n[:], n[:4]
		counters[i], seqs[i], amounts[i] = b.counters[c], b.group*size+int64(i), fare
		b.counters[c]++
		afters[i] = loaded - b.counters[c]*fare
	}
	return b.timed(func() error {
		_, err := b.db.ExecContext(ctx, bareSetStatement, cards, counters, seqs, amounts, afters, b.group, tacs)
		return err
	})
}
