package store

import "context"

// OutboxTopics lists the topics of a group, such as `channel.`, of which messages wait.
func (t *Tx) OutboxTopics(ctx context.Context, group string) ([]string, error) {
	var out []string
	err := t.rows(ctx, "waiting outbox topics", func(scan func(...any) error) error {
		var topic string
		err := scan(&topic)
		out = append(out, topic)
		return err
	}, `SELECT DISTINCT topic FROM outbox WHERE done_ms = 0 AND topic >= ? AND topic < ? ORDER BY topic`, group, group+"\x7f")
	return out, err
}

// GiveUpOutbox ends messages of a topic that happened before a moment and were never delivered, the oldest first, at most limit, and returns them. why is kept with each.
func (t *Tx) GiveUpOutbox(ctx context.Context, topic string, beforeMS, nowMS int64, why string, limit int) ([]OutboxMessage, error) {
	var out []OutboxMessage
	err := t.rows(ctx, "outbox messages that nobody takes", func(scan func(...any) error) error {
		m, err := scanOutbox(scan)
		out = append(out, m)
		return err
	}, `SELECT of_key, topic, number, id, body, at_ms, attempts, error FROM outbox WHERE done_ms = 0 AND topic = ? AND at_ms < ? AND lease_ms <= ? ORDER BY at_ms, of_key, number LIMIT ?`, topic, beforeMS, nowMS, limit)
	if err != nil {
		return nil, err
	}
	for _, m := range out {
		if _, err := t.exec(ctx, "give up outbox message", `UPDATE outbox SET done_ms = ?, error = ?, lease_by = '', lease_ms = 0 WHERE of_key = ? AND topic = ? AND number = ? AND done_ms = 0`,
			nowMS, why, m.Key, m.Topic, m.Number); err != nil {
			return nil, err
		}
	}
	return out, nil
}
