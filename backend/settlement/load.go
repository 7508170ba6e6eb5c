package settlement

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Load reads the report of a closed day from its frozen items, and proves that it is the one that was closed. The files are in memory; [Write] keeps none
// there. Errors: [ErrNotClosed], [ErrChanged].
func Load(ctx context.Context, s *store.Store, day string) (Output, error) {
	var out Output
	head, err := writeDay(ctx, s, day, func() Create {
		out = Output{}
		return out.create
	})
	if err != nil {
		return Output{}, err
	}
	out.Head = head
	return out, nil
}

// Write writes the CSV files of a closed day, each as its lines come, and returns the day with its JSON file. What was written counts only if there is no
// error: that the day is the one that was closed is proved last. Errors: those of [Load].
func Write(ctx context.Context, s *store.Store, day string, create Create) (Head, error) {
	return writeDay(ctx, s, day, func() Create { return create })
}

func writeDay(ctx context.Context, s *store.Store, day string, to func() Create) (Head, error) {
	if _, err := calendar.ParseDate(day); err != nil {
		return Head{}, err
	}
	var out Head
	err := s.View(ctx, func(tx *store.Tx) error {
		var err error
		out, err = loadDay(ctx, tx, day, to())
		return err
	})
	return out, err
}

// prove reports whether a day is the one that was closed.
func prove(ctx context.Context, tx *store.Tx, day string) (Head, error) {
	return loadDay(ctx, tx, day, discard)
}

func loadDay(ctx context.Context, tx *store.Tx, day string, create Create) (Head, error) {
	head, err := tx.ClosedDay(ctx, day)
	if errors.Is(err, store.ErrNotFound) {
		return Head{}, fmt.Errorf("%s: %w", day, ErrNotClosed)
	}
	if err != nil {
		return Head{}, err
	}
	frozen, err := thaw(ctx, tx, head)
	if err != nil {
		return Head{}, err
	}
	out, err := frozen.render(create)
	if err != nil {
		return Head{}, err
	}
	if out.Digest != head.Digest {
		return Head{}, fmt.Errorf("%s: %w: its report now has digest %s, closed was %s", day, ErrChanged, out.Digest, head.Digest)
	}
	return out, nil
}

// thaw reads a closed day's frozen inputs. Its items are read anew each time that somebody goes through them, while the transaction lasts.
func thaw(ctx context.Context, tx *store.Tx, head store.ClearingDay) (Frozen, error) {
	f := Frozen{Version: head.Version, Day: head.Day, Term: head.Term, Due: head.Due, Currency: head.Currency, CaseAfter: head.CaseAfter}
	var err error
	if f.Merchants, err = tx.MerchantFees(ctx, head.Day); err != nil {
		return f, err
	}
	if f.Parties, err = tx.PartyDays(ctx, head.Day); err != nil {
		return f, err
	}
	f.Items = func(each func(store.Item) error) error { return tx.EachItem(ctx, head.Day, each) }
	f.Held = func(each func(store.Item) error) error { return tx.EachSuspect(ctx, head.Day, each) }
	if f.Collected, err = tx.CollectedOn(ctx, head.Day); err != nil {
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
