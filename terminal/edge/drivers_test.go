package edge_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// blockedFamily finds its purse on every card, and it is blocked.
type blockedFamily struct{ opened *int }

func (f blockedFamily) Family() string { return "other" }

func (f blockedFamily) Open(context.Context, apdu.Transmitter) (purse.Card, error) {
	*f.opened++
	return nil, purse.ErrBlocked
}

// TestFurtherFamilies are asked about cards that have no EP purse, and each lane has drivers of its own.
func TestFurtherFamilies(t *testing.T) {
	made, opened := 0, 0
	w := newWorld(t, func(cfg *edge.Config) {
		cfg.Families = func() ([]purse.Driver, error) {
			made++
			return []purse.Driver{blockedFamily{&opened}}, nil
		}
	})
	require.Equal(t, len(w.cfg.Lanes), made)
	require.Equal(t, tap.Granted, w.tapOn(bus, newCard(t, 1, 10_00, nil)).Outcome)
	require.Zero(t, opened, "an EP card is the EP driver's")
	r, err := w.Present(t.Context(), bus, passport{})
	require.NoError(t, err)
	require.Equal(t, tap.RefusedBlocked, r.Outcome)
	require.Equal(t, 1, opened)

	broken := w.cfg
	broken.JournalPath = filepath.Join(t.TempDir(), "journal.db")
	broken.Families = func() ([]purse.Driver, error) { return nil, errors.New("no CA key") }
	_, err = edge.Open(broken)
	require.ErrorContains(t, err, "drivers of the card families: no CA key")
}
