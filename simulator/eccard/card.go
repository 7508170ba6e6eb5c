package eccard

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

var (
	aip      = ec.AIP{0x7C, 0x00}
	afl      = ec.AFL{{SFI: 1, First: 1, Last: 1}, {SFI: 2, First: 1, Last: 4, Signed: 1}}
	smAFL    = ec.AFL{{SFI: 1, First: 1, Last: 1}, {SFI: 2, First: 1, Last: 1, Signed: 1}, {SFI: 4, First: 1, Last: 3}}
	pdol     = []byte{0x9F, 0x66, 4, 0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1, 0x9F, 0x37, 4}
	logDOL   = []byte{0x9A, 3, 0x9F, 0x02, 6, 0x5F, 0x2A, 2, 0x9C, 1, 0x9F, 0x36, 2}
	loadDOL  = []byte{0x9A, 3, 0x9F, 0x21, 3, 0x9F, 0x36, 2}
	logSFI   = byte(11)
	loadSFI  = byte(12)
	logSize  = 10
	currency = []byte{0x01, 0x56}
)

// Tear is what happens to one command of a torn tap: the card is out of the field from then on, until Insert.
type Tear int

// Tears.
const (
	NoTear     Tear = iota
	LoseBefore      // the command does not reach the card
	LoseAnswer      // the card does its work, and the answer is lost
)

// state is volatile: gone with the field and with SELECT.
type state struct {
	selected bool
	asked    bool // GET PROCESSING OPTIONS was accepted
	full     bool // over full PBOC: GENERATE AC comes
	pending  *pending
	sent     map[tlv.Tag][]byte // the terminal's values
	ac       *[8]byte           // the cryptogram that waits for the issuer's answer
	second   bool               // the second GENERATE AC is done
	answered bool               // EXTERNAL AUTHENTICATE was tried
	online   bool               // and was good: scripts are taken
	before   uint16             // class and instruction of the command before
	reading  *reading           // of transit records
}

// pending is an approved tap that is not debited.
type pending struct {
	after   purse
	last    []byte
	log     []byte
	transit byte // DF60
	updates []update
	tc      [8]byte
	amount  money.Amount
}

// Card is a simulated card and the Transmitter to it. It serves one reader at a time.
type Card struct {
	chance    io.Reader
	key       []byte // PKCS #1, for the card's file
	pan       ec.PAN
	psn       byte
	plain, sm *variant  // sm is nil where the card has none
	online    ec.Record // what full PBOC reads besides
	pdol      []byte

	// Persistent: it stays when the card leaves the field.
	data map[tlv.Tag][]byte // what GET DATA and PUT DATA know: balance, limits
	// Offline taps since the card was online last: what purse has.
	cumulative money.Amount
	mismatches byte

	atc     uint16
	now     *variant // of the present ATC
	last    []byte   // the answer to the last committed tap's last record
	place   ec.Place // and which that was
	log     [][]byte // newest first
	loads   [][]byte // the load log, newest first
	pin     ec.PIN
	blocked bool // the application
	dead    bool // the card
	history history
	files   map[byte]*transitFile
	proof   *proof
	open    []reservation // pre-authorisations

	state state
	gone  bool
	count int

	// TearAt says what happens to the n-th command since Insert, counted from 0. Nil: nothing.
	TearAt func(n int) Tear
}

// history is what the card tells the issuer of earlier sessions (CVR).
type history struct {
	open         bool // went online and got no second cryptogram
	authFailed   bool
	scripts      byte // commands of the last script
	scriptFailed bool
	macFailures  int // in a row
}

// Format prints the masked card number: fmt would reach the keys in the fields.
func (c *Card) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[simulated EC card %v]", c.pan) }

// Balance is the truth, which a test holds against what terminals believe.
func (c *Card) Balance() money.Amount { return c.amount(ec.TagBalance) }

// ATC is the card's transaction counter: it counts every accepted GET PROCESSING OPTIONS.
func (c *Card) ATC() uint16 { return c.atc }

// Insert brings the card into the field: everything volatile is gone.
func (c *Card) Insert() { c.state, c.gone, c.count = state{}, false, 0 }

// Transmit carries out one command.
func (c *Card) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	if c.gone {
		return nil, fmt.Errorf("%w: no card in the field", apdu.ErrNotSent)
	}
	tear := NoTear
	if c.TearAt != nil {
		tear = c.TearAt(c.count)
	}
	c.count++
	if tear == LoseBefore {
		c.gone = true
		return nil, fmt.Errorf("%w: the card has left", apdu.ErrNoAnswer)
	}
	data, sw := c.answer(raw)
	if tear == LoseAnswer {
		c.gone = true
		return nil, fmt.Errorf("%w: the card has left", apdu.ErrNoAnswer)
	}
	return apdu.Response{Data: data, SW: sw}.Bytes(), nil
}

func (c *Card) answer(raw []byte) ([]byte, apdu.SW) {
	a, err := apdu.ParseCommand(raw)
	if err != nil {
		return nil, 0x6700
	}
	if c.dead && (a.INS != 0xA4 || a.CLA != 0x00) {
		return nil, 0x6A81
	}
	name := uint16(a.CLA)<<8 | uint16(a.INS)
	defer func() { c.state.before = name }()
	switch name {
	case 0x00A4:
		return c.selectName(a.Data)
	case 0x80A8:
		return c.options(a.Data)
	case 0x00B2:
		return c.read(a.P2>>3, a.P1)
	case 0x80CA:
		return c.get(tlv.Tag(a.P1)<<8 | tlv.Tag(a.P2))
	case 0x80AE:
		return c.generate(a)
	case 0x0082:
		return nil, c.authenticate(a.Data)
	case 0x0020:
		return nil, c.verify(a)
	case 0x80B4:
		return c.readTransit(a)
	case 0x84DE:
		return c.updateTransit(a)
	case 0x04E2:
		return nil, c.appendTransit(a)
	case 0x805A:
		return c.prove(a)
	case 0x04DA, 0x04DC, 0x8416, 0x8418, 0x841E, 0x8424:
		return nil, c.script(a)
	}
	return nil, 0x6D00
}

func object(t tlv.Tag, v []byte) tlv.Object { return tlv.Object{Tag: t, Value: v} }

// code codes objects that this package made.
func code(list ...tlv.Object) []byte {
	raw, err := tlv.Encode(list)
	if err != nil {
		panic(err) // a fault of this package
	}
	return raw
}

func (c *Card) selectName(name []byte) ([]byte, apdu.SW) {
	c.state = state{}
	label := []byte("EC TEST")
	switch {
	case c.dead:
		return nil, 0x6A81
	case string(name) == "2PAY.SYS.DDF01":
		entry := tlv.Object{Tag: 0x61, Children: []tlv.Object{object(ec.TagAID, ec.AIDDebit), object(ec.TagLabel, label), object(ec.TagPriority, []byte{1})}}
		return code(tlv.Object{Tag: 0x6F, Children: []tlv.Object{object(ec.TagDFName, name), {Tag: 0xA5, Children: []tlv.Object{{Tag: 0xBF0C, Children: []tlv.Object{entry}}}}}}), apdu.OK
	case bytes.Equal(name, ec.AIDDebit):
		c.state.selected = true
		sw := apdu.OK
		if c.blocked {
			sw = 0x6283
		}
		own := []tlv.Object{object(ec.TagLogEntry, []byte{logSFI, byte(logSize)}), object(ec.TagLoadLogEntry, []byte{loadSFI, byte(logSize)})}
		if support, ok := c.data[ec.TagTransitSupport]; ok {
			own = append(own, object(ec.TagTransitSupport, support))
		}
		return code(tlv.Object{Tag: 0x6F, Children: []tlv.Object{object(ec.TagDFName, name), {Tag: 0xA5, Children: []tlv.Object{
			object(ec.TagLabel, label), object(ec.TagPDOL, c.pdol), {Tag: 0xBF0C, Children: own},
		}}}}), sw
	}
	return nil, 0x6A82
}
