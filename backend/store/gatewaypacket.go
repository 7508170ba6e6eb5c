package store

import (
	"context"
	"fmt"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// GatewayPacket is what a red packet has beside its order.
type GatewayPacket struct {
	Order string
	Split string
	Until time.Time // when what nobody has claimed goes back; zero while it is not paid
}

// GatewayShare is one share of a red packet.
type GatewayShare struct {
	Order          string
	N              int // 1, 2, 3 … within the order
	Amount         money.Amount
	Holder         string // who has claimed it, "" for nobody
	IdempotencyKey string
	At             time.Time // when it was claimed
}

func (p *GatewayPacket) columns() []column {
	return []column{{"order_id", &p.Order}, {"split", &p.Split}, {"until_ms", &p.Until}}
}

func (s *GatewayShare) columns() []column {
	return []column{{"order_id", &s.Order}, {"n", &s.N}, {"amount", &s.Amount}, {"holder", &s.Holder}, {"idem", &s.IdempotencyKey}, {"at_ms", &s.At}}
}

// AddGatewayPacket writes a new red packet with its shares.
func (t *Tx) AddGatewayPacket(ctx context.Context, p GatewayPacket, shares []money.Amount) error {
	if err := t.addRow(ctx, "gateway_packet", p.columns()); err != nil {
		return err
	}
	for i, amount := range shares {
		s := GatewayShare{Order: p.Order, N: i + 1, Amount: amount}
		if err := t.addRow(ctx, "gateway_share", s.columns()); err != nil {
			return err
		}
	}
	return nil
}

// SetGatewayPacket writes a red packet that is known.
func (t *Tx) SetGatewayPacket(ctx context.Context, p GatewayPacket) error {
	return t.setRow(ctx, "gateway_packet", p.columns())
}

// GatewayPacket finds an order's red packet with its shares, in their order, or [ErrNotFound].
func (t *Tx) GatewayPacket(ctx context.Context, order string) (p GatewayPacket, shares []GatewayShare, err error) {
	found := false
	if err := t.rows(ctx, "red packet", func(scan func(...any) error) error {
		found = true
		return scanColumns(scan, p.columns())
	}, `SELECT `+names(p.columns())+` FROM gateway_packet WHERE order_id = ?`, order); err != nil {
		return p, nil, err
	}
	if !found {
		return p, nil, fmt.Errorf("red packet of order %s: %w", order, ErrNotFound)
	}
	err = t.rows(ctx, "shares", func(scan func(...any) error) error {
		var s GatewayShare
		err := scanColumns(scan, s.columns())
		shares = append(shares, s)
		return err
	}, `SELECT `+names((&GatewayShare{}).columns())+` FROM gateway_share WHERE order_id = ? ORDER BY n`, order)
	return p, shares, err
}

// ClaimGatewayShare writes who has claimed a share that nobody has.
func (t *Tx) ClaimGatewayShare(ctx context.Context, s GatewayShare) error {
	r, err := t.exec(ctx, "claim share", `UPDATE gateway_share SET holder = ?, idem = ?, at_ms = ? WHERE order_id = ? AND n = ? AND holder = ''`,
		s.Holder, s.IdempotencyKey, stamp(s.At), s.Order, s.N)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: claim share %d of order %s: %d rows changed: %w", s.N, s.Order, n, ErrNotFound)
	}
	return nil
}

// GatewayClaimEntry names the entry of a claim in the books.
func GatewayClaimEntry(order string, n int) string {
	return fmt.Sprintf("gateway:%s:claim:%d", order, n)
}

// verifyPackets compares claimed shares of red packets with their entries, and each red packet with what its order received.
func (t *Tx) verifyPackets(ctx context.Context) (faults []string, err error) {
	if err := t.rows(ctx, "entries of claims", func(scan func(...any) error) error {
		var order string
		var n int
		var holder string
		var amount, posted int64
		err := scan(&order, &n, &holder, &amount, &posted)
		faults = append(faults, fmt.Sprintf("entry %s gave %v to %s, the claim %v", GatewayClaimEntry(order, n), money.Minor(posted), books.HolderBalance(holder), money.Minor(amount)))
		return err
	}, `SELECT order_id, n, holder, amount, posted FROM (SELECT s.order_id, s.n, s.holder, s.amount,
				CAST(COALESCE((SELECT -SUM(l.amount) FROM journal_line l WHERE l.entry = 'gateway:' || s.order_id || ':claim:' || s.n
					AND l.account IN ('holder:' || s.holder || ':balance', 'suspense:frozen:holder:' || s.holder || ':balance')), 0) AS BIGINT) AS posted
			FROM gateway_share s WHERE s.holder <> '') x WHERE posted <> amount ORDER BY order_id, n`); err != nil {
		return nil, err
	}
	if err := t.rows(ctx, "claims of nobody", func(scan func(...any) error) error {
		var entry string
		err := scan(&entry)
		faults = append(faults, fmt.Sprintf("entry %s is a claim, and nobody has claimed that share", entry))
		return err
	}, `SELECT e.id FROM journal_entry e WHERE e.id >= 'gateway:' AND e.id < 'gateway;' AND e.kind = 'gateway-claimed'
			AND e.id NOT IN (SELECT 'gateway:' || order_id || ':claim:' || n FROM gateway_share WHERE holder <> '') ORDER BY e.id`); err != nil {
		return nil, err
	}
	err = t.rows(ctx, "sums of red packets", func(scan func(...any) error) error {
		var order string
		var gone, received int64
		err := scan(&order, &gone, &received)
		faults = append(faults, fmt.Sprintf("red packet %s: %v was claimed or went back, and %v was received", order, money.Minor(gone), money.Minor(received)))
		return err
	}, `SELECT id, gone, received FROM (SELECT o.id, o.received, CAST(o.refunding + o.refunded + COALESCE((SELECT SUM(s.amount) FROM gateway_share s WHERE s.order_id = o.id AND s.holder <> ''), 0) AS BIGINT) AS gone
			FROM gateway_order o JOIN gateway_packet p ON p.order_id = o.id) x WHERE gone > received ORDER BY id`)
	return faults, err
}
