package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// OutboxMessage is something to tell the world, written in the transaction that makes it true. Package outbox delivers it.
type OutboxMessage struct {
	ID    string // unique within Key; a receiver drops a second one by it
	Topic string // who wants it
	Key   string // what it is about: messages of one key and topic are delivered in the order in which they were added
	Body  []byte
	AtMS  int64 // Unix milliseconds: when it happened

	// As they are now; read only.
	Number   int64
	Attempts int
	Error    string // of the last attempt
}

// ErrOutboxConflict says that a message of this id was added before with other content.
var ErrOutboxConflict = errors.New("the outbox has a message of this id with other content")

// AddOutbox adds a message, which is delivered if and only if this transaction is committed. Adding the same once more changes nothing.
// Error: [ErrOutboxConflict].
func (t *Tx) AddOutbox(ctx context.Context, m OutboxMessage) error {
	if m.ID == "" || m.Topic == "" || m.Key == "" {
		return fmt.Errorf("store: outbox message %q: want an id, a topic and a key", m.ID)
	}
	if m.Body == nil {
		m.Body = []byte{}
	}
	// One statement, as nearly every message is new; the number is found in it.
	r, err := t.exec(ctx, "add outbox message", `INSERT INTO outbox (of_key, topic, number, id, body, at_ms, due_ms)
		SELECT ?1, ?2, COALESCE(MAX(number), 0) + 1, ?3, ?4, ?5, ?5 FROM outbox WHERE of_key = ?1 AND topic = ?2 ON CONFLICT (of_key, id) DO NOTHING`, m.Key, m.Topic, m.ID, m.Body, m.AtMS)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var have OutboxMessage
	found, err := t.one(ctx, "outbox message", `SELECT topic, body FROM outbox WHERE of_key = ? AND id = ?`, []any{m.Key, m.ID}, &have.Topic, &have.Body)
	if err != nil {
		return err
	}
	if !found || have.Topic != m.Topic || !bytes.Equal(have.Body, m.Body) {
		return fmt.Errorf("store: outbox message %s about %s: %w", m.ID, m.Key, ErrOutboxConflict)
	}
	return nil
}

// firstDue limits a query to messages of a topic that may be delivered at a moment: of each key the first that waits, if it is due and nobody has it.
const firstDue = ` FROM outbox m WHERE m.done_ms = 0 AND m.topic = ? AND m.due_ms <= ? AND m.lease_ms <= ?
	AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.of_key = m.of_key AND e.topic = m.topic AND e.number < m.number AND e.done_ms = 0)`

// OutboxDue reports whether a message of the topic may be delivered at a moment.
func (t *Tx) OutboxDue(ctx context.Context, topic string, nowMS int64) (bool, error) {
	var one int
	return t.one(ctx, "outbox due", `SELECT 1`+firstDue+` LIMIT 1`, []any{topic, nowMS, nowMS}, &one)
}

// LeaseOutbox takes messages of a topic for one process until a moment, at most limit: of each key the first that waits. Until then nobody else gets
// them, or a later one of their keys.
func (t *Tx) LeaseOutbox(ctx context.Context, topic, by string, nowMS, untilMS int64, limit int) ([]OutboxMessage, error) {
	var out []OutboxMessage
	err := t.rows(ctx, "due outbox messages", func(scan func(...any) error) error {
		m, err := scanOutbox(scan)
		out = append(out, m)
		return err
	}, `SELECT m.of_key, m.topic, m.number, m.id, m.body, m.at_ms, m.attempts, m.error`+firstDue+` ORDER BY m.due_ms, m.of_key, m.number LIMIT ?`, topic, nowMS, nowMS, limit)
	if err != nil {
		return nil, err
	}
	for _, m := range out {
		if _, err := t.exec(ctx, "lease outbox message", `UPDATE outbox SET lease_by = ?, lease_ms = ? WHERE of_key = ? AND topic = ? AND number = ?`,
			by, untilMS, m.Key, m.Topic, m.Number); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanOutbox(scan func(...any) error) (OutboxMessage, error) {
	var m OutboxMessage
	err := scan(&m.Key, &m.Topic, &m.Number, &m.ID, &m.Body, &m.AtMS, &m.Attempts, &m.Error)
	return m, err
}

// DoneOutbox notes that a message was delivered by a process that still has it. One whose lease another has taken changes nothing: the message is
// delivered once more then, and the next of its key waits for that.
func (t *Tx) DoneOutbox(ctx context.Context, m OutboxMessage, by string, nowMS int64) error {
	_, err := t.exec(ctx, "outbox message done", `UPDATE outbox SET done_ms = ?, attempts = attempts + 1, error = '', lease_by = '', lease_ms = 0
		WHERE of_key = ? AND topic = ? AND number = ? AND lease_by = ? AND done_ms = 0`, nowMS, m.Key, m.Topic, m.Number, by)
	return err
}

// FailOutbox notes that a process could not deliver a message, and when to try it next. why is shown to operators.
func (t *Tx) FailOutbox(ctx context.Context, m OutboxMessage, by string, dueMS int64, why string) error {
	_, err := t.exec(ctx, "outbox message failed", `UPDATE outbox SET due_ms = ?, attempts = attempts + 1, error = ?, lease_by = '', lease_ms = 0
		WHERE of_key = ? AND topic = ? AND number = ? AND lease_by = ? AND done_ms = 0`, dueMS, why, m.Key, m.Topic, m.Number, by)
	return err
}

// PruneOutbox forgets messages that were delivered before a moment, at most limit, and says how many. An id that is forgotten may be added again.
func (t *Tx) PruneOutbox(ctx context.Context, beforeMS int64, limit int) (int, error) {
	var old []OutboxMessage
	err := t.rows(ctx, "old outbox messages", func(scan func(...any) error) error {
		var m OutboxMessage
		err := scan(&m.Key, &m.Topic, &m.Number)
		old = append(old, m)
		return err
	}, `SELECT of_key, topic, number FROM outbox WHERE done_ms > 0 AND done_ms < ? ORDER BY done_ms, of_key, topic, number LIMIT ?`, beforeMS, limit)
	if err != nil {
		return 0, err
	}
	for _, m := range old {
		if _, err := t.exec(ctx, "forget outbox message", `DELETE FROM outbox WHERE of_key = ? AND topic = ? AND number = ?`, m.Key, m.Topic, m.Number); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

// OutboxWaiting lists messages that are not delivered yet, the oldest first, at most limit.
func (t *Tx) OutboxWaiting(ctx context.Context, limit int) ([]OutboxMessage, error) {
	var out []OutboxMessage
	err := t.rows(ctx, "waiting outbox messages", func(scan func(...any) error) error {
		m, err := scanOutbox(scan)
		out = append(out, m)
		return err
	}, `SELECT of_key, topic, number, id, body, at_ms, attempts, error FROM outbox WHERE done_ms = 0 ORDER BY at_ms, of_key, topic, number LIMIT ?`, limit)
	return out, err
}
