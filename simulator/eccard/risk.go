package eccard

import (
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
)

// decide is the EC rows of card risk management (EC facts 7).
func (c *Card) decide(ttq ec.TTQ, amount money.Amount, match, transit bool) (ec.Cryptogram, ec.CVR) {
	refuse := func(second byte) (ec.Cryptogram, ec.CVR) {
		if ttq.OfflineOnly() {
			return ec.AAC, ec.CVR{0x80, second, 0}
		}
		return ec.ARQC, ec.CVR{0xA0, second, 0}
	}
	left, err := c.spendable(amount, transit).Sub(amount)
	switch {
	case !match, !ttq.OfflineOnly() && ttq[1]&0x80 != 0:
		return refuse(0)
	case err != nil, left.Sign() < 0, amount.Cmp(c.amount(ec.TagSingleLimit)) > 0, !ttq.OfflineOnly() && left.Cmp(c.amount(ec.TagResetThreshold)) < 0:
		return refuse(0x20)
	}
	return ec.TC, ec.CVR{0x90, 0, 0}
}
