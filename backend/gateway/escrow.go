package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Held is a merchant's account for what payers have paid and not confirmed.
func Held(m ids.MerchantID) books.Account { return books.MerchantHeld(online(m)) }

// escrow reports an order whose money is held until the payer has what was bought.
func (c *change) escrow() bool { return orderOf(c.o).Mode == code.Escrow }

// Confirm says that the payer has what was bought: the merchant earns what was held. An order that nobody confirms or refunds is confirmed by time. One that is
// confirmed stays as it is. Errors: [ErrUnknownOrder], [order.ErrState], also while a refund is on its way.
func (s *Service) Confirm(ctx context.Context, app, id string) (Order, error) {
	var out Order
	err := s.store.View(ctx, func(tx *store.Tx) error { _, err := owned(ctx, tx, app, id); return err })
	if err == nil {
		err = s.change(ctx, id, func(c *change) error {
			if !c.escrow() || !earning(c.o.State) {
				if err := c.confirm(ctx, ByRequest); err != nil {
					return err
				}
			}
			var err error
			out, err = whole(ctx, c.tx, c.o)
			return err
		})
	}
	if err != nil {
		return Order{}, fmt.Errorf("confirm order %s: %w", id, err)
	}
	return out, nil
}

// confirm hands over what is held.
func (c *change) confirm(ctx context.Context, by Source) error {
	if c.packet() {
		return fmt.Errorf("a red packet is claimed: %w", order.ErrState)
	}
	if !c.o.Refunding.IsZero() {
		return fmt.Errorf("a refund is on its way: %w", order.ErrState)
	}
	if err := c.move(ctx, order.Confirmed, by, ""); err != nil {
		return err
	}
	minus, err1 := c.o.Received.Neg()
	clearing, err2 := c.tx.ClearingDay(ctx, c.at.In(c.s.cfg.Location))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.waits()
	return c.tx.Post(ctx, books.Entry{ID: "gateway:" + c.o.ID + ":confirmed", Kind: "gateway-confirmed", Day: clearing, Ref: c.o.ID + " " + c.o.Context, Lines: []books.Line{
		{Account: Held(c.o.Merchant), Amount: c.o.Received}, {Account: Pending(c.o.Merchant), Amount: minus}}})
}

// confirmLate hands over what nobody has confirmed or asked back for long.
func (c *change) confirmLate(ctx context.Context) error {
	if !c.o.Refunding.IsZero() {
		c.o.Due = c.at.Add(time.Hour)
		return nil
	}
	return c.confirm(ctx, ByTime)
}
