package ec

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Chain verifies the certificates of a card from what it has answered: everything of the authentication but the signature. It can be done before the
// last record is read, so that a card that fails it has not been debited.
func (a *Authorities) Chain(rid RID, o Objects, records []Record, aip AIP, pan PAN, today Date) (PublicKey, error) {
	if !aip.DDA() {
		return PublicKey{}, ErrNoDDA
	}
	index, err := o.want(TagCAIndex, 1)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	static, err := StaticData(records, aip, o[TagStaticTags])
	if err != nil {
		return PublicKey{}, err
	}
	issuer, err := a.Issuer(rid, index[0], o[TagIssuerCertificate], o[TagIssuerRemainder], o[TagIssuerExponent], pan, today)
	if err != nil {
		return PublicKey{}, err
	}
	card, err := issuer.Key.Card(o[TagICCCertificate], o[TagICCRemainder], o[TagICCExponent], static, pan, today)
	return card.Key, err
}

// Signed is what the terminal put under the card's signature, and what the card's answer must agree with.
type Signed struct {
	TTQ      TTQ
	UN       [4]byte
	Amount   [6]byte // n12, as sent
	Currency [2]byte
	ATC      uint16
}

// CheckSignature verifies fDDA (EC facts 12): version 01 if the card sent 9F69, which covers amount and currency, else version 00. A card that knows 01 (9F08 of
// 0030 or more) and was offered it must use it.
func CheckSignature(key PublicKey, o Objects, s Signed) error {
	sdad, ok := o[TagSDAD]
	if !ok {
		return fmt.Errorf("%w: no %s", ErrMissing, TagName(TagSDAD))
	}
	data := s.UN[:]
	auth, v01 := o[TagAuthenticationData]
	switch {
	case v01:
		if len(auth) != 8 || auth[0] != 1 {
			return fmt.Errorf("%w: %s is %X, want 8 bytes of version 01", ErrMalformed, TagName(TagAuthenticationData), auth)
		}
		if ctq, sent := o[TagCTQ]; sent && !slices.Equal(ctq, auth[5:7]) {
			return ErrCTQ
		}
		data = slices.Concat(s.UN[:], s.Amount[:], s.Currency[:], auth)
	case s.TTQ.FDDA01() && len(o[TagCardVersion]) == 2 && binary.BigEndian.Uint16(o[TagCardVersion]) >= 0x0030:
		return ErrDowngrade
	}
	dynamic, err := key.Dynamic(sdad, data)
	if err != nil {
		return err
	}
	if len(dynamic) != 3 || dynamic[0] != 2 {
		return fmt.Errorf("%w: dynamic data %X, want 02 and the ATC", ErrRecovered, dynamic)
	}
	if binary.BigEndian.Uint16(dynamic[1:]) != s.ATC {
		return ErrATC
	}
	return nil
}
