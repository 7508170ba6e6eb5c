package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
)

// TestIdentitySpendingAddsUp by day and process, and the budget is the last one.
func TestIdentitySpendingAddsUp(t *testing.T) {
	s, _ := fresh(t)
	one := store.IdentitySpending{Day: "2026-11-25", Process: "a", Calls: 3, Silent: 1, Saved: 2, Refused: 4, Matched: 1, Wrong: 1, Absent: 0, Spent: money.Minor(150), Budget: money.Minor(1000)}
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.AddIdentitySpending(ctx, one) })
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddIdentitySpending(ctx, store.IdentitySpending{Day: "2026-11-25", Process: "a", Calls: -1, Absent: 5, Spent: money.Minor(-50), Budget: money.Minor(900)})
	})
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddIdentitySpending(ctx, store.IdentitySpending{Day: "2026-11-24", Process: "b"})
	})
	one.Calls, one.Absent, one.Spent, one.Budget = 2, 5, money.Minor(100), money.Minor(900)
	var all []store.IdentitySpending
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.IdentitySpendings(t.Context(), "2026-11-25")
		return err
	}))
	require.Equal(t, []store.IdentitySpending{one}, all)
}

// TestRiskFindsByIndexes what it looks for again and again: never the payments of all days.
func TestRiskFindsByIndexes(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for index, query := range map[string]string{
			"gateway_payment_made":   `SELECT MAX(p.created_ms) FROM gateway_payment p WHERE p.created_ms >= 5 AND p.sent_ms > 0 AND NOT EXISTS (SELECT 1 FROM risk_decision d WHERE d.payment = p.number)`,
			"gateway_payment_paid":   `SELECT number FROM gateway_payment WHERE channel = 'a' AND paid_ms > 0 AND paid_ms >= 5 AND paid_ms < 9 ORDER BY number`,
			"gateway_operation_done": `SELECT number FROM gateway_operation WHERE channel = 'a' AND done_ms > 0 AND done_ms >= 5 AND done_ms < 9 ORDER BY number`,
			"gateway_order_payee":    `SELECT id FROM gateway_order WHERE payee = 'a' AND payee <> '' AND paid_ms > 0 AND paid_ms >= 5 ORDER BY id`,
		} {
			if pgtest.Postgres { // it chooses by what is in the table, and there is nothing: that the index is there must do
				query = `SELECT indexname FROM pg_indexes WHERE indexname = '` + index + `'`
			} else {
				query = `EXPLAIN QUERY PLAN ` + query
			}
			plan, err := tx.Table(ctx, query)
			require.NoError(t, err)
			require.Contains(t, strings.Join(plan, "\n"), index)
		}
		return nil
	})
}
