package ecdriver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/money"
)

// TestAnEntryAndAnExit spells out the record that docs/card-evidence.md tells of, and what a gate reads of it.
func TestAnEntryAndAnExit(t *testing.T) {
	card := world().riders[0].Clone()
	before := card.Balance()
	record := func() string {
		c, err := ec.Select(t.Context(), card, []ec.Accepted{{AID: ec.AIDDebit}})
		require.NoError(t, err)
		r, err := c.ReadTransit(t.Context(), transitFile, transitID, false, nil)
		require.NoError(t, err)
		return fmt.Sprintf("%X", r.Data)
	}
	enter := order(purse.Enter, 0)
	enter.Marked = money.Minor(600)
	g, _, _ := visit(t.Context(), driver(t, trips(7)), card, nil, enter, nil)
	require.NoError(t, g.err)
	require.Equal(t, before, card.Balance(), "an entry takes nothing")
	require.Equal(t, []byte{0, 0, 0, 0, 1, 7}, g.attempt.SAM)
	entry := "0007" + "0101" + "20261125080000" + "000000000107"
	none := fmt.Sprintf("%034d", 0)
	require.Equal(t, "2801"+"11"+"00000258"+entry+none+none, record())

	leave := order(purse.Leave, 340)
	leave.Place.Station = [2]byte{1, 5}
	g, _, _ = visit(t.Context(), driver(t, trips(8)), card, nil, leave, nil)
	require.NoError(t, g.err)
	left, err := before.Sub(card.Balance())
	require.NoError(t, err)
	require.Equal(t, money.Minor(340), left)
	require.Equal(t, "2801"+"12"+"00000000"+entry+"0007"+"0105"+"20261125080000"+"000000000108"+none, record())

	g, _, _ = visit(t.Context(), driver(t, trips(9)), card, nil, order(purse.BusRide, 200), nil)
	require.NoError(t, g.err)
	card.Insert()
	c, err := driver(t, trips(1)).Open(t.Context(), card)
	require.NoError(t, err)
	r, err := c.Read(t.Context(), purse.Need{Trip: true, Ride: true})
	require.NoError(t, err)
	require.True(t, r.Trip.Left)
	require.Equal(t, [2]byte{1, 5}, r.Trip.Exit.Station)
	require.True(t, r.Ride.Bus)
	require.True(t, at.Equal(r.Ride.At))
	require.Equal(t, g.attempt.Mark(), r.Ride.Mark)
}

// broken is an operator's SAM that does not work.
type broken struct{ err error }

func (b broken) RecordMAC(context.Context, ec.RecordName, []byte) ([4]byte, error) {
	return [4]byte{}, b.err
}
func (b broken) OpeningMAC(context.Context, ec.RecordName, []byte) ([4]byte, error) {
	return [4]byte{}, b.err
}
func (b broken) NewKey(context.Context, ec.RecordName) ([16]byte, error) { return [16]byte{}, b.err }

// TestTripsThatAreRefused: nothing is debited, and nothing written.
func TestTripsThatAreRefused(t *testing.T) {
	sam := func(err error) func(*ecdriver.Settings) {
		return func(s *ecdriver.Settings) { s.Transit.Operator = broken{err} }
	}
	for name, k := range map[string]struct {
		change func(*ecdriver.Settings)
		why    error
	}{
		"the SAM is dead":            {sam(errors.New("no card in the slot")), purse.ErrTerminal},
		"the SAM is busy":            {sam(keys.ErrSAMBusy), purse.ErrBusy},
		"the SAM has no such key":    {sam(keys.ErrUnknownKey), purse.ErrKey},
		"the record's MAC is wrong":  {sam(nil), purse.ErrDeclined},
		"the record was not opened":  {func(s *ecdriver.Settings) { s.Transit.ID = [2]byte{0x28, 0x09} }, purse.ErrNoPurse},
		"the terminal takes no trip": {func(s *ecdriver.Settings) { s.Transit = nil }, purse.ErrDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			card := world().riders[0].Clone()
			before := card.Balance()
			g, _, _ := visit(t.Context(), driver(t, trips(1), k.change), card, nil, order(purse.Leave, 300), nil)
			require.ErrorIs(t, g.err, k.why)
			require.False(t, g.begun)
			require.Equal(t, before, card.Balance())
			hidden(t, g.err)
		})
	}
	card := world().blank[0].Clone() // without the extension
	g, _, _ := visit(t.Context(), driver(t, trips(1)), card, nil, order(purse.Leave, 300), nil)
	require.ErrorIs(t, g.err, purse.ErrDeclined)
	g, _, _ = visit(t.Context(), driver(t, trips(1)), card, nil, order(purse.BusRide, 300), nil)
	require.NoError(t, g.err, "it rides a bus all the same")
}

func TestTransitSettings(t *testing.T) {
	s := settings(t)
	s.Transit, s.EarlyDebit = &ecdriver.Transit{File: 31}, true
	_, err := ecdriver.New(s, nil)
	for _, want := range []string{"transit file 31", "operator's keys", "terminal number", "early debits"} {
		require.ErrorContains(t, err, want)
	}
}
