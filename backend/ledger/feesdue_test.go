package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// What a merchant owes in fees is in its statement, on the day it became due and while it is owed.
func TestAStatementTellsWhatAMerchantOwesInFees(t *testing.T) {
	w := opened(t)
	sections := func(from, to string) []ledger.Section {
		var s ledger.Statement
		require.NoError(t, w.store.View(w.ctx, func(tx *store.Tx) (err error) {
			s, err = ledger.MerchantStatement(w.ctx, tx, "line1", from, to)
			return err
		}))
		return s.Sections[3:]
	}
	require.Empty(t, sections("2026-11-23", "2026-11-25"))
	w.moved("due", "settle-close", books.MerchantFeesDue("line1"), "fee:merchant:service", 530)
	require.Equal(t, []ledger.Section{{Account: "merchant:line1:fees-due", Closing: money.Minor(-530),
		Lines: []ledger.Line{{Day: "2026-11-24", What: "settle-close", Ref: "due", Amount: money.Minor(-530), Balance: money.Minor(-530)}}}}, sections("2026-11-23", "2026-11-25"))
	require.Len(t, sections("2026-11-25", "2026-11-25"), 1)
	require.Empty(t, sections("2026-11-22", "2026-11-23"))
}
