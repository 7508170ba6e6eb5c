package cardacquirer

import (
	"fmt"
	"time"

	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
)

// do carries out a message. What is known by its reference is answered as before, and with another amount it is a duplicate.
func (s *Sim) do(m adapter.Message) adapter.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.MTI == "0600" {
		return s.tell(m)
	}
	if m.Fields[fRRN] == "" || m.Fields[fTerminal] != s.c.Terminal || m.Fields[fMerchant] != s.c.Merchant {
		return reply(m, "03")
	}
	if known := s.txns[m.Fields[fRRN]]; known != nil {
		if known.amount != amountOf(m) || known.ask.MTI[:3] != m.MTI[:3] {
			return reply(m, "94")
		}
		return known.answer
	}
	t := &txn{ask: m, amount: amountOf(m), orig: s.txns[m.Fields[fOriginal]]}
	t.state = s.book(t)
	t.answer = reply(m, t.state)
	if t.state == "00" {
		s.auths++
		t.answer.Fields[fAuth] = fmt.Sprintf("%06d", s.auths%1000000)
	}
	t.ask.Fields[fPAN] = "" // a simulator keeps none either
	s.txns[m.Fields[fRRN]] = t
	s.order = append(s.order, t)
	return t.answer
}

// book says what becomes of a new transaction, and moves the money.
func (s *Sim) book(t *txn) (code string) {
	m := t.ask
	switch m.MTI[:3] + m.Fields[fFunction] {
	case "010100", "020200":
		if t.amount <= 0 || m.Fields[fCurrency] != s.c.Number {
			return "13"
		}
		if m.Fields[fProc] == "200000" {
			t.kind = "refund"
			return s.refund(t)
		}
		return s.charge(t)
	case "010107":
		t.kind = "increment"
		return s.increment(t)
	case "022202":
		t.kind = "capture"
		return s.capture(t)
	case "040400":
		t.kind = "reversal"
		return s.reverse(t)
	}
	return "12"
}

func (s *Sim) charge(t *txn) string {
	t.kind = "purchase"
	if t.ask.MTI[:2] == "01" {
		t.kind = "authorisation"
	}
	t.card = s.cards[t.ask.Fields[fPAN]]
	switch {
	case t.card == nil:
		return "14"
	case t.card.Stopped:
		return "43"
	case t.ask.Fields[fExpiry] != t.card.Expires && t.ask.Chip == nil:
		return "54"
	case t.card.Balance-t.card.Held < t.amount:
		return "51"
	}
	if t.kind == "authorisation" {
		t.reserved = t.amount
		t.card.Held += t.amount
		return "00"
	}
	t.card.Balance -= t.amount
	t.paid, t.paidAt = t.amount, s.c.Clock.Now()
	return "00"
}

// reservation is the open authorisation that a message is about; nil where there is none.
func (t *txn) reservation() *txn {
	if o := t.orig; o != nil && o.kind == "authorisation" && o.state == "00" && o.paid == 0 {
		return o
	}
	return nil
}

func (s *Sim) increment(t *txn) string {
	o := t.reservation()
	switch {
	case o == nil:
		return "25"
	case o.card.Balance-o.card.Held < t.amount:
		return "51"
	}
	o.reserved += t.amount
	o.card.Held += t.amount
	return "00"
}

func (s *Sim) capture(t *txn) string {
	o := t.reservation()
	switch {
	case o == nil:
		return "25"
	case t.amount > o.reserved || t.amount <= 0:
		return "13"
	}
	o.card.Held -= o.reserved
	o.card.Balance -= t.amount
	o.reserved, o.paid, o.paidAt = 0, t.amount, s.c.Clock.Now()
	return "00"
}

func (s *Sim) refund(t *txn) string {
	o := t.orig
	switch {
	case o == nil || o.paid == 0 || o.state != "00":
		return "25"
	case o.back+t.amount > o.paid:
		return "13"
	}
	o.back += t.amount
	o.card.Balance += t.amount
	t.card, t.paidAt = o.card, s.c.Clock.Now()
	return "00"
}

// reverse takes back a transaction as a whole. A void is of the same day; the reversal of a request without an answer is always right.
func (s *Sim) reverse(t *txn) string {
	o, silence := t.orig, t.ask.Fields[fReason] == "4021"
	switch {
	case o == nil:
		return "25"
	case o.state == "RV" || silence && o.state != "00":
		return "00" // nothing is left to take back
	case o.state != "00":
		return "25"
	case !silence && (o.kind != "purchase" && o.kind != "authorisation" || t.amount != o.paid+o.reserved || o.back > 0):
		return "12"
	case !silence && o.paid > 0 && s.day(o.paidAt) != s.day(s.c.Clock.Now()):
		return "12"
	}
	s.undo(o)
	o.state = "VD"
	if silence || o.kind == "authorisation" {
		o.state = "RV"
	}
	return "00"
}

// undo puts the money of a transaction back.
func (s *Sim) undo(o *txn) {
	switch o.kind {
	case "purchase":
		o.card.Balance += o.paid
		o.back = o.paid
	case "authorisation":
		o.card.Held -= o.reserved
		o.reserved = 0
	case "refund":
		o.orig.back -= o.amount
		o.card.Balance -= o.amount
	case "increment":
		o.orig.reserved -= o.amount
		o.orig.card.Held -= o.amount
	}
}

// tell answers an enquiry.
func (s *Sim) tell(m adapter.Message) adapter.Message {
	o := s.txns[m.Fields[fOriginal]]
	if o == nil {
		return reply(m, "25")
	}
	out := reply(m, "00")
	amount := o.amount
	if o.paid > 0 {
		amount = o.paid
	}
	out.Fields[fState], out.Fields[fAmount] = o.state, fmt.Sprintf("%012d", amount)
	for _, n := range []int{fTime, fDate, fAuth, fNumber} {
		if v, ok := o.answer.Fields[n]; ok {
			out.Fields[n] = v
		}
	}
	return out
}

func (s *Sim) day(t time.Time) string { return t.In(s.c.Zone).Format(time.DateOnly) }

// Count is how often and how much was taken for a number of ours, and how much was given back.
func (s *Sim) Count(number string) (times int, sum, back int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.order {
		if t.ask.Fields[fNumber] == number && t.paid > 0 {
			times, sum, back = times+1, sum+t.paid, back+t.back
		}
	}
	return times, sum, back
}
