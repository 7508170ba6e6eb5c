package tcc

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
)

func amounts(minor ...int64) (out []money.Amount) {
	for _, m := range minor {
		out = append(out, money.Minor(m))
	}
	return out
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		left   []int64
		amount int64
		rule   Rule
		want   []int64
	}{
		{[]int64{100, 100}, 150, ByOrder, []int64{100, 50}},
		{[]int64{100, 100}, 150, ProRata, []int64{75, 75}},
		{[]int64{0, 100}, 1, ByOrder, []int64{0, 1}},
		{[]int64{1, 1, 1}, 2, ProRata, []int64{1, 1, 0}},
		{[]int64{200, 100}, 10, ProRata, []int64{7, 3}},
		{[]int64{5}, 5, ProRata, []int64{5}},
	} {
		got, err := Split(amounts(c.left...), money.Minor(c.amount), c.rule)
		require.NoError(t, err, c)
		require.Equal(t, amounts(c.want...), got, c)
	}
	for _, bad := range []int64{0, -1, 201} {
		_, err := Split(amounts(100, 100), money.Minor(bad), ByOrder)
		require.ErrorIs(t, err, ErrTooMuch)
	}
	_, err := Split(amounts(100), money.Minor(1), "by chance")
	require.ErrorContains(t, err, "no rule")
	_, err = Split(amounts(100, -1), money.Minor(1), ByOrder)
	require.ErrorIs(t, err, ErrTooMuch)
}

// TestSplitsAddUp: refunds of any sizes give back exactly what was paid, and of no instrument more, in money and in units.
func TestSplitsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		worth := rapid.SliceOfN(rapid.Int64Range(1, 1e12), 1, 5).Draw(t, "worth")
		rule := rapid.SampledFrom([]Rule{ByOrder, ProRata}).Draw(t, "rule")
		own := make([]money.Amount, len(worth))
		left, ownBack := amounts(worth...), make([]money.Amount, len(worth))
		for i := range own {
			own[i] = money.Minor(rapid.Int64Range(1, 1e6).Draw(t, "own"))
		}
		total, err := money.Sum(left...)
		require.NoError(t, err)
		for !total.IsZero() {
			amount := money.Minor(rapid.Int64Range(max(1, total.Minor()/5), total.Minor()).Draw(t, "amount"))
			part, err := Split(left, amount, rule)
			require.NoError(t, err)
			sum, err := money.Sum(part...)
			require.NoError(t, err)
			require.Equal(t, amount, sum)
			for i := range left {
				require.GreaterOrEqual(t, part[i].Sign(), 0)
				u, err := units(own[i], money.Minor(worth[i]), money.Minor(worth[i]-left[i].Minor()), part[i])
				require.NoError(t, err)
				ownBack[i], err = ownBack[i].Add(u)
				require.NoError(t, err)
				left[i], err = left[i].Sub(part[i])
				require.NoError(t, err)
				require.GreaterOrEqual(t, left[i].Sign(), 0)
				require.GreaterOrEqual(t, u.Sign(), 0)
			}
			total, err = total.Sub(amount)
			require.NoError(t, err)
		}
		require.Equal(t, own, ownBack)
	})
}
