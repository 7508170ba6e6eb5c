package money_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
)

// minor draws any count of minor units, the ends of the range as often as small sums.
func minor() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000),
		rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1}))
}

// same wants got to be the exact result, or ErrOverflow when that does not fit an Amount.
func same(t *rapid.T, exact *big.Int, got money.Amount, err error) {
	if !exact.IsInt64() {
		require.ErrorIs(t, err, money.ErrOverflow, "%v", exact)
		require.Zero(t, got)
		return
	}
	require.NoError(t, err, "%v", exact)
	require.Equal(t, exact.Int64(), got.Minor())
}

func TestArithmeticIsThatOfTheIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := minor().Draw(t, "a"), minor().Draw(t, "b")
		x, y := big.NewInt(a), big.NewInt(b)
		sum, err := money.Minor(a).Add(money.Minor(b))
		same(t, new(big.Int).Add(x, y), sum, err)
		diff, err := money.Minor(a).Sub(money.Minor(b))
		same(t, new(big.Int).Sub(x, y), diff, err)
		neg, err := money.Minor(a).Neg()
		same(t, new(big.Int).Neg(x), neg, err)
		require.Equal(t, x.Cmp(y), money.Minor(a).Cmp(money.Minor(b)))
		require.Equal(t, x.Sign(), money.Minor(a).Sign())
		require.Equal(t, a == 0, money.Minor(a).IsZero())
	})
}

func TestSumStopsAtTheFirstOverflow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(minor(), 0, 6).Draw(t, "all")
		amounts, exact, fits := []money.Amount{}, new(big.Int), true
		for _, n := range all {
			amounts = append(amounts, money.Minor(n))
			exact.Add(exact, big.NewInt(n))
			fits = fits && exact.IsInt64()
		}
		got, err := money.Sum(amounts...)
		if !fits {
			require.ErrorIs(t, err, money.ErrOverflow)
			return
		}
		same(t, exact, got, err)
	})
}

// TestMulRatioRoundsHalfAwayFromZero compares with exact rationals: |a|·num/den, plus a half, cut.
func TestMulRatioRoundsHalfAwayFromZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := minor().Draw(t, "a")
		num := rapid.OneOf(rapid.Int64Min(0), rapid.Int64Range(0, 100)).Draw(t, "num")
		den := rapid.OneOf(rapid.Int64Min(1), rapid.Int64Range(1, 1000)).Draw(t, "den")
		exact := new(big.Int).Abs(big.NewInt(a))
		exact.Mul(exact, big.NewInt(num)).Lsh(exact, 1).Add(exact, big.NewInt(den))
		exact.Quo(exact, new(big.Int).Lsh(big.NewInt(den), 1))
		if a < 0 {
			exact.Neg(exact)
		}
		got, err := money.Minor(a).MulRatio(num, den)
		same(t, exact, got, err)
	})
}

func TestMulRatioByExample(t *testing.T) {
	cases := []struct{ a, num, den, want int64 }{
		{1000, 6, 1000, 6},
		{250, 38, 10000, 1}, // 0.95
		{1, 1, 2, 1},
		{-1, 1, 2, -1},
		{1, 1, 3, 0},
		{2, 1, 3, 1},
		{5, 0, 7, 0},
		{math.MinInt64, 1, 1, math.MinInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64},
	}
	for _, c := range cases {
		got, err := money.Minor(c.a).MulRatio(c.num, c.den)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Minor(), "%d × %d/%d", c.a, c.num, c.den)
	}
	for _, bad := range [][2]int64{{-1, 1}, {1, 0}, {1, -1}, {math.MinInt64, math.MinInt64}} {
		_, err := money.Minor(1).MulRatio(bad[0], bad[1])
		require.ErrorContains(t, err, "want num ≥ 0, den > 0")
	}
	_, err := money.Minor(math.MaxInt64).MulRatio(math.MaxInt64, 1)
	require.ErrorIs(t, err, money.ErrOverflow)
}

func TestWhatPrintsParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := money.Minor(minor().Draw(t, "a"))
		got, err := money.Parse(a.String())
		require.NoError(t, err)
		require.Equal(t, a, got)

		raw, err := json.Marshal(a)
		require.NoError(t, err)
		var back money.Amount
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, a, back)
	})
}

func TestStringAndParse(t *testing.T) {
	cases := []struct {
		text  string
		minor int64
		again string // what it prints as; empty: text
	}{
		{"0.00", 0, ""}, {"0.01", 1, ""}, {"-0.01", -1, ""}, {"12.05", 1205, ""}, {"-12.50", -1250, ""},
		{"12", 1200, "12.00"}, {"12.5", 1250, "12.50"}, {"-0", 0, "0.00"}, {"007.10", 710, "7.10"},
		{"92233720368547758.07", math.MaxInt64, ""}, {"-92233720368547758.08", math.MinInt64, ""},
	}
	for _, c := range cases {
		got, err := money.Parse(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.minor, got.Minor(), c.text)
		if c.again == "" {
			c.again = c.text
		}
		require.Equal(t, c.again, got.String())
		require.Equal(t, c.again, fmt.Sprint(got))
	}
}

func TestWhatIsNoAmount(t *testing.T) {
	for _, text := range []string{"", "-", ".", ".5", "5.", "1.234", "1.2.3", "1..", "+1", "--1", "1e2", " 1", "1 ", "1,00", "0x10", "１", "1_0", "NaN"} {
		_, err := money.Parse(text)
		require.ErrorContains(t, err, "is no amount", "%q", text)
	}
	for _, text := range []string{"92233720368547758.08", "-92233720368547758.09", "99999999999999999999", "100000000000000000000000000000000000000.00"} {
		_, err := money.Parse(text)
		require.ErrorIs(t, err, money.ErrOverflow, "%q", text)
	}
	var a money.Amount
	require.Error(t, json.Unmarshal([]byte(`12.50`), &a), "a JSON number has been a float somewhere")
	require.Error(t, json.Unmarshal([]byte(`"12.505"`), &a))
	require.Zero(t, a)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0.00", "-12.5", "92233720368547758.07", "-92233720368547758.08", "1.2.3", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := money.Parse(s)
		if err != nil {
			return
		}
		again, err := money.Parse(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
