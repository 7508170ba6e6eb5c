package tcc

import (
	"context"
	"errors"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Kinds of the entries in the books.
const (
	KindTaken = "combined-taken"
	KindBack  = "combined-back"
)

// Balance is the participant of holders' balances: a hold, then an entry.
type Balance struct {
	Store    *store.Store
	Clock    clock.Clock
	Location *time.Location // the scheme's: days are in it
}

func (p Balance) entry(ctx context.Context, tx *store.Tx, id, kind, ref string, from, to books.Account, amount money.Amount) (books.Entry, error) {
	return entry(ctx, tx, p.Clock.Now().In(p.Location), id, kind, ref, from, to, amount)
}

// entry moves an amount on the day that is open.
func entry(ctx context.Context, tx *store.Tx, at time.Time, id, kind, ref string, from, to books.Account, amount money.Amount) (books.Entry, error) {
	day, err := tx.ClearingDay(ctx, at)
	if err != nil {
		return books.Entry{}, err
	}
	lines, err := books.Move(from, to, amount)
	return books.Entry{ID: "tcc:" + id, Kind: kind, Day: day, Ref: ref, Lines: lines}, err
}

// refuse turns what the books refuse for good into a refusal.
func refuse(err error) error {
	switch {
	case errors.Is(err, books.ErrFunds):
		return errRefused{balance.NoFunds, channel.ByPayer}
	case errors.Is(err, books.ErrSwitched):
		return errRefused{balance.Frozen, channel.ByRisk}
	case errors.Is(err, store.ErrPoints):
		return errRefused{"NO_POINTS", channel.ByPayer}
	}
	return err
}

// Try holds the amount; of a direct leg it takes it.
func (p Balance) Try(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Try, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		from, err := balance.Account(l.Account)
		if err != nil {
			return err
		}
		if !l.Direct {
			return refuse(tx.Hold(ctx, "tcc:"+l.number("P"), from, l.Money.Amount, l.Until))
		}
		f, err := tx.Funds(ctx, from)
		if err != nil {
			return err
		}
		if _, err := f.Pay(l.Money.Amount); err != nil {
			return refuse(err)
		}
		e, err := p.entry(ctx, tx, l.number("P"), KindTaken, l.XID+" "+l.Context, from, books.Account(l.Payee), l.Money.Amount)
		if err != nil {
			return err
		}
		return refuse(tx.Post(ctx, e))
	})
}

// Confirm takes what is held.
func (p Balance) Confirm(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Confirm, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		if l.Direct {
			return nil
		}
		e, err := p.entry(ctx, tx, l.number("P"), KindTaken, l.XID+" "+l.Context, books.HolderBalance(l.Account), books.Account(l.Payee), l.Money.Amount)
		if err != nil {
			return err
		}
		return tx.SettleHold(ctx, "tcc:"+l.number("P"), e)
	})
}

// Cancel gives up what is held; of a direct leg it gives it back.
func (p Balance) Cancel(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Cancel, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		if !l.Direct {
			return tx.ReleaseHold(ctx, "tcc:"+l.number("P"))
		}
		e, err := p.entry(ctx, tx, l.number("R"), KindBack, l.XID+" "+l.Context, books.Account(l.Payee), books.HolderBalance(l.Account), l.Money.Amount)
		if err != nil {
			return err
		}
		return tx.Post(ctx, e)
	})
}

// Refund gives back a part.
func (p Balance) Refund(ctx context.Context, l Leg, r Refund) (Answer, error) {
	err := p.Store.Update(ctx, func(tx *store.Tx) error {
		e, err := p.entry(ctx, tx, r.Number, KindBack, l.XID+" "+l.Context, books.Account(l.Payee), books.HolderBalance(l.Account), r.Amount)
		if err != nil {
			return err
		}
		return postOnce(ctx, tx, e)
	})
	return Answer{Word: Done}, err
}

// postOnce posts an entry, or finds that it stands already, maybe on another day.
func postOnce(ctx context.Context, tx *store.Tx, e books.Entry) error {
	day, err := tx.EntryDay(ctx, e.ID)
	if err != nil {
		return err
	}
	if day != "" {
		e.Day = day
	}
	return tx.Post(ctx, e)
}

// Points is the participant of value that is no money. It is in no books, and no bank hears of it.
type Points struct {
	Store *store.Store
	Clock clock.Clock
}

// Try holds points; of a direct leg it gives them to the payee.
func (p Points) Try(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Try, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		if l.Direct {
			return refuse(p.move(ctx, tx, l, l.number("P"), l.Account, l.Payee, l.Money.Amount))
		}
		return refuse(tx.HoldPoints(ctx, l.Account, l.Money.Currency, l.Money.Amount))
	})
}

// Confirm gives the points that are held to the payee.
func (p Points) Confirm(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Confirm, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		if l.Direct {
			return nil
		}
		if err := p.free(ctx, tx, l); err != nil {
			return err
		}
		return p.move(ctx, tx, l, l.number("P"), l.Account, l.Payee, l.Money.Amount)
	})
}

// Cancel frees the points; of a direct leg it gives them back.
func (p Points) Cancel(ctx context.Context, l Leg) (Answer, error) {
	return obey(ctx, p.Store, l, Cancel, p.Clock.Now(), func(tx *store.Tx, _ Branch) error {
		if l.Direct {
			return p.move(ctx, tx, l, l.number("R"), l.Payee, l.Account, l.Money.Amount)
		}
		return p.free(ctx, tx, l)
	})
}

// Refund gives points back. The payee may have spent them: then it waits until he has them again.
func (p Points) Refund(ctx context.Context, l Leg, r Refund) (Answer, error) {
	err := p.Store.Update(ctx, func(tx *store.Tx) error { return p.move(ctx, tx, l, r.Number, l.Payee, l.Account, r.Amount) })
	if err != nil {
		return Answer{}, err
	}
	return Answer{Word: Done}, nil
}

func (p Points) free(ctx context.Context, tx *store.Tx, l Leg) error {
	less, err := l.Money.Amount.Neg()
	if err != nil {
		return err
	}
	return tx.HoldPoints(ctx, l.Account, l.Money.Currency, less)
}

func (p Points) move(ctx context.Context, tx *store.Tx, l Leg, id, from, to string, amount money.Amount) error {
	return tx.MovePoints(ctx, "tcc:"+id, from, to, l.Money.Currency, amount, l.XID+" "+l.Context, p.Clock.Now())
}
