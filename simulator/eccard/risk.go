package eccard

import (
	"bytes"

	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/internal/money"
)

// process is a bit of 9F68: what the card's risk management does (EC facts 4).
type process struct {
	at   int
	mask byte
}

var (
	checksBalance       = process{0, 0x80}
	checksBoth          = process{0, 0x40} // balance and cumulative limit
	checksEither        = process{0, 0x20} // balance, else cumulative limit
	checksNewCard       = process{0, 0x10}
	checksPINTries      = process{0, 0x08}
	mismatchOffline     = process{0, 0x04} // another currency may be offline at a reader that can go online
	prefersContact      = process{0, 0x02} // for going online
	tellsAvailable      = process{0, 0x01}
	prepays             = process{1, 0x80} // an ARQC takes the amount
	mismatchNever       = process{1, 0x40}
	newCardNeedsOnline  = process{1, 0x20}
	logs                = process{1, 0x10}
	onlinePIN           = process{2, 0x80}
	onlinePINMismatch   = process{2, 0x40}
	mismatchNeedsHolder = process{2, 0x20}
	signature           = process{2, 0x10}
)

// Limits that no setting or script has touched are not there.
const (
	tagMismatches      tlv.Tag = 0x9F53
	tagCumulativeLimit tlv.Tag = 0x9F54
	tagCumulativeUpper tlv.Tag = 0x9F5C
)

func (c *Card) does(p process) bool { return fill(c.data[ec.TagProcesses], 4)[p.at]&p.mask != 0 }

// asked is what risk management looks at in a terminal's request.
type asked struct {
	ttq     ec.TTQ
	amount  money.Amount
	match   bool         // the currency is the card's
	transit byte         // DF60: a segmented fare may use the deposit
	back    money.Amount // of a completion: what its pre-authorisation had reserved
}

// purse is what taps change.
type purse struct {
	balance    money.Amount
	deposit    money.Amount // used
	cumulative money.Amount // offline, since the card was online last
	mismatches byte         // taps in another currency in a row
}

// answer is the card's decision, and what the card becomes once it is final.
type answer struct {
	kind      ec.Cryptogram
	aborts    bool // 6985, and no answer
	holder    byte // of the CTQ: what the card holder must do
	cvr       byte // its second byte
	available money.Amount
	after     purse
}

func (c *Card) purse() purse {
	return purse{c.amount(ec.TagBalance), c.amount(ec.TagDepositUsed), c.cumulative, c.mismatches}
}

func (c *Card) apply(p purse) {
	c.data[ec.TagBalance] = n12(p.balance)
	if _, ok := c.data[ec.TagDepositUsed]; ok {
		c.data[ec.TagDepositUsed] = n12(p.deposit)
	}
	c.cumulative, c.mismatches = p.cumulative, p.mismatches
}

// decide is card risk management in qPBOC (EC facts 7), without the second currency.
func (c *Card) decide(a asked) answer {
	d := c.conditions(a)
	if d.kind == ec.TC {
		d = c.money(a, d)
	}
	if d.kind != ec.ARQC || d.aborts {
		return d
	}
	if c.does(prefersContact) && a.ttq[0]&0x10 != 0 {
		return answer{aborts: true}
	}
	if c.does(prepays) {
		return c.prepay(a, d)
	}
	return d
}

// conditions is all but the money: kind is TC if that is to decide.
func (c *Card) conditions(a asked) answer {
	now := c.purse()
	d := answer{kind: ec.TC, after: now, available: c.available(now)}
	as := func(kind ec.Cryptogram, cvr byte) answer {
		d.kind, d.cvr = kind, cvr
		return d
	}
	if !a.match && c.does(mismatchNever) {
		return as(ec.AAC, 0)
	}
	isNew := bytes.Equal(c.data[ec.TagLastOnlineATC], []byte{0, 0})
	noTries := c.pinBlocked() && c.does(checksPINTries)
	limit, limited := c.data[ec.TagCVMLimit]
	over := a.match && limited && bytes.Compare(n12(a.amount), limit) > 0
	needsHolder := a.ttq[1]&0x40 != 0 || over || !a.match && c.does(mismatchNeedsHolder)
	signs := a.ttq[0]&0x02 != 0 && c.does(signature)

	if a.ttq.OfflineOnly() {
		switch {
		case isNew && c.does(checksNewCard) && c.does(newCardNeedsOnline):
			return as(ec.AAC, 0)
		case noTries:
			return as(ec.AAC, 0x40)
		case needsHolder && !signs:
			return answer{aborts: true}
		case needsHolder:
			d.holder = 0x40
		}
		return d
	}
	pin := a.match && c.does(onlinePIN) || !a.match && c.does(onlinePINMismatch)
	switch {
	case needsHolder && pin && a.ttq[0]&0x04 != 0:
		d.holder = 0x80
		return as(ec.ARQC, 0)
	case needsHolder && !signs:
		return answer{aborts: true}
	case needsHolder:
		d.holder = 0x40
	}
	switch {
	case a.ttq[1]&0x80 != 0, !a.match && !c.does(mismatchOffline):
		return as(ec.ARQC, 0)
	case isNew && c.does(checksNewCard):
		return as(ec.ARQC, 0x10)
	case noTries:
		return as(ec.ARQC, 0x40)
	}
	return d
}

// money is the amount step.
func (c *Card) money(a asked, d answer) answer {
	offline := a.ttq.OfflineOnly()
	refuse := func(cvr byte) answer {
		d.kind, d.cvr = ec.ARQC, cvr
		if offline {
			d.kind = ec.AAC
		}
		return d
	}
	now := d.after
	if !a.match {
		if now.mismatches >= fill(c.data[tagMismatches], 1)[0] {
			return refuse(0x20)
		}
		d.after.mismatches++
		return d
	}
	ready, need := c.spendable(a), a.amount
	if !offline {
		need = add(need, c.amount(ec.TagResetThreshold))
	}
	single := a.amount.Cmp(c.amount(ec.TagSingleLimit)) <= 0
	inLimit := a.amount.Cmp(c.room(now)) <= 0
	switch {
	case c.does(checksBalance), c.does(checksBoth):
		if !single || need.Cmp(ready) > 0 || c.does(checksBoth) && !inLimit {
			return refuse(0x20)
		}
		d.after = now.take(a)
		if c.does(checksBoth) {
			d.after.cumulative = add(now.cumulative, a.amount)
		}
	case c.does(checksEither):
		switch inBalance := a.amount.Cmp(ready) <= 0; { // the threshold plays no part
		case !single, !inBalance && !inLimit:
			return refuse(0x20)
		case inBalance:
			d.after = now.take(a)
		default:
			d.after.cumulative = add(now.cumulative, a.amount)
		}
	default:
		d.available = money.Amount{}
		return refuse(0)
	}
	d.available = c.available(d.after)
	return d
}

// prepay takes the amount of a request to go online, or declines it.
func (c *Card) prepay(a asked, d answer) answer {
	now := d.after
	fits := a.amount.Sign() > 0 && a.amount.Cmp(now.balance) <= 0
	switch {
	case c.does(checksBoth):
		fits = fits && a.amount.Cmp(c.room(now)) <= 0
	case !c.does(checksBalance):
		return d
	}
	if !fits {
		d.kind = ec.AAC
		return d
	}
	d.after = now.pay(a.amount)
	if c.does(checksBoth) {
		d.after.cumulative = add(now.cumulative, a.amount)
	}
	d.available = c.available(d.after)
	return d
}

// room is what the cumulative limit leaves: the upper one, if the card has it.
func (c *Card) room(p purse) money.Amount {
	limit := c.amount(tagCumulativeUpper)
	if limit.IsZero() {
		limit = c.amount(tagCumulativeLimit)
	}
	return sub(limit, p.cumulative)
}

// available is what can be spent offline (9F5D).
func (c *Card) available(p purse) money.Amount {
	switch {
	case c.does(checksBalance):
		return p.balance
	case c.does(checksBoth):
		return c.room(p)
	case c.does(checksEither):
		return add(p.balance, c.room(p))
	}
	return money.Amount{}
}

// spendable is what a tap may take: of a segmented fare also what is left of the deposit, of a completion also what was reserved, if that makes the fare possible.
func (c *Card) spendable(a asked) money.Amount {
	now := c.purse()
	all := now.balance
	switch a.transit {
	case ec.SegmentedFare:
		all = add(all, sub(c.amount(ec.TagDepositLimit), now.deposit))
	case ec.PreAuthCompletion:
		all = add(all, a.back)
	}
	if all.Cmp(a.amount) < 0 {
		return now.balance
	}
	return all
}

// take pays for a tap. A completion gives back what was reserved beyond the fare, which pays off the deposit first.
func (p purse) take(a asked) purse {
	rest := sub(a.back, a.amount)
	if a.transit != ec.PreAuthCompletion || rest.Sign() < 0 {
		p.balance = add(p.balance, a.back)
		return p.pay(a.amount)
	}
	paid := p.deposit
	if rest.Cmp(paid) < 0 {
		paid = rest
	}
	p.deposit, p.balance = sub(p.deposit, paid), add(p.balance, sub(rest, paid))
	return p
}

// pay takes a fare out of the balance, and what it lacks out of the deposit.
func (p purse) pay(fare money.Amount) purse {
	if lacks := sub(fare, p.balance); lacks.Sign() > 0 {
		p.balance, p.deposit = money.Amount{}, add(p.deposit, lacks)
		return p
	}
	p.balance = sub(p.balance, fare)
	return p
}

// add and sub are of amounts of 12 digits, which never overflow.
func add(a, b money.Amount) money.Amount { return must(a.Add(b)) }
func sub(a, b money.Amount) money.Amount { return must(a.Sub(b)) }

func must(a money.Amount, err error) money.Amount {
	if err != nil {
		panic(err)
	}
	return a
}
