package edge_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

func TestABusTapIsDebitedOnce(t *testing.T) {
	w := newWorld(t, nil)
	card := newCard(t, 1, 10_00, nil)
	require.Equal(t, tap.Granted, w.tapOn(bus, card).Outcome)
	require.Equal(t, money.Minor(8_00), card.Balance())

	w.clock.Advance(5 * time.Second)
	r := w.tapOn(bus2, card)
	require.Equal(t, tap.AlreadyPaid, r.Outcome, "the other door within the window of one trip: %s", r.Reason)
	require.Equal(t, money.Minor(8_00), card.Balance())

	w.clock.Advance(10 * time.Minute)
	require.Equal(t, tap.Granted, w.tapOn(bus, card).Outcome, "a trip of its own")
	require.Equal(t, money.Minor(6_00), card.Balance())
	require.Equal(t, []wire.State{wire.State_STATE_COMPLETED, wire.State_STATE_COMPLETED}, w.states())
	require.Len(t, w.events, 3)
	require.Equal(t, "green", w.events[0].Pattern.Light)
	require.Equal(t, bus2, w.events[1].Lane)
}

func TestMetroInAndOut(t *testing.T) {
	w := newWorld(t, nil)
	card := newCard(t, 1, 20_00, nil)
	require.Equal(t, tap.Granted, w.tapOn(entry, card).Outcome)
	require.Equal(t, money.Minor(20_00), card.Balance())
	w.clock.Advance(25 * time.Minute)
	r := w.tapOn(exit, card)
	require.Equal(t, tap.Granted, r.Outcome, r.Reason)
	require.Equal(t, money.Minor(6_00), r.Amount)
	require.Equal(t, money.Minor(14_00), card.Balance())
}

// TestACardPulledAtEveryCommand pulls the card at each command of a bus tap in turn, before and after it, and presents it again.
// Whatever happened, one fare is gone in the end and the rider has passed once.
func TestACardPulledAtEveryCommand(t *testing.T) {
	whole := func() int {
		w := newWorld(t, nil)
		f := epcard.Present(newCard(t, 1, 10_00, nil), epcard.Tear{})
		_, err := w.Present(context.Background(), bus, f)
		require.NoError(t, err)
		return f.Commands()
	}()
	unknown := 0
	for at := 1; at <= whole; at++ {
		for _, after := range []bool{false, true} {
			w := newWorld(t, nil)
			card := newCard(t, 1, 10_00, nil)
			r, err := w.Present(context.Background(), bus, epcard.Present(card, epcard.Tear{At: at, After: after}))
			require.NoError(t, err)
			if r.Outcome == tap.PresentAgain && r.Tap.Tap != 0 {
				unknown++
			}
			if !r.Outcome.Pass() {
				require.Equal(t, tap.PresentAgain, r.Outcome, "command %d: %s", at, r.Reason)
				w.clock.Advance(3 * time.Second)
				r = w.tapOn(bus, card)
				require.True(t, r.Outcome.Pass(), "command %d: %s", at, r.Reason)
			}
			require.Equal(t, money.Minor(8_00), card.Balance(), "command %d, after %v", at, after)
			open, err := w.Journal().OpenIntents()
			require.NoError(t, err)
			require.Empty(t, open)
		}
	}
	require.Equal(t, 2, unknown, "the DEBIT, seen and not seen by the card")
}
