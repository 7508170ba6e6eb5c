package edge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// front and rear are the doors of a bus.
const front, rear = 0, 1

// twoDoors has a bus with two doors: the same card at both is one trip, and many cards at both at once pay once each, over one SAM.
func twoDoors(t *testing.T, one, other hand) {
	s := newStack(t, kinds()[bus], one, other)
	card := newCard(t, 1, 20_00, nil)
	require.Equal(t, tap.Granted, s.present(front, card).Outcome)
	s.away(front, rear)
	s.clock.Advance(5 * time.Second)
	r := s.present(rear, card)
	require.Equal(t, tap.AlreadyPaid, r.Outcome, r.Reason)
	s.away(rear, rear)
	s.clock.Advance(10 * time.Minute)
	require.Equal(t, tap.Granted, s.present(rear, card).Outcome, "a trip of its own")
	s.away(rear, rear)
	require.Equal(t, money.Minor(16_00), card.Balance())

	cards := []*epcard.Card{card}
	for range 3 {
		for _, h := range s.hands {
			c := newCard(t, byte(len(cards)+1), 20_00, nil)
			cards = append(cards, c)
			h.put(c)
		}
		seen := [2]bool{}
		for range s.hands {
			e := s.soon()
			require.Equal(t, tap.Granted, e.Result.Outcome, "door %d: %s", e.Lane, e.Result.Reason)
			require.False(t, seen[e.Lane], "each door has its own")
			seen[e.Lane] = true
		}
		for _, h := range s.hands {
			h.take()
		}
	}
	require.NoError(t, s.stop())
	for _, c := range cards[1:] {
		require.Equal(t, money.Minor(18_00), c.Balance())
	}
	require.Len(t, s.records(), len(cards)+1)
	require.NoError(t, s.Journal().Verify())
}

// aReaderHangs has a card at the front door that takes the DEBIT and does not answer, for longer than its reader waits. The rear door sells on
// meanwhile. hang makes the card or its reader do so; release lets go on what hangs.
func aReaderHangs(t *testing.T, one, other hand, hang func(*epcard.Card) (card vpcd.Card, release func())) {
	s := newStack(t, kinds()[bus], one, other)
	stuck := newCard(t, 1, 20_00, nil)
	card, release := hang(stuck)
	one.put(card)
	var r tap.Result
	sold := 0
	for r.Outcome == 0 { // the rear door, as often as it takes
		c := newCard(t, byte(10+sold), 20_00, nil)
		other.put(c)
		for e := s.soon(); ; e = s.soon() {
			if e.Lane == front {
				r = e.Result
				continue
			}
			require.Equal(t, tap.Granted, e.Result.Outcome, e.Result.Reason)
			break
		}
		sold++
		other.take()
		require.NoError(t, s.Alive())
	}
	require.Equal(t, tap.PresentAgain, r.Outcome, r.Reason)
	require.Contains(t, r.Reason, "no answer")
	require.Len(t, s.pending(), 1)
	require.NoError(t, s.Alive(), "it waits for the card to leave")

	release()
	one.take()
	require.Eventually(t, func() bool { return s.Lanes()[front].State == edge.LaneWaiting }, patience, 10*time.Millisecond)
	again := s.present(front, stuck)
	require.Equal(t, tap.RecoveredGranted, again.Outcome, again.Reason)
	one.take()
	require.NoError(t, s.stop())
	require.Equal(t, money.Minor(18_00), stuck.Balance())
	require.Empty(t, s.pending())
	require.Contains(t, s.states(), wire.State_STATE_UNKNOWN)
	require.Len(t, s.records(), sold+2)
}
