package node

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/bill"
)

// Bill matches a channel's bill of a day with what the gateway holds of one of its accounts. Errors: as [bill.Day] has them.
func (n *Node) Bill(ctx context.Context, account, day string) (bill.Report, error) {
	ch := n.cfg.Channels[account]
	if ch == nil {
		return bill.Report{}, fmt.Errorf("account %q is not among gateway.accounts", account)
	}
	return bill.Day(ctx, n.store, account, ch, day)
}
