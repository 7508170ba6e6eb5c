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
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// earnAgain is the pause before what an order earned is looked at again that could not become available.
const earnAgain = time.Hour

// waits sets when what a paid order earns becomes available. Only payments wait: a transfer is its payee's at once, and a top-up is a card's.
func (c *change) waits() {
	if c.typeOf() == code.Pay {
		c.o.Due = c.at.Add(c.s.cfg.EarnAfter)
	}
}

// earn makes what an order earned available to its merchant, less the fee for it. What is on its way back is waited for.
func (c *change) earn(ctx context.Context) error {
	c.o.Due = time.Time{}
	if !c.o.Earned.IsZero() || c.typeOf() != code.Pay {
		return nil
	}
	if !c.o.Refunding.IsZero() {
		c.o.Due = c.at.Add(earnAgain)
		return nil
	}
	left, err := c.left()
	if err != nil || left.IsZero() {
		return err
	}
	p, err := c.tx.GatewayPayment(ctx, c.o.Payment)
	if err != nil {
		return err
	}
	parts, err := c.fees(ctx, p, left)
	if errors.Is(err, ErrRate) {
		c.o.Due = c.at.Add(day)
		return c.s.find(ctx, c.tx, c.o.ID, FindRate, err.Error())
	}
	if err != nil {
		return err
	}
	lines, fee, err := c.book(ctx, earnedEntry(c.o.ID), parts)
	if err != nil {
		return err
	}
	net, err := left.Sub(fee)
	if err != nil {
		return err
	}
	minusNet, err1 := net.Neg()
	clearing, err2 := c.tx.ClearingDay(ctx, c.at.In(c.s.cfg.Location))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	// A frozen account keeps its money where it is: the entry is refused, and tried again.
	err = c.tx.Post(ctx, books.Entry{ID: earnedEntry(c.o.ID), Kind: "gateway-earned", Day: clearing, Ref: c.o.ID + " " + c.o.Context,
		Lines: append(lines, books.Line{Account: Pending(c.o.Merchant), Amount: left}, books.Line{Account: Available(c.o.Merchant), Amount: minusNet})})
	if errors.Is(err, books.ErrSwitched) {
		c.o.Due = c.at.Add(earnAgain)
		return nil
	}
	if err != nil {
		return err
	}
	c.o.Earned = c.at
	return c.tell(ctx, c.o.ID, "earned", c.o.State, c.o.State, ByTime, c.o.Context, fmt.Sprintf("%v, fee %v", net, fee))
}

// earned is where an order's merchant has what it earned.
func (c *change) earned() books.Account {
	if c.o.Earned.IsZero() {
		return Pending(c.o.Merchant)
	}
	return Available(c.o.Merchant)
}

// earning reports a state in which an order may have earned something.
func earning(s string) bool {
	return s == string(order.Paid) || s == string(order.PartRefunded) || s == string(order.Refunded)
}

// Earnings are what a merchant has of what was paid online.
type Earnings struct {
	Pending   money.Amount // paid, and not available yet
	Available money.Amount // may be withdrawn
}

// Currency is the books'.
func (s *Service) Currency() string { return s.cfg.Currency }

// Earnings finds what a merchant has.
func (s *Service) Earnings(ctx context.Context, m ids.MerchantID) (out Earnings, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		for account, at := range map[books.Account]*money.Amount{Pending(m): &out.Pending, Available(m): &out.Available} {
			has, err := tx.Balance(ctx, account)
			if err != nil {
				return err
			}
			if *at, err = has.Neg(); err != nil { // a liability: what is owed is negative
				return err
			}
		}
		return nil
	})
	return out, err
}
