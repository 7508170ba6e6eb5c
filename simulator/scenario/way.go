package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/reader"
)

// Door is what the backend and the issuer's desk ask of the master keys.
type Door interface {
	keys.HSM
	SecureMAC(ctx context.Context, card keys.Card, challenge, message []byte) ([4]byte, error)
}

// Way is how a run reaches cards and keys: all that may differ between two runs of one scenario.
type Way struct {
	// SAM puts the PSAM where the terminal has it, and opens it with its application.
	SAM func(ctx context.Context, chip vpcd.Card, application []byte) (keys.SAM, error)
	// Present puts a card into the field. away takes it out, and returns when another may come.
	Present func(ctx context.Context, chip vpcd.Card) (card apdu.Transmitter, away func() error, err error)
	// Keys puts the scheme's master keys behind a door. The backend closes it, if it can be closed.
	Keys func(ctx context.Context, masters map[keys.ID]keys.Key) (Door, error)
}

// InProcess has no reader between terminal and card, and the keys in software.
func InProcess() Way {
	return Way{
		SAM: func(ctx context.Context, chip vpcd.Card, application []byte) (keys.SAM, error) {
			chip.Power(true)
			return ep.OpenPSAM(ctx, chip, application)
		},
		Present: func(_ context.Context, chip vpcd.Card) (apdu.Transmitter, func() error, error) {
			chip.Power(true)
			return chip, func() error { chip.Power(false); return nil }, nil
		},
		Keys: func(_ context.Context, masters map[keys.ID]keys.Key) (Door, error) { return keys.NewSoft(masters), nil },
	}
}

// Slot is a reader and the address at which a simulated card is plugged into it.
type Slot struct {
	Reader reader.Reader
	Addr   string
	Empty  func() // waits until the reader has seen that it is empty; nil: it sees at once
}

// OverReaders is InProcess with readers between: the card in one, the PSAM in the other. Both chips answer to ctx's end at the latest.
//
// A card that is presented again stays in its reader with its power off, which is all that the chip itself knows of being taken away: a
// reader takes its time to notice. It is taken out when another card comes, and when it was torn out.
func OverReaders(ctx context.Context, cards, sams Slot) Way {
	w := InProcess()
	w.SAM = func(_ context.Context, chip vpcd.Card, application []byte) (keys.SAM, error) {
		plug(ctx, sams.Addr, chip)
		return edge.OpenPSAM(ctx, sams.Reader, application)
	}
	field := &field{ctx: ctx, slot: cards}
	w.Present = field.present
	return w
}

// field is a reader for cards with the one that is in it.
type field struct {
	ctx     context.Context
	slot    Slot
	in      *seat // nil: none
	card    vpcd.Card
	session reader.Card
	out     func()
}

func (f *field) present(ctx context.Context, chip vpcd.Card) (apdu.Transmitter, func() error, error) {
	card := chip
	t, tears := chip.(*torn)
	if tears {
		card = t.Card
	}
	if f.in != nil && f.card != card {
		if err := f.empty(); err != nil {
			return nil, nil, err
		}
	}
	if f.in == nil {
		f.in, f.card = &seat{card: chip}, card
		f.out = plug(f.ctx, f.slot.Addr, f.in)
	} else {
		f.in.set(chip)
	}
	var err error
	if f.session, err = f.slot.Reader.Wait(ctx); err != nil {
		return nil, nil, err
	}
	return f.session, func() error {
		err := f.session.Close(reader.Unpower)
		if tears && t.left() {
			err = errors.Join(err, f.empty())
		}
		return err
	}, nil
}

// empty takes the card out and waits until the reader has noticed.
func (f *field) empty() error {
	f.out()
	err := f.session.Removed(f.ctx)
	if f.slot.Empty != nil {
		f.slot.Empty()
	}
	f.in = nil
	return err
}

// seat is what is plugged into a slot: one presentation of a card after the other.
type seat struct {
	mu   sync.Mutex
	card vpcd.Card
}

func (s *seat) set(card vpcd.Card) { s.mu.Lock(); defer s.mu.Unlock(); s.card = card }

func (s *seat) now() vpcd.Card { s.mu.Lock(); defer s.mu.Unlock(); return s.card }

// Power implements vpcd.Card.
func (s *seat) Power(on bool) { s.now().Power(on) }

// Reset implements vpcd.Card.
func (s *seat) Reset() { s.now().Reset() }

// Transmit implements apdu.Transmitter.
func (s *seat) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return s.now().Transmit(ctx, command)
}

// plug puts a chip into a slot until out is called or ctx ends.
func plug(ctx context.Context, addr string, chip vpcd.Card) (out func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = vpcd.Slot{Addr: addr}.Run(ctx, chip) // it ends when the card is torn out, which is told by the card
	}()
	return func() { cancel(); <-done }
}

// torn is a chip that leaves at the first command of an instruction.
type torn struct {
	vpcd.Card
	tear Tear

	mu   sync.Mutex
	gone bool
}

func (c *torn) left() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.gone }

// Transmit implements apdu.Transmitter.
func (c *torn) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	}
	at, tears := tearable[c.tear.At]
	if !tears || len(command) < 2 || command[0] != 0x80 || command[1] != at {
		return c.Card.Transmit(ctx, command)
	}
	c.gone = true
	if c.tear.After {
		if _, err := c.Card.Transmit(ctx, command); err != nil {
			return nil, err
		}
	}
	c.Card.Power(false)
	return nil, fmt.Errorf("%w: the card left the field", apdu.ErrNoAnswer)
}
