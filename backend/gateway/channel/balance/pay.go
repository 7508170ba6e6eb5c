package balance

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Pay takes an amount off a holder's balance, or refuses it for good.
func (c *Channel) Pay(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return c.make(ctx, r, store.BalancePaid, func(tx *store.Tx, from books.Account) error {
		f, err := tx.Funds(ctx, from)
		if err != nil {
			return err
		}
		if _, err := f.Pay(r.Money.Amount); err != nil {
			return err
		}
		e, err := c.entry(ctx, tx, r.Number, KindPaid, r.Number+" "+r.Context, from, books.Channel(c.set.ID), r.Money.Amount)
		if err != nil {
			return err
		}
		return tx.Post(ctx, e)
	})
}

// Authorise holds an amount on a holder's balance.
func (c *Channel) Authorise(ctx context.Context, r channel.PayRequest) (channel.Result, error) {
	return c.make(ctx, r, store.BalanceHeld, func(tx *store.Tx, from books.Account) error {
		return tx.Hold(ctx, holdID(r.Number), from, r.Money.Amount, c.set.Clock.Now().Add(holdFor))
	})
}

func holdID(number string) string { return "balance:" + number }

// make does what makes a payment, once: what became of its number stays, whatever it was.
func (c *Channel) make(ctx context.Context, r channel.PayRequest, state string, do func(*store.Tx, books.Account) error) (channel.Result, error) {
	if err := c.check(r.Number, r.Money); err != nil {
		return channel.Result{}, err
	}
	from, err := Account(r.Payer.Account)
	if err != nil {
		return channel.Result{}, err
	}
	code := ""
	var p store.BalancePayment
	once := func(tx *store.Tx) error {
		now := c.set.Clock.Now()
		var err error
		if p, err = tx.BalancePayment(ctx, r.Number); err == nil {
			return same(p, r)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		p = store.BalancePayment{Number: r.Number, Holder: r.Payer.Account, Amount: r.Money.Amount, State: state, Made: now}
		switch {
		case code != "":
			p.State, p.Code = store.BalanceFailed, code
		case !r.Expires.IsZero() && now.After(r.Expires):
			p.State = store.BalanceClosed
		case state == store.BalancePaid:
			p.Paid, p.PaidAt = r.Money.Amount, now
			fallthrough
		default:
			if err := do(tx, from); err != nil {
				return err
			}
		}
		return tx.AddBalancePayment(ctx, p)
	}
	err = c.set.Store.Update(ctx, once)
	if code = refusal(err); code != "" { // the refusal undid the transaction; another one keeps it
		err = c.set.Store.Update(ctx, once)
	}
	if err != nil {
		return channel.Result{}, err
	}
	return c.result(p), nil
}

// same holds a payment to what is asked under its number now. One that was closed before it was heard of has no content.
func same(p store.BalancePayment, r channel.PayRequest) error {
	if p.State == store.BalanceClosed && p.Holder == "" {
		return nil
	}
	if p.Holder != r.Payer.Account || p.Amount != r.Money.Amount {
		return fmt.Errorf("balance: payment %s was asked for with other content before: %w", p.Number, books.ErrConflict)
	}
	return nil
}

// Query says what became of a payment.
func (c *Channel) Query(ctx context.Context, r channel.Ref) (channel.Result, error) {
	res := channel.Result{Outcome: channel.Missing, Number: r.Number}
	err := c.set.Store.View(ctx, func(tx *store.Tx) error {
		p, err := tx.BalancePayment(ctx, r.Number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		res = c.result(p)
		return err
	})
	if err != nil {
		return channel.Result{}, err
	}
	return res, nil
}

// Close shuts a number that was not heard of, so that a late request for it is refused.
func (c *Channel) Close(ctx context.Context, r channel.Ref) (channel.Result, error) {
	var p store.BalancePayment
	err := c.set.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if p, err = tx.BalancePayment(ctx, r.Number); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		p = store.BalancePayment{Number: r.Number, State: store.BalanceClosed, Made: c.set.Clock.Now()}
		return tx.AddBalancePayment(ctx, p)
	})
	if err != nil {
		return channel.Result{}, err
	}
	return c.result(p), nil
}

// Refund gives back a part of a payment to the balance that it came from.
func (c *Channel) Refund(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return c.step(ctx, r, "refund", func(tx *store.Tx, p *store.BalancePayment) (string, error) {
		left, err := p.Paid.Sub(p.Refunded)
		if err != nil {
			return "", err
		}
		if p.State != store.BalancePaid || r.Money.Amount.Cmp(left) > 0 {
			return TooMuch, nil
		}
		if p.Refunded, err = p.Refunded.Add(r.Money.Amount); err != nil {
			return "", err
		}
		e, err := c.entry(ctx, tx, r.Number, KindRefunded, r.Number+" "+p.Number, books.Channel(c.set.ID), books.HolderBalance(p.Holder), r.Money.Amount)
		if err != nil {
			return "", err
		}
		return "", tx.Post(ctx, e)
	})
}

// QueryRefund says what became of a refund.
func (c *Channel) QueryRefund(ctx context.Context, r channel.RefundRef) (channel.Result, error) {
	res := channel.Result{Outcome: channel.Missing, Number: r.Number}
	err := c.set.Store.View(ctx, func(tx *store.Tx) error {
		s, err := tx.BalanceStep(ctx, r.Number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		res = c.done(s)
		return err
	})
	if err != nil {
		return channel.Result{}, err
	}
	return res, nil
}

func (c *Channel) done(s store.BalanceStep) channel.Result {
	return channel.Result{Outcome: channel.Succeeded, Number: s.Number, ChannelID: s.Number, Money: c.money(s.Amount), At: s.At}
}

// Increment is not served: reserve again.
func (c *Channel) Increment(context.Context, channel.RefundRequest) (channel.Result, error) {
	return channel.Result{}, fmt.Errorf("balance: a reservation does not grow: %w", channel.ErrUnsupported)
}

// Capture takes at most what is held; the rest may be used again.
func (c *Channel) Capture(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return c.step(ctx, r, "capture", func(tx *store.Tx, p *store.BalancePayment) (string, error) {
		switch {
		case p.State != store.BalanceHeld:
			return NotReserved, nil
		case r.Money.Amount.Cmp(p.Amount) > 0:
			return TooMuch, nil
		}
		p.State, p.Paid, p.PaidAt = store.BalancePaid, r.Money.Amount, c.set.Clock.Now()
		e, err := c.entry(ctx, tx, r.Number, KindPaid, r.Number+" "+p.Number, books.HolderBalance(p.Holder), books.Channel(c.set.ID), r.Money.Amount)
		if err != nil {
			return "", err
		}
		return "", tx.SettleHold(ctx, holdID(p.Number), e)
	})
}

// Release gives up a reservation.
func (c *Channel) Release(ctx context.Context, r channel.RefundRequest) (channel.Result, error) {
	return c.step(ctx, r, "release", func(tx *store.Tx, p *store.BalancePayment) (string, error) {
		if p.State != store.BalanceHeld {
			return NotReserved, nil
		}
		p.State = store.BalanceReleased
		return "", tx.ReleaseHold(ctx, holdID(p.Number))
	})
}

// step does a step on a payment, once. A refusal changes nothing and is found again by the state, which never goes back.
func (c *Channel) step(ctx context.Context, r channel.RefundRequest, kind string, do func(*store.Tx, *store.BalancePayment) (refused string, err error)) (channel.Result, error) {
	if err := c.check(r.Number, r.Money); err != nil {
		return channel.Result{}, err
	}
	var res channel.Result
	err := c.set.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.BalanceStep(ctx, r.Number)
		if err == nil {
			if s.Kind != kind || s.Payment != r.Of.Number || s.Amount != r.Money.Amount {
				return fmt.Errorf("balance: %s %s was asked for with other content before: %w", kind, r.Number, books.ErrConflict)
			}
			res = c.done(s)
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		p, err := tx.BalancePayment(ctx, r.Of.Number)
		if errors.Is(err, store.ErrNotFound) {
			res = channel.Result{Outcome: channel.Missing, Number: r.Number}
			return nil
		}
		if err != nil {
			return err
		}
		refused, err := do(tx, &p)
		if err != nil {
			return err
		}
		if refused != "" {
			res = failed(r.Number, refused)
			return nil
		}
		s = store.BalanceStep{Number: r.Number, Payment: p.Number, Kind: kind, Amount: r.Money.Amount, At: c.set.Clock.Now()}
		res = c.done(s)
		return errors.Join(tx.SetBalancePayment(ctx, p), tx.AddBalanceStep(ctx, s))
	})
	if err != nil {
		return channel.Result{}, err
	}
	return res, nil
}

// Has is what a holder may use now, and what is held.
func Has(ctx context.Context, tx *store.Tx, name string) (available, held money.Amount, err error) {
	a, err := Account(name)
	if err != nil {
		return money.Amount{}, money.Amount{}, err
	}
	f, err := tx.Funds(ctx, a)
	return f.Available, f.Frozen, err
}
