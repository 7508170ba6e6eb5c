package alipay

import (
	"net/url"
	"time"

	"github.com/purselane/purselane/internal/money"
)

type refund struct {
	number string
	of     *trade
	minor  int64
	made   time.Time
}

func (s *Simulator) refund(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		Number string `json:"out_request_no"`
		Amount string `json:"refund_amount"`
	}
	t, refused := s.find(content, &in)
	if refused != nil {
		return nil, refused
	}
	amount, err := money.Parse(in.Amount)
	if err != nil || amount.Sign() <= 0 || in.Number == "" || len(in.Number) > 64 {
		return nil, no("ACQ.INVALID_PARAMETER", "refund_amount or out_request_no is wrong")
	}
	key, moved := t.Number+"/"+in.Number, "N"
	old, known := s.refunds[key]
	switch {
	case known && old.minor != amount.Minor():
		return nil, no("ACQ.DISCORDANT_REPEAT_REQUEST", "the number is of a refund of another amount")
	case known:
	case t.state == finished:
		return nil, no("ACQ.TRADE_HAS_FINISHED", "the trade cannot be refunded any more")
	case t.state != paid && t.paidAt.IsZero():
		return nil, no("ACQ.TRADE_STATUS_ERROR", "the trade is not paid")
	case t.back+amount.Minor() > t.minor:
		return nil, no("ACQ.REASON_TRADE_REFUND_FEE_ERR", "more than is left of the trade")
	default:
		moved = "Y"
		s.giveBack(t, &refund{number: in.Number, of: t, minor: amount.Minor(), made: s.clock.Now()})
	}
	return map[string]any{"out_trade_no": t.Number, "trade_no": t.id, "fund_change": moved, "refund_fee": money.Minor(t.back).String()}, nil
}

// giveBack moves the money and tells the merchant: a trade of which nothing is left is closed. The lock is held.
func (s *Simulator) giveBack(t *trade, r *refund) {
	s.refunds[t.Number+"/"+r.number] = r
	if t.back += r.minor; t.back == t.minor {
		t.state, t.ended = closed, r.made
	}
	s.notify(t, map[string]string{
		"gmt_payment": stamp(t.paidAt), "gmt_refund": stamp(r.made) + ".123", "refund_fee": money.Minor(t.back).String(), "out_biz_no": r.number,
	})
}

func (s *Simulator) queryRefund(_ url.Values, content []byte) (map[string]any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		Number string `json:"out_request_no"`
	}
	t, refused := s.find(content, &in)
	if refused != nil {
		return nil, refused
	}
	r, known := s.refunds[t.Number+"/"+in.Number]
	if !known {
		return map[string]any{}, nil // a success that says nothing
	}
	return map[string]any{
		"out_trade_no": t.Number, "trade_no": t.id, "out_request_no": r.number, "refund_status": "REFUND_SUCCESS",
		"refund_amount": money.Minor(r.minor).String(), "total_amount": t.Amount, "gmt_refund_pay": stamp(r.made),
	}, nil
}
