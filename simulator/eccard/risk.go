package eccard

import (
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
)

// decide is the EC rows of card risk management (EC facts 7).
func (c *Card) decide(ttq ec.TTQ, amount money.Amount, match bool) (ec.Cryptogram, ec.CVR, money.Amount) {
	refuse := func(second byte) (ec.Cryptogram, ec.CVR, money.Amount) {
		if ttq.OfflineOnly() {
			return ec.AAC, ec.CVR{0x80, second, 0}, c.amount(ec.TagBalance)
		}
		return ec.ARQC, ec.CVR{0xA0, second, 0}, c.amount(ec.TagBalance)
	}
	after, err := c.amount(ec.TagBalance).Sub(amount)
	switch {
	case !match, !ttq.OfflineOnly() && ttq[1]&0x80 != 0:
		return refuse(0)
	case err != nil, after.Sign() < 0, amount.Cmp(c.amount(ec.TagSingleLimit)) > 0, !ttq.OfflineOnly() && after.Cmp(c.amount(ec.TagResetThreshold)) < 0:
		return refuse(0x20)
	}
	return ec.TC, ec.CVR{0x90, 0, 0}, after
}
