package topup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/money"
)

func TestALoadThatIsPaidOnlineIsTheGateways(t *testing.T) {
	d := start(t)
	cfg := d.config()
	cfg.Online = "online"
	s, err := topup.New(d.store, d.hsm, d.clock, cfg)
	require.NoError(t, err)
	paid := func(minor int64) error {
		return d.store.Update(t.Context(), func(tx *store.Tx) error { return s.PaidOnline(t.Context(), tx, "O1", money.Minor(minor)) })
	}
	back := func(minor int64) error {
		return d.store.Update(t.Context(), func(tx *store.Tx) error { return s.GiveBackOnline(t.Context(), tx, "O1", money.Minor(minor)) })
	}
	require.ErrorIs(t, back(1000), topup.ErrUnknownOrder)
	require.NoError(t, paid(1000))
	require.NoError(t, paid(1000))
	require.ErrorIs(t, paid(1001), topup.ErrConflict)
	id := topup.OnlineOrder("online", "O1")
	o, err := s.Order(t.Context(), "", id)
	require.NoError(t, err)
	require.Equal(t, topup.Paid, o.State)
	require.Equal(t, "10.00", o.Amount.String())

	_, err = s.Refund(t.Context(), "", id)
	require.ErrorIs(t, err, topup.ErrOnline)
	_, err = s.CreateOrder(t.Context(), "online", topup.CreateOrder{IdempotencyKey: "k", Amount: money.Minor(100)})
	require.ErrorIs(t, err, topup.ErrOnline)
	require.ErrorIs(t, back(400), topup.ErrAmount)
	require.NoError(t, back(1000))
	require.ErrorIs(t, back(1000), topup.ErrState)
	o, err = s.Order(t.Context(), "", id)
	require.NoError(t, err)
	require.Equal(t, topup.Refunded, o.State)
}

func TestAmountsThatAreNoLoadAreKnownBeforeTheyArePaid(t *testing.T) {
	d := start(t)
	cfg := d.config()
	cfg.MaxAmount, cfg.MaxBalance = money.Minor(500_00), money.Minor(1000_00)
	s, err := topup.New(d.store, d.hsm, d.clock, cfg)
	require.NoError(t, err)
	for _, c := range []struct {
		minor int64
		may   bool
	}{{-1, false}, {0, false}, {1, true}, {500_00, true}, {500_01, false}} {
		require.Equal(t, c.may, s.MayLoad(money.Minor(c.minor)) == nil, c.minor)
	}
	require.ErrorIs(t, s.MayLoad(money.Amount{}), topup.ErrAmount)
}
