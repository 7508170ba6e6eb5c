package unionpay

import (
	"fmt"

	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
)

// binding serves what opens, asks for and ends tokens and agreements.
func (s *Sim) binding(f adapter.Form) adapter.Form {
	switch f["txnType"] + f["bizType"] {
	case "72000501":
		return s.agree(f)
	case "74000501":
		return s.disagree(f)
	case "75000501":
		return s.askBind(f)
	case "77000902":
		if s.c.Unchecked {
			return answer(f, "32", "no right to this transaction")
		}
		if _, code := s.typed(f); code != "" {
			return answer(f, code, "the bank knows it otherwise")
		}
		s.serial++
		s.codes[f["orderId"]] = fmt.Sprintf("%06d", 314159+s.serial)
		return answer(f, "00", "sent")
	case "79000902":
		return s.openToken(f)
	case "78000902":
		return s.askToken(f)
	case "74000902":
		return s.endToken(f)
	}
	return answer(f, "32", "no right to this transaction")
}

// typed checks card data with the bank: number, phone, and of a credit card CVN2 and expiry.
func (s *Sim) typed(f adapter.Form) (c *Card, code string) {
	c = s.cards[s.open(f, "accNo")]
	customer := composite(s.open(f, "customerInfo"))
	switch {
	case c == nil:
		return nil, "61"
	case c.Stopped:
		return nil, "63"
	case s.c.Unchecked:
		return c, ""
	case c.Phone != customer["phoneNo"]:
		return nil, "66"
	case c.CVN2 != "" && (c.CVN2 != customer["cvn2"] || c.Expires != customer["expired"]):
		return nil, "65"
	}
	return c, ""
}

func (s *Sim) agree(f adapter.Form) adapter.Form {
	c := s.cards[s.open(f, "accNo")]
	switch {
	case f["bindId"] == "":
		return answer(f, "13", "bindId is missing")
	case s.binds[f["bindId"]] != nil:
		return answer(f, "12", "duplicate transaction")
	case c == nil:
		return answer(f, "61", "the card number is not valid")
	}
	s.binds[f["bindId"]] = &bind{card: c}
	return answer(f, "00", "bound")
}

func (s *Sim) disagree(f adapter.Form) adapter.Form {
	b := s.binds[f["bindId"]]
	if b == nil || b.ended {
		return answer(f, "40", "no such binding")
	}
	b.ended = true
	return answer(f, "00", "unbound")
}

func (s *Sim) askBind(f adapter.Form) adapter.Form {
	b := s.binds[f["bindId"]]
	switch {
	case b == nil:
		return answer(f, "34", "no such binding ever")
	case b.ended:
		return answer(f, "40", "no such binding")
	}
	return answer(f, "00", "bound")
}

// Text is the code that the bank has sent its cardholder for an opening, "" where it has sent none.
func (s *Sim) Text(opening string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes[opening]
}

// EndTokenAtBank ends a token as its cardholder does at the bank, without the merchant.
func (s *Sim) EndTokenAtBank(opening string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokenOf(opening); t != nil {
		t.ended = true
	}
}

// EndAtBank ends an agreement as its payer does at the bank, without the merchant.
func (s *Sim) EndAtBank(bindID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.binds[bindID]; b != nil {
		b.ended = true
	}
}

// newToken makes a token of a card for an opening.
func (s *Sim) newToken(order string, c *Card) *token {
	s.serial++
	t := &token{text: fmt.Sprintf("6235240000%09d", s.serial), order: order, card: c}
	s.tokens[t.text] = t
	return t
}

func withToken(f adapter.Form, t *token) adapter.Form {
	f["tokenPayData"] = "{token=" + t.text + "&trId=62000000001&tokenLevel=40&tokenBegin=20200101000000&tokenEnd=20400101000000&tokenType=01}"
	return f
}

func (s *Sim) tokenOf(order string) *token {
	for _, t := range s.tokens {
		if t.order == order {
			return t
		}
	}
	return nil
}

func (s *Sim) openToken(f adapter.Form) adapter.Form {
	if s.tokenOf(f["orderId"]) != nil {
		return answer(f, "12", "duplicate transaction")
	}
	c, code := s.typed(f)
	if code != "" {
		return answer(f, code, "the bank knows it otherwise")
	}
	if sent := s.codes[f["orderId"]]; sent != "" && sent != composite(s.open(f, "customerInfo"))["smsCode"] {
		return answer(f, "71", "the code is wrong")
	}
	return withToken(answer(f, "00", "opened"), s.newToken(f["orderId"], c))
}

func (s *Sim) askToken(f adapter.Form) adapter.Form {
	t := s.tokenOf(f["orderId"])
	switch {
	case t == nil:
		return answer(f, "34", "no such opening")
	case t.ended:
		return answer(f, "80", "the token has ended")
	}
	return withToken(answer(f, "00", "open"), t)
}

func (s *Sim) endToken(f adapter.Form) adapter.Form {
	t := s.tokens[composite(f["tokenPayData"])["token"]]
	if t == nil || t.ended {
		return answer(f, "80", "the token has ended or never was")
	}
	t.ended = true
	return answer(f, "00", "ended")
}

// visitToBind is what a payer does on the page for agreements and tokens. The notification tells it.
func (s *Sim) visitToBind(f adapter.Form, c *Card) error {
	out := answer(f, "00", "ok")
	switch f["txnType"] {
	case "72":
		if s.binds[f["bindId"]] != nil {
			return fmt.Errorf("%w: it is signed already", ErrPage)
		}
		s.binds[f["bindId"]] = &bind{card: c}
	case "79":
		if s.tokenOf(f["orderId"]) != nil {
			return fmt.Errorf("%w: it is open already", ErrPage)
		}
		out = withToken(out, s.newToken(f["orderId"], c))
	default:
		return fmt.Errorf("%w: nothing of the kind", ErrPage)
	}
	s.tell(out, f["backUrl"])
	return nil
}
