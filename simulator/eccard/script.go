package eccard

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
)

// maxMACFailures in a row end scripts for good.
const maxMACFailures = 100

// pinTries is how many tries a PIN has.
const pinTries = 3

// script carries out one issuer script command, in a session whose issuer is authenticated. A wrong MAC closes the session for scripts (EC facts 15).
func (c *Card) script(a apdu.Command) apdu.SW {
	if !c.state.online || c.history.macFailures >= maxMACFailures {
		return 0x6985
	}
	if len(a.Data) < 4 {
		return 0x6700
	}
	plain := a
	plain.Data = a.Data[:len(a.Data)-4]
	mac, err := c.sessionMAC(ec.ScriptMessage(plain, c.atc, *c.state.ac))
	if err != nil {
		return 0x6F00
	}
	if c.state.second {
		c.history.scripts = min(c.history.scripts+1, 15)
	}
	if !bytes.Equal(mac[:], a.Data[len(plain.Data):]) {
		c.history.macFailures++
		c.history.scriptFailed = true
		c.state.online = false
		return 0x6988
	}
	c.history.macFailures = 0
	sw := c.carryOut(plain)
	c.history.scriptFailed = c.history.scriptFailed || sw != apdu.OK
	return sw
}

func (c *Card) carryOut(a apdu.Command) apdu.SW {
	switch a.INS {
	case 0xDA:
		return c.put(tlv.Tag(a.P1)<<8|tlv.Tag(a.P2), a.Data)
	case 0xDC:
		return c.update(a.P2>>3, a.P1, a.Data)
	case 0x24:
		return c.changePIN(a)
	}
	if a.P1 != 0 || a.P2 != 0 {
		return 0x6A86
	}
	if len(a.Data) != 0 {
		return 0x6700
	}
	switch a.INS {
	case 0x16:
		c.dead = true
	case 0x1E:
		c.blocked = true
	case 0x18:
		c.blocked = false
	}
	return apdu.OK
}

// put is PUT DATA: an absolute value. A balance pays off the deposit used first, and then must be within its limit.
func (c *Card) put(t tlv.Tag, value []byte) apdu.SW {
	length, ok := ec.Settable(t)
	switch {
	case !ok:
		return 0x6A88
	case length != len(value):
		return 0x6700
	case t == ec.TagBalance:
		return c.load(value)
	}
	if length == 6 {
		a, err := ec.ParseAmount(value)
		if err != nil || t == ec.TagDepositLimit && a.Cmp(c.amount(ec.TagDepositUsed)) < 0 {
			return 0x6A80
		}
	}
	c.data[t] = bytes.Clone(value)
	return apdu.OK
}

func (c *Card) load(value []byte) apdu.SW {
	balance, err := ec.ParseAmount(value)
	if err != nil {
		return 0x6A80
	}
	owed := c.amount(ec.TagDepositUsed)
	paid := owed
	if balance.Cmp(owed) < 0 {
		paid = balance
	}
	after, err1 := balance.Sub(paid)
	left, err2 := owed.Sub(paid)
	if err1 != nil || err2 != nil || after.Cmp(c.amount(ec.TagBalanceLimit)) > 0 {
		return 0x6A80
	}
	most := after // what it may become when pre-authorisations are completed
	for _, r := range c.open {
		most = add(most, r.amount)
	}
	if most.Cmp(c.amount(ec.TagBalanceLimit)) > 0 {
		return 0x6976
	}
	c.loads = push(c.loads, slices.Concat([]byte{0x9F, 0x79}, n12(c.amount(ec.TagBalance)), n12(after), fill(c.state.sent[ec.TagDate], 3), fill(c.state.sent[ec.TagTime], 3),
		binary.BigEndian.AppendUint16(nil, c.atc)))
	c.data[ec.TagBalance] = n12(after)
	if !owed.IsZero() {
		c.data[ec.TagDepositUsed] = n12(left)
	}
	return apdu.OK
}

// fill makes a value that the terminal did not send zeros.
func fill(v []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, v)
	return out
}

// update is UPDATE RECORD: the beginning of a record that is there.
func (c *Card) update(sfi, number byte, data []byte) apdu.SW {
	for _, v := range c.variants() {
		n := v.find(sfi, number)
		if n < 0 || len(data) > len(v.records[n].Raw) {
			continue
		}
		raw := bytes.Clone(v.records[n].Raw)
		copy(raw, data)
		v.records[n].Raw = raw
		return apdu.OK
	}
	return 0x6A83
}

// changePIN is PIN CHANGE/UNBLOCK: P2 00 gives the PIN its tries back; 01 and 02 also set a new one, which rests on the present one or not.
func (c *Card) changePIN(a apdu.Command) apdu.SW {
	switch {
	case a.P1 != 0 || a.P2 > 2:
		return 0x6A86
	case c.pin.IsZero():
		return 0x6985
	case a.P2 == 0 && len(a.Data) != 0, a.P2 != 0 && len(a.Data) != 16:
		return 0x6700
	case a.P2 != 0:
		s := c.now.suite
		delta, err := s.Cipher().Decipher(s.SessionKey(c.now.enc, c.atc), a.Data)
		if err != nil || len(delta) != 8 {
			return 0x6A80
		}
		var present ec.PIN
		if a.P2 == 1 {
			present = c.pin
		}
		next, err := ec.NextPIN(c.now.enc, present, [8]byte(delta))
		if err != nil {
			return 0x6A80
		}
		c.pin = next
	}
	c.data[0x9F17] = []byte{pinTries}
	return apdu.OK
}

func (c *Card) pinBlocked() bool { return !c.pin.IsZero() && c.data[0x9F17][0] == 0 }

// verify is VERIFY of a plain PIN.
func (c *Card) verify(a apdu.Command) apdu.SW {
	switch {
	case !c.state.asked || c.pin.IsZero() || a.P1 != 0 || a.P2 != 0x80:
		return 0x6985
	case len(a.Data) != 8:
		return 0x6700
	case c.pinBlocked():
		return 0x6983
	}
	if want := c.pin.Block(); !bytes.Equal(want[:], a.Data) {
		left := c.data[0x9F17][0] - 1
		c.data[0x9F17] = []byte{left}
		return 0x63C0 | apdu.SW(left)
	}
	c.data[0x9F17] = []byte{pinTries}
	return apdu.OK
}
