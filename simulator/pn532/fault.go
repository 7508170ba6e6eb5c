package pn532

import "time"

// Kind is what goes wrong with one command.
type Kind int

// Kinds of faults. Unless they say otherwise, the chip carries the command out.
const (
	Healthy       Kind = iota
	LostAck            // the response comes without an ACK
	LateAck            // the ACK comes Fault.Delay late
	NackForAck         // the chip has heard a damaged frame: it says NACK and does nothing
	Deaf               // the chip has heard nothing
	Silence            // ACK, and no response
	Twice              // the response comes twice
	Stale              // the response of the command before comes once more, before the ACK
	WrongLength        // the response's length does not fit its checksum
	WrongChecksum      // the response's checksum does not fit
	Truncated          // the response ends in the middle
	Noise              // bytes that are no frame before the ACK and before the response
	FalseStart         // a frame's start that claims much, before the ACK and before the response
	LongPreamble       // zeros before the ACK and before the response
	Bytewise           // each byte is a write of its own
	Together           // ACK and response are one write
	Status             // the chip does nothing and answers Fault.Status
	HangUp             // the plug is pulled instead
	HangUpAfter        // the chip does it, and the plug is pulled before the ACK
	PowerLoss          // the chip loses its power instead, and sleeps
)

// Any is a Fault's command that stands for all.
const Any = -1

// Fault makes commands go wrong.
type Fault struct {
	On     int // command code, or Any
	Skip   int // commands that go well before
	Times  int // commands that go wrong; 0 is one
	Kind   Kind
	Status byte          // of Status
	Delay  time.Duration // of LateAck
}

// Inject adds a fault to those that wait for their command.
func (c *Chip) Inject(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.Times = max(f.Times, 1)
	c.faults = append(c.faults, f)
}

// Heal takes all faults back.
func (c *Chip) Heal() { c.mu.Lock(); defer c.mu.Unlock(); c.faults = nil }

// fault is what goes wrong with this command. The caller holds mu.
func (c *Chip) fault(code byte) Fault {
	for i := range c.faults {
		f := &c.faults[i]
		switch {
		case f.On != Any && f.On != int(code):
			continue
		case f.Skip > 0:
			f.Skip--
			continue
		}
		hit := *f
		if f.Times--; f.Times == 0 {
			c.faults = append(c.faults[:i], c.faults[i+1:]...)
		}
		return hit
	}
	return Fault{}
}
