package topup

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// reserved refuses a card that the order is not for: an order may have the value of a card that is lost, which goes to the holder's new one, or
// of a card that was given back, which is handed over in cash (backend/cardlife).
func reserved(ctx context.Context, tx *store.Tx, o store.LoadOrder, n ids.CardNumber) error {
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
