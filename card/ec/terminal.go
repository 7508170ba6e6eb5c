package ec

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// Terminal is what a terminal says to the card of one tap. UN is fresh for each tap: the card's signature proves nothing else.
type Terminal struct {
	TTQ               TTQ
	Amount, Other     money.Amount
	Country, Currency [2]byte // 0156
	Date              Date
	Time              [3]byte // hhmmss, packed BCD
	Type              byte    // 00 purchase
	UN                [4]byte
	Transit           byte   // DF60 (EC facts 16)
	Merchant          string // 9F4E
	SM                bool   // DF69: the terminal takes SM2, SM3 and SM4
}

// Values are the terminal's data objects for a PDOL. The TVR is zeros: nothing has been verified when the card is asked.
func (t Terminal) Values() (map[tlv.Tag][]byte, error) {
	amount, err := Amount12(t.Amount)
	if err != nil {
		return nil, err
	}
	other, err := Amount12(t.Other)
	if err != nil {
		return nil, err
	}
	date := t.Date.BCD()
	sm := []byte{0}
	if t.SM {
		sm[0] = 1
	}
	return map[tlv.Tag][]byte{
		TagTTQ: t.TTQ[:], TagAmount: amount[:], TagAmountOther: other[:], TagCountry: t.Country[:], TagTVR: make([]byte, 5), TagCurrency: t.Currency[:],
		TagDate: date[:], TagTime: t.Time[:], TagType: {t.Type}, TagUN: t.UN[:], TagECSupport: {1}, TagTransit: {t.Transit}, TagMerchantName: []byte(t.Merchant), TagSMSupport: sm,
	}, nil
}

// Limits are a terminal's contactless limits for an AID (EC facts 5); nil is no limit.
type Limits struct {
	Transaction *money.Amount // DF20: from here on another interface
	CVM         *money.Amount // DF21: from here on the card holder is verified
	Offline     *money.Amount // DF19, or the floor limit: above it the reader goes online
	StatusCheck bool          // an amount of exactly one currency unit asks the card's state online
	ZeroAllowed bool          // the transit extension: entry with amount 0
}

// ErrNotContactless says that the amount is not for this interface.
var ErrNotContactless = errors.New("amount is not allowed over contactless")

// Prepare is the pre-processing before the field is on (EC facts 5): the TTQ for this amount, from the configured one.
func Prepare(configured TTQ, l Limits, amount money.Amount) (TTQ, error) {
	q := configured
	q[1] = 0
	if l.StatusCheck && amount == money.Minor(100) {
		q[1] |= 0x80
	}
	if amount.IsZero() && !l.ZeroAllowed {
		if q.OfflineOnly() {
			return q, fmt.Errorf("%w: amount 0 and no way online", ErrNotContactless)
		}
		q[1] |= 0x80
	}
	if l.Transaction != nil && amount.Cmp(*l.Transaction) >= 0 {
		return q, fmt.Errorf("%w: limit %v", ErrNotContactless, *l.Transaction)
	}
	if l.CVM != nil && amount.Cmp(*l.CVM) >= 0 {
		q[1] |= 0x40
	}
	if l.Offline != nil && amount.Cmp(*l.Offline) > 0 {
		q[1] |= 0x80
	}
	return q, nil
}
