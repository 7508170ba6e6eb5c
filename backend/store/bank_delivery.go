package store

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// Delivery is what became of an acquirer's file on one way to the acquirer.
type Delivery struct {
	Acquirer  ids.AcquirerID
	Day, Name string
	Way       string // sftp or https
	Digest    string // SHA-256 of the file, hexadecimal
	State     string // delivered or failed
	Attempts  int
	Error     string // of the last try
	TriedAt   time.Time
	DoneAt    time.Time // first delivery; zero: none
}

// NoteDelivery notes a try to deliver a file. A file that was delivered once stays so; its error is then of a later try.
func (t *Tx) NoteDelivery(ctx context.Context, d Delivery) error {
	done := int64(0)
	if d.State == "delivered" {
		done = d.TriedAt.UnixMilli()
	}
	_, err := t.exec(ctx, "note delivery", `INSERT INTO settlement_delivery (acquirer, day, name, way, digest, state, attempts, error, tried_ms, done_ms) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)
		ON CONFLICT (acquirer, day, name, way) DO UPDATE SET attempts = settlement_delivery.attempts + 1, error = excluded.error, tried_ms = excluded.tried_ms,
			digest = CASE WHEN settlement_delivery.done_ms = 0 THEN excluded.digest ELSE settlement_delivery.digest END,
			state = CASE WHEN settlement_delivery.done_ms = 0 THEN excluded.state ELSE settlement_delivery.state END,
			done_ms = CASE WHEN settlement_delivery.done_ms = 0 THEN excluded.done_ms ELSE settlement_delivery.done_ms END`,
		string(d.Acquirer), d.Day, d.Name, d.Way, d.Digest, d.State, d.Error, d.TriedAt.UnixMilli(), done)
	return err
}

// Deliveries lists what became of a day's files, by acquirer, name and way.
func (t *Tx) Deliveries(ctx context.Context, day string) ([]Delivery, error) {
	var out []Delivery
	err := t.rows(ctx, "deliveries", func(scan func(...any) error) error {
		var d Delivery
		var tried, done int64
		err := scan(&d.Acquirer, &d.Day, &d.Name, &d.Way, &d.Digest, &d.State, &d.Attempts, &d.Error, &tried, &done)
		d.TriedAt = time.UnixMilli(tried)
		if done != 0 {
			d.DoneAt = time.UnixMilli(done)
		}
		out = append(out, d)
		return err
	}, `SELECT acquirer, day, name, way, digest, state, attempts, error, tried_ms, done_ms FROM settlement_delivery WHERE day = ? ORDER BY acquirer, name, way`, day)
	return out, err
}

// DeliveredDigest is the digest of a file as it was delivered on a way, "" if it was not.
func (t *Tx) DeliveredDigest(ctx context.Context, d Delivery) (string, error) {
	var digest string
	_, err := t.one(ctx, "delivered digest", `SELECT digest FROM settlement_delivery WHERE acquirer = ? AND day = ? AND name = ? AND way = ? AND done_ms <> 0`,
		[]any{string(d.Acquirer), d.Day, d.Name, d.Way}, &digest)
	if err != nil {
		return "", fmt.Errorf("delivery of %s: %w", d.Name, err)
	}
	return digest, nil
}
