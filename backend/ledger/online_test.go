package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

func (w *scheme) moved(id, kind string, channel, other books.Account, minor int64) {
	w.update(func(tx *store.Tx) error {
		lines, err := books.Move(channel, other, money.Minor(minor))
		require.NoError(w.t, err)
		return tx.Post(w.ctx, books.Entry{ID: id, Kind: kind, Day: "2026-11-24", Lines: lines})
	})
}

func (w *scheme) online() ledger.Check {
	var out ledger.Check
	require.NoError(w.t, w.store.View(w.ctx, func(tx *store.Tx) error {
		p, err := ledger.Prove(w.ctx, tx, "2026-11-24", evening)
		for _, c := range p.Checks {
			if c.Name == "online" {
				out = c
			}
		}
		return err
	}))
	return out
}

// Two payments that came, one that did not, a refund that was refused and one that stands: the books know all of them, each one edit away from a fault.
func TestTheGatewaysOrdersAreProvedAgainstTheBooks(t *testing.T) {
	card, surplus := books.Channel("card-1"), books.Account("suspense:surplus")
	live := func(t *testing.T, skip string) *scheme {
		w := opened(t)
		w.update(func(tx *store.Tx) error {
			if err := tx.AddGatewayOrder(w.ctx, store.GatewayOrder{ID: "O1", App: "shop", IdempotencyKey: "o1", State: "paid", Received: money.Minor(900), Payment: "P1"}); err != nil {
				return err
			}
			for _, p := range []store.GatewayPayment{
				{Number: "P1", N: 1, State: "paid", Amount: money.Minor(1000), Fee: money.Minor(6)}, // 10.00 were reserved and 9.00 captured
				{Number: "P2", N: 2, State: "paid", Amount: money.Minor(1000), Surplus: true},
				{Number: "P3", N: 3, State: "failed", Amount: money.Minor(1000)},
			} {
				p.Order, p.Channel = "O1", "card-1"
				if err := tx.AddGatewayPayment(w.ctx, p); err != nil {
					return err
				}
			}
			for _, o := range []store.GatewayOperation{
				{Number: "R1", Kind: "refund", Payment: "P2", State: "failed", Amount: money.Minor(1000), Source: surplus},
				{Number: "R2", Kind: "refund", Payment: "P1", State: "done", Amount: money.Minor(200), Fee: money.Minor(1), Source: surplus},
				{Number: "C1", Kind: "capture", Payment: "P1", State: "done", Amount: money.Minor(900)},
			} {
				o.Order, o.Channel, o.IdempotencyKey = "O1", "card-1", o.Number
				if err := tx.AddGatewayOperation(w.ctx, o); err != nil {
					return err
				}
			}
			return nil
		})
		for _, e := range []struct {
			id    string
			minor int64
		}{{"P1:paid", 894}, {"P2:paid", 1000}, {"R1:out", -1000}, {"R1:back", 1000}, {"R2:out", -199}} {
			if e.id != skip {
				w.moved("gateway:"+e.id, "gateway-x", card, surplus, e.minor)
			}
		}
		w.moved("settle-pay:2026-11-23:channel:card-1", "settle-pay", card, books.Trust, -500)
		w.moved("by hand on another", "manual", books.Channel("counter"), surplus, 3)
		return w
	}
	w := live(t, "")
	c := w.online()
	require.Empty(t, c.Faults)
	require.Equal(t, []ledger.Figure{{Name: "channel:card-1 by orders", Amount: money.Minor(1695)}, {Name: "channel:card-1 by entries", Amount: money.Minor(1695)}}, c.Figures)

	w.moved("by hand", "manual", card, surplus, 1)
	w.moved("gateway:P9:paid", "gateway-paid", card, surplus, 7)
	require.Equal(t, []string{
		"channel:card-1: orders come to 16.95, their entries to 17.02",
		"entry by hand (manual) moved 0.01 on channel:card-1, and no payment or refund did",
		"entry gateway:P9:paid (gateway-paid) moved 0.07 on channel:card-1, and no payment or refund did",
	}, w.online().Faults)

	for _, skip := range []string{"P1:paid", "P2:paid", "R1:out", "R1:back", "R2:out"} {
		faults := live(t, skip).online().Faults
		require.Len(t, faults, 2, skip)
		require.Contains(t, faults[1], "entry gateway:"+skip+" is missing")
	}
	w = live(t, "R2:out")
	w.moved("gateway:R2:out", "gateway-refund", card, surplus, -200)
	require.Contains(t, w.online().Faults, "entry gateway:R2:out moved -2.00 on channel:card-1, the order -1.99")
}
