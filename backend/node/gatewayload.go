package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/app"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
)

// loadError says in the gateway's words why a load cannot be made or given back.
func loadError(err error) error {
	switch {
	case errors.Is(err, topup.ErrAmount):
		return fmt.Errorf("%w: %w", gateway.ErrLoadAmount, err)
	case errors.Is(err, topup.ErrState):
		return fmt.Errorf("%w: %w", gateway.ErrLoadState, err)
	}
	return err
}

// rate is what an app's terms say of one of our accounts.
func rate(ctx context.Context, tx *store.Tx, id, account string) (int64, error) {
	ppm, standard, err := app.Rate(ctx, tx, id, account)
	if err == nil && standard != "" {
		err = fmt.Errorf("app %s pays by fee standard %s over %s, which the gateway does not know: %w", id, standard, account, gateway.ErrRate)
	}
	return ppm, err
}
