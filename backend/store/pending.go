package store

import "context"

// CountPending counts the accepted records that are not posted, up to limit: beyond it the answer is limit.
func (t *Tx) CountPending(ctx context.Context, limit int) (int, error) {
	var n int
	_, err := t.one(ctx, "count pending", `SELECT COUNT(*) FROM (SELECT 1 AS one FROM record WHERE verdict IS NULL LIMIT ?) AS waiting`, []any{limit}, &n)
	return n, err
}
