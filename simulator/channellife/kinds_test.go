package channellife_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/simulator/channellife"
)

// TestTheOrderOfKindsIsLearned: nobody tells the router the published figures, and it finds their order from what succeeds, whichever kind stands first.
func TestTheOrderOfKindsIsLearned(t *testing.T) {
	require.Equal(t, []channellife.Kind{{"net banking", 0.20}, {"UnionPay direct", 0.50}, {"bank direct", 0.70}}, channellife.Kinds)
	k := channellife.Kinds
	for seed := range uint64(20) {
		for _, order := range [][]channellife.Kind{{k[0], k[1], k[2]}, {k[2], k[1], k[0]}, {k[1], k[0], k[2]}} {
			got, err := channellife.LearnKinds(order, seed, 4000)
			require.NoError(t, err)
			share, learned := map[string]float64{}, map[string]float64{}
			for _, x := range got {
				share[x.Name], learned[x.Name] = x.Share, x.Learned
			}
			require.Greater(t, share["bank direct"], 0.9, "seed %d: %v", seed, got)
			require.Greater(t, learned["bank direct"], learned["UnionPay direct"])
			require.Greater(t, learned["bank direct"], learned["net banking"])
			require.InDelta(t, 0.7, learned["bank direct"], 0.1)
		}
	}
}
