package node

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/sealed"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// TestRatesAreOfTheTermsAndTheDay: the app's terms name a rate for a channel and a product, and the day picks the term of it.
func TestRatesAreOfTheTermsAndTheDay(t *testing.T) {
	s, err := store.Open(t.Context(), pgtest.Store(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	box, err := sealed.New(make([]byte, 32))
	require.NoError(t, err)
	apps, err := app.New(s, app.Config{Box: box, Clock: clock.System{}})
	require.NoError(t, err)
	_, err = apps.Apply(t.Context(), "shop", app.Filing{Name: "shop"}, app.Terms{Channels: []app.ChannelTerms{
		{Channel: "w", Account: "1", Fee: "city-1", Products: []app.ProductTerms{{Product: channel.H5, Fee: "gone"}, {Product: channel.Code, Fee: "large-merchant"}, {Product: channel.NetBank, Fee: "small-merchant"}}}, {Channel: "a", Account: "2", BasisPoints: 60}}}, "ann", "papers")
	require.NoError(t, err)
	usual, dearer := fee.Percent("usual", "service", 6000), fee.Percent("dearer", "service", 7000)
	g := Gateway{Rates: []GatewayRate{{ID: "city-1", Refunds: giveBack, Schedule: fee.Schedule{Terms: []fee.Term{
		{From: "2026-01-01", Standards: []fee.Standard{usual}}, {From: "2026-12-01", Standards: []fee.Standard{dearer}}}}}}}
	for _, c := range []struct {
		app, account string
		product      channel.Product
		paid         calendar.Date
		want         gateway.Rate
		refused      bool
	}{
		{app: "shop", account: "w", product: channel.QR, paid: "2026-11-30", want: gateway.Rate{Name: "city-1", Since: "2026-01-01", Standards: []fee.Standard{usual}, GivesBack: true}},
		{app: "shop", account: "w", product: channel.QR, paid: "2026-12-01", want: gateway.Rate{Name: "city-1", Since: "2026-12-01", Standards: []fee.Standard{dearer}, GivesBack: true}},
		{app: "shop", account: "w", product: channel.QR, paid: "2025-12-31", refused: true},
		{app: "shop", account: "w", product: channel.H5, paid: "2026-12-01", refused: true},
		{app: "shop", account: "w", product: channel.Code, paid: "2026-12-01", want: gateway.Rate{Name: "large-merchant", Since: "2000-01-01", Standards: StandardRates[0].Terms[0].Standards}},
		{app: "shop", account: "w", product: channel.NetBank, paid: "2026-12-01", want: gateway.Rate{Name: "small-merchant", Since: "2000-01-01", Standards: StandardRates[1].Terms[0].Standards}},
		{app: "shop", account: "a", product: channel.QR, paid: "2026-12-01", want: gateway.Plain(6000)},
		{app: "nobody", account: "w", product: channel.QR, paid: "2026-12-01"},
	} {
		require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := g.rate(t.Context(), tx, gateway.Rated{App: c.app, Account: c.account, Product: c.product, Paid: c.paid})
			if c.refused {
				require.ErrorIs(t, err, gateway.ErrRate, c)
				return nil
			}
			require.Equal(t, c.want, got)
			return err
		}))
	}
}

// TestTheStandardRatesAreThePublishedOnes: 0.3 % and 0.6 %, and a rate of the scheme with the same id is in place of one.
func TestTheStandardRatesAreThePublishedOnes(t *testing.T) {
	got := map[string]int64{}
	for _, r := range StandardRates {
		g := Gateway{Rates: []GatewayRate{r}}
		g.checkRates(func(format string, args ...any) { require.Fail(t, format, args...) })
		got[r.ID] = r.Terms[0].Standards[0].Charges[0].PPM
	}
	require.Equal(t, map[string]int64{"large-merchant": 3000, "small-merchant": 6000}, got)

	s, err := store.Open(t.Context(), pgtest.Store(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	box, err := sealed.New(make([]byte, 32))
	require.NoError(t, err)
	apps, err := app.New(s, app.Config{Box: box, Clock: clock.System{}})
	require.NoError(t, err)
	_, err = apps.Apply(t.Context(), "shop", app.Filing{Name: "shop"}, app.Terms{Channels: []app.ChannelTerms{{Channel: "w", Account: "1", Fee: "large-merchant"}}}, "ann", "papers")
	require.NoError(t, err)
	mine := fee.Percent("mine", "service", 2500)
	g := Gateway{Rates: []GatewayRate{{ID: "large-merchant", Schedule: fee.Schedule{Terms: []fee.Term{{From: "2026-01-01", Standards: []fee.Standard{mine}}}}}}}
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		rate, err := g.rate(t.Context(), tx, gateway.Rated{App: "shop", Account: "w", Product: channel.QR, Paid: "2026-11-30"})
		require.Equal(t, []fee.Standard{mine}, rate.Standards)
		return err
	}))
}
