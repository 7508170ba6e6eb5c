package settlement

import (
	"context"
	"time"

	"github.com/purselane/purselane/backend/store"
)

// FrozenOf reads what a closed day keeps, to render it as another version would have.
func FrozenOf(ctx context.Context, s *store.Store, day string) (f Frozen, err error) {
	err = s.View(ctx, func(tx *store.Tx) error {
		head, err := tx.ClosedDay(ctx, day)
		if err != nil {
			return err
		}
		if f, err = thaw(ctx, tx, head); err != nil {
			return err
		}
		for _, w := range []*Walk{&f.Items, &f.Held} { // to be read when the transaction is over
			var all []store.Item
			if err := (*w)(func(i store.Item) error { all = append(all, i); return nil }); err != nil {
				return err
			}
			*w = func(each func(store.Item) error) error {
				for _, i := range all {
					if err := each(i); err != nil {
						return err
					}
				}
				return nil
			}
		}
		return nil
	})
	return f, err
}

// Resend orders a payment again, as an approved proposal does.
func Resend(ctx context.Context, s *store.Store, day, kind, party string, o BankOptions) (out Order, err error) {
	err = s.Update(ctx, func(tx *store.Tx) error {
		out, err = resend(ctx, tx, day, kind, party, o)
		return err
	})
	return out, err
}

// Pay notes that a day was paid by hand, as an approved proposal does.
func Pay(ctx context.Context, s *store.Store, day, bankRef string, now time.Time) error {
	return s.Update(ctx, func(tx *store.Tx) error { return pay(ctx, tx, day, bankRef, now) })
}
