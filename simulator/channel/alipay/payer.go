package alipay

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Payer is somebody with Alipay.
type Payer struct {
	Bank     string // the bank the money comes from, as Alipay names it; "": CCB
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
	code := fmt.Sprintf("28%016d", s.seq)
	s.codes[code] = p
	return code
}

// bankOf is the bank of the payer whose payment code is in a request.
func (s *Simulator) bankOf(content []byte) string {
	var in orderRequest
	if json.Unmarshal(content, &in) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes[in.Code].Bank
}

// Scan lets a payer scan a QR code and look at it: from now on the trade is known.
func (s *Simulator) Scan(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.trades[number]
	if !known || s.over(t) {
		return ErrNoSuchTrade
	}
	s.scan(t)
	return nil
}

// Open lets a payer's device open what the adapter has made for an app (orderStr) or a page (its URL). The error is what it shows.
func (s *Simulator) Open(what string) error {
	_, query, page := strings.Cut(what, "?")
	if !page {
		query = what
	}
	p, err := url.ParseQuery(query)
	if err != nil || p.Get("app_id") != AppID {
		return ErrNoSuchTrade
	}
	product := map[string]string{"alipay.trade.app.pay": "QUICK_MSECURITY_PAY", "alipay.trade.wap.pay": "QUICK_WAP_WAY", "alipay.trade.page.pay": "FAST_INSTANT_TRADE_PAY"}[p.Get("method")]
	refused := s.authentic(p)
	if product == "" || page == (product == "QUICK_MSECURITY_PAY") {
		refused = no("isv.missing-method", "this is not opened so")
	}
	if refused == nil {
		refused = s.opened(p, product)
	}
	if refused != nil {
		return fmt.Errorf("%s: %s", refused.Sub, refused.SubText)
	}
	return nil
}

func (s *Simulator) opened(p url.Values, product string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, refused := s.read(p, []byte(p.Get("biz_content")), product)
	if refused != nil {
		return refused
	}
	if old, known := s.trades[t.Number]; known {
		return s.again(old, t)
	}
	s.trades[t.Number] = t
	s.scan(t)
	return nil
}

// Pay lets a payer pay: scan the code if nobody has, confirm, and type the password. The error is what the payer's screen says.
func (s *Simulator) Pay(number string, p Payer) error {
	late := s.Weather.Faults().LateSuccess
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.trades[number]
	if !known {
		return ErrNoSuchTrade
	}
	over := s.over(t)
	switch {
	case !t.paidAt.IsZero():
		return fmt.Errorf("trade %s is paid already", number)
	case over && !late:
		return fmt.Errorf("trade %s is closed", number)
	case p.Short:
		return fmt.Errorf("trade %s: the payer has not enough", number)
	}
	if t.Code != "" {
		p = t.payer
	}
	s.scan(t)
	s.take(t, p)
	return nil
}

// take moves the money and tells the merchant. The lock is held.
func (s *Simulator) take(t *trade, p Payer) {
	if p.Bank == "" {
		p.Bank = "CCB"
	}
	t.charges++
	t.state, t.paidAt, t.payer = paid, s.clock.Now(), p
	s.notify(t, map[string]string{"gmt_payment": stamp(t.paidAt), "receipt_amount": t.Amount, "buyer_pay_amount": t.Amount})
}

// Finish ends the time in which a trade can be refunded.
func (s *Simulator) Finish(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.trades[number]
	if !known || t.state != paid {
		return ErrNoSuchTrade
	}
	t.state, t.ended = finished, s.clock.Now()
	s.notify(t, map[string]string{"gmt_payment": stamp(t.paidAt), "gmt_close": stamp(t.ended)})
	return nil
}

// Booked is what the simulator has counted of a payment: how often money was taken, how much, and how much was given back.
func (s *Simulator) Booked(number string) (charges int, taken, back int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.trades[number]
	if !known {
		return 0, 0, 0
	}
	return t.charges, int64(t.charges) * t.minor, t.back
}
