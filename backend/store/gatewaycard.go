package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/internal/ids"
)

// PutGatewayOrderCard notes the card that a top-up order is for, by its token.
func (t *Tx) PutGatewayOrderCard(ctx context.Context, order, token string) error {
	_, err := t.exec(ctx, "put card of order", `INSERT INTO gateway_order_card (order_id, card) VALUES (?, ?)`, order, token)
	return err
}

// GatewayOrderCard is the token of the card that a top-up order is for, "" for any card.
func (t *Tx) GatewayOrderCard(ctx context.Context, order string) (token string, err error) {
	_, err = t.one(ctx, "card of order", `SELECT card FROM gateway_order_card WHERE order_id = ?`, []any{order}, &token)
	return token, err
}

// BindLoad keeps a load order for one card: it waits for that card, at any agent.
func (t *Tx) BindLoad(ctx context.Context, loadOrder string, n ids.CardNumber) error {
	_, err := t.exec(ctx, "bind load", `INSERT INTO load_for (load_order, card) VALUES (?, ?)`, loadOrder, n[:])
	return err
}

// BoundCard is the card that a load order is kept for, or [ErrNotFound] for any card.
func (t *Tx) BoundCard(ctx context.Context, loadOrder string) (n ids.CardNumber, err error) {
	var raw []byte
	found, err := t.one(ctx, "card of load", `SELECT card FROM load_for WHERE load_order = ?`, []any{loadOrder}, &raw)
	if err == nil && !found {
		err = fmt.Errorf("card of load %s: %w", loadOrder, ErrNotFound)
	}
	copy(n[:], raw)
	return n, err
}

// WaitingLoad is the oldest paid load order that is kept for a card, or [ErrNotFound].
func (t *Tx) WaitingLoad(ctx context.Context, n ids.CardNumber) (LoadOrder, error) {
	return t.loadOrder(ctx, `JOIN load_for f ON f.load_order = o.id WHERE f.card = ? AND o.state = 'paid' ORDER BY o.created_ms, o.id LIMIT 1`, n[:])
}

// LoadsUnderWay reports whether a load is kept for a card, or is on its way to it, that is not on it yet.
func (t *Tx) LoadsUnderWay(ctx context.Context, n ids.CardNumber) (bool, error) {
	for _, find := range []func(context.Context, ids.CardNumber) (LoadOrder, error){t.WaitingLoad, t.OpenLoadOrder} {
		if _, err := find(ctx, n); !errors.Is(err, ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}
