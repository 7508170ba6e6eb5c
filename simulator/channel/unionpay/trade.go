package unionpay

import (
	"errors"
	"fmt"
	"time"

	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
)

// cardOf finds whose card a request is about; nil: it does not say, or nobody's.
func (s *Sim) cardOf(f adapter.Form) *Card {
	switch {
	case f["tokenPayData"] != "":
		if t := s.tokens[composite(f["tokenPayData"])["token"]]; t != nil && !t.ended {
			return t.card
		}
	case f["bindId"] != "":
		if b := s.binds[f["bindId"]]; b != nil && !b.ended {
			return b.card
		}
	case f["accNo"] != "":
		return s.cards[s.open(f, "accNo")]
	}
	return nil
}

// take accepts a transaction, or says why not. The same number and second is the same transaction.
func (s *Sim) take(f adapter.Form) adapter.Form {
	if s.txns[key(f)] != nil {
		return answer(f, "12", "duplicate transaction")
	}
	t := &txn{form: f, kind: f["txnType"], order: f["orderId"], amount: amountOf(f), due: s.c.Clock.Now().Add(DebitAfter), code: "05"}
	if t.amount <= 0 {
		return answer(f, "10", "txnAmt")
	}
	if code, text := s.check(t); code != "" {
		return answer(f, code, text)
	}
	s.book(t)
	out := answer(f, "00", "accepted")
	out["queryId"] = t.queryID
	return out
}

// check is what UnionPay looks at before it accepts.
func (s *Sim) check(t *txn) (code, text string) {
	switch t.kind {
	case "01", "11":
		if t.card = s.cardOf(t.form); t.card == nil && t.kind == "11" {
			return "40", "no such binding"
		}
		if t.card == nil {
			return "80", "the token has ended or never was"
		}
		t.held = t.card.Holds
	case "04", "31":
		return s.checkBack(t)
	case "12":
		if t.card = s.cardOf(t.form); t.card == nil {
			return "61", "the account number is not valid"
		}
	}
	return "", ""
}

func (s *Sim) checkBack(t *txn) (code, text string) {
	for _, p := range s.order {
		if p.queryID == t.form["origQryId"] && (p.kind == "01" || p.kind == "11") {
			t.orig = p
		}
	}
	switch {
	case t.orig == nil || t.orig.code != "00":
		return "35", "the original transaction is not there or not paid"
	case t.kind == "31" && (t.amount != t.orig.amount || t.orig.back > 0):
		return "36", "a void is of the whole"
	case t.kind == "31" && settleDay(t.orig.done) != settleDay(s.c.Clock.Now()):
		return "35", "the day of the original transaction is closed"
	case t.orig.back+t.amount > t.orig.amount:
		return "36", "more than was paid"
	}
	t.orig.back += t.amount
	return "", ""
}

// book gives a transaction its numbers. A queryId is the time with its year, the trace number and one digit.
func (s *Sim) book(t *txn) {
	s.serial++
	t.trace = s.serial % 1000000
	t.queryID = fmt.Sprintf("%s%06d8", s.c.Clock.Now().In(adapter.Zone).Format("20060102150405"), t.trace)
	t.done = s.c.Clock.Now()
	s.txns[key(t.form)] = t
	s.order = append(s.order, t)
}

// carryOut does what is due by now.
func (s *Sim) carryOut(now time.Time) {
	for _, t := range s.order {
		if t.code == "05" && !t.held && !t.due.After(now) {
			s.finish(t, t.due)
		}
	}
}

// finish moves the money of a transaction, or not, and tells.
func (s *Sim) finish(t *txn, at time.Time) {
	t.code, t.done = s.move(t), at
	s.tell(s.report(t, "resp"), t.form["backUrl"])
}

func (s *Sim) move(t *txn) string {
	switch t.kind {
	case "01", "11":
		switch {
		case t.card.Stopped:
			return "63"
		case t.card.Balance < t.amount:
			return "64"
		}
		t.card.Balance -= t.amount
		s.balance += t.amount
	case "04", "31":
		t.orig.card.Balance += t.amount
		s.balance -= t.amount
	case "12":
		if t.card.Stopped {
			return "62"
		}
		t.card.Balance += t.amount
		s.balance -= t.amount
	}
	return "00"
}

// report is what a notification (prefix resp) or a query (prefix origResp) says of a transaction.
func (s *Sim) report(t *txn, prefix string) adapter.Form {
	out := answer(t.form, "00", "ok")
	out[prefix+"Code"], out[prefix+"Msg"] = t.code, "outcome["+t.code+"]"
	out["queryId"], out["traceNo"] = t.queryID, fmt.Sprintf("%06d", t.trace)
	local := t.done.In(adapter.Zone)
	out["traceTime"], out["settleDate"] = local.Format("0102150405"), settleDay(t.done)[4:]
	out["settleAmt"], out["settleCurrencyCode"] = t.form["txnAmt"], "156"
	if t.card != nil {
		out["issInsCode"], out["payCardType"] = t.card.Bank, "01"
	}
	return out
}

func (s *Sim) query(f adapter.Form) adapter.Form {
	t := s.txns[key(f)]
	if t == nil {
		return answer(f, "34", "no such transaction")
	}
	out := s.report(t, "origResp")
	out["txnType"], out["txnSubType"], out["bizType"] = "00", "00", "000000"
	return out
}

// settleDay is YYYYMMDD of a moment: days begin at 23:00.
func settleDay(t time.Time) string {
	return t.In(adapter.Zone).Add(-adapter.DayStart).Format("20060102")
}

// hurry carries out a transaction now.
func (s *Sim) hurry(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.txns[key]; t != nil && t.code == "05" && !t.held {
		s.finish(t, s.c.Clock.Now())
	}
}

// Settle carries out what is due, for a loop or a test that sends no requests.
func (s *Sim) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carryOut(s.c.Clock.Now())
}

// Act lets the holder of a card confirm a payment that his bank holds. There may be none: then nothing happens.
func (s *Sim) Act(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.order {
		if t.order == order && t.held {
			t.held, t.due = false, s.c.Clock.Now()
		}
	}
	s.carryOut(s.c.Clock.Now())
}

// Errors of the page.
var (
	ErrPage    = errors.New("the page shows an error")
	ErrExpired = errors.New("the order has expired")
)

// Visit takes a payer to UnionPay's page with a form, where he pays, signs or opens with a card. The error says what the page shows.
func (s *Sim) Visit(f adapter.Form, card string) error {
	if code, text := s.refuse(f); code != "" {
		return fmt.Errorf("%w: %s %s", ErrPage, code, text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cards[card]
	if c == nil {
		return fmt.Errorf("%w: no such card", ErrPage)
	}
	if f["txnType"] != "01" {
		return s.visitToBind(f, c)
	}
	now := s.c.Clock.Now()
	late := f["payTimeout"] != "" && now.In(adapter.Zone).Format("20060102150405") > f["payTimeout"]
	if late && !s.c.Weather.Faults().LateSuccess {
		return ErrExpired
	}
	if s.txns[key(f)] != nil {
		return fmt.Errorf("%w: it is paid already", ErrPage)
	}
	t := &txn{form: f, kind: "01", order: f["orderId"], amount: amountOf(f), card: c, due: now, code: "05"}
	s.book(t)
	s.finish(t, now)
	if t.code != "00" {
		return fmt.Errorf("%w: the bank says %s", ErrPage, t.code)
	}
	return nil
}

// Count is how often and how much was taken, or paid out, and how much was given back for an order number, over all its transactions.
func (s *Sim) Count(order string) (times int, sum, back int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.order {
		switch {
		case t.code != "00":
		case t.orig != nil && t.orig.order == order:
			back += t.amount
		case t.orig == nil && t.order == order:
			times, sum = times+1, sum+t.amount
		}
	}
	return times, sum, back
}
