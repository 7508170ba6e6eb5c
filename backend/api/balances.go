package api

import (
	"context"
	"errors"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// lastDay comes after every clearing day: through it stands all that is posted.
const lastDay = "9999-12-31"

// dayOf is the day that was asked for.
func dayOf(day *AtDay) (string, error) {
	if day == nil {
		return lastDay, nil
	}
	if _, err := calendar.ParseDate(*day); err != nil {
		return "", refusal{codeRequest, "parameter day: there is no such date"}
	}
	return *day, nil
}

// account finds an account of the books by name or number.
func account(ctx context.Context, tx *store.Tx, name string) (books.Account, books.Class, error) {
	a, err := tx.FindAccount(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", "", refusal{code: codeUnknownAccount}
	}
	if err != nil {
		return "", "", err
	}
	class, err := books.ClassOf(a.Name)
	return a.Name, class, err
}

// GetAccountBalance tells an account's balance, if we keep it.
func (s *server) GetAccountBalance(ctx context.Context, r GetAccountBalanceRequestObject) (GetAccountBalanceResponseObject, error) {
	day, err := dayOf(r.Params.Day)
	if err != nil {
		return nil, err
	}
	out := GetAccountBalance200JSONResponse{Day: r.Params.Day}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		name, class, err := account(ctx, tx, r.Account)
		if err != nil {
			return err
		}
		out.Account, out.Class = string(name), string(class)
		out.Balance, err = ledger.BalanceAt(ctx, tx, name, day)
		return err
	})
	return out, err
}

// GetAccountTurnover tells what our entries moved on an account.
func (s *server) GetAccountTurnover(ctx context.Context, r GetAccountTurnoverRequestObject) (GetAccountTurnoverResponseObject, error) {
	day, err := dayOf(r.Params.Day)
	if err != nil {
		return nil, err
	}
	out := GetAccountTurnover200JSONResponse{Day: r.Params.Day}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		name, class, err := account(ctx, tx, r.Account)
		if err != nil {
			return err
		}
		moved, err := tx.TurnoverAt(ctx, name, day)
		out.Account, out.Class, out.External = string(name), string(class), books.External(name)
		out.Debits, out.Credits = moved.Debits, moved.Credits
		return err
	})
	return out, err
}

// GetMerchantBalance tells what a merchant is owed.
func (s *server) GetMerchantBalance(ctx context.Context, r GetMerchantBalanceRequestObject) (GetMerchantBalanceResponseObject, error) {
	day, err := dayOf(r.Params.Day)
	if err != nil {
		return nil, err
	}
	out := GetMerchantBalance200JSONResponse{Merchant: r.Merchant, Day: r.Params.Day}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		id, err := own(ctx, tx, r.Merchant)
		if err != nil {
			return err
		}
		for a, to := range map[books.Account]*money.Amount{books.MerchantPending(id): &out.Pending, books.MerchantAvailable(id): &out.Available, books.MerchantHeld(id): &out.Held} {
			debit, err := ledger.BalanceAt(ctx, tx, a, day)
			if err != nil {
				return err
			}
			if *to, err = debit.Neg(); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
