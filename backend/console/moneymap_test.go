package console

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// ov makes an overview of these balances, debits positive, with cards whose rows sum to onCards.
func ov(t require.TestingT, onCards int64, balances map[books.Account]int64) store.Overview {
	out := store.Overview{OnCards: money.Minor(onCards)}
	for a, minor := range balances {
		class, err := books.ClassOf(a)
		require.NoError(t, err)
		out.Balances = append(out.Balances, books.Balance{Account: a, Class: class, Amount: money.Minor(minor)})
	}
	return out
}

func TestEachAccountStandsInItsTerm(t *testing.T) {
	figures := func(m MoneyMap) map[string]int64 {
		out := map[string]int64{}
		for name, a := range map[string]money.Amount{
			"on cards": m.OnCards, "in flight": m.InFlight, "funding": m.Funding, "trust": m.Trust, "receivables": m.Receivables, "payables": m.Payables,
			"left": m.Left, "right": m.Right, "off": m.Off, "cover": m.Cover, "sold loads": m.SoldLoads, "channels": m.Channels, "pending": m.Pending,
			"available": m.Available, "held": m.Held, "clearing": m.ClearingOwed, "clearing due": m.ClearingDue, "suspense": m.Suspense, "fees": m.FeesNet, "rounding": m.Rounding,
		} {
			if !a.IsZero() {
				out[name] = a.Minor()
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		onCards  int64
		balances map[books.Account]int64
		want     map[string]int64
	}{
		"nothing yet": {want: map[string]int64{}},
		"a load on a card, paid to the trust account": {
			onCards: 10_00, balances: map[books.Account]int64{books.Trust: 10_00, books.Float: -10_00},
			want: map[string]int64{"on cards": 10_00, "left": 10_00, "trust": 10_00, "cover": 10_00, "right": 10_00},
		},
		"a load paid to an agent and waiting": {
			balances: map[books.Account]int64{books.AcquirerSoldLoads("bus"): 7_00, books.Funding: -7_00},
			want:     map[string]int64{"funding": 7_00, "left": 7_00, "sold loads": 7_00, "receivables": 7_00, "cover": 7_00, "right": 7_00},
		},
		"a load paid online and in flight": {
			balances: map[books.Account]int64{books.Channel("qr"): 7_00, books.LoadInProgress: -7_00},
			want:     map[string]int64{"in flight": 7_00, "left": 7_00, "channels": 7_00, "receivables": 7_00, "cover": 7_00, "right": 7_00},
		},
		"a tap that a merchant has earned": {
			onCards: 8_00, balances: map[books.Account]int64{books.Trust: 10_00, books.Float: -8_00, books.MerchantPending("m"): -2_00},
			want: map[string]int64{"on cards": 8_00, "left": 8_00, "trust": 10_00, "cover": 10_00, "pending": 2_00, "payables": 2_00, "right": 8_00},
		},
		"an unknown tap moves nothing but what is held": {
			onCards: 10_00, balances: map[books.Account]int64{books.Trust: 10_00, books.Float: -10_00, books.SuspUnknown: 2_00, books.MerchantHeld("m"): -2_00},
			want: map[string]int64{"on cards": 10_00, "left": 10_00, "trust": 10_00, "cover": 10_00, "held": 2_00, "suspense": -2_00, "right": 10_00},
		},
		"a closed day: we owe one acquirer, another owes us, fees are ours": {
			balances: map[books.Account]int64{books.Trust: 10_00, books.AcquirerClearing("a"): -9_00, books.AcquirerClearing("b"): 1_00,
				"fee:merchant:service": -3_00, books.FeeChannel: 50, books.Rounding: -1, books.MerchantAvailable("m"): 51},
			want: map[string]int64{"trust": 10_00, "cover": 11_00, "clearing": 9_00, "clearing due": 1_00, "receivables": 1_00, "fees": 2_50,
				"rounding": 1, "available": -51, "payables": 11_00},
		},
		"card rows that have left the books": {
			onCards: 11_00, balances: map[books.Account]int64{books.Trust: 10_00, books.Float: -10_00},
			want: map[string]int64{"on cards": 11_00, "left": 11_00, "trust": 10_00, "cover": 10_00, "right": 10_00, "off": 1_00},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := moneyMap(ov(t, c.onCards, c.balances))
			require.NoError(t, err)
			require.Equal(t, c.want, figures(m))
			require.Equal(t, c.want["off"] == 0, m.Balanced())
		})
	}
}

func TestSuspenseIsShownByItsParts(t *testing.T) {
	m, err := moneyMap(ov(t, 0, map[books.Account]int64{books.SuspUnknown: 2_00, books.SuspClone: 3_00, books.MerchantHeld("m"): -5_00}))
	require.NoError(t, err)
	require.ElementsMatch(t, []Part{{"unknown", money.Minor(-2_00)}, {"clone", money.Minor(-3_00)}}, m.SuspenseParts)
	require.Equal(t, "-5.00", m.Suspense.String())
}

func TestASumOutOfRangeIsAnError(t *testing.T) {
	for name, o := range map[string]store.Overview{
		"two terms":    ov(t, math.MaxInt64, map[books.Account]int64{books.Funding: -1}),
		"one term":     ov(t, 0, map[books.Account]int64{books.MerchantPending("a"): -math.MaxInt64, books.MerchantPending("b"): -1}),
		"no negation":  ov(t, 0, map[books.Account]int64{books.Funding: math.MinInt64}),
		"difference":   ov(t, math.MaxInt64, map[books.Account]int64{books.Trust: -2}),
		"on each side": ov(t, math.MaxInt64, map[books.Account]int64{books.Trust: math.MaxInt64, books.Channel("c"): 1, books.Funding: -1}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := moneyMap(o)
			require.ErrorIs(t, err, money.ErrOverflow)
		})
	}
}

// accounts are one of every kind that the chart of accounts knows, and some with awkward names.
var accounts = []books.Account{
	books.Float, books.LoadInProgress, books.Funding, books.Trust, books.FeeMerchant, books.FeeChannel, "fee:merchant:service", "fee:later", books.Rounding,
	books.SuspUnknown, books.SuspClone, books.SuspBadTAC, "suspense:later", books.MerchantPending("a"), books.MerchantPending("b"), books.MerchantAvailable("a"),
	books.MerchantHeld("a"), books.AcquirerClearing("a"), books.AcquirerSoldLoads("a"), books.Channel("qr"), books.Channel("pending"), books.MerchantPending("trust"),
}

func TestTheIdentityHoldsForAnyBalancedBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		balances := map[books.Account]int64{}
		for range rapid.IntRange(0, 40).Draw(t, "entries") {
			from, to := rapid.SampledFrom(accounts).Draw(t, "from"), rapid.SampledFrom(accounts).Draw(t, "to")
			amount := rapid.Int64Range(-1_000_000_00, 1_000_000_00).Draw(t, "amount")
			balances[from] -= amount
			balances[to] += amount
		}
		m, err := moneyMap(ov(t, -balances[books.Float], balances))
		require.NoError(t, err)
		require.True(t, m.Balanced(), "off by %v with %v", m.Off, balances)
		require.Equal(t, m.Left, m.Right)

		// Whatever one account or the card rows are off by, the equation is off by.
		by := rapid.Int64Range(1, 1_000_000_00).Draw(t, "by")
		if rapid.Bool().Draw(t, "in the card rows") {
			m, err = moneyMap(ov(t, by-balances[books.Float], balances))
		} else {
			was := -balances[books.Float]
			balances[rapid.SampledFrom(accounts[1:]).Draw(t, "account")] += by
			m, err = moneyMap(ov(t, was, balances))
		}
		require.NoError(t, err)
		require.False(t, m.Balanced())
		off := m.Off.Minor()
		require.Equal(t, by, max(off, -off))
	})
}

func TestMoneyIsShownForPeople(t *testing.T) {
	for minor, want := range map[int64]string{
		0: "0.00", 5: "0.05", -5: "−0.05", 100: "1.00", 999_99: "999.99", 1000_00: "1,000.00", -1000_00: "−1,000.00", 999_999_99: "999,999.99",
		1_234_567_89: "1,234,567.89", math.MaxInt64: "92,233,720,368,547,758.07", math.MinInt64: "−92,233,720,368,547,758.08",
	} {
		require.Equal(t, want, showMoney(money.Minor(minor)))
	}
}

func TestCountsAreShownForPeople(t *testing.T) {
	require.Equal(t, []string{"0", "12", "999", "1,284", "1,000,000"}, []string{showCount(0), showCount(int64(12)), showCount(999), showCount(1284), showCount(int64(1_000_000))})
}
