package ep

import (
	"fmt"

	"github.com/purselane/purselane/card/tlv"
)

// FCI is the answer to SELECT of the application (purse facts 1.2): the AID of tag 84, and the content of EF 15 in 9F0C where
// the card gives it.
type FCI struct {
	Name    []byte // tag 84
	Version []byte // tag 9F08, may be absent
	Public  []byte // tag 9F0C: content of EF 15, 30 bytes on most cards, 32 and 45 exist
}

// Tags of an FCI (ISO/IEC 7816-4, 5.3.3; the 9F tags are PBOC's).
const (
	tagFCI         tlv.Tag = 0x6F
	tagName        tlv.Tag = 0x84
	tagProprietary tlv.Tag = 0xA5
	tagVersion     tlv.Tag = 0x9F08
	tagPublic      tlv.Tag = 0x9F0C
)

// ParseFCI reads the answer to SELECT. Unknown objects are passed over; only tag 84 must be there.
func ParseFCI(raw []byte) (FCI, error) {
	objects, err := tlv.Decode(raw)
	if err != nil {
		return FCI{}, fmt.Errorf("FCI: %w: %w", ErrMalformed, err)
	}
	var f FCI
	var ok bool
	if f.Name, ok = tlv.Find(objects, tagFCI, tagName); !ok {
		return FCI{}, fmt.Errorf("FCI: %w: no DF name (tag 84)", ErrMalformed)
	}
	f.Version, _ = tlv.Find(objects, tagFCI, tagProprietary, tagVersion)
	f.Public, _ = tlv.Find(objects, tagFCI, tagProprietary, tagPublic)
	return f, nil
}

// EncodeFCI codes an FCI as cards answer it. It panics on parts of more than 200 bytes, which no FCI has.
func EncodeFCI(f FCI) []byte {
	var own []tlv.Object
	if len(f.Version) > 0 {
		own = append(own, tlv.Object{Tag: tagVersion, Value: f.Version})
	}
	if len(f.Public) > 0 {
		own = append(own, tlv.Object{Tag: tagPublic, Value: f.Public})
	}
	raw, err := tlv.Encode([]tlv.Object{{Tag: tagFCI, Children: []tlv.Object{
		{Tag: tagName, Value: f.Name}, {Tag: tagProprietary, Children: own}}}})
	if err != nil || len(raw) > 256 {
		panic(fmt.Sprintf("ep: FCI of %d bytes: %v", len(raw), err))
	}
	return raw
}
