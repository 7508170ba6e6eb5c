package town

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
)

// tear says when a card leaves the field.
type tear struct {
	at      int  // the command at which it leaves, counted from 1; 0: not by count
	money   bool // it leaves at the first command that moves money, DEBIT or CREDIT
	after   bool // the card carries that command out, and its answer is lost
	noticed bool // without after: the reader knows that the command did not reach the card
}

// drawTear draws whether the card leaves early, and at which of the commands. Half of them leave at the one command where
// it costs money: there the protocol has most to prove.
func (w *town) drawTear(commands int) tear {
	if !chance(w.rng, w.faults.CardPulled) {
		return tear{}
	}
	t := tear{after: w.rng.IntN(2) == 0, noticed: w.rng.IntN(2) == 0}
	if t.money = w.rng.IntN(2) == 0; !t.money {
		t.at = 1 + w.rng.IntN(commands)
	}
	return t
}

// field is one presentation of a card. A card that left stays away.
type field struct {
	card     *card
	tear     tear
	commands int
	gone     bool
}

func present(c *card, t tear) *field {
	c.Power(true)
	return &field{card: c, tear: t}
}

// leave takes the card out.
func (f *field) leave() {
	if !f.gone {
		f.gone = true
		f.card.Power(false)
	}
}

// Transmit carries one command to the card, or loses it or its answer.
func (f *field) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if f.gone {
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	}
	f.commands++
	moves := len(command) > 1 && command[0] == 0x80 && (command[1] == 0x54 || command[1] == 0x52)
	if torn := f.tear.at == f.commands || f.tear.money && moves; !torn {
		return f.card.Transmit(ctx, command)
	}
	defer f.leave()
	if f.tear.after {
		if _, err := f.card.Transmit(ctx, command); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
	}
	if f.tear.noticed {
		return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNotSent)
	}
	return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
}
