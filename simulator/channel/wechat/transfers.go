package wechat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

// Scene is the scene of transfers that the merchant has been given.
const Scene = "1009"

// ConfirmWithin is how long a payee may take to confirm.
const ConfirmWithin = 24 * time.Hour

// Payee is somebody whom money can be sent to.
type Payee struct {
	Name   string        // "": any
	Takes  time.Duration // until the payee confirms; 0: ten seconds; more than [ConfirmWithin]: never
	Frozen bool          // the account takes nothing
}

type transferRequest struct {
	AppID   string `json:"appid"`
	Number  string `json:"out_bill_no"`
	Scene   string `json:"transfer_scene_id"`
	OpenID  string `json:"openid"`
	Name    string `json:"user_name"`
	Amount  int64  `json:"transfer_amount"`
	Remark  string `json:"transfer_remark"`
	Notify  string `json:"notify_url"`
	Reports []struct {
		Type    string `json:"info_type"`
		Content string `json:"info_content"`
	} `json:"transfer_scene_report_infos"`
}

type transfer struct {
	transferRequest
	id    string
	state string
	why   string
	made  time.Time
	ended time.Time
}

// The states of a transfer that the simulator has.
const (
	waitsForPayee = "WAIT_USER_CONFIRM"
	sentOut       = "SUCCESS"
	notSentOut    = "FAIL"
)

// AddPayee makes an openid known. One that is not known is somebody who confirms.
func (s *Simulator) AddPayee(openID string, p Payee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payees[openID] = p
}

// Fund adds to what the merchant has for transfers, in fen; less than zero takes away. It says what there is then.
func (s *Simulator) Fund(fen int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.balance += fen
	return s.balance
}

func (s *Simulator) transferRequest(_ *http.Request, body []byte) (any, *fault) {
	var in transferRequest
	if json.Unmarshal(body, &in) != nil || len(in.Number) < 1 || len(in.Number) > 32 || in.Amount <= 0 || in.Remark == "" || len(in.Remark) > 32 || in.OpenID == "" || len(in.Reports) == 0 {
		return nil, no("PARAM_ERROR", "the request does not read")
	}
	if in.AppID != AppID {
		return nil, no("APPID_MCHID_NOT_MATCH", "appid and mchid do not belong together")
	}
	if in.Scene != Scene {
		return nil, no("NO_AUTH", "the merchant has no such scene")
	}
	if in.Name != "" {
		name, err := utils.DecryptOAEP(in.Name, s.keys.Platform)
		if err != nil {
			return nil, no("PARAM_ERROR", "user_name is not encrypted for WeChat Pay")
		}
		in.Name = name
	} else if in.Amount >= 2000_00 {
		return nil, no("PARAM_ERROR", "user_name is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, known := s.transfers[in.Number]; known {
		if string(mustJSON(t.transferRequest)) != string(mustJSON(in)) {
			return nil, no("ALREADY_EXISTS", "the number is of another transfer")
		}
		return t.answer(), nil
	}
	if s.balance < in.Amount {
		return nil, no("NOT_ENOUGH", "the merchant has not that much")
	}
	s.seq++
	s.balance -= in.Amount
	t := &transfer{transferRequest: in, state: waitsForPayee, made: s.clock.Now()}
	t.id = fmt.Sprintf("1330000%s%014d", t.made.In(zone).Format("20060102"), s.seq)
	s.transfers[in.Number] = t
	return t.answer(), nil
}

func (s *Simulator) queryTransferRequest(r *http.Request, _ []byte) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.transfers[r.PathValue("number")]
	if !known {
		return nil, no("NOT_FOUND", "there is no such transfer")
	}
	return t.told(), nil
}

// answer to an order of a transfer.
func (t *transfer) answer() map[string]any {
	out := map[string]any{"out_bill_no": t.Number, "transfer_bill_no": t.id, "create_time": t.made.In(zone).Format(time.RFC3339), "state": t.state}
	if t.state == waitsForPayee {
		out["package_info"] = "affffddafdfafddffda==" + t.id
	}
	return out
}

// told is a transfer as queries and notifications tell of it.
func (t *transfer) told() map[string]any {
	updated := t.made
	if !t.ended.IsZero() {
		updated = t.ended
	}
	out := map[string]any{
		"mch_id": MerchantID, "out_bill_no": t.Number, "transfer_bill_no": t.id, "appid": AppID, "state": t.state, "transfer_amount": t.Amount, "transfer_remark": t.Remark,
		"openid": t.OpenID, "create_time": t.made.In(zone).Format(time.RFC3339), "update_time": updated.In(zone).Format(time.RFC3339),
	}
	if t.why != "" {
		out["fail_reason"] = t.why
	}
	return out
}

// settleTransfers ends the transfers whose payee has confirmed by now, or can no more.
func (s *Simulator) settleTransfers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	var open []*transfer
	for _, t := range s.transfers {
		if t.state == waitsForPayee {
			open = append(open, t)
		}
	}
	slices.SortFunc(open, func(a, b *transfer) int { return cmp.Compare(a.id, b.id) })
	for _, t := range open {
		p := s.payees[t.OpenID]
		takes := cmp.Or(p.Takes, 10*time.Second)
		at := t.made.Add(min(takes, ConfirmWithin))
		if now.Before(at) {
			continue
		}
		t.ended, t.state = at, notSentOut
		switch {
		case takes > ConfirmWithin:
			t.why = "OVERDUE_CLOSE"
		case p.Frozen:
			t.why = "ACCOUNT_FROZEN"
		case p.Name != "" && t.Name != "" && p.Name != t.Name:
			t.why = "NAME_NOT_CORRECT"
		default:
			t.state = sentOut
		}
		if t.state == notSentOut {
			s.balance += t.Amount
		}
		s.notify(t.Notify, "MCHTRANSFER.BILL.FINISHED", "mch_payment", t.told())
	}
}

// Transferred is what the simulator has counted of a transfer: how often money was sent, and how much.
func (s *Simulator) Transferred(number string) (times int, fen int64) {
	s.settleTransfers()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, known := s.transfers[number]; known && t.state == sentOut {
		return 1, t.Amount
	}
	return 0, 0
}
