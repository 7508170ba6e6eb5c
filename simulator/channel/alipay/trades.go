package alipay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// The states of a trade. A QR code that nobody has scanned has none.
const (
	unscanned = ""
	waiting   = "WAIT_BUYER_PAY"
	paid      = "TRADE_SUCCESS"
	finished  = "TRADE_FINISHED"
	closed    = "TRADE_CLOSED"
)

// orderRequest is what the merchant sends. Two requests of a number are the same when all but the payment code is.
type orderRequest struct {
	Number   string `json:"out_trade_no"`
	Amount   string `json:"total_amount"`
	Subject  string `json:"subject"`
	Product  string `json:"product_code"`
	Expires  string `json:"time_expire"`
	Passback string `json:"passback_params"`
	Code     string `json:"auth_code"`
	Scene    string `json:"scene"`
	MiniApp  string `json:"op_app_id"`
	Buyer    string `json:"buyer_id"`
	OpenID   string `json:"buyer_open_id"`

	Agreement struct {
		Number string `json:"agreement_no"`
	} `json:"agreement_params"`
}

type trade struct {
	orderRequest
	id      string // trade_no; from the scan on
	state   string
	minor   int64
	notify  string
	made    time.Time
	expires time.Time
	paidAt  time.Time
	ended   time.Time
	payer   Payer
	charges int
	back    int64 // refunded
}

// lifetime is how long a trade waits that says no end.
const lifetime = 15 * 24 * time.Hour

// qrLifetime is how long a QR code can be scanned.
const qrLifetime = 2 * time.Hour

// read takes a request for a payment. The lock is held.
func (s *Simulator) read(p url.Values, content []byte, product string) (*trade, *fault) {
	t := &trade{notify: p.Get("notify_url"), made: s.clock.Now()}
	if json.Unmarshal(content, &t.orderRequest) != nil {
		return nil, no("ACQ.INVALID_PARAMETER", "biz_content does not read")
	}
	amount, err := money.Parse(t.Amount)
	t.minor = amount.Minor()
	switch {
	case t.Number == "" || len(t.Number) > 64 || t.Subject == "" || strings.ContainsAny(t.Subject, "/=&"):
		return nil, no("ACQ.INVALID_PARAMETER", "out_trade_no or subject is wrong")
	case err != nil || amount.String() != t.Amount || t.minor <= 0 || t.minor > 100_000_000_00:
		return nil, no("ACQ.INVALID_PARAMETER", "total_amount is wrong")
	case t.Product != product:
		return nil, no("ACQ.ACCESS_FORBIDDEN", "the merchant has not signed up for this product")
	}
	t.expires = t.made.Add(lifetime)
	if t.Expires != "" {
		if t.expires, err = time.ParseInLocation(time.DateTime, t.Expires, zone); err != nil {
			return nil, no("ACQ.INVALID_PARAMETER", "time_expire is wrong")
		}
		if !t.expires.After(t.made) {
			return nil, no("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "time_expire is over")
		}
	}
	return t, nil
}

// again judges a request whose number is known. The lock is held.
func (s *Simulator) again(old, t *trade) *fault {
	a, b := old.orderRequest, t.orderRequest
	a.Code, b.Code = "", ""
	over := s.over(old)
	switch {
	case a != b:
		return no("ACQ.CONTEXT_INCONSISTENT", "the number is of another trade")
	case over && old.paidAt.IsZero():
		return no("ACQ.TRADE_HAS_CLOSE", "the trade is closed")
	case !old.paidAt.IsZero():
		return no("ACQ.TRADE_HAS_SUCCESS", "the trade is paid")
	}
	return nil
}

func (s *Simulator) precreate(p url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, refused := s.read(p, content, "FACE_TO_FACE_PAYMENT")
	if refused != nil {
		return nil, refused
	}
	if old, known := s.trades[t.Number]; known {
		if refused := s.again(old, t); refused != nil {
			return nil, refused
		}
		t = old
	} else {
		if end := t.made.Add(qrLifetime); end.Before(t.expires) {
			t.expires = end
		}
		s.trades[t.Number] = t
		if s.set.ScanAtOnce {
			s.scan(t)
		}
	}
	return map[string]any{"out_trade_no": t.Number, "qr_code": "https://qr.alipay.com/" + t.Number}, nil
}

// create makes a trade for a payer in a mini program: it is there at once.
func (s *Simulator) create(p url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, refused := s.read(p, content, "JSAPI_PAY")
	switch {
	case refused != nil:
		return nil, refused
	case t.MiniApp == "" || (t.Buyer == "") == (t.OpenID == ""):
		return nil, no("ACQ.INVALID_PARAMETER", "op_app_id is missing, or the payer is not named in one way")
	}
	if old, known := s.trades[t.Number]; known {
		if refused := s.again(old, t); refused != nil {
			return nil, refused
		}
		t = old
	}
	s.trades[t.Number] = t
	s.scan(t)
	return map[string]any{"out_trade_no": t.Number, "trade_no": t.id}, nil
}

// scan brings a trade into being. The lock is held.
func (s *Simulator) scan(t *trade) {
	if t.state == unscanned {
		s.seq++
		t.state, t.id = waiting, fmt.Sprintf("%s2200143333%010d", s.clock.Now().In(zone).Format("20060102"), s.seq)
	}
}

func (s *Simulator) pay(p url.Values, content []byte) (map[string]any, *fault) {
	var in orderRequest
	if json.Unmarshal(content, &in) == nil && in.Agreement.Number != "" {
		return s.debit(p, content)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, refused := s.read(p, content, "FACE_TO_FACE_PAYMENT")
	if refused != nil {
		return nil, refused
	}
	if old, known := s.trades[t.Number]; known {
		if refused := s.again(old, t); refused != nil {
			return nil, refused
		}
		return nil, no("10003", "the payer is typing the password")
	}
	payer, valid := s.codes[t.Code]
	if t.Scene != "bar_code" || !valid || s.clock.Now().Sub(payer.shown) > time.Minute {
		return nil, no("ACQ.PAYMENT_AUTH_CODE_INVALID", "the payment code is not valid, or not any more")
	}
	delete(s.codes, t.Code)
	if payer.Short {
		return nil, no("ACQ.BUYER_BALANCE_NOT_ENOUGH", "the payer has not that much")
	}
	t.payer = payer
	s.trades[t.Number] = t
	s.scan(t)
	if payer.Password || t.minor > 1000_00 {
		return nil, no("10003", "the payer is typing the password")
	}
	s.take(t, payer)
	return t.charged(), nil
}

// charged is the answer to a request that has taken the money at once.
func (t *trade) charged() map[string]any {
	out := t.answer()
	delete(out, "trade_status") // it says none
	delete(out, "send_pay_date")
	out["gmt_payment"] = stamp(t.paidAt)
	return out
}

// over reports that nobody can pay a trade any more, and closes one whose time is up. The lock is held.
func (s *Simulator) over(t *trade) bool {
	if (t.state == waiting || t.state == unscanned) && !s.clock.Now().Before(t.expires) {
		if t.state == unscanned { // it never came into being
			return true
		}
		t.state, t.ended = closed, t.expires
		if s.set.TellsClosing {
			s.notify(t, map[string]string{"gmt_close": stamp(t.expires)})
		}
	}
	return t.state == closed
}

// answer is a trade as Alipay tells of it.
func (t *trade) answer() map[string]any {
	got := "0.00"
	if !t.paidAt.IsZero() {
		got = t.Amount
	}
	out := map[string]any{
		"out_trade_no": t.Number, "trade_no": t.id, "trade_status": t.state, "total_amount": t.Amount, "receipt_amount": got, "buyer_pay_amount": got,
		"buyer_user_id": "2088102122524333",
	}
	if !t.paidAt.IsZero() {
		out["send_pay_date"] = stamp(t.paidAt)
		out["fund_bill_list"] = []map[string]string{{"fund_channel": "BANKCARD", "bank_code": t.payer.Bank, "amount": t.Amount}}
	}
	return out
}

// find is the trade that a request is about; it must have come into being. The lock is held.
func (s *Simulator) find(content []byte, in any) (*trade, *fault) {
	var which struct {
		Number string `json:"out_trade_no"`
	}
	if json.Unmarshal(content, &which) != nil || json.Unmarshal(content, in) != nil || which.Number == "" {
		return nil, no("ACQ.INVALID_PARAMETER", "out_trade_no is missing")
	}
	t, known := s.trades[which.Number]
	if !known || t.state == unscanned {
		return nil, no("ACQ.TRADE_NOT_EXIST", "there is no such trade")
	}
	s.over(t)
	return t, nil
}

func (s *Simulator) query(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{}
	t, refused := s.find(content, &in)
	if refused != nil {
		return nil, refused
	}
	return t.answer(), nil
}

func (s *Simulator) close(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{}
	t, refused := s.find(content, &in)
	switch {
	case refused != nil:
		return nil, refused
	case t.state != waiting:
		return nil, no("ACQ.TRADE_STATUS_ERROR", "the trade does not wait")
	}
	t.state, t.ended = closed, s.clock.Now()
	return map[string]any{"out_trade_no": t.Number, "trade_no": t.id}, nil
}

// inOrder are the trades by number. The lock is held.
func (s *Simulator) inOrder() []*trade {
	return slices.SortedFunc(maps.Values(s.trades), func(a, b *trade) int { return cmp.Compare(a.Number, b.Number) })
}

// ErrNoSuchTrade says that nobody has asked for such a payment.
var ErrNoSuchTrade = errors.New("there is no such trade")

// State is the state of a trade, or "".
func (s *Simulator) State(number string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.trades[number]
	if !known {
		return ""
	}
	s.over(t)
	return t.state
}
