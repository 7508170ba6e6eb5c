package store

import "context"

// CountPending counts the accepted records that are not posted, up to limit: beyond it the answer is limit.
func (t *Tx) CountPending(ctx context.Context, limit int) (int, error) {
	var n int
	_, err := t.one(ctx, "count pending", `SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT) FROM (SELECT records FROM record_waiting LIMIT ?) AS waiting`, []any{limit}, &n)
	return min(n, limit), err
}
