package epcard

import (
	"bytes"
	"crypto/subtle"
	"io"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/simulator/image"
)

// maxMACFailures is how many wrong MACs in a row, on EF 15, EF 16, RELOAD PIN, PIN UNBLOCK or APPLICATION UNBLOCK, block the application for good
// (purse facts 3.11).
const maxMACFailures = 3

// PIN is the card's PIN.
type PIN struct {
	ID    byte        `json:"id"`    // by which commands name it
	Value image.Bytes `json:"value"` // 2 to 6 bytes, packed BCD
	Limit byte        `json:"limit"` // tries after a good one; 0: the card has no PIN
	Left  byte        `json:"left"`  // tries left; 0: blocked
}

// AuthKey is a key of EXTERNAL AUTHENTICATE. Success lets the terminal write the application's files without a MAC until SELECT.
type AuthKey struct {
	ID        byte      `json:"id"`
	Algorithm byte      `json:"algorithm"`
	Key       image.Key `json:"key"`
	Limit     byte      `json:"limit"` // tries after a good one; 0: the card has no such key
	Left      byte      `json:"left"`
}

// challengeCommand is GET CHALLENGE: 4 or 8 bytes, 16 with SM4 keys. They are good for the very next command.
func (c *Card) challengeCommand(cmd apdu.Command) apdu.Response {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return sw(swP1P2)
	case len(cmd.Data) > 0, cmd.Le != 4 && cmd.Le != 8 && !(cmd.Le == 16 && c.maintenance() == keys.SM4):
		return sw(swLength)
	}
	random := make([]byte, cmd.Le)
	if _, err := io.ReadFull(c.rand, random); err != nil {
		return sw(swUnknown)
	}
	c.challenge = random
	return ok(random)
}

// maintenance is what the keys without an algorithm byte of their own work with: that of the purchase key.
func (c *Card) maintenance() keys.Cipher { return c.cipherOf(c.img.PurchaseKey.Algorithm) }

// externalAuthenticate is EXTERNAL AUTHENTICATE. A try is counted in memory before it is answered: a card torn out after a wrong one has
// counted it.
func (c *Card) externalAuthenticate(cmd apdu.Command, challenge []byte) apdu.Response {
	key := c.img.AuthKey
	switch {
	case cmd.P1 != 0:
		return sw(swP1P2)
	case key.Limit == 0 || cmd.P2 != key.ID || !c.selected:
		return sw(swNoKey)
	case len(cmd.Data) != 8:
		return sw(swLength)
	case key.Left == 0:
		return sw(swTriesOver)
	case challenge == nil:
		return sw(swNoChallenge)
	}
	want, err := c.cipherOf(key.Algorithm).Authenticate(key.Key.Key, challenge)
	good := err == nil && subtle.ConstantTimeCompare(want[:], cmd.Data) == 1
	next := c.img
	s := c.count(&next, &next.AuthKey.Left, key.Limit, good)
	c.authenticated = s == apdu.OK
	return sw(s)
}

// count keeps a try counter: all tries after a good one, one less after a bad one.
func (c *Card) count(next *Image, left *byte, limit byte, good bool) apdu.SW {
	before := *left
	if good {
		*left = limit
	} else {
		*left--
	}
	if *left != before {
		if s := c.commit(*next); s != apdu.OK {
			return s
		}
	}
	if good {
		return apdu.OK
	}
	return 0x63C0 | apdu.SW(min(*left, 0xF))
}

// verify is VERIFY.
func (c *Card) verify(cmd apdu.Command) apdu.Response {
	c.verified = false
	switch s := c.pinReady(cmd.P2); {
	case cmd.P1 != 0:
		return sw(swP1P2)
	case s != apdu.OK:
		return sw(s)
	case len(cmd.Data) < 2 || len(cmd.Data) > 6:
		return sw(swLength)
	}
	s := c.try(cmd.Data)
	c.verified = s == apdu.OK
	return sw(s)
}

func (c *Card) pinReady(id byte) apdu.SW {
	switch p := c.img.PIN; {
	case p.Limit == 0 || p.ID != id || !c.selected:
		return swNoKey
	case p.Left == 0:
		return swTriesOver
	}
	return apdu.OK
}

func (c *Card) try(pin []byte) apdu.SW {
	next := c.img
	good := subtle.ConstantTimeCompare(pin, []byte(c.img.PIN.Value)) == 1
	return c.count(&next, &next.PIN.Left, next.PIN.Limit, good)
}

// changePIN is CHANGE PIN (P1 01) and RELOAD PIN (P1 00).
func (c *Card) changePIN(cmd apdu.Command) apdu.Response {
	c.verified = false
	switch cmd.P1 {
	case 0x00:
		return c.reloadPIN(cmd)
	case 0x01:
	default:
		return sw(swP1P2)
	}
	if s := c.pinReady(cmd.P2); s != apdu.OK {
		return sw(s)
	}
	old, fresh, found := bytes.Cut(cmd.Data, []byte{0xFF}) // FF is no BCD: it stands in no PIN
	if !found || !isPIN(old) || !isPIN(fresh) {
		return sw(swData)
	}
	if s := c.try(old); s != apdu.OK {
		return sw(s)
	}
	next := c.img
	next.PIN.Value = image.Bytes(fresh)
	return sw(c.commit(next))
}

// isPIN is packed BCD of 4 to 12 digits; an F may stand for the last one.
func isPIN(b []byte) bool {
	if len(b) < 2 || len(b) > 6 {
		return false
	}
	for i, x := range b {
		low := x & 0x0F
		if x>>4 > 9 || low > 9 && !(low == 0xF && i == len(b)-1 && len(b) > 2) {
			return false
		}
	}
	return true
}

// reloadPIN sets a new PIN and all tries, under the issuer's MAC. Wrong MACs are counted as those of secure messaging are.
func (c *Card) reloadPIN(cmd apdu.Command) apdu.Response {
	key := c.img.ReloadKey.Key
	switch {
	case c.img.PIN.Limit == 0 || c.img.PIN.ID != cmd.P2 || !c.selected || key == (keys.Key{}):
		return sw(swNoKey)
	case len(cmd.Data) < 6 || len(cmd.Data) > 10:
		return sw(swLength)
	}
	pin, mac := cmd.Data[:len(cmd.Data)-4], cmd.Data[len(cmd.Data)-4:]
	if want := c.maintenance().TAC(key, pin); !bytes.Equal(want[:], mac) {
		return sw(c.wrongMAC(swMAC))
	}
	if !isPIN(pin) {
		return sw(swData)
	}
	next := c.img
	next.MACFailures = 0
	next.PIN.Value, next.PIN.Left = image.Bytes(pin), next.PIN.Limit
	return sw(c.commit(next))
}

// wrongMAC counts a wrong MAC and answers word, or 6581 if the card could not count it.
func (c *Card) wrongMAC(word apdu.SW) apdu.SW {
	next := c.img
	next.MACFailures++
	if next.MACFailures >= maxMACFailures {
		next.Block = Permanent
	}
	if s := c.commit(next); s != apdu.OK {
		return s
	}
	return word
}

// secureMAC checks a secured command's MAC and returns its data without it. A wrong one is counted where the standard says so.
func (c *Card) secureMAC(cmd apdu.Command, challenge []byte, counted bool) ([]byte, apdu.SW) {
	return c.secureMACBy(c.maintenance(), c.img.MaintenanceKey.Key, cmd, challenge, counted)
}

func (c *Card) secureMACBy(cipher keys.Cipher, key keys.Key, cmd apdu.Command, challenge []byte, counted bool) ([]byte, apdu.SW) {
	switch {
	case key == (keys.Key{}):
		return nil, swNoKey
	case challenge == nil:
		return nil, swNoChallenge
	case len(cmd.Data) < 4:
		return nil, swNoMAC
	}
	data, mac := cmd.Data[:len(cmd.Data)-4], cmd.Data[len(cmd.Data)-4:]
	want, err := cipher.SecureMAC(key, challenge, ep.SecureInput(cmd.CLA, cmd.INS, cmd.P1, cmd.P2, data))
	if err != nil || !bytes.Equal(want[:], mac) {
		if counted {
			return nil, c.wrongMAC(swSecureMAC)
		}
		return nil, swSecureMAC
	}
	return data, apdu.OK
}

// unblockPIN is PIN UNBLOCK: the PIN that the card has, enciphered under the unblock key, gets all its tries back. A wrong MAC and a wrong
// PIN are counted alike.
func (c *Card) unblockPIN(cmd apdu.Command, challenge []byte) apdu.Response {
	c.verified = false
	key := c.img.UnblockKey.Key
	switch {
	case cmd.P2 != 0:
		return sw(swP1P2)
	case c.img.PIN.Limit == 0 || c.img.PIN.ID != cmd.P1 || !c.selected:
		return sw(swNoKey)
	}
	data, s := c.secureMACBy(c.maintenance(), key, cmd, challenge, true)
	if s != apdu.OK {
		return sw(s)
	}
	pin, err := c.maintenance().Decipher(key, data)
	if err != nil || subtle.ConstantTimeCompare(pin, []byte(c.img.PIN.Value)) != 1 {
		return sw(c.wrongMAC(swData))
	}
	next := c.img
	next.MACFailures, next.PIN.Left = 0, next.PIN.Limit
	return sw(c.commit(next))
}

// block is APPLICATION BLOCK, APPLICATION UNBLOCK and CARD BLOCK, by their instructions.
func (c *Card) block(cmd apdu.Command, challenge []byte) apdu.Response {
	switch {
	case !c.selected:
		return sw(swNoFile)
	case cmd.P1 != 0 || cmd.P2 > 1 || cmd.P2 == 1 && cmd.INS != insBlock:
		return sw(swP1P2)
	case cmd.INS == insUnblock && c.img.Block == Unblocked:
		return sw(swConditions)
	case len(cmd.Data) != 4:
		return sw(swLength)
	}
	if _, s := c.secureMAC(cmd, challenge, cmd.INS == insUnblock); s != apdu.OK {
		return sw(s)
	}
	next := c.img
	switch {
	case cmd.INS == insUnblock:
		next.Block, next.MACFailures = Unblocked, 0
	case cmd.INS == insBlockCard:
		next.CardBlocked = true
	case cmd.P2 == 1:
		next.Block = Permanent
	default:
		next.Block = Temporary
	}
	return sw(c.commit(next))
}

// writable checks who may write a file: a terminal with a MAC (class 04), or one that has authenticated itself where the file's line is
// open. It returns the data in clear.
func (c *Card) writable(cmd apdu.Command, challenge []byte, sfi byte) ([]byte, apdu.SW) {
	line := c.line(sfi)
	if cmd.CLA == 0x04 {
		data, s := c.secureMAC(cmd, challenge, sfi == ep.SFIPublic || sfi == ep.SFIHolder)
		if s != apdu.OK || line != LineEnciphered {
			return data, s
		}
		data, err := c.maintenance().Decipher(c.img.MaintenanceKey.Key, data)
		if err != nil {
			return nil, swData
		}
		return data, apdu.OK
	}
	switch {
	case line != LineOpen:
		return nil, swNoMAC
	case !c.authenticated:
		return nil, swSecurity
	}
	return cmd.Data, apdu.OK
}

// updateBinary is UPDATE BINARY on EF 15, 16 and 17. A file keeps its length.
func (c *Card) updateBinary(cmd apdu.Command, challenge []byte) apdu.Response {
	sfi, offset := c.current, int(cmd.P1)<<8|int(cmd.P2)
	if cmd.P1&0x80 != 0 {
		sfi, offset = cmd.P1&0x1F, int(cmd.P2)
	}
	if sfi == 0 {
		return sw(swNoCurrentEF)
	}
	content, found := c.transparent(sfi)
	if !found {
		if c.hasFile(sfi) {
			return sw(swFileType)
		}
		return sw(swNoFile)
	}
	data, s := c.writable(cmd, challenge, sfi)
	switch {
	case s != apdu.OK:
		return sw(s)
	case len(data) == 0:
		return sw(swLength)
	case offset >= len(content):
		return sw(swOffset)
	case offset+len(data) > len(content):
		return sw(swNoSpace)
	}
	changed := image.Bytes(content[:offset]) + image.Bytes(data) + content[offset+len(data):]
	next := c.img
	switch sfi {
	case ep.SFIPublic:
		next.Public, next.MACFailures = changed, 0
	case ep.SFIHolder:
		next.Holder, next.MACFailures = changed, 0
	case ep.SFIManagement:
		next.Management = changed
	}
	return sw(c.commit(next))
}

// updateRecord is UPDATE RECORD on EF 1A, by number or identifier. The cyclic files are written by transactions alone.
func (c *Card) updateRecord(cmd apdu.Command, challenge []byte) apdu.Response {
	sfi, mode := cmd.P2>>3, cmd.P2&0x07
	if sfi != ep.SFITripState || !c.selected {
		if c.hasFile(sfi) {
			return sw(swFileType)
		}
		return sw(swNoFile)
	}
	i := int(cmd.P1) - 1
	switch mode {
	case 0:
		i = tripByID(c.img, cmd.P1)
	case 4:
	default:
		return sw(swP1P2)
	}
	if i < 0 || i >= tripRecords {
		return sw(swNoRecord)
	}
	data, s := c.writable(cmd, challenge, sfi)
	switch {
	case s != apdu.OK:
		return sw(s)
	case len(data) != tripSize:
		return sw(swLength)
	case mode == 0 && data[1] != cmd.P1:
		return sw(swData)
	}
	next := c.img
	next.Trips[i] = image.Bytes(data)
	return sw(c.commit(next))
}
