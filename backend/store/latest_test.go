package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// TestTheLatestTapsAreTheLastToArriveWhateverTheirDay: parties whose day ends early are in the next clearing day while others still post to this one.
func TestTheLatestTapsAreTheLastToArriveWhateverTheirDay(t *testing.T) {
	s, _ := fresh(t)
	latest := func(limit int) (seqs []uint64) {
		require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
			all, err := tx.LatestTaps(t.Context(), limit)
			for _, p := range all {
				seqs = append(seqs, p.Seq)
			}
			return err
		}))
		return seqs
	}
	require.Empty(t, latest(5))
	require.Empty(t, latest(0))
	const taps = 60
	var newestFirst []uint64
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		var group []store.Verified
		for seq := uint64(1); seq <= taps; seq++ {
			v := debit(seq, byte(1+seq%3), uint32(seq/3), 100, 0, "m")
			v.ReceivedMS = int64(1000 + seq)
			v.Day = fmt.Sprintf("2026-11-%02d", 10+seq/8+seq%3) // each card is of a party with an end of day of its own
			group, newestFirst = append(group, v), append(newestFirst, seq)
		}
		return tx.PostGroup(ctx, store.Group{Day: "2026-11-25", AtMS: 1, Token: func(n ids.CardNumber) string { return fmt.Sprintf("%x", n) }}, group)
	})
	slices.Reverse(newestFirst)
	for _, limit := range []int{1, 2, 5, 20, taps, taps + 1} {
		require.Equal(t, newestFirst[:min(limit, taps)], latest(limit))
	}
	lines := overview(t, s).Taps
	require.Len(t, lines, 20)
	for i, l := range lines {
		require.Equal(t, int64(newestFirst[i]), l.At.UnixMilli())
	}
}
