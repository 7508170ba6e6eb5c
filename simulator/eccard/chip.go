package eccard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// swMemory is what a card says whose memory did not take a change.
const swMemory apdu.SW = 0x6581

// Chip is a card whose memory is a file: what it answers is on disk before it answers. It is safe for concurrent use, as far as a card is.
type Chip struct {
	mu    sync.Mutex
	card  *Card
	saved []byte // its image, as JSON
	file  *image.File
}

// CreateFile gives a card a new file at path for its memory. A file that exists is an error.
func CreateFile(path string, card *Card) (*Chip, error) {
	m, err := card.Image()
	if err != nil {
		return nil, err
	}
	c := &Chip{card: card}
	if c.saved, err = json.Marshal(m); err != nil {
		return nil, err
	}
	c.file, err = image.Create(path, m)
	return c, err
}

// OpenFile takes up the card whose memory is the file at path. No other program can open it until Close.
func OpenFile(path string, chance io.Reader) (*Chip, error) {
	card, f, err := image.OpenAs(path, func(m Image) (*Card, error) { return New(m, chance) })
	if err != nil {
		return nil, err
	}
	c := &Chip{card: card, file: f}
	m, err := card.Image()
	if err == nil {
		c.saved, err = json.Marshal(m)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// Close gives the card's file free. The card must not be used after it.
func (c *Chip) Close() error { return c.file.Close() }

// Format prints the masked card number.
func (c *Chip) Format(f fmt.State, verb rune) { c.card.Format(f, verb) }

// Power switches the field on or off. Either way nothing volatile is left.
func (c *Chip) Power(bool) { c.Reset() }

// Reset forgets everything volatile.
func (c *Chip) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.card.Insert()
}

// Balance is what is on the card.
func (c *Chip) Balance() money.Amount { c.mu.Lock(); defer c.mu.Unlock(); return c.card.Balance() }

// ATC is the card's transaction counter.
func (c *Chip) ATC() uint16 { c.mu.Lock(); defer c.mu.Unlock(); return c.card.ATC() }

// Transmit carries out one command. A change that the file does not take is undone, and the card says that its memory fails.
func (c *Chip) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, err := c.card.Transmit(ctx, command)
	if err != nil {
		return nil, err
	}
	m, err := c.card.Image()
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(now, c.saved) {
		return answer, nil
	}
	err = c.file.Save(m)
	if err == nil || errors.Is(err, image.ErrNotDurable) {
		c.saved = now // the file has it
	}
	if err == nil {
		return answer, nil
	}
	var was Image
	if err := json.Unmarshal(c.saved, &was); err != nil {
		return nil, err
	}
	card, err := New(was, c.card.chance)
	if err != nil {
		return nil, err
	}
	card.Insert()
	c.card = card
	return apdu.Response{SW: swMemory}.Bytes(), nil
}

// Fault is called before each step of writing the memory, as image.File says. For tests.
func (c *Chip) Fault(fault func(step string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.file.Fault = fault
}

// PAN is the card's number.
func (c *Chip) PAN() ec.PAN { return c.card.pan }
