package ecdriver

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
)

// A kept tap: version, then the application, the terminal's values, and of the card's answer to GET PROCESSING OPTIONS what its signature and
// its balance are judged by. Track 2 is left out, and so is every object that this package does not know: a card may tell its number or its
// holder's name in more of them than one. Its records are not kept either, because certificates hold the number; the card gives them again.
const stateVersion = 1

const (
	tagSent   tlv.Tag = 0xE1
	tagAnswer tlv.Tag = 0xE2
)

// keptObjects are those of the answer to GET PROCESSING OPTIONS.
var keptObjects = []tlv.Tag{
	ec.TagAIP, ec.TagAFL, ec.TagATC, ec.TagAC, ec.TagIAD, ec.TagPSN, ec.TagCTQ, ec.TagSDAD, ec.TagAvailable, ec.TagAuthenticationData,
	ec.TagCardVersion, ec.TagStaticTags,
}

// kept is a tap without who made it.
type kept struct {
	aid    []byte
	sent   map[tlv.Tag][]byte
	answer []tlv.Object
}

// keep codes what Recover needs of a tap that has come as far as GET PROCESSING OPTIONS.
func keep(t *ec.Tap) ([]byte, error) {
	k := kept{aid: t.AID, sent: t.Sent}
	for _, tag := range keptObjects {
		if v, ok := t.Objects[tag]; ok {
			k.answer = append(k.answer, tlv.Object{Tag: tag, Value: v})
		}
	}
	return k.bytes()
}

func (k kept) bytes() ([]byte, error) {
	var sent []tlv.Object
	for _, tag := range slices.Sorted(maps.Keys(k.sent)) {
		sent = append(sent, tlv.Object{Tag: tag, Value: k.sent[tag]})
	}
	raw, err := tlv.Encode([]tlv.Object{{Tag: ec.TagDFName, Value: k.aid}, {Tag: tagSent, Children: sent}, {Tag: tagAnswer, Children: k.answer}})
	return append([]byte{stateVersion}, raw...), err
}

// parseKept reads what bytes wrote.
func parseKept(raw []byte) (kept, error) {
	if len(raw) == 0 || raw[0] != stateVersion {
		return kept{}, fmt.Errorf("kept tap of another version, or none: want %02X", stateVersion)
	}
	list, err := tlv.Decode(raw[1:])
	if err != nil || len(list) != 3 || list[0].Tag != ec.TagDFName || list[1].Tag != tagSent || list[2].Tag != tagAnswer {
		return kept{}, fmt.Errorf("kept tap: %w", ec.ErrMalformed)
	}
	k := kept{aid: list[0].Value, sent: map[tlv.Tag][]byte{}, answer: list[2].Children}
	for _, o := range list[1].Children {
		k.sent[o.Tag] = o.Value
	}
	return k, nil
}

// restore is the tap of a card that has told its number and given its records again.
func (k kept) restore(pan ec.PAN, records []ec.Record) (*ec.Tap, error) {
	track := ec.Track2{PAN: pan, Expiry: "4912", Service: "000"} // nothing asks a tap of then for its expiry
	answer, err := tlv.Encode([]tlv.Object{{Tag: 0x77, Children: append(slices.Clone(k.answer), tlv.Object{Tag: ec.TagTrack2, Value: track.Bytes()})}})
	if err != nil {
		return nil, err
	}
	return tapOf(k.aid, k.sent, answer, records)
}

// find is one object of the answer.
func (k kept) find(tag tlv.Tag) []byte {
	v, _ := tlv.Find(k.answer, tag)
	return bytes.Clone(v) // nil: there is none
}
