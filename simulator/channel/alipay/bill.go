package alipay

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/purselane/purselane/internal/money"
)

const billHead = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"

// good is how long the address of a bill can be used.
const good = 30 * time.Second

// file is a bill that can be downloaded for a while.
type file struct {
	body []byte
	dies time.Time
}

func (s *Simulator) billURL(_ url.Values, content []byte) (map[string]any, *fault) {
	var in struct {
		Kind string `json:"bill_type"`
		Day  string `json:"bill_date"`
	}
	err := json.Unmarshal(content, &in)
	date, errDay := time.ParseInLocation(time.DateOnly, in.Day, zone)
	if err != nil || errDay != nil || in.Kind != "trade" && in.Kind != "signcustomer" {
		return nil, no("isv.invalid-arguments", "bill_type or bill_date is wrong")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bill, name := s.bill, "业务"
	if in.Kind == "signcustomer" {
		bill, name = s.accountBill, "账务"
	}
	text, rows := bill(date)
	if rows == 0 || s.clock.Now().Before(date.AddDate(0, 0, 1).Add(9*time.Hour)) {
		return nil, no("isp.bill_not_exist", "there is no bill")
	}
	s.seq++
	token := fmt.Sprintf("%032x", s.seq)
	s.files[token] = file{pack(in.Day, name, text), s.clock.Now().Add(good)}
	return map[string]any{"bill_download_url": "https://dwbillcenter.alipay.com/downloadBillFile.resource?bizType=" + in.Kind + "&userId=" + SellerID + "0156&fileType=csv.zip&token=" + token}, nil
}

func (s *Simulator) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f, known := s.files[r.URL.Query().Get("token")]
	dead := !s.clock.Now().Before(f.dies)
	proxy := s.proxy
	s.mu.Unlock()
	if !known || dead {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if proxy != nil {
		f.body = proxy(f.body)
	}
	_, _ = w.Write(f.body)
}

// bill writes the rows of a day in the order of time, and says how many there are. The lock is held.
func (s *Simulator) bill(date time.Time) (string, int) {
	type row struct {
		at   time.Time
		text string
	}
	var rows []row
	var received, back int64
	count := map[string]int{}
	in := func(at time.Time) bool {
		return !at.IsZero() && at.In(zone).Format(time.DateOnly) == date.Format(time.DateOnly)
	}
	add := func(t *trade, at time.Time, kind, number string, minor int64) {
		count[kind]++
		amount, fee := money.Minor(minor).String(), money.Minor(-(minor*6+500)/1000).String()
		fields := []string{
			t.id + "\t", t.Number + "\t", kind, t.Subject, stamp(t.made), stamp(at), "", "", "", "", "**佳(yan***@163.com)\t", amount, amount,
			"0.00", "0.00", "0.00", "0.00", "0.00", "", "0.00\t", "0.00", number + "\t", fee, "0.00", "",
		}
		rows = append(rows, row{at, strings.Join(fields, ",")})
	}
	for _, t := range s.inOrder() {
		if in(t.paidAt) {
			received += t.minor
			add(t, t.paidAt, "交易", "", t.minor)
		}
	}
	for _, r := range s.refunds {
		if in(r.made) {
			back -= r.minor
			add(r.of, r.made, "退款", r.number, -r.minor)
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.text, b.text)
	})
	const day = "2006年01月02日 15:04:05"
	var b strings.Builder
	fmt.Fprintf(&b, "#支付宝业务明细查询\r\n#账号：[%s0156]\r\n#起始日期：[%s]   终止日期：[%s]\r\n", SellerID, date.Format(day), date.AddDate(0, 0, 1).Format(day))
	b.WriteString("#-----------------------------------------业务明细列表----------------------------------------\r\n" + billHead + "\r\n")
	for _, r := range rows {
		b.WriteString(r.text + "\r\n")
	}
	b.WriteString("#-----------------------------------------业务明细列表结束------------------------------------\r\n")
	fmt.Fprintf(&b, "#交易合计：%d笔，商家实收共%s元，商家优惠共0.00元\r\n", count["交易"], money.Minor(received))
	fmt.Fprintf(&b, "#退款合计：%d笔，商家实收退款共%s元，商家优惠退款共0.00元\r\n", count["退款"], money.Minor(back))
	fmt.Fprintf(&b, "#导出时间：[%s]\r\n", s.clock.Now().In(zone).Format(day))
	return b.String(), len(rows)
}

// pack is the archive: two files, names and contents in GBK.
func pack(day, kind, text string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	name := SellerID + "0156_" + strings.ReplaceAll(day, "-", "") + "_" + kind + "明细"
	for _, f := range [][2]string{{name + "(汇总).csv", "#支付宝" + kind + "汇总查询\r\n"}, {name + ".csv", text}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: gbk(f[0]), NonUTF8: true, Method: zip.Deflate})
		if err == nil {
			_, err = io.WriteString(w, gbk(f[1]))
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// gbk encodes a text; what GBK has not becomes a question mark.
func gbk(s string) string {
	var b strings.Builder
	for _, r := range s {
		c, err := simplifiedchinese.GBK.NewEncoder().String(string(r))
		if err != nil {
			c = "?"
		}
		b.WriteString(c)
	}
	return b.String()
}
