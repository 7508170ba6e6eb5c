package node

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/gateway"
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
