package topup

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// reserved refuses a card that the order is not for: an order may have the value of a card that is lost, which goes to the holder's new one, or
// of a card that was given back, which is handed over in cash (backend/cardlife), or what a case repays to a card's holder (backend/cases).
func reserved(ctx context.Context, tx *store.Tx, o store.LoadOrder, n ids.CardNumber) error {
	repaid, err := tx.RepaidCard(ctx, o.ID)
	switch {
	case err == nil && repaid != n:
		return fmt.Errorf("order %s is for card %v, this is %v: %w", o.ID, repaid, n, ErrOtherCard)
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	life, err := tx.LifeOrderOfLoad(ctx, o.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case life.Target == nil:
		return fmt.Errorf("order %s is paid out in cash, to no card: %w", o.ID, ErrOtherCard)
	case *life.Target != n:
		return fmt.Errorf("order %s is for card %v, this is %v: %w", o.ID, *life.Target, n, ErrOtherCard)
	}
	return nil
}
