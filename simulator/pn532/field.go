package pn532

import (
	"context"
	"slices"

	"github.com/purselane/purselane/card/apdu"
)

// Card is a chip that can be in the field.
type Card interface {
	apdu.Transmitter
	Power(on bool)
	Reset()
}

// Target is what a card shows of itself before any command. The zero Target is a type A card of ISO/IEC 14443-4.
type Target struct {
	TypeB bool
	UID   []byte // type A: 4, 7 or 10 bytes, type B: 4 bytes; default one of its own for each card
	NoDEP bool   // it does not speak ISO/IEC 14443-4
	ATS   []byte // type A; default 05 78 80 70 02
	ATQA  uint16 // type A; default 0344
}

// presence is one stay of a card in the field.
type presence struct {
	card    Card
	target  Target
	powered bool
	number  byte // the chip's number of it while it is active; 0 for none
	chained []byte
	pending []byte // of its answer, what the host has not fetched

	left context.Context // ends when it leaves
	out  context.CancelFunc
}

// Put puts a card into the field, beside any that are there. With others, of the same Target, it comes at one moment.
func (c *Chip) Put(card Card, t Target, others ...Card) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, card := range append([]Card{card}, others...) {
		c.put(card, t)
	}
	c.wakeHeld()
}

// put puts one card into the field. The caller holds mu.
func (c *Chip) put(card Card, t Target) {
	c.cards++
	if len(t.UID) == 0 {
		t.UID = []byte{0x04, 0xA1, 0xB2, 0xC3, 0xD4, byte(c.cards >> 8), byte(c.cards)}
		if t.TypeB {
			t.UID = t.UID[3:]
		}
	}
	if len(t.ATS) == 0 {
		t.ATS = []byte{0x05, 0x78, 0x80, 0x70, 0x02}
	}
	if t.ATQA == 0 {
		t.ATQA = 0x0344
	}
	p := &presence{card: card, target: t}
	p.left, p.out = context.WithCancel(context.Background())
	c.field = append(c.field, p)
}

// Take takes all cards out of the field. A command that one of them has under way runs on in the card, and its answer is
// lost.
func (c *Chip) Take() {
	c.mu.Lock()
	out := c.field
	c.field = nil
	for _, p := range out {
		p.out()
	}
	c.mu.Unlock()
	for _, p := range out {
		p.card.Power(false) // outside the lock: a card in the middle of a command takes it when it is done
	}
}

// TakeOne takes one card out of the field.
func (c *Chip) TakeOne(card Card) {
	c.mu.Lock()
	for _, p := range slices.Clone(c.field) {
		if p.card == card {
			c.leave(p)
		}
	}
	c.mu.Unlock()
	card.Power(false)
}

// leave takes one card out of the field. The caller holds mu.
func (c *Chip) leave(p *presence) {
	p.out()
	c.field = slices.DeleteFunc(c.field, func(q *presence) bool { return q == p })
}

// setRF switches the field. The caller holds mu.
func (c *Chip) setRF(on bool) {
	if !on {
		for _, p := range c.field {
			if p.powered {
				p.card.Power(false)
			}
			p.powered, p.number, p.chained, p.pending = false, 0, nil, nil
		}
	}
	c.rf = on
}

// active returns the active card of that number, nil for none. The caller holds mu.
func (c *Chip) active(number byte) *presence {
	for _, p := range c.field {
		if number != 0 && p.number == number {
			return p
		}
	}
	return nil
}

// activate finds up to most cards of a kind that are not active, and makes them so. A card that is active does not answer to
// the call for cards. The caller holds mu.
func (c *Chip) activate(typeB bool, most int) (found []*presence) {
	if !c.rf {
		c.setRF(true) // as the chip does by itself
	}
	for _, p := range c.field {
		if len(found) == most || p.target.TypeB != typeB || p.number != 0 {
			continue
		}
		found = append(found, p)
	}
	for i, p := range found {
		p.number, p.chained, p.pending = byte(i+1), nil, nil
		if !p.powered {
			p.powered = true
			p.card.Power(true)
		} else {
			p.card.Reset()
		}
	}
	return found
}

// release makes cards inactive: that of the number, or all. The caller holds mu.
func (c *Chip) release(number byte) {
	for _, p := range c.field {
		if number == 0 || p.number == number {
			p.number = 0
		}
	}
}

// describe is a target as InListPassiveTarget tells it.
func (p *presence) describe() []byte {
	t := p.target
	if t.TypeB {
		protocol := byte(0x81)
		if t.NoDEP {
			protocol = 0x80
		}
		out := append([]byte{p.number, 0x50}, t.UID[:4]...)
		return append(out, 0, 0, 0, 0, 0x00, protocol, 0x71, 1, 0x00)
	}
	sak := byte(0x20)
	if t.NoDEP {
		sak = 0x08
	}
	out := []byte{p.number, byte(t.ATQA >> 8), byte(t.ATQA), sak, byte(len(t.UID))}
	out = append(out, t.UID...)
	if !t.NoDEP {
		out = append(out, t.ATS...)
	}
	return out
}
