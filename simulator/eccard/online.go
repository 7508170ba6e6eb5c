package eccard

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// Full PBOC: the profile says so in its second byte, and reads one record more.
var (
	fullAIP = ec.AIP{0x7C, 0x80}
	fullAFL = append(slices.Clone(afl), ec.FileRecords{SFI: 3, First: 1, Last: 1})
	cdol1   = []byte{0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1, 0x9F, 0x37, 4, 0x9F, 0x21, 3}
	cdol2   = append([]byte{0x8A, 2}, cdol1...)
)

// generate is GENERATE AC: the first one always goes online where the terminal does not decline, the second one follows the issuer (EC facts 15).
func (c *Card) generate(a apdu.Command) ([]byte, apdu.SW) {
	dol := mustDOL(cdol1)
	if c.state.ac != nil {
		dol = mustDOL(cdol2)
	}
	switch {
	case !c.state.full || c.state.second:
		return nil, 0x6985
	case a.P1&0xC0 == 0xC0:
		return nil, 0x6A86
	case len(a.Data) != dol.Length():
		return nil, 0x6700
	}
	sent := values(dol, a.Data)
	want := ec.Cryptogram(a.P1 & 0xC0)
	if c.state.ac == nil {
		return c.first(sent, want)
	}
	return c.secondAC(sent, want)
}

func (c *Card) first(sent map[tlv.Tag][]byte, want ec.Cryptogram) ([]byte, apdu.SW) {
	kind := ec.ARQC
	if c.blocked || want == ec.AAC {
		kind = ec.AAC
	}
	cvr := c.tell(ec.CVR{0x80})
	if kind == ec.ARQC {
		cvr[0] |= 0x20
		c.history.open = true
	}
	answer, ac, sw := c.generated(sent, kind, cvr)
	c.state.sent = sent
	if kind == ec.ARQC || c.blocked {
		c.state.ac = &ac
	} else {
		c.state.second = true // declined: the session is over
	}
	return answer, sw
}

func (c *Card) secondAC(sent map[tlv.Tag][]byte, want ec.Cryptogram) ([]byte, apdu.SW) {
	c.history.open = false
	kind, cvr := ec.AAC, c.tell(ec.CVR{0x20})
	approved := c.state.online && bytes.Equal(sent[ec.TagResponseCode], ec.Approved[:])
	switch {
	case c.state.answered && !c.state.online:
		cvr[0] |= 0x08
	case want == ec.TC && approved && !c.blocked:
		kind, cvr[0] = ec.TC, 0x60
		c.data[ec.TagLastOnlineATC] = binary.BigEndian.AppendUint16(nil, c.atc)
		c.cumulative, c.mismatches = money.Amount{}, 0
	}
	c.state.second = true
	if c.state.online {
		c.history.scripts, c.history.scriptFailed = 0, false
	}
	answer, _, sw := c.generated(sent, kind, cvr)
	return answer, sw
}

// tell adds what the card remembers of earlier sessions (EC facts 9).
func (c *Card) tell(cvr ec.CVR) ec.CVR {
	set := func(at int, mask byte, on bool) {
		if on {
			cvr[at] |= mask
		}
	}
	set(1, 0x80, c.history.open)
	set(1, 0x40, c.pinBlocked())
	set(1, 0x08, c.history.authFailed)
	set(2, 0x08, c.history.scriptFailed)
	cvr[2] |= c.history.scripts << 4
	return cvr
}

// generated codes the answer to GENERATE AC.
func (c *Card) generated(sent map[tlv.Tag][]byte, kind ec.Cryptogram, cvr ec.CVR) ([]byte, [8]byte, apdu.SW) {
	iad, ac, err := c.cryptogram(sent, fullAIP, cvr, c.amount(ec.TagBalance))
	if err != nil {
		return nil, ac, 0x6F00
	}
	return code(object(0x80, slices.Concat([]byte{byte(kind)}, binary.BigEndian.AppendUint16(nil, c.atc), ac[:], iad.Bytes()))), ac, apdu.OK
}

// authenticate is EXTERNAL AUTHENTICATE: the issuer's answer to this session's cryptogram, once.
func (c *Card) authenticate(data []byte) apdu.SW {
	if c.state.ac == nil || c.state.answered || c.state.second {
		return 0x6985
	}
	if len(data) != 10 {
		return 0x6700
	}
	c.state.answered = true
	s := c.now.suite
	want := s.Response(s.SessionKey(c.now.ac, c.atc), *c.state.ac, [2]byte(data[8:]))
	c.history.authFailed = !bytes.Equal(want[:], data[:8])
	if c.history.authFailed {
		return 0x6300
	}
	c.state.online = true
	return apdu.OK
}
