package store

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// gatewayMoves is what each payment and each operation of the gateway must have moved on the account of its channel: entry, channel, and the sum, less what
// the channel keeps or gives back of its fee. A payment that its order did not need is booked whole; the order's own by what the order received, which is
// less than was reserved where less was captured. Steps of reservations move nothing.
const gatewayMoves = `SELECT 'gateway:' || p.number || ':paid' AS entry, p.channel AS channel, CASE WHEN p.surplus = 1 THEN p.amount ELSE o.received END - p.fee AS net
		FROM gateway_payment p JOIN gateway_order o ON o.id = p.order_id WHERE p.state = 'paid'
	UNION ALL SELECT 'gateway:' || number || ':out', channel, fee - amount FROM gateway_operation WHERE source <> ''
	UNION ALL SELECT 'gateway:' || number || ':back', channel, amount - fee FROM gateway_operation WHERE source <> '' AND state IN ('failed', 'returned')`

// GatewayChannelSum is what the gateway's orders and the books say of one channel.
type GatewayChannelSum struct {
	Channel string
	Orders  money.Amount // by payments, refunds and pay-outs
	Books   money.Amount // by the entries that the gateway posted, those that were set aside too
}

// GatewayChannelSums lists both sums of each channel that the gateway used, by channel.
func (t *Tx) GatewayChannelSums(ctx context.Context) ([]GatewayChannelSum, error) {
	var out []GatewayChannelSum
	err := t.rows(ctx, "sums of channels", func(scan func(...any) error) error {
		var s GatewayChannelSum
		var orders, inBooks int64
		err := scan(&s.Channel, &orders, &inBooks)
		s.Orders, s.Books = money.Minor(orders), money.Minor(inBooks)
		out = append(out, s)
		return err
	}, `SELECT channel, CAST(SUM(net) AS BIGINT), CAST(COALESCE((SELECT SUM(l.amount) FROM journal_line l WHERE l.entry >= 'gateway:' AND l.entry < 'gateway;'
			AND l.account IN ('channel:' || channel, 'suspense:frozen:channel:' || channel)), 0) AS BIGINT)
		FROM (`+gatewayMoves+`) m GROUP BY channel ORDER BY channel`)
	return out, err
}

// VerifyGateway compares the gateway's payments and operations with the journal, each with its entry, and names what else moved an account of a channel that
// the gateway uses. Claims of red packets and fees of merchants are compared too.
func (t *Tx) VerifyGateway(ctx context.Context) ([]string, error) {
	var faults []string
	err := t.rows(ctx, "entries of the gateway", func(scan func(...any) error) error {
		var entry, channel string
		var net, posted, there int64
		if err := scan(&entry, &channel, &net, &posted, &there); err != nil {
			return err
		}
		if there == 0 {
			faults = append(faults, fmt.Sprintf("entry %s is missing: the order moved %v on %s", entry, money.Minor(net), books.Channel(channel)))
		} else {
			faults = append(faults, fmt.Sprintf("entry %s moved %v on %s, the order %v", entry, money.Minor(posted), books.Channel(channel), money.Minor(net)))
		}
		return nil
	}, `SELECT entry, channel, net, posted, there FROM (SELECT m.entry, m.channel, m.net,
				CAST(COALESCE((SELECT SUM(l.amount) FROM journal_line l WHERE l.entry = m.entry AND l.account IN ('channel:' || m.channel, 'suspense:frozen:channel:' || m.channel)), 0) AS BIGINT) AS posted,
				(SELECT COUNT(*) FROM journal_entry e WHERE e.id = m.entry) AS there
			FROM (`+gatewayMoves+`) m) x WHERE there = 0 OR posted <> net ORDER BY entry`)
	if err != nil {
		return nil, err
	}
	// Entries of others that may move a channel's account: its fee and its payment, what a holder paid from a balance, and parts of a combined payment. A dot
	// follows the hyphen: engines do not agree about patterns.
	err = t.rows(ctx, "entries of nobody", func(scan func(...any) error) error {
		var entry, kind string
		var account books.Account
		var amount int64
		if err := scan(&entry, &kind, &account, &amount); err != nil {
			return err
		}
		faults = append(faults, fmt.Sprintf("entry %s (%s) moved %v on %s, and no payment or refund did", entry, kind, money.Minor(amount), account))
		return nil
	}, `SELECT e.id, e.kind, l.account, l.amount FROM journal_line l JOIN journal_entry e ON e.id = l.entry
		WHERE l.account IN (SELECT 'channel:' || channel FROM gateway_payment UNION SELECT 'channel:' || channel FROM gateway_operation)
			AND NOT (e.id >= 'settle-' AND e.id < 'settle.' AND e.kind >= 'settle-' AND e.kind < 'settle.'
				OR e.kind >= 'balance-' AND e.kind < 'balance.' OR e.kind >= 'combined-' AND e.kind < 'combined.')
			AND (e.id, l.account) NOT IN (SELECT entry, 'channel:' || channel FROM (`+gatewayMoves+`) m)
		ORDER BY e.id, l.account`)
	if err != nil {
		return nil, err
	}
	packets, err := t.verifyPackets(ctx)
	if err != nil {
		return nil, err
	}
	fees, err := t.verifyFees(ctx)
	return append(append(faults, packets...), fees...), err
}
