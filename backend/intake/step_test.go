package intake_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/intake"
	"github.com/purselane/purselane/backend/store"
)

// TestAGroupTakesOneDayFromAmongTwo: between two acquirers' cut-offs the days alternate, and groups must not shrink to single records.
func TestAGroupTakesOneDayFromAmongTwo(t *testing.T) {
	var all []store.Pending
	for seq := range uint64(10) {
		day := "2026-11-25"
		if seq%2 == 0 {
			day = "2026-11-24"
		}
		all = append(all, store.Pending{Terminal: "bus-1", Epoch: 1, Seq: seq + 1, Day: day})
	}
	got := intake.OneDay(all)
	require.Len(t, got, 5)
	for i, r := range got {
		require.Equal(t, "2026-11-24", r.Day)
		require.EqualValues(t, 2*i+1, r.Seq, "in the order they came")
	}
}
