package epcard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/image"
)

// Status words the card answers with (purse facts chapter 11).
const (
	swMemory       apdu.SW = 0x6581
	swLength       apdu.SW = 0x6700
	swState        apdu.SW = 0x6901 // no INITIALIZE of that kind before
	swFileType     apdu.SW = 0x6981
	swSecurity     apdu.SW = 0x6982
	swTriesOver    apdu.SW = 0x6983
	swNoChallenge  apdu.SW = 0x6984
	swNoMAC        apdu.SW = 0x6987
	swSecureMAC    apdu.SW = 0x6988
	swNoKey        apdu.SW = 0x6A88
	swConditions   apdu.SW = 0x6985
	swNoCurrentEF  apdu.SW = 0x6986
	swData         apdu.SW = 0x6A80
	swBlocked      apdu.SW = 0x6A81
	swNoFile       apdu.SW = 0x6A82
	swNoRecord     apdu.SW = 0x6A83
	swNoSpace      apdu.SW = 0x6A84
	swP1P2         apdu.SW = 0x6A86
	swOffset       apdu.SW = 0x6B00
	swINS          apdu.SW = 0x6D00
	swCLA          apdu.SW = 0x6E00
	swUnknown      apdu.SW = 0x6F00
	swMAC          apdu.SW = 0x9302
	swBlockedEver  apdu.SW = 0x9303
	swInsufficient apdu.SW = 0x9401
	swCounterMax   apdu.SW = 0x9402
	swKey          apdu.SW = 0x9403
	swNoProof      apdu.SW = 0x9406
)

// Card is a virtual card. It is safe for concurrent use, as far as a card is: commands are carried out one after the
// other.
type Card struct {
	mu   sync.Mutex
	img  Image
	file *image.File // nil: the card lives as long as the program
	rand io.Reader

	lie Lie // WrongBorrow, CounterWraps or none

	volatile
}

// volatile is what power loss and reset take away (purse facts 4.2).
type volatile struct {
	selected bool // the application; otherwise the MF
	current  byte // SFI of the EF selected by FID, 0 for none
	pending  *pending

	challenge     []byte // of GET CHALLENGE, for the very next command
	verified      bool   // the PIN; until SELECT or the end of a transaction
	authenticated bool   // EXTERNAL AUTHENTICATE; likewise
}

// Instructions of class 84.
const (
	insBlockCard = 0x16
	insUnblock   = 0x18
	insBlock     = 0x1E
)

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

// Power switches the field on or off. Either way the card starts cold: nothing volatile is left.
func (c *Card) Power(bool) { c.Reset() }

// Reset forgets everything volatile: selection, pending transaction, buffered records.
func (c *Card) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.volatile = volatile{}
}

// Transmit carries out one command APDU. It always answers; only a [Field] loses answers.
func (c *Card) Transmit(_ context.Context, command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd, err := apdu.ParseCommand(command)
	if err != nil {
		c.pending, c.challenge = nil, nil
		return sw(swLength).Bytes(), nil
	}
	return c.dispatch(cmd).Bytes(), nil
}

func sw(s apdu.SW) apdu.Response { return apdu.Response{SW: s} }

func ok(data []byte) apdu.Response { return apdu.Response{Data: data, SW: apdu.OK} }

// dispatch is the card's state table (purse facts 4.2): a pending transaction outlives only the commands that continue
// it, and a new INITIALIZE replaces it.
func (c *Card) dispatch(cmd apdu.Command) apdu.Response {
	challenge := c.challenge
	c.challenge = nil
	continues := cmd.CLA == 0x80 && (cmd.INS == 0xDC || cmd.INS == 0x54 || cmd.INS == 0x52 || cmd.INS == 0x58)
	if !continues {
		c.pending = nil
	}
	if c.img.CardBlocked {
		return sw(swBlocked)
	}
	if cmd.CLA == 0x00 && cmd.INS == 0xA4 {
		return c.selectFile(cmd)
	}
	if c.selected {
		helps := cmd.CLA == 0x00 && cmd.INS == 0x84 || cmd.CLA == 0x84 && cmd.INS == insUnblock
		switch {
		case c.img.Block == Permanent:
			return sw(swBlockedEver)
		case c.img.Block == Temporary && !helps:
			return sw(swConditions)
		}
	}
	switch cmd.CLA {
	case 0x00:
		switch cmd.INS {
		case 0xB0:
			return c.readBinary(cmd, nil)
		case 0xB2:
			return c.readRecord(cmd, nil)
		case 0x88:
			return c.internalAuthenticate(cmd)
		case 0xE2:
			return c.appendRecord(cmd, nil)
		case 0x84:
			return c.challengeCommand(cmd)
		case 0x82:
			return c.externalAuthenticate(cmd, challenge)
		case 0x20:
			return c.verify(cmd)
		case 0xD6:
			return c.updateBinary(cmd, nil)
		case 0xDC:
			return c.updateRecord(cmd, nil)
		}
		return sw(swINS)
	case 0x04:
		switch cmd.INS {
		case 0xB0:
			return c.readBinary(cmd, challenge)
		case 0xB2:
			return c.readRecord(cmd, challenge)
		case 0xE2:
			return c.appendRecord(cmd, challenge)
		case 0xD6:
			return c.updateBinary(cmd, challenge)
		case 0xDC:
			return c.updateRecord(cmd, challenge)
		}
		return sw(swINS)
	case 0x84:
		switch cmd.INS {
		case insBlock, insUnblock, insBlockCard:
			return c.block(cmd, challenge)
		case 0x24:
			return c.unblockPIN(cmd, challenge)
		case 0xD4:
			return c.writeKey(cmd, challenge)
		}
		return sw(swINS)
	case 0x80:
		return c.purseCommand(cmd)
	}
	return sw(swCLA)
}

func (c *Card) purseCommand(cmd apdu.Command) apdu.Response {
	switch cmd.INS {
	case 0x5C:
		return c.getBalance(cmd)
	case 0x50:
		return c.initialize(cmd)
	case 0xDC:
		return c.cache(cmd)
	case 0x54:
		if cmd.P1 == 0x03 {
			return c.debitUnload(cmd)
		}
		return c.debit(cmd)
	case 0x52:
		return c.credit(cmd)
	case 0x58:
		return c.updateLimit(cmd)
	case 0x5A:
		return c.prove(cmd)
	case 0x5E:
		return c.changePIN(cmd)
	case 0xCA:
		return c.getMessage(cmd)
	case 0xD4:
		return c.writeKey(cmd, nil)
	}
	return sw(swINS)
}

// leFits reports whether the command's Le asks for n bytes. Absent and 00 always do (purse facts 3.1). When it does not,
// the response is 6Cxx, and the command has not been carried out.
func leFits(cmd apdu.Command, n int) (apdu.Response, bool) {
	if cmd.Le == 0 || cmd.Le == 256 || cmd.Le == n {
		return apdu.Response{}, true
	}
	return sw(0x6C00 | apdu.SW(n&0xFF)), false
}

// commit makes next the card's memory: all of it or nothing. The answer is 9000, or 6581 when the file did not take it.
func (c *Card) commit(next Image) apdu.SW {
	if c.file != nil {
		err := c.file.Save(next)
		if errors.Is(err, image.ErrNotDurable) {
			// The file has the new state, so the card must have it too. The terminal is told of a memory failure and
			// asks with GET TRANSACTION PROVE, which tells the truth.
			c.img = next
		}
		if err != nil {
			return swMemory
		}
	}
	c.img = next
	return apdu.OK
}
