package alipay

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

const seller = "2088621954721035"

var testKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var k [2]*rsa.PrivateKey
	for i := range k {
		var err error
		if k[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return k
})

func settings() Settings {
	k := testKeys()
	return Settings{AppID: "2021000118604126", SellerID: seller, Key: k[0], PublicKey: &k[1].PublicKey, Now: func() time.Time { return time.Unix(1772413200, 0) }}
}

func month(every int) Period { return Period{Type: "MONTH", Every: every, Most: money.Minor(500_00)} }

// TestAPeriodStartsOnADayThatEveryMonthHas: Alipay takes no day after the 28th for months.
func TestAPeriodStartsOnADayThatEveryMonthHas(t *testing.T) {
	for at, first := range map[string]string{"2027-01-28T15:59:59Z": "2027-01-28", "2027-01-28T16:00:00Z": "2027-02-01", "2026-12-31T15:00:00Z": "2027-01-01", "2027-02-03T00:00:00Z": "2027-02-03"} {
		now, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		require.Equal(t, &periodRule{Type: "MONTH", Every: 3, First: first, Most: "500.00"}, month(3).rule(now))
	}
	require.Equal(t, "2027-01-29", Period{Type: "DAY", Every: 7}.rule(time.Date(2027, 1, 29, 1, 0, 0, 0, time.UTC)).First)
	require.Nil(t, Period{}.rule(time.Now()))
}

func fen(n int64) channel.Money { return channel.Money{Amount: money.Minor(n), Currency: currency} }

func TestASettingThatIsWrongIsNamed(t *testing.T) {
	for _, tt := range []struct {
		change func(*Settings)
		says   string
	}{
		{func(s *Settings) { s.AppID = "" }, "app id"},
		{func(s *Settings) { s.SellerID = "12" }, "2088"},
		{func(s *Settings) { s.Key = nil }, "private key"},
		{func(s *Settings) { s.PublicKey = nil }, "neither"},
		{func(s *Settings) { s.RootCertificates = []byte("x") }, "in key mode or in certificate mode"},
		{func(s *Settings) { s.PublicKey, s.RootCertificates = nil, []byte("x") }, "appCertPublicKey.crt"},
		{func(s *Settings) { s.PublicKey = &s.Key.PublicKey }, "is the app's own"},
		{func(s *Settings) { s.Agreements.Scene = "INDUSTRY|X" }, "the product (GENERAL_WITHHOLDING or CYCLE_PAY_AUTH) is missing"},
		{func(s *Settings) { s.Agreements = Agreements{Product: "QUICK", Scene: "INDUSTRY|X"} }, `product "QUICK"`},
		{func(s *Settings) { s.Agreements = Agreements{Product: withholding, Scene: "DEFAULT|DEFAULT"} }, "which takes our numbers with no other"},
		{func(s *Settings) { s.Agreements = Agreements{Product: withholding, Scene: "INDUSTRY|X", Open: "sms"} }, `open "sms"`},
		{func(s *Settings) {
			s.Agreements = Agreements{Product: withholding, Scene: "INDUSTRY|X", Period: month(1)}
		}, "has none: leave it out"},
		{func(s *Settings) { s.Agreements = Agreements{Product: cycle, Scene: "INDUSTRY|X"} }, "wants DAY from 7 on, or MONTH"},
		{func(s *Settings) {
			s.Agreements = Agreements{Product: withholding, Personal: cycleOf, Scene: "INDUSTRY|X", Period: Period{Type: "DAY", Every: 6}}
		}, "wants DAY from 7 on"},
		{func(s *Settings) {
			s.Agreements = Agreements{Product: cycle, Scene: "INDUSTRY|X", Period: Period{Type: "MONTH", Every: 1}}
		}, "wants the highest amount"},
	} {
		s := settings()
		tt.change(&s)
		_, err := New(s)
		require.ErrorContains(t, err, tt.says)
	}
}

// TestTheNameOfAlipaysRoots takes the file of Alipay's roots, which anybody can download, and the name that Alipay's own libraries make of it.
// Of its four roots one is of SM2, which Go does not read, and one signs with ECDSA: neither counts.
func TestTheNameOfAlipaysRoots(t *testing.T) {
	file, err := os.ReadFile("testdata/alipayRootCert.crt")
	require.NoError(t, err)
	require.Equal(t, "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6", serialOfRoots(file))
	require.Empty(t, serialOfRoots([]byte("x")))
}

// TestTheTextThatIsSigned: all parameters but the signature, sorted by name; what is empty is neither signed nor sent.
func TestTheTextThatIsSigned(t *testing.T) {
	c, err := New(settings())
	require.NoError(t, err)
	v, err := c.signed(methodQuery, map[string]string{"out_trade_no": "1&2"}, "", "")
	require.NoError(t, err)
	signature, err := base64.StdEncoding.DecodeString(v.Get("sign"))
	require.NoError(t, err)
	text := `app_id=2021000118604126&biz_content={"out_trade_no":"1\u00262"}&charset=utf-8&format=JSON&method=alipay.trade.query&sign_type=RSA2&timestamp=2026-03-02 09:00:00&version=1.0`
	require.True(t, fits(&testKeys()[0].PublicKey, []byte(text), signature))
	require.NotContains(t, v, "notify_url")
	require.NotContains(t, v, "app_cert_sn")
}

func TestWhatCanNeverBeAskedIsNotSent(t *testing.T) {
	c, err := New(settings())
	require.NoError(t, err)
	good := channel.PayRequest{Number: "12345678901234567890", Product: channel.QR, Money: fen(100), Subject: "load", NotifyURL: "https://a.example/n"}
	for name, change := range map[string]func(*channel.PayRequest){
		"number":   func(r *channel.PayRequest) { r.Number = "../../refund" },
		"long":     func(r *channel.PayRequest) { r.Number = strings.Repeat("1", 65) },
		"currency": func(r *channel.PayRequest) { r.Money.Currency = "USD" },
		"nothing":  func(r *channel.PayRequest) { r.Money = fen(0) },
		"too much": func(r *channel.PayRequest) { r.Money = fen(most + 1) },
		"subject":  func(r *channel.PayRequest) { r.Subject = "=&/" },
		"query":    func(r *channel.PayRequest) { r.NotifyURL += "?a=1" },
		"code":     func(r *channel.PayRequest) { r.Product = channel.Code },
		"openid":   func(r *channel.PayRequest) { r.Product = channel.JSAPI },
		"product":  func(r *channel.PayRequest) { r.Product = channel.Quick },
		"agreed":   func(r *channel.PayRequest) { r.Product, r.Payer.Agreement = channel.Agreement, "20260302000000000001" }, // none are set
	} {
		r := good
		change(&r)
		_, err := c.Pay(t.Context(), r)
		require.ErrorIs(t, err, channel.ErrNotSent, name)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestARefusalThatNobodyHasSignedIsNoRefusal(t *testing.T) {
	s := settings()
	s.HTTP = doer(func(*http.Request) (*http.Response, error) {
		body := `{"alipay_trade_precreate_response":{"code":"40004","sub_code":"ACQ.ACCESS_FORBIDDEN"}}`
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	c, err := New(s)
	require.NoError(t, err)
	r, err := c.Pay(t.Context(), channel.PayRequest{Number: "12345678901234567890", Product: channel.QR, Money: fen(100), Subject: "load"})
	var forged *channel.ForgedError
	require.ErrorAs(t, err, &forged)
	require.NotErrorIs(t, err, channel.ErrNotSent)
	require.ErrorContains(t, err, `it says "ACQ.ACCESS_FORBIDDEN"`)
	require.Equal(t, channel.Result{}, r)
}

// says is an Alipay that gives the answers of a list in order, signed; then it cannot be reached.
func says(t *testing.T, answers ...string) *Channel {
	t.Helper()
	s := settings()
	s.HTTP = doer(func(r *http.Request) (*http.Response, error) {
		require.NoError(t, r.ParseForm())
		if len(answers) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		said := answers[0]
		answers = answers[1:]
		digest := sha256.Sum256([]byte(said))
		signature, err := rsa.SignPKCS1v15(rand.Reader, testKeys()[1], crypto.SHA256, digest[:])
		require.NoError(t, err)
		body := fmt.Sprintf(`{"%s_response":%s,"sign":%q}`, strings.ReplaceAll(r.PostForm.Get("method"), ".", "_"), said, base64.StdEncoding.EncodeToString(signature))
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	c, err := New(s)
	require.NoError(t, err)
	return c
}

func TestARefundIsDoneOnlyWhereItsMoneyHasMoved(t *testing.T) {
	const (
		moved  = `{"code":"10000","out_trade_no":"p","trade_no":"7","fund_change":"Y","refund_fee":"5.00"}`
		still  = `{"code":"10000","out_trade_no":"p","trade_no":"7","fund_change":"N","refund_fee":"5.00"}`
		made   = `{"code":"10000","out_trade_no":"p","trade_no":"7","out_request_no":"r","refund_status":"REFUND_SUCCESS","refund_amount":"5.00"}`
		going  = `{"code":"10000","out_trade_no":"p","trade_no":"7","out_request_no":"r","refund_status":"REFUND_PROCESSING","refund_amount":"5.00"}`
		silent = `{"code":"10000"}`
		absent = `{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}`
		busy   = `{"code":"20000","sub_code":"aop.unknow-error"}`
	)
	r := channel.RefundRequest{Number: "r", Of: channel.Ref{Number: "p"}, Money: fen(500)}
	for name, tt := range map[string]struct {
		answers []string
		want    channel.Outcome
		fails   string
	}{
		"moved":                          {[]string{moved}, channel.Succeeded, ""},
		"made before":                    {[]string{still, made}, channel.Succeeded, ""},
		"on its way":                     {[]string{still, silent}, channel.Pending, ""},
		"in a state of its own":          {[]string{still, going}, channel.Unknown, ""},
		"less than was asked for":        {[]string{strings.Replace(moved, "5.00", "4.99", 1), silent}, channel.Pending, ""},
		"made before, of another amount": {[]string{still, strings.Replace(made, "5.00", "4.00", 1)}, 0, "used for two refunds"},
		"of another payment":             {[]string{strings.Replace(moved, `"p"`, `"q"`, 1)}, 0, `about "q"`},
		"another refund":                 {[]string{still, strings.Replace(made, `"r"`, `"s"`, 1)}, 0, `about "s"`},
		"another payment's refund":       {[]string{still, strings.Replace(made, `"p"`, `"q"`, 1)}, 0, `of "q"`},
		"nothing to be heard":            {[]string{still}, 0, "unexpected EOF"},
		"of nothing":                     {[]string{absent}, channel.Failed, ""},
		"busy":                           {[]string{busy}, channel.Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := says(t, tt.answers...).Refund(t.Context(), r)
			if tt.fails != "" {
				require.ErrorContains(t, err, tt.fails)
				require.Equal(t, channel.Result{}, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Outcome)
		})
	}
	got, err := says(t, silent).QueryRefund(t.Context(), channel.RefundRef{Number: "r", Of: channel.Ref{Number: "p"}})
	require.NoError(t, err)
	require.Equal(t, channel.Missing, got.Outcome, "Alipay names only refunds that were made")
}

// TestARefusedQuestionSaysNothingOfThePayment: only a refused payment has failed.
func TestARefusedQuestionSaysNothingOfThePayment(t *testing.T) {
	for _, sub := range []string{"isv.insufficient-isv-permissions", "isv.invalid-signature", "ACQ.INVALID_PARAMETER", "ACQ.SYSTEM_ERROR", "A_CODE_OF_TOMORROW"} {
		refused := fmt.Sprintf(`{"code":"40004","sub_code":%q}`, sub)
		got, err := says(t, refused).Query(t.Context(), channel.Ref{Number: "p"})
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, got.Outcome, sub)
		require.Equal(t, sub, got.Code)
		got, err = says(t, refused).QueryRefund(t.Context(), channel.RefundRef{Number: "r", Of: channel.Ref{Number: "p"}})
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, got.Outcome, sub)
	}
}

// TestAClosedTradeThatWasRefundedNeedsNoQuestion: what was given back was paid before.
func TestAClosedTradeThatWasRefundedNeedsNoQuestion(t *testing.T) {
	v := url.Values{"out_trade_no": {"p"}, "trade_status": {closed}, "total_amount": {"5.00"}, "refund_fee": {"5.00"}}
	got, err := says(t).told(t.Context(), v)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	v.Del("refund_fee")
	_, err = says(t).told(t.Context(), v)
	require.Error(t, err)
}

func TestAmountsAreExact(t *testing.T) {
	for text, want := range map[string]int64{`"0.01"`: 1, `"88.8"`: 8880, `"100"`: 10000, `88.88`: 8888, `""`: 0, `null`: 0, `"100000000.00"`: most} {
		var y yuan
		require.NoError(t, json.Unmarshal([]byte(text), &y), text)
		require.Equal(t, want, y.Minor(), text)
	}
	for _, text := range []string{`"-1.00"`, `"1.001"`, `1e2`, `"1,00"`, `" 1"`, `"0x1"`, `"100000000.01"`, `"99999999999999999999"`, `{}`, `"-0"`} {
		var y yuan
		require.Error(t, json.Unmarshal([]byte(text), &y), text)
	}
}

func TestClosedMeansTwoThings(t *testing.T) {
	for name, tt := range map[string]struct {
		trade trade
		want  channel.Outcome
	}{
		"nobody has paid":          {trade{}, channel.Closed},
		"sent to the seller":       {trade{Sent: "2026-03-02 09:00:00"}, channel.Succeeded},
		"received":                 {trade{Received: yuan{money.Minor(1)}}, channel.Succeeded},
		"charged, all by a coupon": {trade{PaidAt: "2026-03-02 09:00:00"}, channel.Succeeded},
	} {
		tt.trade.Number, tt.trade.Status = "n", closed
		got, err := tt.trade.result("n")
		require.NoError(t, err)
		require.Equal(t, tt.want, got.Outcome, name)
	}
	got, err := trade{Number: "n", Status: "A_STATE_OF_TOMORROW"}.result("n")
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, got.Outcome)
	_, err = trade{Number: "m", Status: success}.result("n")
	require.ErrorContains(t, err, "the answer is about m")
}

func TestAnswersToNotifications(t *testing.T) {
	var c Channel
	require.Equal(t, channel.Reply{Status: 200, Type: "text/plain", Body: []byte("success")}, c.Answer(nil))
	require.Equal(t, 401, c.Answer(&channel.ForgedError{Why: "x"}).Status)
	require.Equal(t, channel.Reply{Status: 500, Type: "text/plain", Body: []byte("failure")}, c.Answer(errors.New("x")))
}

const billOf = "#支付宝业务明细查询\r\n" +
	"#账号：[20886219547210350156]\r\n" +
	"#起始日期：[2026年03月02日 00:00:00]   终止日期：[2026年03月03日 00:00:00]\r\n" +
	"#-----------------------------------------业务明细列表----------------------------------------\r\n" +
	"支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n" +
	"2026030222001\t,pay00000000000000001\t,交易    ,充值,2026-03-02 09:59:00,2026-03-02 10:00:01,\t,\t,\t,\t,**佳(yan***@163.com)\t,12.34,12.34,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,-0.07,0.00,\r\n" +
	"2026030222001\t,pay00000000000000001\t,退款    ,充值,2026-03-02 09:59:00,2026-03-02 11:00:00,\t,\t,\t,\t,**佳(yan***@163.com)\t,-2.00,-2.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,ref1\t,0.01,0.00,\r\n" +
	"#-----------------------------------------业务明细列表结束------------------------------------\r\n" +
	"#交易合计：1笔，商家实收共12.34元，商家优惠共0.00元\r\n" +
	"#退款合计：1笔，商家实收退款共-2.00元，商家优惠退款共0.00元\r\n" +
	"#导出时间：[2026年03月03日 06:27:10]\r\n"

var billDay = time.Date(2026, 3, 2, 0, 0, 0, 0, Zone)

func packed(t testing.TB, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, text := range texts {
		gbk, err := simplifiedchinese.GBK.NewEncoder().String(text)
		require.NoError(t, err)
		w, err := z.Create("x.csv")
		require.NoError(t, err)
		_, err = io.WriteString(w, gbk)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestBill(t *testing.T) {
	want := []channel.BillRow{
		{Kind: channel.OfPayment, Number: "pay00000000000000001", ChannelID: "2026030222001", Money: fen(1234), Fee: money.Minor(7), At: time.Date(2026, 3, 2, 10, 0, 1, 0, Zone)},
		{Kind: channel.OfRefund, Number: "ref1", Of: "pay00000000000000001", ChannelID: "2026030222001", Money: fen(200), Fee: money.Minor(-1), At: time.Date(2026, 3, 2, 11, 0, 0, 0, Zone)},
	}
	for name, text := range map[string]string{"full-width": billOf, "plain signs, as some files have": plain.Replace(billOf)} {
		rows, err := ParseBill(packed(t, "#支付宝业务汇总查询\r\n", text), seller, billDay)
		require.NoError(t, err, name)
		require.Equal(t, want, rows, name)
	}
	rows, err := ParseBill(packed(t, strings.Replace(billOf, "ref1", "", 1)), seller, billDay)
	require.NoError(t, err)
	require.Equal(t, "pay00000000000000001", rows[1].Number, "a cancelled payment has no number of a refund")
}

func TestABillThatIsNotOursOrNotWholeIsRefusedAsAWhole(t *testing.T) {
	for _, tt := range []struct{ name, old, new, says string }{
		{"another seller", "20886219547210350156", "20886219547210360156", "nothing of it is taken"},
		{"a seller with more digits", "20886219547210350156", "208862195472103599", "nothing of it is taken"},
		{"another day", "起始日期：[2026年03月02日", "起始日期：[2026年03月01日", "not of that day"},
		{"a month", "终止日期：[2026年03月03日", "终止日期：[2026年04月01日", "not of that day"},
		{"a row too few", "1笔，商家实收共12.34", "2笔，商家实收共12.34", "is not whole"},
		{"a sum that does not fit", "商家实收退款共-2.00", "商家实收退款共-2.01", "is not whole"},
		{"no sums", "#退款合计", "#合计", "the sum of 退款 is missing"},
		{"an amount", ",12.34,12.34,", ",12.3x,12.34,", "no amount"},
		{"a payment of nothing", ",12.34,12.34,", ",0.00,12.34,", "wrong sign"},
		{"a refund that is paid", ",-2.00,-2.00,", ",2.00,-2.00,", "wrong sign"},
		{"a comma in a name", "充值", "充,值", "26 fields"},
		{"a column gone", "退款批次号/请求号,服务费", "请求号,服务费", "退款批次号/请求号 is missing"},
		{"a kind of tomorrow", "交易    ,", "转账    ,", "no payment and no refund"},
		{"no time", "2026-03-02 10:00:01", "", "time is missing"},
		{"cut short", "业务明细列表结束", "", "fields"},
		{"another file", "#支付宝业务明细查询", "#支付宝账务明细查询", "no file in it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, billOf, tt.old)
			rows, err := ParseBill(packed(t, strings.Replace(billOf, tt.old, tt.new, 1)), seller, billDay)
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, rows)
		})
	}
}

func FuzzParseBill(f *testing.F) {
	f.Add(packed(f, billOf))
	f.Add(packed(f, "#支付宝业务明细查询\n#账号:[2088621954721035]\n"))
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := ParseBill(file, seller, billDay)
		if err != nil && rows != nil {
			t.Fatal("rows of a bill that was refused")
		}
	})
}

// FuzzBillText reads the same without an archive around it, which the fuzzer would have to keep whole.
func FuzzBillText(f *testing.F) {
	f.Add(billOf)
	f.Add(strings.ReplaceAll(billOf, "\r\n", "\n"))
	f.Fuzz(func(t *testing.T, text string) {
		gbk, err := simplifiedchinese.GBK.NewEncoder().String(text)
		if err != nil {
			return
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create("x.csv")
		require.NoError(t, err)
		_, err = io.WriteString(w, gbk)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		rows, err := ParseBill(b.Bytes(), seller, billDay)
		if err != nil && rows != nil {
			t.Fatal("rows of a bill that was refused")
		}
		for _, r := range rows {
			if r.Money.Amount.Sign() <= 0 || r.Number == "" || r.At.IsZero() {
				t.Fatalf("a row that cannot be: %+v", r)
			}
		}
	})
}

// FuzzNotified reads what anybody may send: nobody knows Alipay's key, so nothing of it is believed.
func FuzzNotified(f *testing.F) {
	c, err := New(settings())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("sign=AAAA&sign_type=RSA2&trade_status=TRADE_SUCCESS"))
	f.Add([]byte(url.Values{"sign": {"%"}, "alipay_cert_sn": {"00"}, "sign_type": {"RSA2"}}.Encode()))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := c.Notified(context.Background(), channel.Notification{Body: body})
		var forged *channel.ForgedError
		if !errors.As(err, &forged) || events != nil {
			t.Fatalf("believed: %v, %v", events, err)
		}
	})
}

// FuzzAnswer reads what may come over the connection in Alipay's place.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"alipay_trade_query_response":{"code":"10000","trade_status":"TRADE_SUCCESS"},"sign":"AAAA"}`))
	f.Add([]byte(`{"error_response":{"code":"40002"},"sign":"","alipay_cert_sn":7}`))
	f.Add([]byte(`{"alipay_trade_query_response":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := settings()
		s.HTTP = doer(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})
		c, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Query(context.Background(), channel.Ref{Number: "12345678901234567890"})
		var forged *channel.ForgedError
		if !errors.As(err, &forged) || r.Outcome != channel.Unknown {
			t.Fatalf("believed: %v, %v", r, err)
		}
	})
}

// FuzzTrade reads what Alipay itself may say one day: no success without a number of ours.
func FuzzTrade(f *testing.F) {
	f.Add([]byte(`{"out_trade_no":"n","trade_status":"TRADE_CLOSED","total_amount":"88.88","send_pay_date":"2026-03-02 09:00:00","fund_bill_list":[{"fund_channel":"PCREDIT"}]}`))
	f.Add([]byte(`{"out_trade_no":"n","trade_status":"TRADE_SUCCESS","total_amount":1e9}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		var tr trade
		if json.Unmarshal(said, &tr) != nil {
			return
		}
		r, err := tr.result("n")
		if err == nil && (r.Number != "n" || r.Money.Amount.Sign() < 0) {
			t.Fatalf("%+v", r)
		}
	})
}
