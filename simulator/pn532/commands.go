package pn532

import (
	"context"
	"time"
)

// bauds are the speeds by their code in SetSerialBaudRate.
var bauds = []int{9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

// Status codes of the chip.
const (
	stGood    byte = 0x00
	stTimeout byte = 0x01
	stParam   byte = 0x10
	stContext byte = 0x27
	stMore    byte = 0x40
)

const maxData = 262 // of a card's answer in one response

// work is a command that takes its time: it returns the response, nil for none.
type work func(ctx context.Context) []byte

// execute carries out a command. It returns the response's parameters, or the work that makes them, or neither for a syntax
// error. The caller holds mu.
func (c *Chip) execute(code byte, p []byte) (response []byte, later work, known bool) {
	ok := func(b ...byte) ([]byte, work, bool) { return b, nil, true }
	bad := func() ([]byte, work, bool) { return nil, nil, false }
	switch code {
	case 0x00: // Diagnose
		return c.diagnose(p)
	case 0x02: // GetFirmwareVersion
		return ok(0x32, 0x01, 0x06, 0x07)
	case 0x04: // GetGeneralStatus
		out := []byte{0, 0, 0}
		for _, card := range c.field {
			if card.number != 0 {
				out[2]++
				out = append(out, card.number, 0, 0, 0x10)
			}
		}
		return ok(append(out, 0x80)...)
	case 0x06: // ReadRegister
		if len(p) == 0 || len(p)%2 != 0 {
			return bad()
		}
		var out []byte
		for ; len(p) > 0; p = p[2:] {
			out = append(out, c.registers[[2]byte(p)])
		}
		return ok(out...)
	case 0x08: // WriteRegister
		if len(p) == 0 || len(p)%3 != 0 {
			return bad()
		}
		for ; len(p) > 0; p = p[3:] {
			c.registers[[2]byte(p)] = p[2]
		}
		return ok()
	case 0x10: // SetSerialBaudRate
		if len(p) != 1 || int(p[0]) >= len(bauds) || c.o.MaxBaud > 0 && bauds[p[0]] > c.o.MaxBaud {
			return bad()
		}
		c.nextBaud = bauds[p[0]]
		return ok()
	case 0x12: // SetParameters
		if len(p) != 1 {
			return bad()
		}
		c.flags = p[0]
		return ok()
	case 0x14: // SAMConfiguration
		if len(p) < 1 || len(p) > 3 || p[0] < 1 || p[0] > 4 {
			return bad()
		}
		c.lowPower = false
		return ok()
	case 0x16: // PowerDown
		if len(p) < 1 || len(p) > 2 {
			return bad()
		}
		c.sleepNext = true
		return ok(stGood)
	case 0x32: // RFConfiguration
		return c.configure(p)
	case 0x40: // InDataExchange
		if len(p) < 1 {
			return bad()
		}
		return c.dataExchange(p[0], p[1:])
	case 0x42: // InCommunicateThru
		return c.communicateThru(p)
	case 0x44, 0x52: // InDeselect, InRelease
		if len(p) != 1 {
			return bad()
		}
		c.release(p[0])
		return ok(stGood)
	case 0x4A: // InListPassiveTarget
		return c.list(p)
	case 0x4E: // InPSL
		if len(p) != 3 {
			return bad()
		}
		if p[1] > 2 || p[2] > 2 {
			return ok(stParam)
		}
		return ok(c.context(p[0]))
	case 0x54: // InSelect
		if len(p) != 1 {
			return bad()
		}
		return ok(c.context(p[0]))
	case 0x60: // InAutoPoll
		return c.autoPoll(p)
	}
	return bad()
}

func (c *Chip) context(number byte) byte {
	if c.active(number) == nil {
		return stContext
	}
	return stGood
}

func (c *Chip) diagnose(p []byte) ([]byte, work, bool) {
	switch {
	case len(p) > 0 && p[0] == 0x00:
		return p, nil, true
	case len(p) == 1 && (p[0] == 0x01 || p[0] == 0x02):
		return []byte{0}, nil, true
	case len(p) == 1 && p[0] == 0x06:
		if c.active(1) == nil {
			return []byte{stTimeout}, nil, true
		}
		return []byte{stGood}, nil, true
	}
	return nil, nil, false
}

func (c *Chip) configure(p []byte) ([]byte, work, bool) {
	sizes := map[byte]int{0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
	if len(p) == 0 || sizes[p[0]] == 0 || len(p)-1 != sizes[p[0]] {
		return nil, nil, false
	}
	switch p[0] {
	case 0x01:
		c.setRF(p[1]&0x01 != 0)
	case 0x05:
		c.endless = p[3] == 0xFF
	}
	return []byte{}, nil, true
}

// list is InListPassiveTarget. With endless tries it is held until a card comes.
func (c *Chip) list(p []byte) ([]byte, work, bool) {
	if len(p) < 2 || p[0] < 1 || p[0] > 2 || p[1] > 4 || p[1] == 3 && len(p) < 3 {
		return nil, nil, false
	}
	most, kind := int(p[0]), p[1]
	find := func() []byte {
		if kind != 0x00 && kind != 0x03 {
			return []byte{0} // no card here answers to FeliCa or Jewel
		}
		found := c.activate(kind == 0x03, most)
		out := []byte{byte(len(found))}
		for _, f := range found {
			out = append(out, f.describe()...)
		}
		return out
	}
	if out := find(); out[0] > 0 || !c.endless {
		return out, nil, true
	}
	return nil, c.hold(find), true
}

// hold looks again whenever a card is put into the field, until the command is stopped.
func (c *Chip) hold(find func() []byte) work {
	return func(ctx context.Context) []byte {
		for {
			c.mu.Lock()
			out, came := find(), c.came
			c.mu.Unlock()
			if out[0] > 0 {
				return out
			}
			select {
			case <-came:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// autoPoll is InAutoPoll, with the kinds of cards that can be here: 20 is type A, 23 type B.
func (c *Chip) autoPoll(p []byte) ([]byte, work, bool) {
	if len(p) < 3 || p[0] == 0 || p[1] == 0 || p[1] > 0x0F {
		return nil, nil, false
	}
	polls, period, kinds := int(p[0]), time.Duration(p[1])*150*time.Millisecond, p[2:]
	find := func() []byte {
		for _, kind := range kinds {
			if kind != 0x20 && kind != 0x23 {
				continue
			}
			for _, f := range c.activate(kind == 0x23, 1) {
				told := f.describe()
				return append([]byte{1, kind, byte(len(told))}, told...)
			}
		}
		return []byte{0}
	}
	return nil, func(ctx context.Context) []byte {
		for n := 0; polls == 0xFF || n < polls; n++ {
			c.mu.Lock()
			out := find()
			c.mu.Unlock()
			if out[0] > 0 {
				return out
			}
			select {
			case <-time.After(period):
			case <-ctx.Done():
				return nil
			}
		}
		return []byte{0}
	}, true
}

// communicateThru knows one raw frame: R(NAK), which a card answers without leaving its state.
func (c *Chip) communicateThru(p []byte) ([]byte, work, bool) {
	card := c.active(1)
	if card == nil || len(p) != 1 || p[0]&0xFE != 0xB2 || card.target.NoDEP {
		return []byte{stTimeout}, nil, true
	}
	return []byte{stGood, 0xA2 | p[0]&1 ^ 1}, nil, true
}

// dataExchange carries an APDU, or a part of one, to a card.
func (c *Chip) dataExchange(number byte, data []byte) ([]byte, work, bool) {
	card := c.active(number &^ stMore)
	switch {
	case card == nil:
		return []byte{stContext}, nil, true
	case card.target.NoDEP:
		return []byte{stTimeout}, nil, true
	case number&stMore != 0:
		card.chained = append(card.chained, data...)
		return []byte{stGood}, nil, true
	case len(data) == 0 && len(card.chained) == 0:
		return c.nextPart(card), nil, true
	}
	command := append(card.chained, data...)
	card.chained, card.pending = nil, nil
	return nil, func(ctx context.Context) []byte {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(card.left, cancel)()
		answer, err := card.card.Transmit(ctx, command)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil && card.left.Err() == nil {
			c.leave(card) // how simulated cards leave the field
		}
		if err != nil || card.left.Err() != nil {
			return []byte{stTimeout}
		}
		card.pending = answer
		return c.nextPart(card)
	}, true
}

// nextPart is what fits of a card's answer. The caller holds mu.
func (c *Chip) nextPart(card *presence) []byte {
	n, st := len(card.pending), stGood
	if n > c.o.Part {
		n, st = c.o.Part, stMore
	}
	out := append([]byte{st}, card.pending[:n]...)
	card.pending = card.pending[n:]
	return out
}
