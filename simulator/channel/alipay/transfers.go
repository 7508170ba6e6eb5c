package alipay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gateway "github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
)

// Payee is somebody whom money can be sent to.
type Payee struct {
	Name  string        // "": any
	Gone  bool          // has no account any more
	Takes time.Duration // until the money is there; 0: at once
}

type transfer struct {
	number  string
	content string // as it was asked for
	payee   string
	minor   int64
	id      string
	state   string
	made    time.Time
	paidAt  time.Time // zero: not yet
	backAt  time.Time // zero: it has not come back
	due     time.Time
}

// The states of a transfer that the simulator has.
const (
	sentOut  = "SUCCESS"
	dealing  = "DEALING"
	returned = "REFUND"
)

// AddPayee makes a payee known. One that is not known has an account of any name.
func (s *Simulator) AddPayee(identity string, p Payee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payees[identity] = p
}

// Fund adds to what the merchant has for transfers, in fen; less than zero takes away. It says what there is then.
func (s *Simulator) Fund(fen int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.balance += fen
	return s.balance
}

func (s *Simulator) transfer(_ url.Values, content []byte) (map[string]any, *fault) {
	var in struct {
		Number  string `json:"out_biz_no"`
		Amount  string `json:"trans_amount"`
		Product string `json:"product_code"`
		Scene   string `json:"biz_scene"`
		Title   string `json:"order_title"`
		Payee   struct {
			Identity string `json:"identity"`
			Kind     string `json:"identity_type"`
			Name     string `json:"name"`
		} `json:"payee_info"`
	}
	amount, err := money.Parse("0")
	if json.Unmarshal(content, &in) == nil {
		amount, err = money.Parse(in.Amount)
	}
	kinds := []string{"ALIPAY_USER_ID", "ALIPAY_OPEN_ID", "ALIPAY_LOGON_ID"}
	if err != nil || amount.Sign() <= 0 || in.Number == "" || len(in.Number) > 64 || in.Product != "TRANS_ACCOUNT_NO_PWD" || in.Scene != "DIRECT_TRANSFER" || in.Title == "" ||
		in.Payee.Identity == "" || !slices.Contains(kinds, in.Payee.Kind) || in.Payee.Kind == "ALIPAY_LOGON_ID" && in.Payee.Name == "" {
		return nil, no("INVALID_PARAMETER", "the request does not read")
	}
	if s.set.Mode != ByCertificate {
		return nil, no("isv.insufficient-isv-permissions", "transfers want an app in certificate mode")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, known := s.transfers[in.Number]; known {
		if t.content != string(content) {
			return nil, no("PAYMENT_INFO_INCONSISTENCY", "the number is of another transfer")
		}
		return t.answer(), nil
	}
	p := s.payees[in.Payee.Identity]
	switch {
	case p.Gone:
		return nil, no("PAYEE_NOT_EXIST", "the payee has no account")
	case p.Name != "" && in.Payee.Name != "" && p.Name != in.Payee.Name:
		return nil, no("PAYEE_USER_INFO_ERROR", "account and name do not belong together")
	case s.balance < amount.Minor():
		return nil, no("PAYER_BALANCE_NOT_ENOUGH", "the merchant has not that much")
	}
	s.seq++
	s.balance -= amount.Minor()
	now := s.clock.Now()
	t := &transfer{number: in.Number, content: string(content), payee: in.Payee.Identity, minor: amount.Minor(), state: dealing, made: now, due: now.Add(p.Takes)}
	t.id = fmt.Sprintf("%s110070000006%016d", now.In(zone).Format("20060102"), s.seq)
	s.transfers[in.Number] = t
	s.arrive(t, now)
	return t.answer(), nil
}

func (t *transfer) answer() map[string]any {
	return map[string]any{"out_biz_no": t.number, "order_id": t.id, "status": t.state, "trans_date": stamp(t.made)}
}

// arrive has a transfer arrive that is due, and tells. The lock is held.
func (s *Simulator) arrive(t *transfer, now time.Time) {
	if t.state == dealing && !now.Before(t.due) {
		t.state, t.paidAt = sentOut, t.due
		s.tellTransfer(t)
	}
}

// settleTransfers has those arrive that are due.
func (s *Simulator) settleTransfers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, number := range slices.Sorted(maps.Keys(s.transfers)) {
		s.arrive(s.transfers[number], now)
	}
}

// ErrNoSuchTransfer says that no such transfer was made.
var ErrNoSuchTransfer = errors.New("there is no such transfer")

// Return brings a transfer back that had arrived, and tells.
func (s *Simulator) Return(number string) error {
	s.settleTransfers()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.transfers[number]
	if !known || t.state != sentOut {
		return ErrNoSuchTransfer
	}
	t.state, t.backAt = returned, s.clock.Now()
	s.balance += t.minor
	s.tellTransfer(t)
	return nil
}

func (s *Simulator) queryTransfer(_ url.Values, content []byte) (map[string]any, *fault) {
	var in struct {
		Number string `json:"out_biz_no"`
	}
	if json.Unmarshal(content, &in) != nil || in.Number == "" {
		return nil, no("INVALID_PARAMETER", "out_biz_no is missing")
	}
	s.settleTransfers()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.transfers[in.Number]
	if !known {
		return nil, no("ORDER_NOT_EXIST", "there is no such transfer")
	}
	return t.told(), nil
}

func (t *transfer) told() map[string]any {
	out := map[string]any{"out_biz_no": t.number, "order_id": t.id, "status": t.state, "trans_amount": money.Minor(t.minor).String()}
	if !t.paidAt.IsZero() {
		out["pay_date"] = stamp(t.paidAt)
	}
	if t.state == returned {
		out["error_code"], out["fail_reason"] = "PAYEE_STATUS_ERROR", "the payee's account is closed"
	}
	return out
}

// tellTransfer sends the message about a transfer to the app's address, if it has one. The lock is held.
func (s *Simulator) tellTransfer(t *transfer) {
	if s.set.Messages == "" {
		return
	}
	s.seq++
	content := t.told()
	content["product_code"], content["biz_scene"] = "TRANS_ACCOUNT_NO_PWD", "DIRECT_TRANSFER"
	v := url.Values{}
	for name, value := range map[string]string{
		"notify_id": fmt.Sprintf("%s%024d", s.clock.Now().In(zone).Format("20060102"), s.seq), "msg_method": "alipay.fund.trans.order.changed", "app_id": AppID,
		"utc_timestamp": fmt.Sprint(s.clock.Now().UnixMilli()), "charset": "UTF-8", "version": "1.1", "sign_type": "RSA2", "biz_content": string(mustJSON(content)),
	} {
		v.Set(name, value)
	}
	s.Notices.Send(sim.Notice{ID: v.Get("notify_id"), URL: s.set.Messages,
		Make: func(at time.Time) gateway.Notification {
			s.mu.Lock()
			defer s.mu.Unlock()
			v.Set("sign", s.sign(text(v, "sign", "sign_type")))
			return gateway.Notification{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, Body: []byte(v.Encode()), At: at}
		},
		Accepted: func(r gateway.Reply) bool { return r.Status == http.StatusOK && string(r.Body) == "success" },
	})
}

// Transferred is what the simulator has counted of a transfer: how often money was sent that has not come back, and how much.
func (s *Simulator) Transferred(number string) (times int, fen int64) {
	s.settleTransfers()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, known := s.transfers[number]; known && t.state == sentOut {
		return 1, t.minor
	}
	return 0, 0
}

const accountHead = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"

// accountBill writes the transfers of a day in the order of time, those that came back once more, and says how many rows there are. The lock is held.
func (s *Simulator) accountBill(date time.Time) (string, int) {
	type row struct {
		at   time.Time
		text string
	}
	var rows []row
	var in, out int64
	var ins, outs int
	of := func(at time.Time) bool {
		return !at.IsZero() && at.In(zone).Format(time.DateOnly) == date.Format(time.DateOnly)
	}
	add := func(t *transfer, at time.Time, income, expense string) {
		fields := []string{fmt.Sprintf("%s%d\t", t.id, len(rows)), t.id + "\t", t.number + "\t", "转账\t", stamp(at), "**佳(yan***@163.com)\t", income, expense, money.Minor(s.balance).String(), "支付宝", "转账", ""}
		rows = append(rows, row{at, strings.Join(fields, ",")})
	}
	for _, number := range slices.Sorted(maps.Keys(s.transfers)) {
		t := s.transfers[number]
		if of(t.paidAt) {
			outs, out = outs+1, out+t.minor
			add(t, t.paidAt, "0.00", "-"+money.Minor(t.minor).String())
		}
		if of(t.backAt) {
			ins, in = ins+1, in+t.minor
			add(t, t.backAt, money.Minor(t.minor).String(), "0.00")
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.text, b.text)) })
	const day = "2006年01月02日 15:04:05"
	var b strings.Builder
	fmt.Fprintf(&b, "#支付宝账务明细查询\r\n#账号：[%s0156]\r\n#起始日期：[%s]   终止日期：[%s]\r\n", SellerID, date.Format(day), date.AddDate(0, 0, 1).Format(day))
	b.WriteString("#-----------------------------------------账务明细列表----------------------------------------\r\n" + accountHead + "\r\n")
	for _, r := range rows {
		b.WriteString(r.text + "\r\n")
	}
	b.WriteString("#-----------------------------------------账务明细列表结束------------------------------------\r\n")
	fmt.Fprintf(&b, "#支出合计：%d笔，共-%s元\r\n#收入合计：%d笔，共%s元\r\n#导出时间：[%s]\r\n", outs, money.Minor(out), ins, money.Minor(in), s.clock.Now().In(zone).Format(day))
	return b.String(), len(rows)
}
