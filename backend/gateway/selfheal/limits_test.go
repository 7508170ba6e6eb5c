package selfheal_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

// TestADayLimitHoldsInEveryProcess, begins anew at the channel's own midnight, and is given back what did not come.
func TestADayLimitHoldsInEveryProcess(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 25, 15, 59, 0, 0, time.UTC)) // a minute before midnight in Shanghai
	at := emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db"))
	x, _, st := process(t, c, at)
	other, _, _ := process(t, c, at)
	limited := twoChannels()
	limited.Version = 4
	limited.Accounts[0].PerDay, limited.Accounts[0].Zone = 1000, "Asia/Shanghai"
	require.NoError(t, x.Use(limited))
	require.NoError(t, other.Use(limited))
	_, _ = x.Limits(st, quiet), other.Limits(st, quiet)

	require.Equal(t, []string{"first", "second"}, routed(t, x))
	require.Equal(t, []string{"first", "second"}, routed(t, x), "5.00 each of 10.00")
	require.Equal(t, []string{"second"}, routed(t, x), "the own count needs no database")
	write := func(id string, state order.PaymentState, at time.Time) {
		require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
			attemptAt(t, tx, at, id, "first", state, channel.NoClass)
			return nil
		}))
	}
	write("1", order.PaymentPaid, c.Now())
	write("2", order.Waiting, c.Now())
	write("yesterday", order.PaymentPaid, c.Now().Add(-24*time.Hour))
	require.NoError(t, other.CountLimits(t.Context(), st))
	require.Equal(t, []string{"second"}, routed(t, other), "the other process knows")

	require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
		p, err := tx.GatewayPayment(t.Context(), "p-2")
		require.NoError(t, err)
		p.State = string(order.PaymentClosed)
		return tx.SetGatewayPayment(t.Context(), p)
	}))
	require.NoError(t, other.CountLimits(t.Context(), st))
	require.Equal(t, []string{"first", "second"}, routed(t, other), "nobody paid it")
	require.Equal(t, []string{"second"}, routed(t, other))

	c.Advance(2 * time.Minute)
	require.Equal(t, []string{"first", "second"}, routed(t, other), "a new day, before anything is read")
	require.NoError(t, x.CountLimits(t.Context(), st))
	require.Equal(t, []string{"first", "second"}, routed(t, x))
}
