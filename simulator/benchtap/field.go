package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/epcard"
	emulator "github.com/purselane/purselane/simulator/pn532"
	"github.com/purselane/purselane/simulator/vpcd"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/pcsc"
	"github.com/purselane/purselane/terminal/reader/pn532"
)

// riders is how many cards take turns at each stub reader.
const riders = 16

// cardLimit is how long a card that lies on a reader is waited for.
const cardLimit = 30 * time.Second

// errSkipped says why a kind of reader cannot be measured here.
var errSkipped = errors.New("skipped")

// field is what lies at the doors.
type field struct {
	cards [doors]func() (apdu.Transmitter, error) // the card of the next ride
	again [doors]func() error                     // begins a new session after one that failed; nil: none fails
	close func() error

	strict bool // what the terminal does while the card works is counted as the terminal's
}

func newField() *field { return &field{close: func() error { return nil }, strict: true} }

// stubField has cards of the same process at both doors.
func stubField(context.Context) (*field, error) {
	f := newField()
	for lane := range doors {
		var cards []*epcard.Card
		for n := range riders {
			card, err := newCard(lane, n)
			if err != nil {
				return nil, err
			}
			cards = append(cards, card)
		}
		rides := 0
		f.cards[lane] = func() (apdu.Transmitter, error) {
			rides++
			return epcard.Present(cards[rides%riders], epcard.Tear{}), nil
		}
	}
	return f, nil
}

// thinking is how long a command of a slow card takes.
const thinking = 10 * time.Millisecond

// slowField is a stubField whose cards think, and all of whose time is the card's.
func slowField(ctx context.Context) (*field, error) {
	f, err := stubField(ctx)
	if err != nil {
		return nil, err
	}
	for lane, next := range f.cards {
		f.cards[lane] = func() (apdu.Transmitter, error) {
			card, err := next()
			return slow{card}, err
		}
	}
	f.strict = false
	return f, nil
}

type slow struct{ apdu.Transmitter }

// Transmit implements apdu.Transmitter.
func (s slow) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	time.Sleep(thinking)
	return s.Transmitter.Transmit(ctx, command)
}

// add puts a reader's card, which stays, to a door. What was opened is closed with the field, the newest first.
func (f *field) add(ctx context.Context, lane int, r reader.Reader) error {
	f.closing(r.Close)
	var card reader.Card
	wait := func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, cardLimit)
		defer cancel()
		if card, err = r.Wait(ctx); err != nil {
			return fmt.Errorf("wait for the card at %s: %w", r.Name(), err)
		}
		return nil
	}
	f.cards[lane] = func() (apdu.Transmitter, error) { return card, nil }
	f.again[lane] = func() error { return errors.Join(card.Close(reader.Reset), wait()) }
	return wait()
}

func (f *field) closing(what func() error) {
	before := f.close
	f.close = func() error { return errors.Join(what(), before()) }
}

// pn532Field has a card on an emulated PN532, on a pseudo terminal without pace, at each door.
func pn532Field(ctx context.Context) (f *field, err error) {
	f = newField()
	for lane := range doors {
		chip, err := emulator.New(emulator.Options{})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: no pseudo terminal: %v", errSkipped, err), f.close())
		}
		f.closing(chip.Close)
		card, err := newCard(lane, 0)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		chip.Put(card, emulator.Target{})
		r, err := pn532.Open(pn532.Options{Port: chip.Path()})
		if err == nil {
			err = f.add(ctx, lane, r)
		}
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return f, nil
}

// Slots of vpcd, by lane.
var (
	slots = [doors]string{"Virtual PCD 00 00", "Virtual PCD 00 01"}
	addrs = [doors]string{"127.0.0.1:35963", "127.0.0.1:35964"}
)

// vpcdField has a card in each slot of a pcscd of our own.
func vpcdField(ctx context.Context) (*field, error) {
	if os.Getenv("PURSELANE_PCSCD") != "private" {
		return nil, fmt.Errorf("%w: needs a pcscd of its own with virtual readers: run \"make bench-tap\" where pcscd, vpcd and namespaces are", errSkipped)
	}
	f := newField()
	for lane := range doors {
		card, err := newCard(lane, 0)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		there, out := context.WithCancel(ctx)
		left := make(chan error, 1)
		go func() { left <- vpcd.Slot{Addr: addrs[lane]}.Run(there, card) }()
		f.closing(func() error { out(); return <-left })
		r, err := pcsc.Open(pcsc.Options{Name: slots[lane]})
		if err == nil {
			err = f.add(ctx, lane, r)
		}
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return f, nil
}
