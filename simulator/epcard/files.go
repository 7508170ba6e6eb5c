package epcard

import (
	"bytes"
	"encoding/binary"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/simulator/image"
)

// Names and file of the card outside its application (purse facts 1.1 and 1.2).
var (
	nameMF   = []byte("1PAY.SYS.DDF01")
	namePPSE = []byte("2PAY.SYS.DDF01")
	fidMF    = []byte{0x3F, 0x00}
)

const sfiDirectory = 0x01

// selectFile is SELECT by name (P1 04) or by FID (P1 00). It resets security state and selection first, so that a failed
// SELECT leaves nothing selected that the terminal does not know of.
func (c *Card) selectFile(cmd apdu.Command) apdu.Response {
	if cmd.P2 != 0 {
		return sw(swP1P2)
	}
	switch cmd.P1 {
	case 0x04:
		c.volatile = volatile{}
		switch {
		case bytes.Equal(cmd.Data, nameMF):
			return ok(fciMF())
		case bytes.Equal(cmd.Data, namePPSE):
			return ok(c.fciPPSE())
		case bytes.Equal(cmd.Data, []byte(c.img.AID)):
			return c.selectApplication()
		}
		return sw(swNoFile)
	case 0x00:
		return c.selectFID(cmd.Data)
	}
	return sw(swP1P2)
}

func (c *Card) selectFID(fid []byte) apdu.Response {
	if len(fid) == 0 {
		fid = fidMF
	}
	if len(fid) != 2 {
		return sw(swLength)
	}
	switch {
	case bytes.Equal(fid, fidMF):
		c.volatile = volatile{}
		return ok(fciMF())
	case bytes.Equal(fid, []byte(c.img.FID)):
		c.volatile = volatile{}
		return c.selectApplication()
	}
	// An EF of the selected application: FID 00xx with xx its SFI.
	id := binary.BigEndian.Uint16(fid)
	if !c.selected || id > 0x1F || !c.hasFile(byte(id)) {
		return sw(swNoFile)
	}
	c.current = byte(id)
	return sw(apdu.OK)
}

// selectApplication answers the FCI; a blocked application answers it with 6A81, or as its settings say (C11).
func (c *Card) selectApplication() apdu.Response {
	c.selected = true
	fci := ep.EncodeFCI(ep.FCI{Name: []byte(c.img.AID), Version: []byte(c.img.Version), Public: []byte(c.img.Public)})
	if c.img.Block != Unblocked {
		if w := c.img.Settings.BlockedSelect; w != 0 {
			return sw(apdu.SW(w))
		}
		return apdu.Response{Data: fci, SW: swBlocked}
	}
	return ok(fci)
}

func primitive(tag tlv.Tag, value []byte) tlv.Object { return tlv.Object{Tag: tag, Value: value} }

func constructed(tag tlv.Tag, children ...tlv.Object) tlv.Object {
	return tlv.Object{Tag: tag, Children: children}
}

// encode codes objects whose parts Check has bounded far below what TLV can carry.
func encode(o tlv.Object) []byte {
	raw, err := tlv.Encode([]tlv.Object{o})
	if err != nil {
		panic(err)
	}
	return raw
}

func fciMF() []byte {
	return encode(constructed(0x6F, primitive(0x84, nameMF), constructed(0xA5, primitive(0x88, []byte{sfiDirectory}))))
}

// fciPPSE is the directory of contactless applications, as phone readers want it (purse facts 1.2).
func (c *Card) fciPPSE() []byte {
	entry := c.directoryEntry()
	entry.Children = append(entry.Children, primitive(0x87, []byte{0x01}))
	return encode(constructed(0x6F, primitive(0x84, namePPSE), constructed(0xA5, constructed(0xBF0C, entry))))
}

// directoryEntry names the application and its label.
func (c *Card) directoryEntry() tlv.Object {
	return constructed(0x61, primitive(0x4F, []byte(c.img.AID)), primitive(0x50, []byte(c.img.Label)))
}

// transparent returns a transparent EF of the application.
func (c *Card) transparent(sfi byte) (image.Bytes, bool) {
	if !c.selected {
		return "", false
	}
	switch sfi {
	case ep.SFIPublic:
		return c.img.Public, true
	case ep.SFIHolder:
		return c.img.Holder, c.img.Holder != ""
	case ep.SFIManagement:
		return c.img.Management, c.img.Management != ""
	}
	return "", false
}

// records returns a record EF of the selected directory, newest record first, with records never written as zeros.
func (c *Card) records(sfi byte) ([][]byte, bool) {
	if !c.selected {
		if sfi != sfiDirectory {
			return nil, false
		}
		return [][]byte{encode(c.directoryEntry())}, true
	}
	switch sfi {
	case ep.SFILog:
		return filled(c.img.Log[:], logSize), true
	case ep.SFITripState:
		return filled(c.img.Trips[:], tripSize), true
	case ep.SFITripHistory:
		return filled(c.img.History[:], historySize), true
	}
	return nil, false
}

func filled(file []image.Bytes, size int) [][]byte {
	out := make([][]byte, len(file))
	for i, r := range file {
		out[i] = make([]byte, size)
		copy(out[i], r)
	}
	return out
}

func (c *Card) hasFile(sfi byte) bool {
	if _, found := c.transparent(sfi); found {
		return true
	}
	_, found := c.records(sfi)
	return found
}

// readBinary is READ BINARY: 00 B0 80+SFI offset, or 00 B0 offset on the file selected by FID; 04 B0 over the line.
func (c *Card) readBinary(cmd apdu.Command, challenge []byte) apdu.Response {
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
	protect, s := c.readable(cmd, challenge, sfi)
	switch {
	case s != apdu.OK:
		return sw(s)
	case offset >= len(content):
		return sw(swOffset)
	case protect != nil:
		return protect([]byte(content[offset:]))
	}
	return part([]byte(content[offset:]), cmd.Le)
}

// readRecord is READ RECORD: 00 B2 P1 (SFI<<3 + mode) with mode 4 by number, 5 from that number to the last, 0 by
// identifier. SFI 0 is the file selected by FID. 04 B2 reads over the line, by number.
func (c *Card) readRecord(cmd apdu.Command, challenge []byte) apdu.Response {
	sfi := cmd.P2 >> 3
	if sfi == 0 {
		sfi = c.current
	}
	if sfi == 0 {
		return sw(swNoCurrentEF)
	}
	file, found := c.records(sfi)
	if !found {
		if c.hasFile(sfi) {
			return sw(swFileType)
		}
		return sw(swNoFile)
	}
	protect, s := c.readable(cmd, challenge, sfi)
	if s != apdu.OK {
		return sw(s)
	}
	if protect != nil {
		switch {
		case cmd.P2&0x07 != 4:
			return sw(swP1P2)
		case cmd.P1 == 0 || int(cmd.P1) > len(file):
			return sw(swNoRecord)
		}
		return protect(file[cmd.P1-1])
	}
	switch cmd.P2 & 0x07 {
	case 4:
		if cmd.P1 == 0 || int(cmd.P1) > len(file) {
			return sw(swNoRecord)
		}
		return part(file[cmd.P1-1], cmd.Le)
	case 5:
		if cmd.P1 == 0 || int(cmd.P1) > len(file) {
			return sw(swNoRecord)
		}
		var all []byte
		for _, r := range file[cmd.P1-1:] {
			if len(all)+len(r) > apdu.MaxResponse-2 {
				break // the short form holds no more; whole records only
			}
			all = append(all, r...)
		}
		return part(all, cmd.Le)
	case 0:
		i := tripByID(c.img, cmd.P1)
		if sfi != ep.SFITripState || !c.selected || i < 0 {
			return sw(swNoRecord)
		}
		return part(file[i], cmd.Le)
	}
	return sw(swP1P2)
}

// tripByID finds the record of EF 1A whose identifier 27xx ends in id, or −1.
func tripByID(img Image, id byte) int {
	for i, r := range img.Trips {
		if len(r) > 1 && r[0] == 0x27 && r[1] == id {
			return i
		}
	}
	return -1
}

// part answers as much of content as Le asks for; an Le beyond it is 6Cxx with the right one.
func part(content []byte, le int) apdu.Response {
	switch {
	case le == 0 || le == 256:
		return ok(content[:min(len(content), apdu.MaxResponse-2)])
	case le > len(content):
		return sw(0x6C00 | apdu.SW(len(content)))
	}
	return ok(content[:le])
}
