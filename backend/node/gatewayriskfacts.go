package node

import (
	"context"
	"time"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/risk"
	"github.com/purselane/purselane/backend/store"
)

// riskFacts adds how the last reconciliation with the payment's channel came out, and of a withdrawal how much is too young: what was transferred to the merchant within
// hold. What he earned by payments has waited before it became available.
func (n *Node) riskFacts(w *bill.Watch, hold time.Duration) func(context.Context, gateway.Assessed, *risk.Facts) error {
	return func(ctx context.Context, in gateway.Assessed, f *risk.Facts) error {
		now := n.cfg.Clock.Now()
		last := w.Lately
		if in.Payment.Product == channel.Payout { // money that leaves waits until its channel was asked
			last = func(account string) bill.Lately { return w.Asked(ctx, account) }
		}
		if l := last(in.Payment.Account); !l.At.IsZero() {
			f.ReconMinutes, f.ReconDifferences, f.ReconAmount = int(now.Sub(l.At)/time.Minute), l.Differences, l.Amount.Minor()
		}
		if in.Payment.Product != channel.Payout || hold == 0 {
			return nil
		}
		return n.store.View(ctx, func(tx *store.Tx) error {
			balance, err := tx.Balance(ctx, gateway.Available(in.Order.Merchant))
			if err != nil {
				return err
			}
			owed, err := balance.Neg() // in the books debits are positive
			if err != nil {
				return err
			}
			came, err := tx.GatewayTransfers(ctx, in.Order.Merchant, now.Add(-hold))
			if err != nil {
				return err
			}
			var lots []risk.Lot
			for _, o := range came {
				lots = append(lots, risk.Lot{At: o.PaidAt, Amount: o.Received})
			}
			f.Young, err = risk.Young(in.Payment.Money.Amount, owed, lots, hold, now)
			return err
		})
	}
}
