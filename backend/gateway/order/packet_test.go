package order_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/internal/money"
)

// TestSharesAreTheWhole: however an amount is shared, there are as many shares as were asked for, none is empty, and together they are the amount.
func TestSharesAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, order.MaxShares).Draw(t, "shares")
		total := rapid.OneOf(rapid.Int64Range(int64(n), int64(n)+3), rapid.Int64Range(int64(n), 5_000_000)).Draw(t, "total")
		seed := rapid.Uint64().Draw(t, "seed")
		lucky := func() []money.Amount {
			all, err := order.Lucky(money.Minor(total), n, rand.New(rand.NewPCG(seed, 1)))
			require.NoError(t, err)
			return all
		}
		even, err := order.Even(money.Minor(total), n)
		require.NoError(t, err)
		require.LessOrEqual(t, even[0].Minor()-even[n-1].Minor(), int64(1))
		for _, all := range [][]money.Amount{even, lucky()} {
			require.Len(t, all, n)
			for _, a := range all {
				require.Positive(t, a.Sign())
			}
			sum, err := money.Sum(all...)
			require.NoError(t, err)
			require.Equal(t, total, sum.Minor())
		}
		require.Equal(t, lucky(), lucky())
	})
}

// TestLuckIsFair: over many packets the first share is worth as much as the last, and not every packet is the same.
func TestLuckIsFair(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	var first, last int64
	seen := map[money.Amount]bool{}
	const packets = 20_000
	for range packets {
		all, err := order.Lucky(money.Minor(10_000), 10, chance)
		require.NoError(t, err)
		first, last, seen[all[0]] = first+all[0].Minor(), last+all[9].Minor(), true
	}
	require.InDelta(t, 1000, float64(first)/packets, 30)
	require.InDelta(t, 1000, float64(last)/packets, 30)
	require.Greater(t, len(seen), 1000)
}

func TestWhatCannotBeShared(t *testing.T) {
	for _, c := range []struct {
		minor int64
		n     int
	}{{100, 0}, {100, -1}, {1_000_000, order.MaxShares + 1}, {4, 5}, {0, 1}, {-10, 1}} {
		_, err := order.Even(money.Minor(c.minor), c.n)
		require.ErrorIs(t, err, order.ErrShares)
		_, err = order.Lucky(money.Minor(c.minor), c.n, rand.New(rand.NewPCG(1, 2)))
		require.ErrorIs(t, err, order.ErrShares)
	}
}
