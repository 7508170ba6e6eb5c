package store

import "context"

// ChannelJournal keeps what the adapter of one account at a payment channel must not forget. It is a channel.Journal: what Put has returned
// from is durable.
type ChannelJournal struct {
	store   *Store
	channel string
}

// ChannelJournal opens the journal of an account at a channel.
func (s *Store) ChannelJournal(account string) ChannelJournal { return ChannelJournal{s, account} }

// Put keeps a value, in place of an older one of that key.
func (j ChannelJournal) Put(ctx context.Context, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return j.store.Update(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, "put channel journal", `INSERT INTO channel_journal (channel, key, value) VALUES (?, ?, ?)
			ON CONFLICT (channel, key) DO UPDATE SET value = excluded.value`, j.channel, key, value)
		return err
	})
}

// Delete forgets a key. One that is not there is no error.
func (j ChannelJournal) Delete(ctx context.Context, key string) error {
	return j.store.Update(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, "delete channel journal", `DELETE FROM channel_journal WHERE channel = ? AND key = ?`, j.channel, key)
		return err
	})
}

// Each calls f with what is kept, by key. It is read first, so f may use the journal.
func (j ChannelJournal) Each(ctx context.Context, f func(key string, value []byte) error) error {
	type entry struct {
		key   string
		value []byte
	}
	var all []entry
	err := j.store.View(ctx, func(t *Tx) error {
		all = nil
		return t.rows(ctx, "channel journal", func(scan func(...any) error) error {
			var e entry
			if err := scan(&e.key, &e.value); err != nil {
				return err
			}
			all = append(all, e)
			return nil
		}, `SELECT key, value FROM channel_journal WHERE channel = ? ORDER BY key`, j.channel)
	})
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := f(e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}
