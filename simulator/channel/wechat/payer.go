package wechat

import (
	"encoding/json"
	"fmt"
	"time"
)

// Payer is somebody with WeChat.
type Payer struct {
	OpenID   string // "": somebody
	Bank     string // the bank the money comes from, as WeChat Pay names it; "": OTHERS
	Short    bool   // has not enough money
	Password bool   // must type a password for a payment code, whatever the amount

	shown time.Time
}

// Code is the payment code that a payer shows. It is good for a minute and for one payment.
func (s *Simulator) Code(p Payer) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	p.shown = s.clock.Now()
	code := fmt.Sprintf("13%016d", s.seq)
	s.codes[code] = p
	return code
}

// bankOf is the bank of the payer whose payment code is in a request.
func (s *Simulator) bankOf(body []byte) string {
	var in orderRequest
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes[in.Payer.Code].Bank
}

// Pay lets a payer pay an order: scan the code, confirm, and type the password. The error is what the payer's screen says.
func (s *Simulator) Pay(number string, p Payer) error {
	late := s.Weather.Faults().LateSuccess
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[number]
	if !known {
		return ErrNoSuchOrder
	}
	over := s.over(o)
	switch {
	case o.state == paid || o.state == refunded:
		return fmt.Errorf("order %s is paid already", number)
	case over && !late:
		return fmt.Errorf("order %s is %s", number, o.state)
	case p.Short:
		return fmt.Errorf("order %s: the payer has not enough", number)
	case o.product == "jsapi" && p.OpenID != "" && p.OpenID != o.Payer.OpenID:
		return fmt.Errorf("order %s is for another payer", number)
	}
	if o.product == "codepay" {
		p = o.payer
	}
	s.take(o, p)
	return nil
}

// Refuse is a payer who types no password, or a wrong one, for a payment code.
func (s *Simulator) Refuse(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[number]
	if !known || o.state != paying {
		return ErrNoSuchOrder
	}
	o.state = payError
	return nil
}

// take moves the money and tells the merchant. The lock is held.
func (s *Simulator) take(o *order, p Payer) {
	if p.OpenID == "" {
		p.OpenID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	}
	if p.Bank == "" {
		p.Bank = "OTHERS"
	}
	s.seq++
	o.charges++
	o.state, o.paidAt, o.payer = paid, s.clock.Now(), p
	o.id = fmt.Sprintf("42000000%s%012d", o.paidAt.In(zone).Format("20060102"), s.seq)
	s.notify(o.Notify, "TRANSACTION.SUCCESS", "transaction", o.transaction())
}

// Booked is what the simulator has counted of a payment: how often money was taken, how much, and how much was given back.
func (s *Simulator) Booked(number string) (charges int, paid, back int64) {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.orders[number]
	if !known {
		return 0, 0, 0
	}
	paid = int64(o.charges) * o.Amount.Total
	if o.state == revoked {
		back = paid
	}
	for _, r := range s.refunds {
		if r.of == o && r.state == "SUCCESS" {
			back += r.Amount.Refund
		}
	}
	return o.charges, paid, back
}
