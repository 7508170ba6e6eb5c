package ec

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/purselane/purselane/card/tlv"
)

// field55 is the order of the chip data as a published terminal log has it (EC facts 17.1).
var field55 = []tlv.Tag{
	TagAC, TagCID, TagIAD, TagUN, TagATC, TagTVR, TagDate, TagType, TagAmount, TagCurrency, TagAIP, TagCountry, TagAmountOther,
	0x9F33, 0x9F34, 0x9F35, 0x9F1E, TagDFName, TagTerminalVersion, 0x9F41,
}

// Field55 codes the chip data of a tap for the acquirer: all that the issuer needs to recompute the cryptogram, and the terminal's own objects (9F33, 9F34, 9F35,
// 9F1E, 9F09, 9F41) as far as device has them.
func (t *Tap) Field55(device map[tlv.Tag][]byte) ([]byte, error) {
	return chipData(t.Objects, t.Sent, t.AID, t.Decision, device)
}

func chipData(card Objects, terminal map[tlv.Tag][]byte, aid []byte, decision Cryptogram, device map[tlv.Tag][]byte) ([]byte, error) {
	var out []tlv.Object
	for _, tag := range field55 {
		var v []byte
		switch tag {
		case TagAC, TagIAD, TagATC, TagAIP:
			v = card[tag]
		case TagCID:
			v = []byte{byte(decision)} // qPBOC cards do not send it
		case TagDFName:
			v = aid
		default:
			v = device[tag]
			if sent, ok := terminal[tag]; ok {
				v = sent
			}
		}
		if v != nil {
			out = append(out, tlv.Object{Tag: tag, Value: v})
		}
	}
	return tlv.Encode(out)
}

// tagCertificates is the package's own: SHA-256 over both certificates.
const tagCertificates tlv.Tag = 0xDF05

// Proof codes what shows that the card was really there: signature, what it covers beside field 55, the card's qualifiers and balance, TTQ, and a hash of the certificates.
// It holds no card number.
func (t *Tap) Proof() ([]byte, error) {
	var out []tlv.Object
	for _, tag := range []tlv.Tag{TagSDAD, TagAuthenticationData, TagCTQ, TagAvailable} {
		if v, ok := t.Objects[tag]; ok {
			out = append(out, tlv.Object{Tag: tag, Value: v})
		}
	}
	sum := sha256.Sum256(slices.Concat(t.Objects[TagIssuerCertificate], t.Objects[TagICCCertificate]))
	return tlv.Encode(append(out, tlv.Object{Tag: TagTTQ, Value: t.Sent[TagTTQ]}, tlv.Object{Tag: tagCertificates, Value: sum[:]}))
}

// Claim is what an uploaded field 55 says, for [VerifyCryptogram] and [VerifyBalance].
type Claim struct {
	Sent     map[tlv.Tag][]byte
	AIP      AIP
	ATC      uint16
	IAD      IAD
	AC       [8]byte
	Decision Cryptogram
}

// ParseField55 reads chip data that a terminal uploaded. A cryptogram type that the issuer application data contradicts is malformed.
func ParseField55(raw []byte) (Claim, error) {
	o := Objects{}
	if err := o.Add(raw); err != nil {
		return Claim{}, fmt.Errorf("field 55: %w", err)
	}
	c := Claim{Sent: map[tlv.Tag][]byte{}}
	for tag, n := range map[tlv.Tag]int{TagAC: 8, TagCID: 1, TagATC: 2, TagAIP: 2} {
		if _, err := o.want(tag, n); err != nil {
			return Claim{}, fmt.Errorf("field 55: %w", err)
		}
	}
	c.AC, c.AIP, c.ATC = [8]byte(o[TagAC]), AIP(o[TagAIP]), binary.BigEndian.Uint16(o[TagATC])
	var err error
	if c.IAD, err = ParseIAD(o[TagIAD]); err != nil {
		return Claim{}, fmt.Errorf("field 55: %w", err)
	}
	if c.Decision, err = c.IAD.CVR.Cryptogram(); err != nil {
		return Claim{}, fmt.Errorf("field 55: %w", err)
	}
	if o[TagCID][0] != byte(c.Decision) {
		return Claim{}, fmt.Errorf("field 55: %w: cryptogram type %02X, the card's data says %v", ErrMalformed, o[TagCID][0], c.Decision)
	}
	for tag := range sentLengths {
		if v, ok := o[tag]; ok {
			c.Sent[tag] = v
		}
	}
	return c, nil
}
