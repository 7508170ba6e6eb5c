package eccard

import (
	"bytes"
	"crypto/des" //nolint:gosec // transit records' keys are 3DES
	"encoding/binary"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
)

// transitFile is an operator's file: records that it opened.
type transitFile struct {
	initial keys.Key // opens records
	room    int      // bytes of records in all
	records []transitRecord
}

type transitRecord struct {
	key  keys.Key
	data []byte // the ID first
}

// reading is where READ CAPP DATA stands.
type reading struct {
	sfi    byte
	index  int
	signed bool // with a random number: answers have a MAC
}

// update is a record in the cache.
type update struct {
	sfi   byte
	index int
	data  []byte
}

// proof is the last transit tap that was committed.
type proof struct {
	atc uint16
	tc  [8]byte
}

// maxOpen is how many pre-authorisations a card holds.
const maxOpen = 3

// reservation is an amount that a pre-authorisation has taken from the balance, under the record that was read.
type reservation struct {
	sfi    byte
	id     [2]byte
	amount money.Amount
}

// reserved finds the pre-authorisation of the record that was read last.
func (c *Card) reserved() int {
	at := c.state.reading
	return slices.IndexFunc(c.open, func(r reservation) bool {
		return at != nil && r.sfi == at.sfi && bytes.Equal(r.id[:], c.files[at.sfi].records[at.index].data[:2])
	})
}

// preAuthorised checks what the pre-authorisations allow before the card decides.
func (c *Card) preAuthorised(kind byte) apdu.SW {
	if kind != ec.PreAuthorisation && kind != ec.PreAuthCompletion {
		return apdu.OK
	}
	n := c.reserved()
	switch {
	case c.state.reading == nil:
		return 0x6985
	case kind == ec.PreAuthorisation && n >= 0:
		return 0x6972
	case kind == ec.PreAuthorisation && len(c.open) == maxOpen:
		return 0x6971
	case kind == ec.PreAuthCompletion && n < 0:
		return 0x6973
	}
	return apdu.OK
}

// find returns the first record of an ID from an index on, or -1.
func (f *transitFile) find(id []byte, from int) int {
	for n := from; n < len(f.records); n++ {
		if bytes.Equal(f.records[n].data[:2], id) {
			return n
		}
	}
	return -1
}

// transitMAC is the MAC over whole blocks, left 4 bytes.
func transitMAC(k keys.Key, blocks []byte) []byte {
	mac, err := ec.RetailMAC(k, blocks)
	if err != nil {
		panic(err) // blocks are padded
	}
	return mac[:4]
}

// readTransit is READ CAPP DATA.
func (c *Card) readTransit(a apdu.Command) ([]byte, apdu.SW) {
	sfi, next := a.P2>>3, a.P2&7
	switch {
	case !c.state.selected:
		return nil, 0x6985
	case a.P1 != 0 || next > 1:
		return nil, 0x6A86
	case len(a.Data) != 2 && len(a.Data) != 10:
		return nil, 0x6700
	case c.files[sfi] == nil:
		return nil, 0x6A82
	}
	from := 0
	if next == 1 {
		if c.state.reading == nil || c.state.reading.sfi != sfi {
			return nil, 0x6A83
		}
		from = c.state.reading.index + 1
	}
	file := c.files[sfi]
	n := file.find(a.Data[:2], from)
	if n < 0 {
		c.state.reading = nil
		return nil, 0x6A83
	}
	c.state.reading = &reading{sfi: sfi, index: n, signed: len(a.Data) == 10}
	r := file.records[n]
	if !c.state.reading.signed {
		return r.data, apdu.OK
	}
	blocks := ec.Suite3DES.Pad(r.data)
	for i, b := range a.Data[2:] {
		blocks[i] ^= b
	}
	return append(bytes.Clone(r.data), transitMAC(r.key, blocks)...), apdu.OK
}

// updateTransit is UPDATE CAPP DATA CACHE: it follows an approved GET PROCESSING OPTIONS of a transit tap, or another one of itself, and writes nothing yet.
func (c *Card) updateTransit(a apdu.Command) ([]byte, apdu.SW) {
	p := c.state.pending
	switch {
	case p == nil || p.transit == 0 || c.state.before != 0x80A8 && c.state.before != 0x84DE:
		return nil, 0x6985
	case a.P1 != 0 || a.P2&7 != 0:
		return nil, 0x6A86
	case len(a.Data) < 6:
		return nil, 0x6700
	case c.files[a.P2>>3] == nil:
		return nil, 0x6A82
	}
	sfi, plain := a.P2>>3, a
	plain.Data = a.Data[:len(a.Data)-4]
	file := c.files[sfi]
	n := file.find(plain.Data[:2], 0)
	if at := c.state.reading; at != nil && at.sfi == sfi && bytes.Equal(file.records[at.index].data[:2], plain.Data[:2]) {
		n = at.index // the one that was read
	}
	if n < 0 {
		return nil, 0x6A83
	}
	r := file.records[n]
	sent := a.Data[len(plain.Data):]
	switch {
	case !bytes.Equal(transitMAC(r.key, ec.TransitInput(plain, c.atc)), sent):
		return nil, 0x6988
	case len(plain.Data) > len(r.data):
		return nil, 0x6A84
	case len(plain.Data) < len(r.data):
		return nil, 0x6A80
	}
	p.updates = append(p.updates, update{sfi, n, plain.Data})
	if c.state.reading == nil || !c.state.reading.signed {
		return nil, apdu.OK
	}
	return transitMAC(r.key, slices.Concat([]byte{0x90, 0x00, 0x80, 0x00}, sent)), apdu.OK
}

// written reports that the record which was read last is among the updates: without it a transit tap does not commit.
func (c *Card) written(p *pending) bool {
	at := c.state.reading
	return at != nil && slices.ContainsFunc(p.updates, func(u update) bool { return u.sfi == at.sfi && u.index == at.index })
}

// appendTransit is APPEND RECORD: a record with a management key of its own, which comes enciphered under the file's initial key.
func (c *Card) appendTransit(a apdu.Command) apdu.SW {
	file := c.files[a.P2>>3]
	switch {
	case !c.state.selected:
		return 0x6985
	case a.P1 != 0 || a.P2&7 != 0:
		return 0x6A86
	case len(a.Data) < 23: // key, ID, a byte, MAC
		return 0x6700
	case file == nil:
		return 0x6A82
	}
	plain := a
	plain.Data = a.Data[:len(a.Data)-4]
	if !bytes.Equal(transitMAC(file.initial, ec.TransitInput(plain, c.atc)), a.Data[len(plain.Data):]) {
		return 0x6988
	}
	r := transitRecord{key: decrypt(file.initial, plain.Data[:16]), data: plain.Data[16:]}
	used := len(r.data)
	for _, old := range file.records {
		used += len(old.data)
	}
	if used > file.room {
		return 0x6A84
	}
	file.records = append(file.records, r)
	return apdu.OK
}

// decrypt is 3DES in ECB, backwards.
func decrypt(k keys.Key, enciphered []byte) (out keys.Key) {
	b, err := des.NewTripleDESCipher(slices.Concat(k[:], k[:8]))
	if err != nil {
		panic(err) // the length is fixed
	}
	b.Decrypt(out[:8], enciphered[:8])
	b.Decrypt(out[8:], enciphered[8:16])
	return out
}

// prove is GET TRANS PROVE.
func (c *Card) prove(a apdu.Command) ([]byte, apdu.SW) {
	switch {
	case !c.state.selected:
		return nil, 0x6985
	case a.P1 != 0 || a.P2 != 0:
		return nil, 0x6A86
	case len(a.Data) != 2:
		return nil, 0x6700
	case c.proof == nil || binary.BigEndian.Uint16(a.Data) != c.proof.atc:
		return nil, 0x9406
	}
	return c.proof.tc[:], apdu.OK
}
