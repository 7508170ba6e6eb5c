package wechat

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
)

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
	return Settings{
		MerchantID: "1900000109", AppID: "wxd678efh567hg6787", Key: k[0], Serial: "5157F09EFDC096DE15EBE81A47057A72",
		V3Key: "0123456789abcdef0123456789abcdef", PublicKeyID: "PUB_KEY_ID_1", PublicKey: &k[1].PublicKey,
		Now: func() time.Time { return time.Unix(1554208460, 0) },
	}
}

// The first text is the example of WeChat Pay's own page on signing.
func TestTextsToSign(t *testing.T) {
	require.Equal(t, "GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n",
		requestText(http.MethodGet, "/v3/certificates", 1554208460, "593BEC0C930BF1AFEB40B4A08C8FB242", ""))
	require.Equal(t, "POST\n/v3/pay/transactions/native\n1554208460\nN\n{\"a\":1}\n", requestText(http.MethodPost, "/v3/pay/transactions/native", 1554208460, "N", `{"a":1}`))
	require.Equal(t, "1554209980\nc5ac7061fccab6bf3e254dcf98995b8c\n{\"a\": 1}\n", answerText("1554209980", "c5ac7061fccab6bf3e254dcf98995b8c", []byte(`{"a": 1}`)))
	require.Equal(t, "wx8888888888888888\n1414561699\n5K8264ILTKCH16CQ2502SI8ZNMTM67VS\nprepay_id=wx2014\n", pageText("wx8888888888888888", "1414561699", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "wx2014"))
	require.Equal(t, "wx8888888888888888\n1414561699\n5K8264ILTKCH16CQ2502SI8ZNMTM67VS\nwx2014\n", appText("wx8888888888888888", "1414561699", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "wx2014"))
}

func TestASettingThatIsWrongIsNamed(t *testing.T) {
	for _, tt := range []struct {
		change func(*Settings)
		says   string
	}{
		{func(s *Settings) { s.MerchantID = "" }, "mchid"},
		{func(s *Settings) { s.AppID = "" }, "appid"},
		{func(s *Settings) { s.Key = nil }, "private key"},
		{func(s *Settings) { s.Serial = "" }, "serial"},
		{func(s *Settings) { s.V3Key = "short" }, "5 bytes, not 32"},
		{func(s *Settings) { s.PublicKey = nil }, "neither"},
		{func(s *Settings) { s.PublicKeyID = "7132D72A" }, "PUB_KEY_ID_"},
		{func(s *Settings) { s.PublicKey = &s.Key.PublicKey }, "is the merchant's own"},
	} {
		s := settings()
		tt.change(&s)
		_, err := New(s)
		require.ErrorContains(t, err, tt.says)
	}
}

func TestWhatCanNeverBeAskedIsNotSent(t *testing.T) {
	c, err := New(settings())
	require.NoError(t, err)
	good := channel.PayRequest{Number: "12345678901234567890", Product: channel.QR, Money: fen(100, "CNY"), Subject: "load", NotifyURL: "https://a.example/n"}
	for name, change := range map[string]func(*channel.PayRequest){
		"number":   func(r *channel.PayRequest) { r.Number = "../../refund" },
		"short":    func(r *channel.PayRequest) { r.Number = "12345" },
		"currency": func(r *channel.PayRequest) { r.Money.Currency = "USD" },
		"nothing":  func(r *channel.PayRequest) { r.Money = fen(0, "CNY") },
		"query":    func(r *channel.PayRequest) { r.NotifyURL += "?a=1" },
		"openid":   func(r *channel.PayRequest) { r.Product = channel.JSAPI },
		"ip":       func(r *channel.PayRequest) { r.Product = channel.H5 },
		"code":     func(r *channel.PayRequest) { r.Product = channel.Code },
		"product":  func(r *channel.PayRequest) { r.Product = channel.Quick },
	} {
		r := good
		change(&r)
		_, err := c.Pay(t.Context(), r)
		require.ErrorIs(t, err, channel.ErrNotSent, name)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestAnAnswerThatProvesNothingIsNoRefusal(t *testing.T) {
	s := settings()
	s.HTTP = doer(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 401, Header: http.Header{}, Body: http.NoBody}, nil
	})
	c, err := New(s)
	require.NoError(t, err)
	r, err := c.Query(t.Context(), channel.Ref{Number: "12345678901234567890"})
	var forged *channel.ForgedError
	require.ErrorAs(t, err, &forged)
	require.Equal(t, channel.Result{}, r)
}

func TestAnswersToNotifications(t *testing.T) {
	var c Channel
	require.Equal(t, 204, c.Answer(nil).Status)
	require.Equal(t, 401, c.Answer(&channel.ForgedError{Why: "x"}).Status)
	require.Equal(t, 500, c.Answer(errors.New("x")).Status)
}

const billOf = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n" +
	"`2026-03-02 10:00:01,`wxd678,`1900000109,`0,`,`42000001,`pay00000000000000001,`o1,`NATIVE,`SUCCESS,`CMB_DEBIT,`CNY,`12.34,`0.00,`0,`0,`0.00,`0.00,`,`,`a, b,`x,`0.07404,`0.60%,`12.34,`0.00,`\r\n" +
	"`2026-03-02 11:00:00,`wxd678,`1900000109,`0,`,`42000001,`pay00000000000000001,`o1,`NATIVE,`REFUND,`CMB_DEBIT,`CNY,`0.00,`0.00,`50300001,`ref1,`2.00,`0.00,`ORIGINAL,`SUCCESS,`a,`x,`-0.01200,`0.60%,`0.00,`2.00,`\r\n" +
	"总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n" +
	"`2,`12.34,`2.00,`0.00,`0.06204,`12.34,`2.00\r\n"

func TestBill(t *testing.T) {
	rows, err := ParseBill([]byte("\ufeff"+billOf), "1900000109")
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, channel.BillRow{Kind: channel.OfPayment, Number: "pay00000000000000001", ChannelID: "42000001", Money: fen(1234, "CNY"),
		Fee: fen(7, "").Amount, At: time.Date(2026, 3, 2, 10, 0, 1, 0, Zone)}, rows[0])
	require.Equal(t, channel.BillRow{Kind: channel.OfRefund, Number: "ref1", Of: "pay00000000000000001", ChannelID: "50300001", Money: fen(200, "CNY"),
		Fee: fen(-1, "").Amount, At: time.Date(2026, 3, 2, 11, 0, 0, 0, Zone)}, rows[1])
}

func TestABillThatIsNotOursOrNotWholeIsRefusedAsAWhole(t *testing.T) {
	for _, tt := range []struct{ name, old, new, says string }{
		{"another merchant in the second row", "11:00:00,`wxd678,`1900000109", "11:00:00,`wxd678,`1900000110", "it is another merchant's bill"},
		{"a sum that does not fit", "`12.34,`2.00\r\n", "`12.35,`2.00\r\n", "is not whole"},
		{"a count that does not fit", "\r\n`2,", "\r\n`3,", "is not whole"},
		{"an amount", "`12.34,`0.00,`\r\n", "`12.3x,`0.00,`\r\n", "no amount in yuan"},
		{"a field too few", "`a, b,`x,", "`a, b,", "26 fields"},
		{"a column gone", "申请退款金额,费率备注", "费率备注", "申请退款金额 is missing"},
		{"a state of tomorrow", "`SUCCESS,`CMB", "`HALF,`CMB", "not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, billOf, tt.old)
			rows, err := ParseBill([]byte(strings.Replace(billOf, tt.old, tt.new, 1)), "1900000109")
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, rows)
		})
	}
}

func FuzzParseBill(f *testing.F) {
	f.Add([]byte(billOf))
	f.Add([]byte("a\nb\nc"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := ParseBill(file, "1900000109")
		if err != nil && rows != nil {
			t.Fatal("rows of a bill that was refused")
		}
	})
}

// FuzzOpen opens what is sealed: no length of anything may panic.
func FuzzOpen(f *testing.F) {
	f.Add("AEAD_AES_256_GCM", "0123456789ab", "AAAA", "transaction")
	f.Add("AEAD_AES_256_GCM", "0123456789", "", "")
	f.Fuzz(func(t *testing.T, algorithm, nonce, ciphertext, data string) {
		if _, err := (sealed{Algorithm: algorithm, Nonce: nonce, Ciphertext: ciphertext, Data: data}).open(settings().V3Key); err == nil {
			t.Fatal("opened what nobody has sealed")
		}
	})
}

// FuzzNotified reads what anybody may send: nobody knows the platform's key, so nothing of it is believed.
func FuzzNotified(f *testing.F) {
	c, err := New(settings())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("PUB_KEY_ID_1", "AAAA", "1554208460", "n", []byte(`{"id":"1"}`))
	f.Add("5157F09EFDC096DE15EBE81A47057A72", "WECHATPAY/SIGNTEST/x", "-1", "", []byte(nil))
	f.Fuzz(func(t *testing.T, serial, signature, at, nonce string, body []byte) {
		h := http.Header{"Wechatpay-Serial": {serial}, "Wechatpay-Signature": {signature}, "Wechatpay-Timestamp": {at}, "Wechatpay-Nonce": {nonce}}
		events, err := c.Notified(context.Background(), channel.Notification{Header: h, Body: body})
		var forged *channel.ForgedError
		if !errors.As(err, &forged) || events != nil {
			t.Fatalf("believed: %v, %v", events, err)
		}
	})
}
