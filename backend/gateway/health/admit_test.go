package health_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
)

// TestAShareIsTheSmallestOfWhatACardBelongsTo: a bank that is out is out for each kind of its cards, also where a call did not know the kind.
func TestAShareIsTheSmallestOfWhatACardBelongsTo(t *testing.T) {
	whole, bank := health.Cell{Channel: "a"}, health.Cell{Channel: "a", Bank: "icbc"}
	debit, credit := bank, bank
	debit.Card, credit.Card = "debit", "credit"
	for _, c := range []struct {
		shares map[health.Cell]float64
		want   [4]float64 // whole, bank, debit, credit
	}{
		{nil, [4]float64{1, 1, 1, 1}},
		{map[health.Cell]float64{bank: 0}, [4]float64{1, 0, 0, 0}},
		{map[health.Cell]float64{debit: 0.25}, [4]float64{1, 1, 0.25, 1}},
		{map[health.Cell]float64{whole: 0.5, bank: 0.75, debit: 0.25}, [4]float64{0.5, 0.5, 0.25, 0.5}},
	} {
		for i, cell := range []health.Cell{whole, bank, debit, credit} {
			require.Equal(t, c.want[i], health.ShareOf(c.shares, cell), "%v %v", c.shares, cell)
		}
	}
}
