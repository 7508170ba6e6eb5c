package netting_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/fee"
	"github.com/purselane/purselane/shadowaccount/netting"
)

func amt(s string) money.Amount {
	a, err := money.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// The worked example: a bus that is owed money, a metro that sold more loads than it earned, a channel that keeps its fee.
func TestTheWorkedExample(t *testing.T) {
	half := fee.Percent("merchants", "service", 5_000)
	channel := fee.Percent("channel", "channel", 6_000)
	feeOn := func(s fee.Standard, gross string) money.Amount {
		q, err := s.Quote(fee.Basis{Gross: amt(gross), Count: 1})
		require.NoError(t, err)
		return q.Total
	}
	r, err := netting.Net(
		[]netting.Acquirer{
			{ID: "metro", Accepted: amt("2000.00"), Fees: feeOn(half, "2000.00"), SoldLoads: amt("2500.00")},
			{ID: "bus", Accepted: amt("1000.00"), Fees: feeOn(half, "1000.00"), SoldLoads: amt("300.00")},
		},
		[]netting.Channel{{ID: "online", Collected: amt("400.00"), Fee: feeOn(channel, "400.00"), BorneBy: netting.Issuer}},
	)
	require.NoError(t, err)
	require.Equal(t, []netting.Position{
		{Kind: netting.KindAcquirer, Party: "bus", Net: amt("695.00")},
		{Kind: netting.KindAcquirer, Party: "metro", Net: amt("-510.00")},
		{Kind: netting.KindChannel, Party: "online", Net: amt("-397.60")},
	}, r.Positions)
	require.Equal(t, amt("3200.00"), r.Loads)
	require.Equal(t, amt("3000.00"), r.Use)
	require.Equal(t, amt("200.00"), r.Float)
	require.Equal(t, amt("15.00"), r.MerchantFees)
	require.Equal(t, amt("2.40"), r.ChannelFees)
	require.Equal(t, amt("212.60"), r.Trust)
	identity, err := r.Identity()
	require.NoError(t, err)
	require.Equal(t, amt("212.60"), identity, "200.00 float + 15.00 merchant fees − 2.40 channel fee")
}

func TestAHolderWhoPaysTheChannelsFeeLeavesTheIssuerWhole(t *testing.T) {
	r, err := netting.Net(nil, []netting.Channel{{ID: "online", Collected: amt("400.00"), Fee: amt("2.40"), BorneBy: netting.Payer}})
	require.NoError(t, err)
	require.Equal(t, amt("-400.00"), r.Positions[0].Net)
	require.True(t, r.ChannelFees.IsZero())
}

func TestNetRefuses(t *testing.T) {
	most := money.Minor(math.MaxInt64)
	for _, tc := range []struct {
		name      string
		acquirers []netting.Acquirer
		channels  []netting.Channel
		want      string
	}{
		{"a party named twice", []netting.Acquirer{{ID: "bus"}, {ID: "bus"}}, nil, "twice"},
		{"a channel whose fee nobody bears", nil, []netting.Channel{{ID: "online"}}, "borne by"},
		{"sums too large to add", []netting.Acquirer{{ID: "bus", Accepted: most, Adjustments: most}}, nil, "out of range"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := netting.Net(tc.acquirers, tc.channels)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestProveFindsOneWrongSum(t *testing.T) {
	day := func() netting.Result {
		r, err := netting.Net([]netting.Acquirer{{ID: "bus", Accepted: amt("10.00"), Fees: amt("0.05"), SoldLoads: amt("3.00")}}, nil)
		require.NoError(t, err)
		return r
	}
	cent := money.Minor(1)
	for name, spoil := range map[string]func(*netting.Result){
		"a position":   func(r *netting.Result) { r.Positions[0].Net, _ = r.Positions[0].Net.Add(cent) },
		"the trust":    func(r *netting.Result) { r.Trust, _ = r.Trust.Add(cent) },
		"the float":    func(r *netting.Result) { r.Float, _ = r.Float.Add(cent) },
		"the fees":     func(r *netting.Result) { r.MerchantFees, _ = r.MerchantFees.Add(cent) },
		"channel fees": func(r *netting.Result) { r.ChannelFees, _ = r.ChannelFees.Add(cent) },
	} {
		r := day()
		require.NoError(t, r.Prove())
		spoil(&r)
		require.ErrorIs(t, r.Prove(), netting.ErrNotProved, name)
	}
}

func TestMerchantsAreTheirAcquirersDay(t *testing.T) {
	bus := netting.Acquirer{ID: "bus", Accepted: amt("30.00"), Adjustments: amt("-1.00"), Fees: amt("0.15"), SoldLoads: amt("8.00"), Merchants: []netting.Merchant{
		{ID: "south", Accepted: amt("10.00"), Adjustments: amt("-1.00"), Fees: amt("0.05")},
		{ID: "north", Accepted: amt("20.00"), Fees: amt("0.10")},
	}}
	r, err := netting.Net([]netting.Acquirer{bus, {ID: "metro", Accepted: amt("1.00")}}, nil)
	require.NoError(t, err)
	require.Equal(t, []netting.MerchantPosition{{Acquirer: "bus", Merchant: "north", Net: amt("19.90")}, {Acquirer: "bus", Merchant: "south", Net: amt("8.95")}}, r.Merchants)
	require.Equal(t, amt("20.85"), r.Positions[0].Net, "19.90 + 8.95 − 8.00")

	for name, spoil := range map[string]func(*netting.Merchant){
		"accepted":    func(m *netting.Merchant) { m.Accepted = amt("9.99") },
		"adjustments": func(m *netting.Merchant) { m.Adjustments = amt("0.00") },
		"fees":        func(m *netting.Merchant) { m.Fees = amt("0.06") },
	} {
		wrong := bus
		wrong.Merchants = append([]netting.Merchant(nil), bus.Merchants...)
		spoil(&wrong.Merchants[0])
		_, err := netting.Net([]netting.Acquirer{wrong}, nil)
		require.ErrorIs(t, err, netting.ErrNotProved, name)
	}
	bus.Merchants[1].ID = "south"
	_, err = netting.Net([]netting.Acquirer{bus}, nil)
	require.ErrorContains(t, err, "twice")
}

func TestAnyDaySumsToZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Int64Range(-1_000_000_000, 1_000_000_000)
		draw := func(what string) money.Amount { return money.Minor(sum.Draw(t, what)) }
		var acquirers []netting.Acquirer
		for i := range rapid.IntRange(0, 6).Draw(t, "acquirers") {
			acquirers = append(acquirers, netting.Acquirer{ID: ids.AcquirerID("a" + strconv.Itoa(i)), Accepted: draw("accepted"),
				Adjustments: draw("adjustments"), Fees: draw("fees"), SoldLoads: draw("sold loads")})
		}
		var channels []netting.Channel
		for i := range rapid.IntRange(0, 4).Draw(t, "channels") {
			channels = append(channels, netting.Channel{ID: "c" + strconv.Itoa(i), Collected: draw("collected"), Fee: draw("fee"),
				BorneBy: rapid.SampledFrom([]netting.Bearer{netting.Issuer, netting.Payer}).Draw(t, "bearer")})
		}
		r, err := netting.Net(acquirers, channels)
		require.NoError(t, err)
		zero, err := r.ZeroSum()
		require.NoError(t, err)
		require.True(t, zero.IsZero())
		require.Len(t, r.Positions, len(acquirers)+len(channels))

		// The order in which parties are told makes no difference.
		shuffledA, shuffledC := rapid.Permutation(acquirers).Draw(t, "order"), rapid.Permutation(channels).Draw(t, "order")
		again, err := netting.Net(shuffledA, shuffledC)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
