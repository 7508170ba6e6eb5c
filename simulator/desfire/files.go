package desfire

import (
	"encoding/binary"
	"math"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/image"
)

// secure carries out a command of the session.
func (c *Card) secure(ins byte, data []byte) apdu.Response {
	do, known := c.command(ins)
	if !known {
		return sw(swCommand)
	}
	if c.session == nil {
		return sw(swAuthentication)
	}
	data, good := c.session.authentic(ins, data)
	if !good {
		return sw(swIntegrity)
	}
	return do(ins, data)
}

func (c *Card) command(ins byte) (func(ins byte, data []byte) apdu.Response, bool) {
	read, readRecords, write := byte(0xBD), byte(0xBB), byte(0x3B)
	if c.img.Settings.ISOChaining {
		read, readRecords, write = 0xAD, 0xAB, 0x8B
	}
	switch ins {
	case 0x51:
		return c.getUID, true
	case read:
		return c.readData, true
	case readRecords:
		return c.readRecords, true
	case write:
		return c.writeRecord, true
	case 0x6C:
		return c.getValue, true
	case 0xDC:
		return c.debit, true
	case 0xC7:
		return c.commit, true
	}
	return nil, false
}

func (c *Card) getUID(_ byte, data []byte) apdu.Response {
	if len(data) != 0 {
		return sw(swLength)
	}
	return c.session.answer(desfire.Full, []byte(c.img.UID))
}

// readData reads the transaction MAC file, the only data file there is, and only whole. It is no part of the transaction MAC.
func (c *Card) readData(_ byte, data []byte) apdu.Response {
	switch {
	case len(data) != 7:
		return sw(swLength)
	case data[0] != c.img.Settings.MACFile:
		return sw(swNoFile)
	case uint24(data[1:]) != 0 || uint24(data[4:]) != 12 && uint24(data[4:]) != 0:
		return sw(swBoundary)
	}
	return c.session.answer(c.img.Settings.MACMode, proof(c.img))
}

// proof is the content of the transaction MAC file.
func proof(m Image) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, m.TMC), []byte(m.TMV)...)
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// input adds to the transaction MAC input and fills it up to whole blocks.
func (c *Card) input(parts ...[]byte) {
	for _, p := range parts {
		c.tmi = append(c.tmi, p...)
	}
	for len(c.tmi)%16 != 0 {
		c.tmi = append(c.tmi, 0)
	}
}

// atLimit reports that the transaction counter allows no more data commands.
func (c *Card) atLimit() bool { return c.img.TMC >= c.img.TMCLimit || c.img.TMC == math.MaxUint32 }

// pending is the copy of the memory that the transaction changes.
func (c *Card) pending() *Image {
	if c.change == nil {
		next := c.img
		c.change = &next
	}
	return c.change
}

func (c *Card) getValue(ins byte, data []byte) apdu.Response {
	switch {
	case len(data) != 1:
		return sw(swLength)
	case data[0] != c.img.Settings.ValueFile:
		return sw(swNoFile)
	case c.atLimit():
		return sw(swPermission)
	}
	v := binary.LittleEndian.AppendUint32(nil, uint32(int32(c.img.Value.Minor()))) // what is committed, not what is pending
	c.input([]byte{ins, data[0]}, v)
	return c.session.answer(c.img.Settings.ValueMode, v)
}

func (c *Card) debit(ins byte, data []byte) apdu.Response {
	if len(data) < 1 {
		return sw(swLength)
	}
	if data[0] != c.img.Settings.ValueFile {
		return sw(swNoFile)
	}
	raw, good := c.session.plain(c.img.Settings.ValueMode, data[1:])
	if !good {
		return sw(swIntegrity)
	}
	if len(raw) != 4 {
		return sw(swLength)
	}
	amount := int64(int32(binary.LittleEndian.Uint32(raw)))
	switch {
	case c.atLimit():
		return sw(swPermission)
	case amount < 0:
		return sw(swParameter)
	}
	next := c.pending()
	after := next.Value.Minor() - amount
	if after < next.Lower.Minor() {
		return sw(swBoundary)
	}
	next.Value = money.Minor(after)
	c.input([]byte{ins, data[0]}, raw)
	return c.session.answer(c.img.Settings.ValueMode, nil)
}

func (c *Card) writeRecord(ins byte, data []byte) apdu.Response {
	s := c.img.Settings
	if len(data) < 7 {
		return sw(swLength)
	}
	header := data[:7]
	if header[0] != s.RecordFile {
		return sw(swNoFile)
	}
	raw, good := c.session.plain(s.RecordMode, data[7:])
	if !good {
		return sw(swIntegrity)
	}
	switch {
	case len(raw) != uint24(header[4:]):
		return sw(swLength)
	case uint24(header[1:]) != 0 || len(raw) != s.RecordSize:
		return sw(swBoundary) // part of a record is left out
	case c.atLimit():
		return sw(swPermission)
	}
	next := c.pending()
	written := next.Records
	copy(written[1:], next.Records[:])
	written[0] = image.Bytes(raw)
	next.Records = written
	c.input([]byte{ins}, header)
	c.input(raw)
	return c.session.answer(s.RecordMode, nil)
}

// readRecords reads one record; number 0 is the newest.
func (c *Card) readRecords(ins byte, data []byte) apdu.Response {
	switch {
	case len(data) != 7:
		return sw(swLength)
	case data[0] != c.img.Settings.RecordFile:
		return sw(swNoFile)
	case c.atLimit():
		return sw(swPermission)
	case uint24(data[1:]) >= records || uint24(data[4:]) != 1 || c.img.Records[uint24(data[1:])] == "":
		return sw(swBoundary)
	}
	record := []byte(c.img.Records[uint24(data[1:])])
	c.input([]byte{ins}, data)
	c.input(record)
	return c.session.answer(c.img.Settings.RecordMode, record)
}

// commit makes the transaction true: value, record, counter and transaction MAC at once.
func (c *Card) commit(_ byte, data []byte) apdu.Response {
	if len(data) > 1 || len(data) == 1 && data[0] > 1 {
		return sw(swParameter)
	}
	if len(c.tmi) == 0 {
		return sw(swNoChanges)
	}
	next := *c.pending()
	next.TMC++
	sv := append([]byte{0x5A, 0x00, 0x01, 0x00, 0x80}, byte(next.TMC), byte(next.TMC>>8), byte(next.TMC>>16), byte(next.TMC>>24))
	key := desfire.CMAC(next.TMKey.Key, append(sv, string(next.UID)...))
	tmv := desfire.Truncate(desfire.CMAC(key, c.tmi))
	next.TMV = image.Bytes(tmv[:])
	if s := c.save(next); s != swOK {
		return sw(s)
	}
	c.change, c.tmi = nil, nil
	if len(data) == 1 && data[0] == 1 {
		return c.session.answer(desfire.MAC, proof(next))
	}
	return c.session.answer(desfire.MAC, nil)
}
