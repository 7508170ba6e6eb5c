package wechat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

type refundRequest struct {
	Payment string `json:"out_trade_no"`
	Number  string `json:"out_refund_no"`
	Reason  string `json:"reason"`
	Notify  string `json:"notify_url"`
	Amount  struct {
		Refund   int64  `json:"refund"`
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

type refund struct {
	refundRequest
	id     string
	of     *order
	state  string
	made   time.Time
	paidAt time.Time
}

// maxRefunds is how often one payment can be refunded in parts.
const maxRefunds = 50

func (s *Simulator) refundRequest(_ *http.Request, body []byte) (any, *fault) {
	var in refundRequest
	if json.Unmarshal(body, &in) != nil || len(in.Number) == 0 || len(in.Number) > 64 || in.Amount.Refund <= 0 || in.Amount.Currency != "CNY" {
		return nil, no("PARAM_ERROR", "the request does not read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, known := s.refunds[in.Number]; known {
		if r.refundRequest != in {
			return nil, no("INVALID_REQUEST", "the number is of another refund")
		}
		return r.answer(), nil
	}
	o, known := s.orders[in.Payment]
	if !known {
		return nil, no("RESOURCE_NOT_EXISTS", "there is no such payment")
	}
	count, given := s.given(o)
	switch {
	case o.state != paid && o.state != refunded:
		return nil, no("INVALID_REQUEST", "the order is not paid")
	case in.Amount.Total != o.Amount.Total:
		return nil, no("INVALID_REQUEST", "the total is not that of the payment")
	case given+in.Amount.Refund > o.Amount.Total || count == maxRefunds:
		return nil, no("INVALID_REQUEST", "more than is left of the payment")
	case s.clock.Now().Sub(o.paidAt) > 365*24*time.Hour:
		return nil, no("TRADE_OVERDUE", "the payment is more than a year old")
	}
	s.seq++
	r := &refund{refundRequest: in, of: o, state: "PROCESSING", made: s.clock.Now()}
	r.id = fmt.Sprintf("5030000%s%014d", r.made.In(zone).Format("20060102"), s.seq)
	s.refunds[in.Number], o.state = r, refunded
	return r.answer(), nil
}

// given is how often and how much was refunded of an order. The lock is held.
func (s *Simulator) given(o *order) (count int, sum int64) {
	for _, r := range s.refunds {
		if r.of == o && r.state != "CLOSED" {
			count, sum = count+1, sum+r.Amount.Refund
		}
	}
	return count, sum
}

func (s *Simulator) queryRefundRequest(r *http.Request, _ []byte) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.refunds[r.PathValue("number")]
	if !known {
		return nil, no("RESOURCE_NOT_EXISTS", "there is no such refund")
	}
	return found.answer(), nil
}

func (r *refund) answer() map[string]any {
	out := r.common()
	out["status"], out["channel"] = r.state, "ORIGINAL"
	out["create_time"] = r.made.In(zone).Format(time.RFC3339)
	return out
}

func (r *refund) common() map[string]any {
	out := map[string]any{
		"refund_id": r.id, "out_refund_no": r.Number, "transaction_id": r.of.id, "out_trade_no": r.Payment, "user_received_account": "支付用户零钱",
		"amount": map[string]any{
			"total": r.Amount.Total, "refund": r.Amount.Refund, "payer_total": r.Amount.Total, "payer_refund": r.Amount.Refund, "currency": "CNY",
		},
	}
	if !r.paidAt.IsZero() {
		out["success_time"] = r.paidAt.In(zone).Format(time.RFC3339)
	}
	return out
}

// Stick makes a refund stick: the payer's card is cancelled, and the merchant must name another account.
func (s *Simulator) Stick(number string) error { return s.endRefund(number, "ABNORMAL") }

// settle pays out the refunds that are due.
func (s *Simulator) settle() {
	now := s.clock.Now()
	var due []*refund
	s.mu.Lock()
	for _, r := range s.refunds {
		if r.state == "PROCESSING" && !now.Before(r.made.Add(s.takes)) {
			due = append(due, r)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(due, func(a, b *refund) int { return cmp.Compare(a.id, b.id) })
	for _, r := range due {
		_ = s.endRefund(r.Number, "SUCCESS") // another caller may have been faster
	}
}

func (s *Simulator) endRefund(number, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.refunds[number]
	if !known || r.state != "PROCESSING" {
		return fmt.Errorf("refund %s is not under way", number)
	}
	r.state = state
	if state == "SUCCESS" {
		r.paidAt = r.made.Add(s.takes)
	}
	said := r.common()
	said["mchid"], said["refund_status"] = MerchantID, state
	s.notify(r.Notify, "REFUND."+state, "refund", said)
	return nil
}
