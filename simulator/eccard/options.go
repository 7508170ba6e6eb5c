package eccard

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// options is GET PROCESSING OPTIONS: the card's decision, and nothing debited. Over full PBOC it names the records only.
func (c *Card) options(data []byte) ([]byte, apdu.SW) {
	if !c.state.selected || c.state.asked {
		return nil, 0x6985
	}
	dol := mustDOL(c.pdol)
	if len(data) != 2+dol.Length() || data[0] != 0x83 || int(data[1]) != dol.Length() {
		return nil, 0x6700
	}
	sent := values(dol, data[2:])
	ttq := ec.TTQ(sent[ec.TagTTQ])
	full := ttq[0]&0x40 != 0
	amount, err := ec.ParseAmount(sent[ec.TagAmount])
	if err != nil || !full && (!ttq.QPBOC() || c.blocked) || c.atc == 0xFFFF {
		return nil, 0x6985
	}
	c.atc++
	c.now = c.plain
	if c.sm != nil && bytes.Equal(sent[ec.TagSMSupport], []byte{1}) {
		c.now = c.sm
	}
	c.state.asked, c.state.full, c.state.sent = true, full, sent
	if full {
		return code(object(0x80, slices.Concat(fullAIP[:], fullAFL.Bytes()))), apdu.OK
	}
	transit := c.transitOf(sent)
	if sw := c.preAuthorised(transit); sw != apdu.OK {
		return nil, sw
	}
	request := asked{ttq: ttq, amount: amount, match: bytes.Equal(sent[ec.TagCurrency], currency), transit: transit}
	if transit == ec.PreAuthCompletion {
		request.back = c.open[c.reserved()].amount
	}
	d := c.decide(request)
	if d.aborts {
		return nil, 0x6985
	}
	iad, ac, err := c.cryptogram(sent, aip, ec.CVR{0x80 | byte(d.kind)>>2, d.cvr, 0}, d.after.balance)
	if err != nil {
		return nil, 0x6F00
	}
	counter := binary.BigEndian.AppendUint16(nil, c.atc)
	ctq := []byte{d.holder, 0x40}
	out := []tlv.Object{object(ec.TagAIP, aip[:]), object(ec.TagATC, counter), object(ec.TagTrack2, c.track2()), object(ec.TagIAD, iad.Bytes()),
		object(ec.TagAC, ac[:]), object(ec.TagPSN, []byte{c.psn}), object(ec.TagCTQ, ctq)}
	if c.does(tellsAvailable) {
		out = append(out, object(ec.TagAvailable, n12(d.available)))
	}
	switch d.kind {
	case ec.ARQC:
		c.apply(d.after) // what a prepaying card takes
		if ttq[2]&0x80 != 0 {
			c.state.ac = &ac // the reader can bring an issuer script
		}
	case ec.TC:
		signature, last, err := c.sign(ttq, sent, ctq)
		if err != nil {
			return nil, 0x6F00
		}
		if transit == ec.PreAuthorisation { // no cryptogram: it is no sale yet
			out = slices.DeleteFunc(out, func(o tlv.Object) bool { return o.Tag == ec.TagAC })
		}
		out = append(out, object(ec.TagAFL, c.now.afl.Bytes()), object(ec.TagSDAD, signature))
		entry := slices.Concat(sent[ec.TagDate], sent[ec.TagAmount], sent[ec.TagCurrency], sent[ec.TagType], counter)
		c.state.pending = &pending{after: d.after, last: last, log: entry, transit: transit, tc: ac, amount: amount}
	}
	return code(tlv.Object{Tag: 0x77, Children: out}), apdu.OK
}

// transitOf is what DF60 asks for, if the card has it.
func (c *Card) transitOf(sent map[tlv.Tag][]byte) byte {
	support := fill(c.data[ec.TagTransitSupport], 1)[0]
	switch kind := fill(sent[ec.TagTransit], 1)[0]; {
	case kind == ec.SegmentedFare && support&0x01 != 0:
		return kind
	case (kind == ec.PreAuthorisation || kind == ec.PreAuthCompletion) && support&0x02 != 0:
		return kind
	}
	return 0
}

func mustDOL(raw []byte) ec.DOL {
	dol, err := ec.ParseDOL(raw)
	if err != nil {
		panic(err) // a constant
	}
	return dol
}

// values takes a DOL's data apart.
func values(dol ec.DOL, data []byte) map[tlv.Tag][]byte {
	out := map[tlv.Tag][]byte{}
	for _, d := range dol {
		out[d.Tag], data = data[:d.Length], data[d.Length:]
	}
	return out
}

func (c *Card) track2() []byte {
	return ec.Track2{PAN: c.pan, Expiry: "4012", Service: "220", Discretionary: "0"}.Bytes()
}

// cryptogram makes the issuer application data, with a balance in it, and the application cryptogram.
func (c *Card) cryptogram(sent map[tlv.Tag][]byte, aip ec.AIP, cvr ec.CVR, balance money.Amount) (iad ec.IAD, ac [8]byte, err error) {
	s := c.now.suite
	iad = ec.IAD{DKI: c.now.dki, CVN: ec.CVN01, CVR: cvr, Algorithm: byte(s), Option: 1, Values: n12(balance)[1:]}
	input, err := ec.BalanceInput(c.atc, iad, false)
	if err != nil {
		return iad, ac, err
	}
	mac, err := s.MAC(s.SessionKey(c.now.mac, c.atc), input)
	if err != nil {
		return iad, ac, err
	}
	iad.MAC = [4]byte(mac[:4])
	if input, _, err = ec.CryptogramInput(sent, aip, c.atc, iad); err != nil {
		return iad, ac, err
	}
	ac, err = s.MAC(s.SessionKey(c.now.ac, c.atc), input)
	return iad, ac, err
}

// sign makes the signature and the last record's answer, with 9F69 if the terminal knows version 01.
func (c *Card) sign(ttq ec.TTQ, sent map[tlv.Tag][]byte, ctq []byte) (signature, last []byte, err error) {
	stored := c.now.records[len(c.now.records)-1].Raw
	list, err := tlv.Decode(stored)
	if err != nil {
		return nil, nil, err
	}
	terminal := sent[ec.TagUN]
	if ttq.FDDA01() {
		auth := []byte{0x01, 0, 0, 0, 0, ctq[0], ctq[1], fill(c.data[ec.TagTransitSupport], 1)[0]}
		if _, err := io.ReadFull(c.chance, auth[1:5]); err != nil {
			return nil, nil, err
		}
		terminal = slices.Concat(terminal, sent[ec.TagAmount], sent[ec.TagCurrency], auth)
		list[0].Children = append(list[0].Children, object(ec.TagAuthenticationData, auth))
		if stored, err = tlv.Encode(list); err != nil {
			return nil, nil, err
		}
	}
	signature, err = c.now.dynamic(binary.BigEndian.AppendUint16(nil, c.atc), terminal)
	return signature, stored, err
}
