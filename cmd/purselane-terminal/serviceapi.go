package main

import (
	"context"
	"io"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/api"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// The API's terminal is the one that is open now.
var _ api.Terminal = (*services)(nil)

// Charge implements api.Terminal.
func (s *services) Charge(ctx context.Context, lane int, amount money.Amount, request string) (tap.Result, error) {
	d := s.now()
	if d == nil {
		return tap.Result{Outcome: tap.OutOfService}, errStarting
	}
	return d.Charge(ctx, lane, amount, request)
}

// Sale implements api.Terminal.
func (s *services) Sale(request string) (edge.Sale, bool, error) {
	d := s.now()
	if d == nil {
		return edge.Sale{}, false, errStarting
	}
	return d.Sale(request)
}

// Health implements api.Terminal.
func (s *services) Health() (api.Health, error) { return s.health() }

// Export implements api.Terminal.
func (s *services) Export(out io.Writer, first uint64) (uint64, error) {
	d := s.now()
	if d == nil {
		return 0, errStarting
	}
	return d.Export(out, first)
}

// Restart implements api.Terminal.
func (s *services) Restart(lane int) error {
	d := s.now()
	if d == nil {
		return errStarting
	}
	return d.Restart(lane)
}

func cutUnix(address string) (string, bool) { return strings.CutPrefix(address, "unix:") }

func terminalID(s string) ids.TerminalID { return ids.TerminalID(s) }
