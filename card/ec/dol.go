package ec

import (
	"encoding/binary"
	"fmt"

	"github.com/purselane/purselane/card/tlv"
)

// Asked is one entry of a DOL: a data object and how many bytes of it the card wants.
type Asked struct {
	Tag    tlv.Tag
	Length int
}

// DOL is a data object list (PDOL 9F38): tags and lengths without values.
type DOL []Asked

// ParseDOL reads a DOL: tags of one to three bytes, each with a length of one byte.
func ParseDOL(raw []byte) (DOL, error) {
	var out DOL
	for len(raw) > 0 {
		n := 1
		if raw[0]&0x1F == 0x1F {
			for n++; n <= 3 && n <= len(raw) && raw[n-1]&0x80 != 0; n++ {
			}
		}
		if n > 3 || n >= len(raw) {
			return nil, fmt.Errorf("%w: DOL is cut, or a tag is longer than three bytes", ErrMalformed)
		}
		var tag [4]byte
		copy(tag[4-n:], raw[:n])
		out = append(out, Asked{tlv.Tag(binary.BigEndian.Uint32(tag[:])), int(raw[n])})
		raw = raw[n+1:]
	}
	return out, nil
}

// Length is the number of bytes the card wants in all.
func (d DOL) Length() (n int) {
	for _, a := range d {
		n += a.Length
	}
	return n
}

// numeric are the objects of format n that a terminal sends: they are cut and filled on the left.
var numeric = map[tlv.Tag]bool{
	TagAmount: true, TagAmountOther: true, TagCountry: true, TagCurrency: true, TagDate: true, TagType: true, TagTime: true,
}

// Fill returns the values in the list's order, without tags. An object that is not there is zeros; one of another length than asked is cut or filled
// with zeros: on the left if it is numeric, else on the right (EMV book 3, 5.4; EC facts 2).
func (d DOL) Fill(values map[tlv.Tag][]byte) []byte {
	out := make([]byte, 0, d.Length())
	for _, a := range d {
		field := make([]byte, a.Length)
		switch v := values[a.Tag]; {
		case !numeric[a.Tag]:
			copy(field, v)
		case len(v) > a.Length:
			copy(field, v[len(v)-a.Length:])
		default:
			copy(field[a.Length-len(v):], v)
		}
		out = append(out, field...)
	}
	return out
}
