package eccard

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

var (
	aip      = ec.AIP{0x7C, 0x00}
	afl      = ec.AFL{{SFI: 1, First: 1, Last: 1}, {SFI: 2, First: 1, Last: 4, Signed: 1}}
	pdol     = []byte{0x9F, 0x66, 4, 0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1, 0x9F, 0x37, 4}
	logDOL   = []byte{0x9A, 3, 0x9F, 0x02, 6, 0x5F, 0x2A, 2, 0x9C, 1, 0x9F, 0x36, 2}
	logSFI   = byte(11)
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
	pending  *pending
	arqc     *[8]byte
	online   bool // the issuer is authenticated: scripts are taken
}

// pending is an approved tap that is not debited.
type pending struct {
	balance money.Amount
	last    []byte
	log     []byte
}

// Card is a simulated card and the Transmitter to it. It serves one reader at a time.
type Card struct {
	chance  io.Reader
	key     *rsa.PrivateKey
	pan     ec.PAN
	psn     byte
	ac, mac keys.Key
	records []ec.Record

	// Persistent: it stays when the card leaves the field.
	balance, limit, single, threshold money.Amount
	atc                               uint16
	last                              []byte // the answer to the last committed tap's last record
	log                               [][]byte

	state state
	gone  bool
	count int

	// TearAt says what happens to the n-th command since Insert, counted from 0. Nil: nothing.
	TearAt func(n int) Tear
}

// Format prints the masked card number: fmt would reach the keys in the fields.
func (c *Card) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[simulated EC card %v]", c.pan) }

// Balance is the truth, which a test holds against what terminals believe.
func (c *Card) Balance() money.Amount { return c.balance }

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
	switch {
	case a.CLA == 0x00 && a.INS == 0xA4:
		return c.selectName(a.Data)
	case a.CLA == 0x80 && a.INS == 0xA8:
		return c.options(a.Data)
	case a.CLA == 0x00 && a.INS == 0xB2:
		return c.read(a.P2>>3, a.P1)
	case a.CLA == 0x80 && a.INS == 0xCA:
		return c.get(tlv.Tag(a.P1)<<8 | tlv.Tag(a.P2))
	case a.CLA == 0x00 && a.INS == 0x82:
		return nil, c.authenticate(a.Data)
	case a.CLA == 0x04 && a.INS == 0xDA:
		return nil, c.put(a)
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
	case string(name) == "2PAY.SYS.DDF01":
		entry := tlv.Object{Tag: 0x61, Children: []tlv.Object{object(ec.TagAID, ec.AIDDebit), object(ec.TagLabel, label), object(ec.TagPriority, []byte{1})}}
		return code(tlv.Object{Tag: 0x6F, Children: []tlv.Object{object(ec.TagDFName, name), {Tag: 0xA5, Children: []tlv.Object{{Tag: 0xBF0C, Children: []tlv.Object{entry}}}}}}), apdu.OK
	case bytes.Equal(name, ec.AIDDebit):
		c.state.selected = true
		return code(tlv.Object{Tag: 0x6F, Children: []tlv.Object{object(ec.TagDFName, name), {Tag: 0xA5, Children: []tlv.Object{
			object(ec.TagLabel, label), object(ec.TagPDOL, pdol), {Tag: 0xBF0C, Children: []tlv.Object{object(ec.TagLogEntry, []byte{logSFI, byte(logSize)})}},
		}}}}), apdu.OK
	}
	return nil, 0x6A82
}

// options is GET PROCESSING OPTIONS: the card's decision, and nothing debited.
func (c *Card) options(data []byte) ([]byte, apdu.SW) {
	if !c.state.selected || c.state.asked {
		return nil, 0x6985
	}
	dol, err := ec.ParseDOL(pdol)
	if err != nil {
		panic(err) // a constant
	}
	if len(data) != 2+dol.Length() || data[0] != 0x83 || int(data[1]) != dol.Length() {
		return nil, 0x6700
	}
	if c.atc == 0xFFFF {
		return nil, 0x6985
	}
	sent := map[tlv.Tag][]byte{}
	for at, d := 2, dol; len(d) > 0; d = d[1:] {
		sent[d[0].Tag] = data[at : at+d[0].Length]
		at += d[0].Length
	}
	ttq := ec.TTQ(sent[ec.TagTTQ])
	amount, err := ec.ParseAmount(sent[ec.TagAmount])
	if err != nil || !ttq.QPBOC() {
		return nil, 0x6985
	}
	c.atc++
	c.state.asked = true
	decision, cvr, after := c.decide(ttq, amount, bytes.Equal(sent[ec.TagCurrency], currency))
	iad := ec.IAD{DKI: dki, CVN: ec.CVN01, CVR: cvr, Algorithm: ec.Algorithm3DES, Option: 1, Values: n12(after)[1:]}
	balanceInput, err := ec.BalanceInput(c.atc, iad, false)
	if err != nil {
		return nil, 0x6F00
	}
	mac, err := ec.RetailMAC(ec.SessionKey(c.mac, c.atc), balanceInput)
	if err != nil {
		return nil, 0x6F00
	}
	iad.MAC = [4]byte(mac[:4])
	input, _, err := ec.CryptogramInput(sent, aip, c.atc, iad)
	if err != nil {
		return nil, 0x6F00
	}
	ac, err := ec.RetailMAC(ec.SessionKey(c.ac, c.atc), input)
	if err != nil {
		return nil, 0x6F00
	}
	counter := binary.BigEndian.AppendUint16(nil, c.atc)
	ctq := []byte{0x00, 0x40}
	track := ec.Track2{PAN: c.pan, Expiry: "4012", Service: "220", Discretionary: "0"}
	out := []tlv.Object{object(ec.TagAIP, aip[:]), object(ec.TagATC, counter), object(ec.TagTrack2, track.Bytes()), object(ec.TagIAD, iad.Bytes()),
		object(ec.TagAC, ac[:]), object(ec.TagPSN, []byte{c.psn}), object(ec.TagCTQ, ctq), object(ec.TagAvailable, n12(after))}
	switch decision {
	case ec.ARQC:
		c.state.arqc = &ac
	case ec.TC:
		signature, last, err := c.sign(ttq, sent, ctq)
		if err != nil {
			return nil, 0x6F00
		}
		out = append(out, object(ec.TagAFL, afl.Bytes()), object(ec.TagSDAD, signature))
		entry := slices.Concat(sent[ec.TagDate], sent[ec.TagAmount], sent[ec.TagCurrency], sent[ec.TagType], counter)
		c.state.pending = &pending{balance: after, last: last, log: entry}
	}
	return code(tlv.Object{Tag: 0x77, Children: out}), apdu.OK
}

// decide is the EC rows of card risk management (EC facts 7).
func (c *Card) decide(ttq ec.TTQ, amount money.Amount, match bool) (ec.Cryptogram, ec.CVR, money.Amount) {
	refuse := func(second byte) (ec.Cryptogram, ec.CVR, money.Amount) {
		if ttq.OfflineOnly() {
			return ec.AAC, ec.CVR{0x80, second, 0}, c.balance
		}
		return ec.ARQC, ec.CVR{0xA0, second, 0}, c.balance
	}
	after, err := c.balance.Sub(amount)
	switch {
	case !match, !ttq.OfflineOnly() && ttq[1]&0x80 != 0:
		return refuse(0)
	case err != nil, after.Sign() < 0, amount.Cmp(c.single) > 0, !ttq.OfflineOnly() && after.Cmp(c.threshold) < 0:
		return refuse(0x20)
	}
	return ec.TC, ec.CVR{0x90, 0, 0}, after
}

// sign makes the signature and the last record's answer, with 9F69 if the terminal knows version 01.
func (c *Card) sign(ttq ec.TTQ, sent map[tlv.Tag][]byte, ctq []byte) (signature, last []byte, err error) {
	stored := c.records[len(c.records)-1].Raw
	list, err := tlv.Decode(stored)
	if err != nil {
		return nil, nil, err
	}
	terminal := sent[ec.TagUN]
	if ttq.FDDA01() {
		auth := []byte{0x01, 0, 0, 0, 0, ctq[0], ctq[1], 0}
		if _, err := io.ReadFull(c.chance, auth[1:5]); err != nil {
			return nil, nil, err
		}
		terminal = slices.Concat(terminal, sent[ec.TagAmount], sent[ec.TagCurrency], auth)
		list[0].Children = append(list[0].Children, object(ec.TagAuthenticationData, auth))
		if stored, err = tlv.Encode(list); err != nil {
			return nil, nil, err
		}
	}
	head := binary.BigEndian.AppendUint16([]byte{0x05, 0x01, 0x03, 0x02}, c.atc)
	return sign(c.key, head, nil, terminal), stored, nil
}

// read is READ RECORD. The last record of an approved tap commits it, all in this one step; without GET PROCESSING OPTIONS it is the stored answer of the last tap that was.
func (c *Card) read(sfi, number byte) ([]byte, apdu.SW) {
	if !c.state.selected {
		return nil, 0x6985
	}
	if sfi == logSFI {
		if number == 0 || int(number) > len(c.log) {
			return nil, 0x6A83
		}
		return c.log[number-1], apdu.OK
	}
	n := slices.IndexFunc(c.records, func(r ec.Record) bool { return r.SFI == sfi && r.Number == number })
	switch {
	case n < 0:
		return nil, 0x6A83
	case n < len(c.records)-1:
		return c.records[n].Raw, apdu.OK
	}
	switch p := c.state.pending; {
	case p != nil:
		c.balance, c.last = p.balance, p.last
		c.log = append([][]byte{p.log}, c.log[:min(len(c.log), logSize-1)]...)
		c.state.pending = nil
		return c.last, apdu.OK
	case c.last != nil:
		return c.last, apdu.OK
	}
	return c.records[n].Raw, apdu.OK
}

func (c *Card) get(t tlv.Tag) ([]byte, apdu.SW) {
	if !c.state.selected {
		return nil, 0x6985
	}
	var v []byte
	switch t {
	case ec.TagATC:
		v = binary.BigEndian.AppendUint16(nil, c.atc)
	case ec.TagBalance:
		v = n12(c.balance)
	case ec.TagBalanceLimit:
		v = n12(c.limit)
	case ec.TagSingleLimit:
		v = n12(c.single)
	case ec.TagResetThreshold:
		v = n12(c.threshold)
	case ec.TagApplicationMoney:
		v = currency
	case 0x9F4F:
		v = logDOL
	default:
		return nil, 0x6A88
	}
	return code(object(t, v)), apdu.OK
}

// authenticate is EXTERNAL AUTHENTICATE: the issuer's answer to this session's ARQC, once.
func (c *Card) authenticate(data []byte) apdu.SW {
	if c.state.arqc == nil || c.state.online {
		return 0x6985
	}
	if len(data) != 10 {
		return 0x6700
	}
	want := ec.ResponseCryptogram(ec.SessionKey(c.ac, c.atc), *c.state.arqc, [2]byte(data[8:]))
	if !bytes.Equal(want[:], data[:8]) {
		c.state.arqc = nil // a second try is out of order
		return 0x6300
	}
	c.state.online = true
	return apdu.OK
}

// put is PUT DATA of the balance by an issuer script: an absolute value, up to the limit.
func (c *Card) put(a apdu.Command) apdu.SW {
	if !c.state.online {
		return 0x6985
	}
	if len(a.Data) != 10 {
		return 0x6700
	}
	plain := a
	plain.Data = a.Data[:6]
	mac, err := ec.RetailMAC(ec.SessionKey(c.mac, c.atc), ec.ScriptInput(plain, c.atc, *c.state.arqc))
	if err != nil || !bytes.Equal(mac[:4], a.Data[6:]) {
		c.state.online, c.state.arqc = false, nil
		return 0x6988
	}
	if a.P1 != 0x9F || a.P2 != 0x79 {
		return 0x6A88
	}
	balance, err := ec.ParseAmount(plain.Data)
	if err != nil || balance.Cmp(c.limit) > 0 {
		return 0x6A80
	}
	c.balance = balance
	return apdu.OK
}

// n12 codes a balance of this card, which always fits.
func n12(a money.Amount) []byte {
	raw, err := ec.Amount12(a)
	if err != nil {
		panic(err) // balances are 0 to the limit
	}
	return raw[:]
}
