//go:build linux

package edge_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	chip "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pn532"
)

// pn532Hand is a PN532 on a pseudo terminal.
type pn532Hand struct {
	*chip.Chip
	r *pn532.Reader
}

func newPN532(t *testing.T) *pn532Hand {
	c, err := chip.New(chip.Options{Link: filepath.Join(t.TempDir(), "pn532")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	r, err := pn532.Open(pn532.Options{Port: c.Path()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return &pn532Hand{c, r}
}

func (h *pn532Hand) reader() reader.Reader { return h.r }
func (h *pn532Hand) put(card vpcd.Card)    { h.Put(card, chip.Target{}) }
func (h *pn532Hand) take()                 { h.Take() }

// TestPN532PulledAtEveryCommand has both readers of a door behind PN532 chips.
func TestPN532PulledAtEveryCommand(t *testing.T) {
	pulledAtEveryCommand(t, "outcome unknown", func(t *testing.T) (one, other hand) { return newPN532(t), newPN532(t) })
}
