package netting_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/netting"
)

func owe(from, to, amount string) netting.Obligation {
	return netting.Obligation{From: from, To: to, Amount: amt(amount)}
}

func has(party, net string) netting.Balance { return netting.Balance{Party: party, Net: amt(net)} }

// The worked example, paid: through the trust account, and between the parties, which needs one payment less.
func TestTheWorkedExampleIsPaid(t *testing.T) {
	r, err := netting.Net(
		[]netting.Acquirer{
			{ID: "bus", Accepted: amt("1000.00"), Fees: amt("5.00"), SoldLoads: amt("300.00")},
			{ID: "metro", Accepted: amt("2000.00"), Fees: amt("10.00"), SoldLoads: amt("2500.00")},
		},
		[]netting.Channel{{ID: "online", Collected: amt("400.00"), Fee: amt("2.40"), BorneBy: netting.Issuer}})
	require.NoError(t, err)
	paid, err := r.Payments("trust")
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{owe("acquirer:metro", "trust", "510.00"), owe("channel:online", "trust", "397.60"), owe("trust", "acquirer:bus", "695.00")}, paid)

	direct, err := netting.Instruct(r.Balances("trust"))
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{
		owe("acquirer:metro", "acquirer:bus", "510.00"), owe("channel:online", "acquirer:bus", "185.00"), owe("channel:online", "trust", "212.60"),
	}, direct)
}

func TestBilateralAndMultilateral(t *testing.T) {
	day := []netting.Obligation{
		owe("bus", "metro", "100.00"), owe("metro", "bus", "30.00"), owe("metro", "ferry", "70.00"), owe("ferry", "bus", "70.00"), owe("bus", "metro", "5.00"), owe("tram", "ferry", "0.00"),
	}
	two, err := netting.Bilateral(day)
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{owe("bus", "metro", "75.00"), owe("ferry", "bus", "70.00"), owe("metro", "ferry", "70.00")}, two)

	all, err := netting.Multilateral(day)
	require.NoError(t, err)
	require.Equal(t, []netting.Balance{has("bus", "-5.00"), has("ferry", "0.00"), has("metro", "5.00"), has("tram", "0.00")}, all)

	paid, err := netting.Instruct(all)
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{owe("bus", "metro", "5.00")}, paid, "a ring of debts is nearly nothing")
}

func TestFewestPayments(t *testing.T) {
	paid, err := netting.Instruct([]netting.Balance{
		has("a", "7.00"), has("b", "5.00"), has("c", "-7.00"), has("d", "-3.00"), has("e", "3.00"), has("f", "-5.00"), has("g", "0.00"),
	})
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{owe("c", "a", "7.00"), owe("d", "e", "3.00"), owe("f", "b", "5.00")}, paid)

	// {9, −4, −5} and {8, −6, −2}. The largest debtor paying the largest creditor each time would take five.
	paid, err = netting.Instruct([]netting.Balance{has("a", "9.00"), has("b", "8.00"), has("c", "-6.00"), has("d", "-5.00"), has("e", "-4.00"), has("f", "-2.00")})
	require.NoError(t, err)
	require.Equal(t, []netting.Obligation{owe("c", "b", "6.00"), owe("d", "a", "5.00"), owe("e", "a", "4.00"), owe("f", "b", "2.00")}, paid)
}

func TestWhatIsNotNetted(t *testing.T) {
	most := money.Minor(math.MaxInt64)
	for name, all := range map[string][]netting.Obligation{
		"a debt to oneself": {owe("a", "a", "1.00")},
		"nobody":            {owe("", "a", "1.00")},
		"less than nothing": {owe("a", "b", "-1.00")},
	} {
		_, err := netting.Bilateral(all)
		require.ErrorIs(t, err, netting.ErrObligation, name)
		_, err = netting.Multilateral(all)
		require.ErrorIs(t, err, netting.ErrObligation, name)
	}
	huge := []netting.Obligation{{From: "a", To: "b", Amount: most}, {From: "a", To: "b", Amount: most}}
	_, err := netting.Bilateral(huge)
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = netting.Multilateral(huge)
	require.ErrorIs(t, err, money.ErrOverflow)

	_, err = netting.Instruct([]netting.Balance{has("a", "1.00"), has("b", "-0.99")})
	require.ErrorIs(t, err, netting.ErrUnbalanced)
	_, err = netting.Instruct([]netting.Balance{has("a", "1.00"), has("a", "-1.00")})
	require.ErrorContains(t, err, "twice")
	_, err = netting.ThroughHub("trust", []netting.Balance{has("trust", "1.00")})
	require.ErrorContains(t, err, "hub")

	// Sums that wrap to zero are no groups: a to d are 2^64, and only all eight together are even.
	var wrap []netting.Balance
	for i, n := range []int64{1 << 62, 1 << 62, 1 << 62, 1 << 62, -1<<62 - 1, -1<<62 - 2, -1<<62 - 3, -1<<62 + 6} {
		wrap = append(wrap, netting.Balance{Party: "p" + strconv.Itoa(i), Net: money.Minor(n)})
	}
	paid, err := netting.Instruct(wrap)
	require.NoError(t, err)
	for party, left := range apply(t, wrap, paid) {
		require.Zero(t, left, party)
	}
}

// apply pays and returns what each party then has.
func apply(t require.TestingT, balances []netting.Balance, paid []netting.Obligation) map[string]int64 {
	left := map[string]int64{}
	for _, b := range balances {
		left[b.Party] = b.Net.Minor()
	}
	for _, p := range paid {
		require.Positive(t, p.Amount.Minor())
		left[p.From] += p.Amount.Minor()
		left[p.To] -= p.Amount.Minor()
	}
	return left
}

// fewest is the reference: as many even groups as any way of cutting finds, tried one party after the other.
func fewest(nets []int64) int {
	parties := 0
	for _, n := range nets {
		if n != 0 {
			parties++
		}
	}
	best := 0
	var cut func(i int, sums []int64)
	cut = func(i int, sums []int64) {
		if i == len(nets) {
			for _, s := range sums {
				if s != 0 {
					return
				}
			}
			best = max(best, len(sums))
			return
		}
		if nets[i] == 0 {
			cut(i+1, sums)
			return
		}
		for k := range sums {
			sums[k] += nets[i]
			cut(i+1, sums)
			sums[k] -= nets[i]
		}
		cut(i+1, append(sums[:len(sums):len(sums)], nets[i]))
	}
	cut(0, nil)
	return parties - best
}

func genBalances(t *rapid.T, most int) []netting.Balance {
	var out []netting.Balance
	var total int64
	for i := range rapid.IntRange(0, most).Draw(t, "parties") {
		n := rapid.Int64Range(-6, 6).Draw(t, "net")
		out = append(out, netting.Balance{Party: "p" + strconv.Itoa(i), Net: money.Minor(n)})
		total += n
	}
	return append(out, netting.Balance{Party: "last", Net: money.Minor(-total)})
}

func TestInstructionsSettleEverybodyWithTheFewestPayments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := genBalances(t, 7)
		paid, err := netting.Instruct(all)
		require.NoError(t, err)
		for party, left := range apply(t, all, paid) {
			require.Zero(t, left, party)
		}
		var nets []int64
		sign := map[string]int{}
		for _, b := range all {
			nets = append(nets, b.Net.Minor())
			sign[b.Party] = b.Net.Sign()
		}
		require.Len(t, paid, fewest(nets))
		for _, p := range paid {
			require.Equal(t, []int{-1, 1}, []int{sign[p.From], sign[p.To]}, "who owes pays, who is owed gets")
		}
		again, err := netting.Instruct(rapid.Permutation(all).Draw(t, "order"))
		require.NoError(t, err)
		require.Equal(t, paid, again, "the order of the parties makes no difference")
	})
}

func TestManyPartiesSettleInFewerPaymentsThanTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := genBalances(t, 60)
		open := 0
		for _, b := range all {
			if !b.Net.IsZero() {
				open++
			}
		}
		paid, err := netting.Instruct(all)
		require.NoError(t, err)
		require.LessOrEqual(t, len(paid), max(0, open-1))
		for party, left := range apply(t, all, paid) {
			require.Zero(t, left, party)
		}
		hub, err := netting.ThroughHub("hub", all)
		require.NoError(t, err)
		require.Len(t, hub, open)
		for party, left := range apply(t, all, hub) {
			require.Zero(t, left, fmt.Sprint(party, " after the hub"))
		}
	})
}

// Netting changes who pays whom and how much in all, and leaves every party with the same.
func TestNettingLeavesEveryPartyWithTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []netting.Obligation
		for range rapid.IntRange(0, 30).Draw(t, "debts") {
			from := rapid.IntRange(0, 5).Draw(t, "from")
			to := (from + rapid.IntRange(1, 5).Draw(t, "to")) % 6
			all = append(all, netting.Obligation{From: "p" + strconv.Itoa(from), To: "p" + strconv.Itoa(to), Amount: money.Minor(rapid.Int64Range(0, 1000).Draw(t, "amount"))})
		}
		gross, err := netting.Multilateral(all)
		require.NoError(t, err)
		var total int64
		for _, b := range gross {
			total += b.Net.Minor()
		}
		require.Zero(t, total)

		two, err := netting.Bilateral(all)
		require.NoError(t, err)
		pairs := map[[2]string]bool{}
		for _, o := range two {
			require.False(t, pairs[[2]string{o.From, o.To}] || pairs[[2]string{o.To, o.From}], "one a pair")
			pairs[[2]string{o.From, o.To}] = true
		}
		for party, left := range apply(t, gross, two) {
			require.Zero(t, left, party)
		}
		again, err := netting.Bilateral(rapid.Permutation(all).Draw(t, "order"))
		require.NoError(t, err)
		require.Equal(t, two, again)
	})
}
