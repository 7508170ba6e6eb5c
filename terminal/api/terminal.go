package api

import (
	"context"
	"io"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// Terminal is what the API needs of a running terminal.
type Terminal interface {
	// Charge takes an amount from the next card at a till's lane, once for each request; see edge.Terminal.
	Charge(ctx context.Context, lane int, amount money.Amount, request string) (tap.Result, error)
	// Sale tells what became of a request; see edge.Terminal.
	Sale(request string) (edge.Sale, bool, error)
	// Health is how it does now.
	Health() (Health, error)
	// Export writes the records from number first on, signed; 0: all without a receipt. It returns how many.
	Export(out io.Writer, first uint64) (uint64, error)
	// Restart closes a lane's reader and opens it again, between two cards.
	Restart(lane int) error
}
