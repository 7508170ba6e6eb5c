package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

// TestWhatOperatorsWatchIsFoundByIndexes: a page that is looked at must not read the orders of all years.
func TestWhatOperatorsWatchIsFoundByIndexes(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for index, query := range map[string]string{
			"gateway_order_made":    `SELECT merchant, COUNT(*) FROM gateway_order WHERE app = 'a' AND created_ms >= 1 AND created_ms < 2 GROUP BY merchant`,
			"gateway_order_idem":    `SELECT app FROM gateway_order WHERE app > 'a' ORDER BY app LIMIT 1`,
			"gateway_payment_day":   `SELECT o.app, COUNT(*) FROM gateway_payment p JOIN gateway_order o ON o.id = p.order_id WHERE p.channel = 'c' AND p.created_ms >= 1 AND p.created_ms < 2 GROUP BY o.app`,
			"gateway_payment_ask":   `SELECT COUNT(*) FROM gateway_payment WHERE slice >= 0 AND ask_ms > 0 AND expires_ms < 1`,
			"gateway_operation_ask": `SELECT COUNT(*) FROM gateway_operation WHERE slice >= 0 AND ask_ms > 0 AND created_ms < 1`,
			"risk_decision_at":      `SELECT o.app, COUNT(*) FROM risk_decision r JOIN gateway_order o ON o.id = r.order_id WHERE r.at_ms >= 1 AND r.at_ms < 2 AND r.outcome = 3 GROUP BY o.app`,
			"load_order_created":    `SELECT COUNT(*) FROM load_order WHERE created_ms >= 1 AND created_ms < 2`,
			"load_order_state":      `SELECT COUNT(*) FROM load_order WHERE state IN ('in_progress', 'uncertain') AND changed_ms < 1`,
			"outbox_done":           `SELECT of_key FROM outbox WHERE done_ms > 0 AND done_ms >= 5 AND topic = 'caller' ORDER BY done_ms LIMIT 10`,
			"outbox_due":            `SELECT COUNT(*), COALESCE(MIN(at_ms), 0) FROM outbox WHERE done_ms = 0 AND topic = 'caller'`,
			"bank_entry_unmatched":  `SELECT COUNT(*), SUM(ABS(unmatched)) FROM bank_entry WHERE unmatched <> 0`,
		} {
			if pgtest.Postgres { // it chooses by what is in the table, and there is nothing: that the index is there must do
				query = `SELECT indexname FROM pg_indexes WHERE indexname = '` + index + `'`
			} else {
				query = `EXPLAIN QUERY PLAN ` + query
			}
			plan, err := tx.Table(ctx, query)
			require.NoError(t, err)
			all := strings.Join(plan, "\n")
			if index == "gateway_order_idem" && !strings.Contains(all, index) {
				index = "gateway_order_made" // either begins with the app
			}
			require.Contains(t, all, index)
			for _, line := range plan {
				require.False(t, strings.Contains(line, "SCAN") && !strings.Contains(line, "USING"), "%s\n%s", query, all)
			}
		}
		return nil
	})
}
