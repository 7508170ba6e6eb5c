package store

import (
	"context"
	"time"

	"github.com/purselane/purselane/internal/ids"
)

// GatewayMoved lists an account's payments that were paid, and operations that were done, in a span, its end not included.
func (t *Tx) GatewayMoved(ctx context.Context, account string, from, until time.Time) ([]GatewayPayment, []GatewayOperation, error) {
	payments, err := t.gatewayPayments(ctx, `channel = ? AND paid_ms > 0 AND paid_ms >= ? AND paid_ms < ? ORDER BY number`, account, from.UnixMilli(), until.UnixMilli())
	if err != nil {
		return nil, nil, err
	}
	operations, err := t.gatewayOperations(ctx, `channel = ? AND done_ms > 0 AND done_ms >= ? AND done_ms < ? ORDER BY number`, account, from.UnixMilli(), until.UnixMilli())
	return payments, operations, err
}

// GatewaySent lists an account's operations that were sent in a span, its end not included.
func (t *Tx) GatewaySent(ctx context.Context, account string, from, until time.Time) ([]GatewayOperation, error) {
	return t.gatewayOperations(ctx, `channel = ? AND sent_ms >= ? AND sent_ms < ? ORDER BY number`, account, from.UnixMilli(), until.UnixMilli())
}

// GatewayTransfers lists transfers to a merchant that were paid since a time: they are his at once.
func (t *Tx) GatewayTransfers(ctx context.Context, payee ids.MerchantID, since time.Time) ([]GatewayOrder, error) {
	return t.gatewayOrders(ctx, `payee = ? AND payee <> '' AND paid_ms > 0 AND paid_ms >= ? ORDER BY id`, string(payee), since.UnixMilli())
}
