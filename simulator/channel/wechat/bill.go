package wechat

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const billHead = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"

const sumsHead = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"

// rate is the merchant's fee, in thousandths: 0.6 %.
const rate = 6

func (s *Simulator) billRequest(r *http.Request, _ []byte) (any, *fault) {
	if r.URL.Query().Get("bill_type") != "ALL" {
		return nil, no("PARAM_ERROR", "bill_type is wrong")
	}
	return s.ready(r, s.bill)
}

func (s *Simulator) fundBillRequest(r *http.Request, _ []byte) (any, *fault) {
	if r.URL.Query().Get("account_type") != "OPERATION" {
		return nil, no("NO_STATEMENT_EXIST", "nothing moved in that account")
	}
	return s.ready(r, s.fundBill)
}

// ready makes a bill that can be downloaded, once its day is over.
func (s *Simulator) ready(r *http.Request, bill func(day string) ([]byte, int)) (any, *fault) {
	day := r.URL.Query().Get("bill_date")
	date, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return nil, no("PARAM_ERROR", "bill_date is wrong")
	}
	if s.clock.Now().Before(date.AddDate(0, 0, 1).Add(9 * time.Hour)) {
		return nil, no("STATEMENT_CREATING", "the bill is not made yet")
	}
	file, rows := bill(day)
	if rows == 0 {
		return nil, no("NO_STATEMENT_EXIST", "nothing moved on that day")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("%016x", s.chance.Uint64())
	s.files[token] = file
	return map[string]string{"hash_type": "SHA1", "hash_value": fmt.Sprintf("%x", sha1.Sum(file)), "download_url": host + "/v3/billdownload/file?token=" + token}, nil
}

const fundHead = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"

const fundSums = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"

// fundBill makes the bill of the account that transfers are paid from, oldest row first.
func (s *Simulator) fundBill(day string) ([]byte, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sent []*transfer
	for _, t := range s.transfers {
		if t.state == sentOut && t.ended.In(zone).Format(time.DateOnly) == day {
			sent = append(sent, t)
		}
	}
	slices.SortFunc(sent, func(a, b *transfer) int { return cmp.Or(a.ended.Compare(b.ended), strings.Compare(a.id, b.id)) })
	var b strings.Builder
	b.WriteString("\ufeff" + fundHead + "\r\n")
	total := int64(0)
	for i, t := range sent {
		total += t.Amount
		fields := []string{t.ended.In(zone).Format(time.DateTime), t.id, fmt.Sprintf("F%s%06d", t.id, i), "商家转账", "商家转账", "支出", yuan(t.Amount), yuan(s.balance), MerchantID + "API", t.Remark, t.Number}
		b.WriteString("`" + strings.Join(fields, ",`") + "\r\n")
	}
	b.WriteString(fundSums + "\r\n`" + strings.Join([]string{fmt.Sprint(len(sent)), "0", "0.00", fmt.Sprint(len(sent)), yuan(total)}, ",`") + "\r\n")
	return []byte(b.String()), len(sent)
}

func (s *Simulator) downloadRequest(w http.ResponseWriter, r *http.Request) {
	if why := s.authentic(r, nil); why != "" {
		s.answer(w, nil, no("SIGN_ERROR", why))
		return
	}
	s.mu.Lock()
	file, known := s.files[r.URL.Query().Get("token")]
	s.mu.Unlock()
	if !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(file)
}

// SpoilBills makes what is downloaded differ from what was made, as a broken download does.
func (s *Simulator) SpoilBills(f func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, file := range s.files {
		s.files[token] = f(file)
	}
}

// bill makes the file of a day, newest row first, and says how many rows it has.
func (s *Simulator) bill(day string) ([]byte, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type row struct {
		at   time.Time
		text string
	}
	var rows []row
	var orders, refunds, fees int64 // fees in thousandths of a fen
	add := func(at time.Time, o *order, state string, r *refund, back, fee int64) {
		ordered, backNo, backID, backKind, backState := int64(0), "0", "0", "", ""
		if state == paid {
			ordered = o.Amount.Total
		}
		if r != nil {
			backNo, backID, backKind, backState = r.Number, r.id, "ORIGINAL", "SUCCESS"
			if r.state != "SUCCESS" {
				backState = "PROCESSING"
			}
		}
		orders, refunds, fees = orders+ordered, refunds+back, fees+fee
		fields := []string{
			at.In(zone).Format(time.DateTime), o.AppID, o.MchID, "0", "", o.id, o.Number, o.payer.OpenID, tradeTypes[o.product], state, o.payer.Bank, "CNY",
			yuan(ordered), "0.00", backID, backNo, yuan(back), "0.00", backKind, backState, o.Subject, o.Attach, fine(fee), "0.60%", yuan(ordered), yuan(back), "",
		}
		rows = append(rows, row{at, "`" + strings.Join(fields, ",`")})
	}
	in := func(at time.Time) bool { return at.In(zone).Format(time.DateOnly) == day }
	for _, o := range s.orders {
		if !o.paidAt.IsZero() && in(o.paidAt) {
			add(o.paidAt, o, paid, nil, 0, o.Amount.Total*rate)
		}
		if !o.paidAt.IsZero() && o.state == revoked && in(o.ended) {
			add(o.ended, o, revoked, nil, o.Amount.Total, -o.Amount.Total*rate)
		}
	}
	for _, r := range s.refunds {
		if in(r.made) {
			add(r.made, r.of, refunded, r, r.Amount.Refund, -r.Amount.Refund*rate)
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return strings.Compare(a.text, b.text)
	})
	var b strings.Builder
	b.WriteString("\ufeff" + billHead + "\r\n")
	for _, r := range rows {
		b.WriteString(r.text + "\r\n")
	}
	sums := []string{fmt.Sprint(len(rows)), yuan(orders), yuan(refunds), "0.00", fine(fees), yuan(orders), yuan(refunds)}
	b.WriteString(sumsHead + "\r\n`" + strings.Join(sums, ",`") + "\r\n")
	return []byte(b.String()), len(rows)
}

func yuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

// fine prints a fee in yuan with five decimals.
func fine(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%05d", sign, n/100_000, n%100_000)
}
