package store

import (
	"context"
	"time"
)

// OutboxDone lists messages of a topic that were delivered at a time or later, in the order of delivery, at most limit. Done is when, to the millisecond. Messages are forgotten some days after
// their delivery ([Tx.PruneOutbox]).
func (t *Tx) OutboxDone(ctx context.Context, topic string, since time.Time, limit int) (all []OutboxMessage, done []time.Time, err error) {
	err = t.rows(ctx, "delivered outbox messages", func(scan func(...any) error) error {
		var m OutboxMessage
		var ms int64
		err := scan(&m.Key, &m.Number, &m.ID, &m.Body, &m.AtMS, &ms)
		m.Topic = topic
		all, done = append(all, m), append(done, time.UnixMilli(ms))
		return err
	}, `SELECT of_key, number, id, body, at_ms, done_ms FROM outbox WHERE done_ms > 0 AND done_ms >= ? AND topic = ? ORDER BY done_ms LIMIT ?`, max(since.UnixMilli(), 1), topic, limit)
	return all, done, err
}

// OutboxWaits counts messages of a topic that are not delivered, and says when the oldest happened; zero for none.
func (t *Tx) OutboxWaits(ctx context.Context, topic string) (n int64, oldest time.Time, err error) {
	var ms int64
	_, err = t.one(ctx, "outbox that waits", `SELECT COUNT(*), COALESCE(MIN(at_ms), 0) FROM outbox WHERE done_ms = 0 AND topic = ?`, []any{topic}, &n, &ms)
	return n, unstamp(ms), err
}

// OutboxDoneSince counts messages of a topic that were delivered after a time, and says when the first of them was; zero for none.
func (t *Tx) OutboxDoneSince(ctx context.Context, topic string, after time.Time) (n int64, first time.Time, err error) {
	var ms int64
	_, err = t.one(ctx, "outbox since", `SELECT COUNT(*), COALESCE(MIN(done_ms), 0) FROM outbox WHERE done_ms > 0 AND done_ms > ? AND topic = ?`, []any{max(after.UnixMilli(), 0), topic}, &n, &ms)
	return n, unstamp(ms), err
}
