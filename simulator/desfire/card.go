package desfire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/image"
)

// Status words the card answers with.
const (
	swOK             apdu.SW = 0x9100
	swNoChanges      apdu.SW = 0x910C
	swCommand        apdu.SW = 0x911C
	swIntegrity      apdu.SW = 0x911E
	swNoKey          apdu.SW = 0x9140
	swLength         apdu.SW = 0x917E
	swPermission     apdu.SW = 0x919D
	swParameter      apdu.SW = 0x919E
	swNoApplication  apdu.SW = 0x91A0
	swAuthentication apdu.SW = 0x91AE
	swMore           apdu.SW = 0x91AF
	swBoundary       apdu.SW = 0x91BE
	swMemory         apdu.SW = 0x91EE
	swNoFile         apdu.SW = 0x91F0
	swCLA            apdu.SW = 0x6E00
	swBadAPDU        apdu.SW = 0x6700
)

// Card is a virtual card. It is safe for concurrent use, as far as a card is: commands are carried out one after the other.
type Card struct {
	mu   sync.Mutex
	img  Image
	file *image.File // nil: the card lives as long as the program
	rand io.Reader

	volatile
}

// volatile is what power loss, SELECT and errors take away.
type volatile struct {
	selected  bool
	challenge *[16]byte // RndB of an authentication that is half done
	session   *session
	change    *Image // what CommitTransaction would make true, but for the transaction MAC
	tmi       []byte // transaction MAC input so far
}

// New makes a card in memory. Its random numbers come from rand.
func New(img Image, rand io.Reader) (*Card, error) {
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("card image: %w", err)
	}
	return &Card{img: img, rand: rand}, nil
}

// CreateFile makes a card whose memory is a new file at path. A file that exists is an error.
func CreateFile(path string, img Image, rand io.Reader) (*Card, error) {
	c, err := New(img, rand)
	if err != nil {
		return nil, err
	}
	c.file, err = image.Create(path, img)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// OpenFile takes up the card whose memory is the file at path. No other program can open it until Close.
func OpenFile(path string, rand io.Reader) (*Card, error) {
	c, f, err := image.OpenAs(path, func(img Image) (*Card, error) { return New(img, rand) })
	if err != nil {
		return nil, err
	}
	c.file = f
	return c, nil
}

// Close gives the card's file free. The card must not be used after it.
func (c *Card) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// Image is a copy of the card's memory.
func (c *Card) Image() Image { c.mu.Lock(); defer c.mu.Unlock(); return c.img }

// Power switches the field on or off. Either way nothing volatile is left.
func (c *Card) Power(bool) { c.Reset() }

// Reset forgets everything volatile: selection, session, transaction.
func (c *Card) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.volatile = volatile{}
}

// Transmit carries out one command APDU. It always answers.
func (c *Card) Transmit(_ context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.dispatch(command)
	if r.SW != swOK && r.SW != swMore {
		// Selection outlives an error; session and transaction do not.
		c.volatile = volatile{selected: c.selected}
	}
	return r.Bytes(), nil
}

func sw(s apdu.SW) apdu.Response { return apdu.Response{SW: s} }

func (c *Card) dispatch(command []byte) apdu.Response {
	cmd, err := apdu.ParseCommand(command)
	if err != nil {
		return sw(swBadAPDU)
	}
	if cmd.CLA != 0x90 {
		return sw(swCLA)
	}
	if cmd.P1 != 0 || cmd.P2 != 0 {
		return sw(swParameter)
	}
	challenge := c.challenge
	c.challenge = nil
	switch cmd.INS {
	case 0x5A:
		return c.selectApplication(cmd.Data)
	case 0x71:
		return c.authenticate(cmd.Data)
	case 0xAF:
		return c.authenticateMore(challenge, cmd.Data)
	}
	return c.secure(cmd.INS, cmd.Data)
}

func (c *Card) selectApplication(data []byte) apdu.Response {
	c.volatile = volatile{}
	if len(data) != 3 {
		return sw(swLength)
	}
	if [3]byte(data) != c.img.Settings.AID {
		return sw(swNoApplication)
	}
	c.selected = true
	return sw(swOK)
}

// save makes next the card's memory: all of it or nothing.
func (c *Card) save(next Image) apdu.SW {
	if c.file != nil {
		err := c.file.Save(next)
		if errors.Is(err, image.ErrNotDurable) {
			c.img = next // the file has it; the terminal is told of a memory failure and asks again
		}
		if err != nil {
			return swMemory
		}
	}
	c.img = next
	return swOK
}
