package ecdriver_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/ecdriver"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// early is a card that debits when it approves: it reads its own last record at once.
type early struct {
	*eccard.Card
	lose bool // the answer to GET PROCESSING OPTIONS
	mute bool // it does not get there either
}

func (e early) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] != 0xA8 {
		return e.Card.Transmit(ctx, command)
	}
	if e.mute {
		return nil, fmt.Errorf("%w: the card has left", apdu.ErrNoAnswer)
	}
	answer, err := e.Card.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	if _, err := e.Card.Transmit(ctx, []byte{0x00, 0xB2, 0x04, 0x14, 0x00}); err != nil {
		return nil, err
	}
	if e.lose {
		return nil, fmt.Errorf("%w: the card has left", apdu.ErrNoAnswer)
	}
	return answer, nil
}

func earlyDebit(s *ecdriver.Settings) { s.EarlyDebit = true }

// TestACardThatDebitsEarly: Begin says that it may have debited, with an attempt that the card can be asked about.
func TestACardThatDebitsEarly(t *testing.T) {
	type k struct {
		name       string
		lose, mute bool
		then       int64 // debited elsewhere before the card comes back
		took       bool
		want       purse.Verdict
	}
	for _, k := range []k{
		{"answered", false, false, 0, true, purse.Completed},
		{"answered, then used elsewhere", false, false, 3, true, purse.Aged},
		{"the answer is lost", true, false, 0, true, purse.Aged},
		{"it was not reached", false, true, 0, false, purse.Voided},
		{"it was not reached, and paid as much elsewhere", false, true, 7, false, purse.Aged},
	} {
		t.Run(k.name, func(t *testing.T) {
			card := world().blank[0].Clone()
			card.Insert()
			d := driver(t, earlyDebit)
			c, err := d.Open(t.Context(), early{card, k.lose, k.mute})
			require.NoError(t, err)
			before := card.Balance()
			a, err := c.Begin(t.Context(), order(purse.Sale, 7))
			require.ErrorIs(t, err, purse.ErrMaybeDebited)
			hidden(t, a, a.State, err)
			require.Equal(t, k.took, card.Balance() != before)
			require.Equal(t, ecdriver.Token([]byte("0123456789abcdef"), world().pans[0], 1), a.Card)
			require.Equal(t, []any{money.Minor(7), money.Minor(100_000), money.Minor(99_993)}, []any{a.Amount, a.Before, a.After})
			require.EqualValues(t, 1, a.Counter)
			if k.then > 0 {
				other, _, _ := visit(t.Context(), driver(t), card, nil, order(purse.Sale, k.then), nil)
				require.NoError(t, other.err)
			}

			// Another card is not taken for it.
			stranger := world().blank[1].Clone()
			stranger.Insert()
			c, err = driver(t, earlyDebit).Open(t.Context(), stranger)
			require.NoError(t, err)
			_, _, err = c.Recover(t.Context(), a)
			require.ErrorIs(t, err, purse.ErrOtherCard)

			for range 2 {
				card.Insert()
				c, err = driver(t, earlyDebit).Open(t.Context(), early{card, false, false})
				require.NoError(t, err)
				was := card.Balance()
				verdict, e, err := c.Recover(t.Context(), a)
				require.NoError(t, err)
				require.Equal(t, k.want, verdict)
				require.Equal(t, was, card.Balance())
				pan, _, err := ecdriver.Open(world().seal, a.Card, e.Sealed)
				require.NoError(t, err)
				require.Equal(t, world().pans[0], pan)
				require.Equal(t, k.want == purse.Completed, len(e.Data) > 0)
			}
		})
	}
}

// TestAnEarlyDebitIsForApprovedTapsAlone: a refusal is certain also of such cards.
func TestAnEarlyDebitIsForApprovedTapsAlone(t *testing.T) {
	card := world().blank[0].Clone()
	g, _, _ := visit(t.Context(), driver(t, earlyDebit), card, nil, order(purse.Sale, 50_001), nil)
	require.ErrorIs(t, g.err, purse.ErrDeclined)
	require.NotErrorIs(t, g.err, purse.ErrMaybeDebited)
}

// TestTheNumberIsFoundAgain: once a driver knows where an application's cards have it, it looks nowhere else.
func TestTheNumberIsFoundAgain(t *testing.T) {
	d := driver(t, earlyDebit)
	sent := func() int {
		card := world().blank[0].Clone()
		card.Insert()
		n := 0
		card.TearAt = func(k int) eccard.Tear { n = k + 1; return eccard.NoTear }
		c, err := d.Open(t.Context(), card)
		require.NoError(t, err)
		_, err = c.Begin(t.Context(), order(purse.Sale, 1))
		require.NoError(t, err)
		return n
	}
	first := sent()
	require.Less(t, sent(), first)
}
