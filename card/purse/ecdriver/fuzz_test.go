package ecdriver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
)

// FuzzParse reads bytes as an evidence's data.
func FuzzParse(f *testing.F) {
	g, _, _ := visit(f.Context(), driver(f), world().cards[0], nil, order(purse.Sale, 1), nil)
	require.NoError(f, g.err)
	f.Add(g.evidence.Data)
	f.Add([]byte{1, 0xE1, 0, 0xE2, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ecdriver.Parse(raw)
		if err == nil {
			require.NotEmpty(t, e.Field55)
		}
	})
}

// FuzzState reads bytes as what a journal kept of an attempt, and asks a card about it.
func FuzzState(f *testing.F) {
	card := world().cards[0]
	g, _, _ := visit(f.Context(), driver(f), card, once(7, 2), order(purse.Sale, 1), nil)
	require.True(f, g.begun)
	f.Add(g.attempt.State)
	f.Add([]byte{1, 0x84, 0, 0xE1, 0, 0xE2, 0})
	d := driver(f)
	f.Fuzz(func(t *testing.T, state []byte) {
		card.Insert()
		c, err := d.Open(t.Context(), card)
		require.NoError(t, err)
		a := g.attempt
		a.State = state
		before := card.Balance()
		if _, e, err := c.Recover(t.Context(), a); err == nil {
			require.NotEmpty(t, e.Sealed)
		} else {
			hidden(t, err)
		}
		require.Equal(t, before, card.Balance())
	})
}

// FuzzTransit gives a card's transit record any bytes: a gate reads them as a trip or refuses them, and sells on what it has read.
func FuzzTransit(f *testing.F) {
	f.Add(make([]byte, ecdriver.TransitRecordSize-2))
	f.Add(append([]byte{0x11, 0, 0, 2, 0x58}, make([]byte, ecdriver.TransitRecordSize-7)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= 200 {
			return // no answer holds it
		}
		card := world().riders[0].Clone()
		answer := func(command, answer []byte) []byte {
			if command[1] == 0xB4 {
				return append(append(append([]byte{0x28, 0x01}, data...), 1, 2, 3, 4), 0x90, 0x00)
			}
			return answer
		}
		card.Insert()
		c, err := driver(t, trips(1)).Open(t.Context(), altered{card, answer})
		require.NoError(t, err)
		if _, err := c.Read(t.Context(), purse.Need{Trip: true, Ride: true}); err != nil {
			return
		}
		_, err = c.Begin(t.Context(), order(purse.Leave, 1))
		require.Error(t, err, "its MAC is not the operator's")
	})
}
