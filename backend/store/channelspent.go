package store

import (
	"context"
	"time"
)

// ChannelSpent is what an account has taken since a time, in minor units by bank ("" where none was named): all attempts but those whose money has certainly not moved.
func (t *Tx) ChannelSpent(ctx context.Context, account string, since time.Time) (map[string]int64, error) {
	out := map[string]int64{}
	err := t.rows(ctx, "channel spent", func(scan func(...any) error) error {
		var bank string
		var amount int64
		err := scan(&bank, &amount)
		out[bank] = amount
		return err
	}, `SELECT bank, SUM(amount) FROM gateway_payment WHERE channel = ? AND created_ms >= ? AND state NOT IN ('failed', 'closed', 'released') GROUP BY bank ORDER BY bank`, account, since.UnixMilli())
	return out, err
}
