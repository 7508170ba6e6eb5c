package settlement

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Load reads the report of a closed day from its frozen items, and proves that it is the one that was closed. Errors:
// [ErrNotClosed], [ErrChanged].
func Load(ctx context.Context, s *store.Store, day string) (Output, error) {
	if _, err := calendar.ParseDate(day); err != nil {
		return Output{}, err
	}
	var out Output
	err := s.View(ctx, func(tx *store.Tx) error {
		var err error
		out, err = loadDay(ctx, tx, day)
		return err
	})
	return out, err
}

func loadDay(ctx context.Context, tx *store.Tx, day string) (Output, error) {
	head, err := tx.ClosedDay(ctx, day)
	if errors.Is(err, store.ErrNotFound) {
		return Output{}, fmt.Errorf("%s: %w", day, ErrNotClosed)
	}
	if err != nil {
		return Output{}, err
	}
	frozen, err := thaw(ctx, tx, head)
	if err != nil {
		return Output{}, err
	}
	out, err := frozen.Output()
	if err != nil {
		return Output{}, err
	}
	if out.Digest != head.Digest {
		return Output{}, fmt.Errorf("%s: %w: its report now has digest %s, closed was %s", day, ErrChanged, out.Digest, head.Digest)
	}
	return out, nil
}

// thaw reads a closed day's frozen inputs.
func thaw(ctx context.Context, tx *store.Tx, head store.ClearingDay) (Frozen, error) {
	f := Frozen{Version: head.Version, Day: head.Day, Term: head.Term, Due: head.Due, Currency: head.Currency, CaseAfter: head.CaseAfter}
	var err error
	if f.Merchants, err = tx.MerchantFees(ctx, head.Day); err != nil {
		return f, err
	}
	if f.Parties, err = tx.PartyDays(ctx, head.Day); err != nil {
		return f, err
	}
	if f.Items, err = tx.Items(ctx, head.Day); err != nil {
		return f, err
	}
	if f.Held, err = tx.SuspectsAfter(ctx, head.Day); err != nil {
		return f, err
	}
	// A month of items is much to read, so only where a fee counts it.
	counts, err := f.perMonth()
	if err != nil || !counts {
		return f, err
	}
	f.Month, err = tx.DaySums(ctx, string(calendar.Date(head.Day).MonthStart()), head.Day)
	return f, err
}
