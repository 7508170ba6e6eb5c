package topup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/money"
)

func TestAnOrderIsBookedOnce(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	require.True(t, topup.IsOrderID(id))
	require.Equal(t, topup.Paid, d.state(id))
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())
	d.clock.Advance(time.Hour)
	require.Equal(t, id, d.order(bus, "sale-1", 50_00))
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())

	d.load("sale-2", 20_00)
	require.NotEqual(t, id, d.order(metro, "sale-1", 50_00), "a key is its agent's")
	require.Empty(t, d.codes())
}

func TestTheSameKeyWithAnotherAmountIsAnAlarm(t *testing.T) {
	for _, amount := range []int64{50_01, maxAmount + 1, 0} {
		d := start(t)
		d.order(bus, "sale-1", 50_00)
		for range 2 {
			_, err := d.topup.CreateOrder(d.ctx, bus, topup.CreateOrder{IdempotencyKey: "sale-1", Amount: money.Minor(amount)})
			require.ErrorIs(t, err, topup.ErrConflict)
		}
		require.Equal(t, []string{topup.FindConflict}, d.codes(), "once, however often it comes")
		require.Equal(t, booked(50, 50, 0, 0), d.accounts())
	}
}

// TestAnOrderOutlivesItsLimit: the limit was lowered, and the answer to an order sold before was lost.
func TestAnOrderOutlivesItsLimit(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	cfg := d.config()
	cfg.MaxAmount = money.Minor(10_00)
	var err error
	d.topup, err = topup.New(d.store, d.hsm, d.clock, cfg)
	require.NoError(t, err)
	require.Equal(t, id, d.order(bus, "sale-1", 50_00))
}

func TestOrdersThatAreRefused(t *testing.T) {
	d := start(t)
	long := "0123456789012345678901234567890123456789012345678901234567890123"
	cases := []struct {
		name string
		key  string
		amt  int64
		want error
	}{
		{"no key", "", 1, topup.ErrKey},
		{"a key too long", long + "4", 1, topup.ErrKey},
		{"nothing", "k", 0, topup.ErrAmount},
		{"less than nothing", "k", -1, topup.ErrAmount},
		{"too much", "k", maxAmount + 1, topup.ErrAmount},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.topup.CreateOrder(d.ctx, bus, topup.CreateOrder{IdempotencyKey: c.key, Amount: money.Minor(c.amt)})
			require.ErrorIs(t, err, c.want)
		})
	}
	_, err := d.topup.CreateOrder(d.ctx, "ferry", topup.CreateOrder{IdempotencyKey: "k", Amount: money.Minor(1)})
	require.ErrorIs(t, err, topup.ErrUnknownAgent)
	require.Empty(t, d.accounts())
	d.order(bus, long, maxAmount)
}

func TestAnAgentSeesItsOwnOrders(t *testing.T) {
	d := start(t)
	mine, other := d.order(bus, "sale-1", 50_00), d.order(metro, "sale-1", 20_00)
	c := d.present(1).init(20_00, kiosk)
	calls := map[string]func(id string) error{
		"order":     func(id string) error { _, err := d.topup.Order(d.ctx, bus, id); return err },
		"authorise": func(id string) error { _, err := d.topup.Authorise(d.ctx, bus, id, c); return err },
		"confirm":   func(id string) error { _, err := d.topup.Confirm(d.ctx, bus, id, [4]byte{}); return err },
		"uncertain": func(id string) error { _, err := d.topup.Uncertain(d.ctx, bus, id); return err },
		"refund":    func(id string) error { _, err := d.topup.Refund(d.ctx, bus, id); return err },
	}
	for name, call := range calls {
		require.ErrorIs(t, call(other), topup.ErrUnknownOrder, name)
		require.ErrorIs(t, call("L000000000000000000000000"), topup.ErrUnknownOrder, name)
	}
	require.Empty(t, d.codes(), "not even a finding is left at another's order")
	list, err := d.topup.Orders(d.ctx, bus, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, mine, list[0].ID)
	all, err := d.topup.Orders(d.ctx, "", topup.Paid, 10)
	require.NoError(t, err)
	require.Len(t, all, 2)
	none, err := d.topup.Orders(d.ctx, "", topup.Loaded, 10)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestRefund(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	for range 2 {
		o, err := d.topup.Refund(d.ctx, bus, id)
		require.NoError(t, err)
		require.Equal(t, topup.Refunded, o.State)
		require.Empty(t, d.accounts())
	}
	_, err := d.topup.Authorise(d.ctx, bus, id, d.present(1).init(50_00, kiosk))
	require.ErrorIs(t, err, topup.ErrState)

	loaded := d.load("sale-2", 20_00)
	_, err = d.topup.Refund(d.ctx, bus, loaded)
	require.ErrorIs(t, err, topup.ErrState)

	open := d.order(bus, "sale-3", 10_00)
	d.authorise(bus, open, d.present(1).init(10_00, kiosk))
	_, err = d.topup.Refund(d.ctx, bus, open)
	require.ErrorIs(t, err, topup.ErrState, "its money is on its way")
	require.Equal(t, booked(30, 0, 10, 20), d.accounts())
}

func TestIsOrderID(t *testing.T) {
	for _, s := range []string{"", "L", "31041122334455667788", "L00000000000000000000000", "L0000000000000000000000000", "L00000000000000000000000G", "l000000000000000000000000"} {
		require.False(t, topup.IsOrderID(s), s)
	}
}

func TestConfigThatIsRefused(t *testing.T) {
	d := start(t)
	for name, change := range map[string]func(*topup.Config){
		"no amount":          func(c *topup.Config) { c.MaxAmount = money.Amount{} },
		"no balance":         func(c *topup.Config) { c.MaxBalance = money.Amount{} },
		"more than a purse":  func(c *topup.Config) { c.MaxBalance = money.Minor(1 << 31) },
		"before it happened": func(c *topup.Config) { c.UncertainAfter = -1 },
	} {
		cfg := d.config()
		change(&cfg)
		_, err := topup.New(d.store, d.hsm, d.clock, cfg)
		require.Error(t, err, name)
	}
}

// TestRun sweeps until it is told to stop.
func TestRun(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	d.authorise(bus, id, d.present(1).init(50_00, kiosk))
	d.clock.Advance(time.Hour)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("seen")
	d.fault = func(point string) error {
		if point == "commit:after" {
			cancel(stop)
		}
		return nil
	}
	require.ErrorIs(t, d.topup.Run(ctx, time.Hour), context.Canceled)
	require.ErrorIs(t, context.Cause(ctx), stop)
	require.Equal(t, topup.Uncertain, d.state(id))
}
