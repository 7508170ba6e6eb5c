package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// NewWithdrawal asks to pay out what a merchant has available.
type NewWithdrawal struct {
	Key      string // names the order at the app, for ever, beside the keys of its other orders; 1 to 64 characters
	Product  code.Product
	Merchant ids.MerchantID
	Money    channel.Money
	Subject  string // for the payee's eyes, 1 to 127 bytes
	Attach   string // the app's own, at most 1,024 bytes; comes back in messages
	To       PayTo
}

// order is the withdrawal as any order.
func (n NewWithdrawal) order() NewOrder {
	return NewOrder{Key: n.Key, Type: code.Withdraw, Mode: code.Instant, Product: n.Product, Merchant: n.Merchant, Money: n.Money, Subject: n.Subject, Attach: n.Attach}
}

// Withdraw pays out what a merchant has available. It is booked when it is ordered, and booked back if the channel refuses. The channel is called once: a
// pay-out that nobody says anything about counts as paid, and only two persons send another ([Service.Decide]).
//
// The same key with the same content is the same order, as it is by now. One in doubt is no error: it is asked about by [Service.Scan].
//
// Errors: [ErrRequest], [ErrCardNumber], [ErrUnsupported], [ErrConflict], [ErrFunds], [ErrFrozen], [ErrNoChannel], [ErrBlocked], [code.ErrUnknown].
func (s *Service) Withdraw(ctx context.Context, app string, n NewWithdrawal) (Order, error) {
	out, err := s.withdraw(ctx, app, n)
	if err != nil {
		return Order{}, fmt.Errorf("withdraw: %w", frozen(err))
	}
	return out, nil
}

func (s *Service) withdraw(ctx context.Context, app string, n NewWithdrawal) (Order, error) {
	digest, err := digestOf(n)
	if err != nil {
		return Order{}, err
	}
	o, known, err := s.withdrawal(ctx, app, n.Key, digest)
	if err != nil {
		return Order{}, err
	}
	if !known {
		if o, err = s.orderWithdrawal(ctx, app, n, digest); err != nil {
			return Order{}, err
		}
	}
	for _, x := range o.Operations {
		if x.State == order.Ordered {
			if _, err := s.sendPayout(ctx, store.GatewayOperation{Number: x.Number, Order: o.ID, Channel: x.Account}, ByAnswer); err != nil {
				return Order{}, err
			}
		}
	}
	return s.Order(context.WithoutCancel(ctx), app, o.ID)
}

// withdrawal finds the withdrawal of a key.
func (s *Service) withdrawal(ctx context.Context, app, key, digest string) (o Order, known bool, err error) {
	conflict := false
	err = s.store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.GatewayOrderByKey(ctx, app, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		known, conflict = true, row.Digest != digest
		o, err = whole(ctx, tx, row)
		return err
	})
	if err == nil && conflict {
		err = errors.Join(fmt.Errorf("key %q is order %s: %w", key, o.ID, ErrConflict), s.store.Update(ctx, func(tx *store.Tx) error {
			return s.find(ctx, tx, o.ID, FindConflict, fmt.Sprintf("order key %q came again with other content", key))
		}))
	}
	return o, known, err
}

// orderWithdrawal checks, routes, asks risk, and writes and books the withdrawal in one transaction.
func (s *Service) orderWithdrawal(ctx context.Context, app string, n NewWithdrawal, digest string) (Order, error) {
	err := errors.Join(s.checkFields(app, n.order()), n.To.check())
	if err == nil && s.cfg.Box == nil {
		err = fmt.Errorf("nothing is paid out here: %w", ErrUnsupported)
	}
	if err != nil {
		return Order{}, err
	}
	id, err := s.number(order.OfOrder)
	if err != nil {
		return Order{}, err
	}
	at := s.now()
	row := store.GatewayOrder{ID: id, App: app, IdempotencyKey: n.Key, Digest: digest, Context: code.Context{Product: n.Product, Mode: code.Instant, Action: code.Withdraw}.String(), Merchant: n.Merchant,
		Amount: n.Money.Amount, Currency: n.Money.Currency, Subject: n.Subject, Attach: n.Attach, State: string(order.Open), Created: at, Changed: at, Expires: at}
	a, err := s.payoutAccount(ctx, row)
	if err != nil {
		return Order{}, err
	}
	var said Assessment
	if err := s.step(ctx, "risk", id, row.Context, func(ctx context.Context) error {
		said, err = s.cfg.Risk.Assess(ctx, Assessed{Order: orderOf(row), Payment: Payment{Number: id, Order: id, Account: a.ID, Product: channel.Payout, Money: n.Money, Created: at}, N: 1, Payer: channel.Payer{Token: n.To.Account}})
		if err == nil && said.Verdict != Pass { // nobody is there to prove more
			err = fmt.Errorf("%s: %w", said.Why, ErrBlocked)
			if said.Keep != nil {
				err = errors.Join(err, s.store.Update(ctx, func(tx *store.Tx) error { return said.Keep(ctx, tx) }))
			}
		}
		return err
	}); err != nil {
		return Order{}, err
	}
	var out Order
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		have, err := tx.GatewayOrderByKey(ctx, app, n.Key)
		if err == nil { // the same request beside this one was faster
			if have.Digest != digest {
				return fmt.Errorf("key %q is order %s: %w", n.Key, have.ID, ErrConflict)
			}
			out, err = whole(ctx, tx, have)
			return err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if said.Keep != nil {
			if err := said.Keep(ctx, tx); err != nil {
				return err
			}
		}
		if err := tx.AddGatewayOrder(ctx, row); err != nil {
			return err
		}
		c := change{s: s, tx: tx, at: at, o: row}
		if err := c.tell(ctx, id, "created", "", row.State, ByRequest, row.Context, ""); err != nil {
			return err
		}
		from := Available(n.Merchant)
		if err := c.holds(ctx, from, n.Money.Amount); err != nil {
			return err
		}
		x, err := c.newPayout(ctx, a, payoutOf{kind: code.Withdraw, key: "pay-out", digest: digest, amount: n.Money.Amount, source: from, to: n.To})
		if err != nil {
			return err
		}
		c.o.Context = x.Context
		if err := tx.SetGatewayOrder(ctx, c.o); err != nil {
			return err
		}
		out, err = whole(ctx, tx, c.o)
		return err
	})
	return out, err
}

// payoutAccount is our account that pays an order's money out.
func (s *Service) payoutAccount(ctx context.Context, o store.GatewayOrder) (a Account, err error) {
	err = s.step(ctx, "route", o.ID, o.Context, func(ctx context.Context) error {
		all, err := s.candidates(ctx, Wanted{Product: channel.Payout, Money: channel.Money{Amount: o.Amount, Currency: o.Currency}, Context: o.Context, App: o.App, Order: o.ID})
		if err == nil {
			a = all[0]
		}
		return err
	})
	return a, err
}

// withdrawn: the money counts as paid out.
func (c *change) withdrawn(ctx context.Context, by Source) error {
	if c.o.State != string(order.Open) { // it counted so already
		return nil
	}
	c.o.PaidAt = c.at
	return c.move(ctx, order.MoneyCame, by, "")
}
