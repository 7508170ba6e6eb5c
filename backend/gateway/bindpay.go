package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/store"
)

// byBinding puts the channel's token in the place of our number of a binding, and the account that bound it in that of the router's choice. What is paid by a binding
// goes to risk and to the log as the binding's number.
func (s *Service) byBinding(ctx context.Context, app, id string, n NewPayment) (NewPayment, error) {
	if n.Binding == "" {
		return n, nil
	}
	if n.Product != channel.Quick || n.Payer.Token != "" {
		return n, fmt.Errorf("by a binding is paid with product %s and no token: %w", channel.Quick, ErrRequest)
	}
	row, err := s.bindingOfApp(ctx, app, n.Binding)
	if err != nil {
		return n, err
	}
	if row.Holder != n.Holder { // one holder's is as unknown to another as none
		return n, fmt.Errorf("binding %q: %w", n.Binding, ErrUnknownBinding)
	}
	n.over, n.Payer.Token = row.Channel, row.Number
	n.Unproven = n.Unproven || row.Unproven
	if n.bank == "" {
		n.bank = row.Bank
	}
	n.card = row.Kind
	if row.State == string(order.Bound) {
		n.token, err = s.openToken(row)
		return n, err
	}
	// An attempt that was made is answered as it is by now, and no channel is called for it.
	made := false
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := owned(ctx, tx, app, id); err != nil {
			return err
		}
		all, err := tx.GatewayPayments(ctx, id)
		for _, p := range all {
			made = made || p.IdempotencyKey == n.Key
		}
		return err
	})
	if err == nil && !made {
		err = fmt.Errorf("binding is %s: %w", row.State, order.ErrState)
	}
	return n, err
}

// refusedBy looks at a binding after a payment by it was refused because of the payer: it may have ended at the bank.
func (s *Service) refusedBy(ctx context.Context, number string) error {
	_, err := s.bindingChange(ctx, "", number, func(c *bindingChange) error {
		if c.b.State == string(order.Bound) && c.b.Due.IsZero() {
			c.b.Due, c.b.Tries = c.at, 0
		}
		return nil
	})
	return err
}

// toPay notes an order that is paid once the card is bound, which may be now.
func (c *bindingChange) toPay(ctx context.Context, id string) error {
	if c.b.PayOrder == id {
		return nil
	}
	c.b.PayOrder = id
	if c.b.State == string(order.Bound) {
		c.b.Due = c.at
	}
	return c.tell(ctx, "to-pay", c.b.State, ByRequest, id)
}

// PayKey is the key of the attempt by which a binding pays the order that it was made for.
func (b Binding) PayKey() string { return b.Number }

// payBound pays the order that a binding was made for. It may be done twice: the attempt has one key. What is refused is told, and is the app's to do in another way.
func (s *Service) payBound(ctx context.Context, row store.GatewayBinding) (store.GatewayBinding, error) {
	id, detail := row.PayOrder, ""
	p, err := s.Pay(ctx, row.App, id, NewPayment{Key: bindingOf(row).PayKey(), Product: channel.Quick, Binding: row.Number, Holder: row.Holder})
	switch {
	case err == nil:
		detail = id + " " + string(p.State)
	case refusal(err):
		detail = id + " refused"
		s.cfg.Log.InfoContext(ctx, "a bound card does not pay its order", "binding", row.Number, "order", id, "error", err)
	default:
		return row, err // it stays due
	}
	return s.bindingChange(context.WithoutCancel(ctx), "", row.Number, func(c *bindingChange) error {
		if c.b.PayOrder != id {
			return nil
		}
		c.b.PayOrder = ""
		if c.b.State == string(order.Bound) {
			c.b.Due = time.Time{}
		}
		return c.tell(ctx, "paid-by", c.b.State, ByTime, detail)
	})
}

// refusal reports an error that another try does not change.
func refusal(err error) bool {
	for _, e := range []error{order.ErrState, ErrExpired, ErrNoChannel, ErrUnknownOrder, ErrUnknownBinding, ErrConflict, ErrRequest, ErrUnsupported, code.ErrUnknown} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
