package epcard

import (
	"context"
	"sync"

	"github.com/purselane/purselane/card/apdu"
)

// Lie is a way in which a hostile or broken card misbehaves.
type Lie string

// Lies. Those of the debit's arithmetic leave every MAC valid: MAC2 covers the amount alone.
const (
	WrongBorrow     Lie = "wrong borrow"       // 1000h − 10h = 0F10h; every MAC is valid
	CounterWraps    Lie = "counter wraps"      // the offline counter goes from 256 to 1, in the log too
	ConstantMAC2    Lie = "constant MAC2"      // DEBIT answers the MAC2 of its first debit for ever
	Replay          Lie = "replay"             // answers each command of a later session as it answered it in the first one
	ProofWithout    Lie = "proof without MAC2" // PROVE answers a proof whose MAC2 is zero, whether there is one or not
	Empty           Lie = "empty answers"      // 9000 and no data
	TooLong         Lie = "over-long answers"  // more data than a short response holds
	Padded          Lie = "padded answers"     // one byte too many
	TooRich         Lie = "balance above the maximum"
	Swapped         Lie = "swapped" // another card answers from then on
	Endless61       Lie = "endless 61xx"
	Endless6C       Lie = "endless 6Cxx"
	SilentZeroBytes Lie = "no bytes at all"
	TwoPurses       Lie = "two purses" // Other is a second application on the card; while Hidden, the first one is not there
)

// Hostile is a chip that lies. It can be presented as a card can.
type Hostile struct {
	chip Powered
	lie  Lie
	// From is the command at which it begins to lie, counted from 1 over all sessions; 0 is the first. It does not hold for lies that
	// have a place of their own: WrongBorrow, CounterWraps, ConstantMAC2, Replay, ProofWithout, TooRich, TwoPurses.
	From int
	// Other answers in the place of a Swapped card, and is the second purse of one that has two.
	Other Powered
	// Hidden hides the first purse of a card that has two.
	Hidden bool

	mu       sync.Mutex
	commands int
	mac2     []byte
	script   map[string][]byte // Replay: by the command's head
	sessions int
	second   bool // the second purse is selected
}

// NewHostile makes a liar of a chip. WrongBorrow and CounterWraps want a *Card, and it keeps them for good.
func NewHostile(chip Powered, lie Lie) *Hostile {
	if c, ok := chip.(*Card); ok && (lie == WrongBorrow || lie == CounterWraps) {
		c.mu.Lock()
		c.lie = lie
		c.mu.Unlock()
	}
	return &Hostile{chip: chip, lie: lie, script: map[string][]byte{}}
}

// Power implements Powered.
func (h *Hostile) Power(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if on {
		h.sessions++
		if h.Other != nil {
			h.Other.Power(true)
		}
	}
	h.chip.Power(on)
}

// Reset implements Powered.
func (h *Hostile) Reset() { h.chip.Reset() }

// Transmit carries a command out, and lies about it.
func (h *Hostile) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commands++
	if len(command) < 4 {
		return h.chip.Transmit(ctx, command)
	}
	if h.lie == Replay && h.sessions > 1 {
		if answer, found := h.script[string(command[:4])]; found {
			return answer, nil
		}
	}
	if h.lie == Swapped && h.Other != nil && h.commands >= h.From {
		return h.Other.Transmit(ctx, command)
	}
	if h.lie == TwoPurses {
		return h.select2(ctx, command)
	}
	answer, err := h.chip.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	if h.lie == Replay {
		h.script[string(command[:4])] = answer
	}
	return h.bend(command, answer), nil
}

// select2 takes a command to the purse that is selected, or selects one: the first that knows the name.
func (h *Hostile) select2(ctx context.Context, command []byte) ([]byte, error) {
	byName := command[0] == 0x00 && command[1] == 0xA4 && command[2] == 0x04
	if !byName {
		if h.second {
			return h.Other.Transmit(ctx, command)
		}
		return h.chip.Transmit(ctx, command)
	}
	if !h.Hidden {
		answer, err := h.chip.Transmit(ctx, command)
		if err != nil || len(answer) > 2 {
			h.second = false
			return answer, err
		}
	}
	h.second = true
	return h.Other.Transmit(ctx, command)
}

// bend makes the lie of an answer.
func (h *Hostile) bend(command, answer []byte) []byte {
	good := apdu.SW(uint16(answer[len(answer)-2])<<8|uint16(answer[len(answer)-1])) == apdu.OK
	purse := command[0] == 0x80
	switch ins := command[1]; h.lie {
	case ConstantMAC2:
		if purse && ins == 0x54 && good && len(answer) == 10 {
			if h.mac2 == nil {
				h.mac2 = append(h.mac2, answer[4:8]...)
			}
			copy(answer[4:8], h.mac2)
		}
		return answer
	case ProofWithout:
		if purse && ins == 0x5A {
			return []byte{0, 0, 0, 0, 1, 2, 3, 4, 0x90, 0x00}
		}
		return answer
	case TooRich:
		if purse && (ins == 0x50 || ins == 0x5C) && good {
			copy(answer, []byte{0xFF, 0xFF, 0xFF, 0xFF})
		}
		return answer
	}
	if h.commands < h.From {
		return answer
	}
	switch h.lie {
	case Empty:
		return []byte{0x90, 0x00}
	case TooLong:
		return append(make([]byte, apdu.MaxResponse), 0x90, 0x00)
	case Padded:
		return append([]byte{0}, answer...)
	case Endless61:
		return []byte{0x61, 0x10}
	case Endless6C:
		return []byte{0x6C, 0x10}
	case SilentZeroBytes:
		return nil
	}
	return answer
}

// wrongBorrow subtracts byte by byte as one known card does: where a byte borrows, what is left is the difference the other way round.
func wrongBorrow(a, b uint32) (out uint32) {
	borrow := int64(0)
	for shift := 0; shift < 32; shift += 8 {
		x, y := int64(a>>shift&0xFF)-borrow, int64(b>>shift&0xFF)
		borrow = 0
		d := x - y
		if d < 0 {
			d, borrow = -d, 1
		}
		out |= uint32(d&0xFF) << shift
	}
	return out
}
