package ecdriver

import (
	"fmt"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// EvidenceKind names the form of an evidence's data: version, field 55 in one template, and what shows that the card was really there in another.
const EvidenceKind = "ec-field55/1"

const evidenceVersion = 1

const (
	tagField55 tlv.Tag = 0xE1
	tagProof   tlv.Tag = 0xE2
	tagDigest  tlv.Tag = 0xDF05 // what [ec.Tap.Proof] calls the certificates' hash
)

// Evidence is what a host reads of an evidence's data.
type Evidence struct {
	Claim   ec.Claim // what the card's cryptogram and the MAC over its balance are recomputed from
	Field55 []byte   // the same as it goes to an acquirer

	// What the terminal has checked. The certificates are not there, because they hold the card number; their SHA-256 is.
	SDAD         []byte        // the card's signature (9F4B)
	Auth         []byte        // what version 01 of it covers (9F69); nil: version 00, or the card has not answered the last record
	CTQ          []byte        // 9F6C
	Available    *money.Amount // 9F5D; nil: the card did not tell it
	TTQ          ec.TTQ
	Certificates [32]byte
}

// evidenceData codes a tap for the host.
func evidenceData(t *ec.Tap, device map[tlv.Tag][]byte) ([]byte, error) {
	field55, err := t.Field55(device)
	if err != nil {
		return nil, err
	}
	proof, err := t.Proof()
	if err != nil {
		return nil, err
	}
	chip, err := tlv.Decode(field55)
	if err != nil {
		return nil, err
	}
	shown, err := tlv.Decode(proof)
	if err != nil {
		return nil, err
	}
	raw, err := tlv.Encode([]tlv.Object{{Tag: tagField55, Children: chip}, {Tag: tagProof, Children: shown}})
	return append([]byte{evidenceVersion}, raw...), err
}

// Parse reads an evidence's data. It checks the form alone: what the claim is worth, [ec.VerifyCryptogram] and [ec.VerifyBalance] tell.
func Parse(data []byte) (Evidence, error) {
	if len(data) == 0 || data[0] != evidenceVersion {
		return Evidence{}, fmt.Errorf("EC evidence: %w: want version %02X", ec.ErrMalformed, evidenceVersion)
	}
	list, err := tlv.Decode(data[1:])
	if err != nil || len(list) != 2 || list[0].Tag != tagField55 || list[1].Tag != tagProof {
		return Evidence{}, fmt.Errorf("EC evidence: %w: want field 55 and proof", ec.ErrMalformed)
	}
	e := Evidence{}
	if e.Field55, err = tlv.Encode(list[0].Children); err != nil {
		return Evidence{}, fmt.Errorf("EC evidence: %w", err)
	}
	if e.Claim, err = ec.ParseField55(e.Field55); err != nil {
		return Evidence{}, fmt.Errorf("EC evidence: %w", err)
	}
	proof := ec.Objects{}
	raw, err := tlv.Encode(list[1].Children)
	if err == nil {
		err = proof.Add(raw)
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("EC evidence: proof: %w", err)
	}
	e.SDAD, e.Auth, e.CTQ = proof[ec.TagSDAD], proof[ec.TagAuthenticationData], proof[ec.TagCTQ]
	ttq, digest := proof[ec.TagTTQ], proof[tagDigest]
	if len(ttq) != len(e.TTQ) || len(digest) != len(e.Certificates) {
		return Evidence{}, fmt.Errorf("EC evidence: proof: %w: want TTQ and the hash of the certificates", ec.ErrMalformed)
	}
	e.TTQ, e.Certificates = ec.TTQ(ttq), [32]byte(digest)
	if v, ok := proof[ec.TagAvailable]; ok {
		available, err := ec.ParseAmount(v)
		if err != nil {
			return Evidence{}, fmt.Errorf("EC evidence: proof: %w", err)
		}
		e.Available = &available
	}
	return e, nil
}
