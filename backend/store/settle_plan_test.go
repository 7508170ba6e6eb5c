package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/pgtest"
)

// TestRareItemsAreFoundByTheirIndexes: a close must not read the items of all days for the few that are suspect, or were quarantined.
func TestRareItemsAreFoundByTheirIndexes(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for index, query := range map[string]string{
			"settlement_item_suspect":     `SELECT i.card FROM settlement_item i WHERE i.class = 'suspect' AND i.day <= '2026-11-24'`,
			"settlement_item_quarantined": `SELECT terminal FROM settlement_item WHERE reason = 'quarantined' AND day < '2026-11-24'`,
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
