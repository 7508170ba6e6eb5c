package epcard

import (
	"context"
	"fmt"
	"sync"

	"github.com/purselane/purselane/card/apdu"
)

// Tear says when a card leaves the field.
type Tear struct {
	// At is the command at which it leaves, counted from 1; 0 is never.
	At int
	// After: the card carries the command out, and its answer is lost. Otherwise the card never sees the command.
	After bool
	// Noticed: the reader knows that the command did not reach the card (apdu.ErrNotSent). Otherwise it cannot tell
	// (apdu.ErrNoAnswer). It matters only without After.
	Noticed bool
}

// Powered is a chip in a field or slot: [Card], and the PSAM of package psam.
type Powered interface {
	apdu.Transmitter
	Power(on bool)
	Reset()
}

// Field is one presentation of a card: it powers the card, carries commands to it and takes it out as its Tear says. A
// card that left stays away: present it again with a new Field.
type Field struct {
	card Powered
	tear Tear

	mu       sync.Mutex
	commands int
	gone     bool
}

// Present puts card into a field.
func Present(card Powered, tear Tear) *Field {
	card.Power(true)
	return &Field{card: card, tear: tear}
}

// Transmit carries one command to the card, or loses it as the Tear says. Once the card is gone it fails with ErrNotSent.
func (f *Field) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", apdu.ErrNotSent, err)
	}
	f.commands++
	tear := f.tear.At == f.commands
	if tear && !f.tear.After {
		f.leave()
		if f.tear.Noticed {
			return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNotSent)
		}
		return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
	}
	response, err := f.card.Transmit(ctx, command)
	if tear {
		f.leave()
		return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
	}
	return response, err
}

// Power switches the card on or off while it is in the field: a Field can stand in a slot that controls the power.
func (f *Field) Power(on bool) { f.whilePresent(func() { f.card.Power(on) }) }

// Reset is a warm reset of the card.
func (f *Field) Reset() { f.whilePresent(f.card.Reset) }

func (f *Field) whilePresent(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.gone {
		do()
	}
}

// Leave takes the card out between two commands.
func (f *Field) Leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leave()
}

func (f *Field) leave() {
	if !f.gone {
		f.gone = true
		f.card.Power(false)
	}
}

// Gone reports whether the card has left.
func (f *Field) Gone() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.gone }

// Commands is the number of commands sent in this field, the torn one included.
func (f *Field) Commands() int { f.mu.Lock(); defer f.mu.Unlock(); return f.commands }
