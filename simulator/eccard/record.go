package eccard

import (
	"encoding/binary"

	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
)

// read is READ RECORD. The last record of an approved tap commits it, all in this one step; without GET PROCESSING OPTIONS it is the stored answer of the last tap that was.
func (c *Card) read(sfi, number byte) ([]byte, apdu.SW) {
	if !c.state.selected {
		return nil, 0x6985
	}
	switch {
	case sfi == loadSFI && number == 0:
		return c.loadProof()
	case sfi == logSFI:
		return entry(c.log, number)
	case sfi == loadSFI:
		return entry(c.loads, number)
	case sfi == c.online.SFI && number == c.online.Number:
		return c.online.Raw, apdu.OK
	}
	for _, v := range c.variants() {
		if n := v.find(sfi, number); n >= 0 {
			return c.readOf(v, n)
		}
	}
	return nil, 0x6A83
}

func (c *Card) readOf(v *variant, n int) ([]byte, apdu.SW) {
	r, p := v.records[n], c.state.pending
	switch last := n == len(v.records)-1; {
	case last && p != nil && v == c.now && p.transit != 0 && !c.written(p):
		c.state.pending = nil
		return nil, 0x6974
	case last && p != nil && v == c.now:
		c.commit(p)
		c.place = r.Place
		return c.last, apdu.OK
	case last && c.last != nil && c.place.SFI == r.SFI && c.place.Number == r.Number:
		return c.last, apdu.OK
	}
	return r.Raw, apdu.OK
}

// commit makes an approved tap true: balance, deposit, transit records, log and stored answer in one step.
func (c *Card) commit(p *pending) {
	c.apply(p.after)
	c.last = p.last
	if c.does(logs) {
		c.log = push(c.log, p.log)
	}
	if p.transit != 0 {
		switch n := c.reserved(); p.transit {
		case ec.PreAuthorisation:
			at := c.state.reading
			c.open = append(slices.Clone(c.open), reservation{at.sfi, [2]byte(c.files[at.sfi].records[at.index].data), p.amount})
		case ec.PreAuthCompletion:
			c.open = slices.Delete(slices.Clone(c.open), n, n+1)
		}
		for _, u := range p.updates {
			c.files[u.sfi].records[u.index].data = u.data
		}
		c.proof = &proof{c.atc, p.tc}
	}
	c.state.pending = nil
}

func entry(log [][]byte, number byte) ([]byte, apdu.SW) {
	if number == 0 || int(number) > len(log) {
		return nil, 0x6A83
	}
	return log[number-1], apdu.OK
}

// push puts a log's newest entry first, and drops the oldest.
func push(log [][]byte, newest []byte) [][]byte {
	return append([][]byte{newest}, log[:min(len(log), logSize-1)]...)
}

// loadProof is the whole load log with a MAC that the host can check (EC facts 15).
func (c *Card) loadProof() ([]byte, apdu.SW) {
	out := append(binary.BigEndian.AppendUint16(nil, c.atc), byte(len(c.loads)))
	for _, l := range c.loads {
		out = append(out, l...)
	}
	mac, err := c.sessionMAC(out)
	if err != nil {
		return nil, 0x6F00
	}
	return append(out, mac[:]...), apdu.OK
}

// sessionMAC is the MAC under the MAC session key of the present ATC.
func (c *Card) sessionMAC(message []byte) ([4]byte, error) {
	s := c.now.suite
	mac, err := s.MAC(s.SessionKey(c.now.mac, c.atc), s.Pad(message))
	return [4]byte(mac[:4]), err
}
