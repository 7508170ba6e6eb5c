package bill_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

// mouth is a channel that says what it is told to of each payment.
type mouth struct {
	channel.Channel
	says map[string]channel.Result
	away bool
}

func (m *mouth) Query(_ context.Context, r channel.Ref) (channel.Result, error) {
	if m.away {
		return channel.Result{}, errors.New("away")
	}
	return m.says[r.Number], nil
}

func TestPaymentsAreComparedMinutesLater(t *testing.T) {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "bill.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	c := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	pay := func(number string, minor int64) {
		now := c.Now()
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddGatewayPayment(t.Context(), store.GatewayPayment{Number: number, Order: "O" + number, N: 1, Channel: "one", Amount: money.Minor(minor), Currency: "CNY", State: "paid", Created: now, Changed: now, PaidAt: now, Expires: now})
		}))
	}
	ch := &mouth{says: map[string]channel.Result{"P1": {Outcome: channel.Succeeded, Money: cny(100)}, "P2": {Outcome: channel.Succeeded, Money: cny(150)}, "P3": {Outcome: channel.Missing}, "P4": {Outcome: channel.Succeeded}}}
	w := bill.NewWatch(s, c, map[string]channel.Channel{"one": ch}, slog.New(slog.DiscardHandler))
	require.Zero(t, w.Lately("one"))
	pay("P1", 100)
	c.Advance(2 * time.Minute)
	w.Round(t.Context())
	require.Equal(t, bill.Lately{At: c.Now(), Asked: 1}, w.Lately("one"))
	clean := w.Lately("one")

	pay("P2", 100)
	pay("P3", 70)
	pay("P4", 30)
	c.Advance(5 * time.Minute)
	ch.away = true
	w.Round(t.Context())
	require.Equal(t, clean, w.Lately("one"), "it grows old")
	ch.away = false
	c.Advance(5 * time.Minute)
	w.Round(t.Context())
	require.Equal(t, bill.Lately{At: c.Now(), Asked: 3, Differences: 2, Amount: money.Minor(50 + 70)}, w.Lately("one"))
	c.Advance(5 * time.Minute)
	w.Round(t.Context())
	require.Equal(t, bill.Lately{At: c.Now()}, w.Lately("one"))
}

// TestAWithdrawalBeforeTheFirstRoundHasItAsked: once, and what a channel that is away does not say stays unknown.
func TestAWithdrawalBeforeTheFirstRoundHasItAsked(t *testing.T) {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "bill.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	c := clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	now := c.Now()
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddGatewayPayment(t.Context(), store.GatewayPayment{Number: "P1", Order: "O1", N: 1, Channel: "one", Amount: money.Minor(100), Currency: "CNY", State: "paid", Created: now, Changed: now, PaidAt: now, Expires: now})
	}))
	c.Advance(2 * time.Minute)
	ch := &mouth{away: true, says: map[string]channel.Result{"P1": {Outcome: channel.Missing}}}
	w := bill.NewWatch(s, c, map[string]channel.Channel{"one": ch}, slog.New(slog.DiscardHandler))
	require.Zero(t, w.Asked(t.Context(), "one"))
	require.Zero(t, w.Asked(t.Context(), "none"))
	ch.away = false
	found := bill.Lately{At: c.Now(), Asked: 1, Differences: 1, Amount: money.Minor(100)}
	require.Equal(t, found, w.Asked(t.Context(), "one"))
	ch.away = true
	c.Advance(time.Minute)
	require.Equal(t, found, w.Asked(t.Context(), "one"), "asked once")
}
