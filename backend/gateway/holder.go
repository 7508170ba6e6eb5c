package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway/channel/balance"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
)

// Holding is what a holder has with us beside his cards.
type Holding struct {
	Available money.Amount // may be paid with
	Held      money.Amount // reserved for payments that are under way
	Points    []store.HolderPoints
}

// Holding finds what a holder has; one who has never had anything has nothing. Error: [ErrRequest].
func (s *Service) Holding(ctx context.Context, holder string) (out Holding, err error) {
	account, err := balance.Account(holder)
	if err != nil {
		return out, fmt.Errorf("holder %q: %w: %w", holder, ErrRequest, err)
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		f, err1 := tx.Funds(ctx, account)
		points, err2 := tx.PointsOf(ctx, holder)
		out = Holding{Available: f.Available, Held: f.Frozen, Points: points}
		return errors.Join(err1, err2)
	})
	return out, err
}
