package topup

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// Waiting is a load that was paid for one card, and waits for it.
type Waiting struct {
	Order  string
	Amount money.Amount
}

// waiting finds the load that waits for a card, nil for none.
func waiting(ctx context.Context, tx *store.Tx, n ids.CardNumber) (*Waiting, error) {
	o, err := tx.WaitingLoad(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Waiting{Order: o.ID, Amount: o.Amount}, nil
}

// reserved refuses a card that the order is not for: an order may have the value of a card that is lost, which goes to the holder's new one, or
// of a card that was given back, which is handed over in cash (backend/cardlife), or what a case repays to a card's holder (backend/cases), or
// what was paid online for one card.
func reserved(ctx context.Context, tx *store.Tx, o store.LoadOrder, n ids.CardNumber) error {
	bound, err := tx.BoundCard(ctx, o.ID)
	switch {
	case err == nil && bound != n:
		return fmt.Errorf("order %s is for card %v, this is %v: %w", o.ID, bound, n, ErrOtherCard)
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
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
