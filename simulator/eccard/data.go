package eccard

import (
	"encoding/binary"
	"slices"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// readable are the objects that GET DATA gives, if the card has them (EC facts 3).
var readable = []tlv.Tag{
	ec.TagLastOnlineATC, 0x9F17, ec.TagATC, 0x9F4F, ec.TagApplicationMoney, 0x9F52, 0x9F53, 0x9F54, 0x9F56, 0x9F57, 0x9F58, 0x9F59, 0x9F5C, ec.TagAvailable,
	ec.TagProcesses, ec.TagCVMLimit, ec.TagResetThreshold, 0x9F72, 0x9F73, 0x9F75, 0x9F76, ec.TagBalanceLimit, ec.TagSingleLimit, ec.TagBalance,
	ec.TagLoadLogFormat, ec.TagTransitSupport, ec.TagDepositLimit, ec.TagDepositUsed, 0xDF71, 0xDF72, 0xDF76, 0xDF77, 0xDF78, 0xDF79,
}

// get is GET DATA.
func (c *Card) get(t tlv.Tag) ([]byte, apdu.SW) {
	v, ok := c.data[t]
	switch {
	case !c.state.selected:
		return nil, 0x6985
	case t == ec.TagATC:
		v, ok = binary.BigEndian.AppendUint16(nil, c.atc), true
	}
	if !ok || !slices.Contains(readable, t) {
		return nil, 0x6A88
	}
	return code(object(t, v)), apdu.OK
}

// amount is an amount of the card's data; one that it does not have is zero.
func (c *Card) amount(t tlv.Tag) money.Amount {
	v, ok := c.data[t]
	if !ok {
		return money.Amount{}
	}
	a, err := ec.ParseAmount(v)
	if err != nil {
		panic(err) // only amounts are put there
	}
	return a
}

// n12 codes an amount of this card, which always fits.
func n12(a money.Amount) []byte {
	raw, err := ec.Amount12(a)
	if err != nil {
		panic(err) // balances and limits are 0 to 12 digits
	}
	return raw[:]
}
