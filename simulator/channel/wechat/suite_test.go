package wechat_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

const payee = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6p"

const notifyURL = "https://gateway.example/notify/wechat"

var start = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

func keys(t *testing.T) *wechat.Keys {
	t.Helper()
	k, err := wechat.ProcessKeys()
	require.NoError(t, err)
	return k
}

func open(t *testing.T, mode wechat.Mode, change func(*adapter.Settings)) (*wechat.Simulator, *adapter.Channel, *clock.Manual) {
	t.Helper()
	at := clock.NewManual(start)
	s := wechat.New(wechat.Options{Clock: at, Seed: 1, Mode: mode, Keys: keys(t)})
	return s, adapterOf(t, s, change), at
}

func adapterOf(t *testing.T, s *wechat.Simulator, change func(*adapter.Settings)) *adapter.Channel {
	t.Helper()
	set := s.Settings()
	if change != nil {
		change(&set)
	}
	c, err := adapter.New(set)
	require.NoError(t, err)
	return c
}

func request(number string, minor int64, product channel.Product) channel.PayRequest {
	return channel.PayRequest{
		Number: number, Context: "12345678901234567890", Product: product, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"},
		Subject: "充值, `card` load", NotifyURL: notifyURL, ClientIP: "203.0.113.9", Payer: channel.Payer{OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
	}
}

// bench is the adapter and the simulator under the suite. Payment codes have no notifications.
func bench(mode wechat.Mode, product channel.Product) channeltest.Maker {
	return func(t *testing.T) *channeltest.Bench {
		s, c, at := open(t, mode, nil)
		wills, codes, pages := map[string]channeltest.Will{}, map[string]string{}, map[string]string{}
		b := &channeltest.Bench{
			Channel: c, Clock: at, Weather: s.Weather, Notifier: s.Notices, WrongKeys: wrongKeys(t, s, mode), Codes: payCodes, Forgeries: forgeries(t, s),
			Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
				wills[number] = will
				r := request(number, minor, product)
				if product == channel.Code {
					if codes[number] == "" {
						codes[number] = s.Code(wechat.Payer{Short: will == channeltest.Declines, Password: will == channeltest.Waits})
					}
					r.Payer = channel.Payer{Code: codes[number]}
				}
				return r
			},
			Sign: func(number string) channel.SignRequest {
				r := channel.SignRequest{Number: number, Plan: "自动充值 auto-reload 🚇", NotifyURL: notifyURL}
				signed, err := c.Sign(t.Context(), r)
				require.NoError(t, err)
				pages[number] = signed.Action.URL
				return r
			},
			Debit: func(number, agreement string, minor int64) channel.PayRequest {
				r := request(number, minor, channel.Agreement)
				r.Payer = channel.Payer{Agreement: agreement}
				return r
			},
			EndThere: s.EndInWeChat, TellsEnds: true,
			Act: func(number string) error {
				if page := pages[number]; page != "" {
					return s.Sign(page, wechat.Payer{})
				}
				if wills[number] == channeltest.Declines {
					return errors.New("the payer does not want to")
				}
				if charges, _, _ := s.Booked(number); charges > 0 {
					return nil
				}
				return s.Pay(number, wechat.Payer{})
			},
			Truth: func(number string) channeltest.Truth {
				charges, paid, back := s.Booked(number)
				return channeltest.Truth{Charges: charges, Paid: paid, Refunded: back}
			},
			Payout: func(number string, minor int64) channel.PayoutRequest {
				return channel.PayoutRequest{Number: number, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}, Sent: at.Now(), Account: payee, Name: "张三", Purpose: "提现", NotifyURL: notifyURL}
			},
			PaidOut: func(number string) channeltest.Truth {
				times, sent := s.Transferred(number)
				return channeltest.Truth{Charges: times, Paid: sent}
			},
			Drain:   func() { s.Fund(-s.Fund(0)) },
			Refuses: func() { s.AddPayee(payee, wechat.Payee{Takes: 2 * wechat.ConfirmWithin}) },
		}
		if product == channel.Code {
			b.Notifier, b.Forgeries = nil, nil
			b.WrongKeys = b.WrongKeys[:len(b.WrongKeys)-1] // the last one shows in a notification
		}
		return b
	}
}

var payCodes = []channeltest.Code{
	{Code: "PARAM_ERROR", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "INVALID_REQUEST", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "NO_AUTH", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "OPENID_MISMATCH", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "NOTENOUGH", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "AUTH_CODE_EXPIRED", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "ACCOUNT_ERROR", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "NOTSUPORTCARD", Outcome: channel.Failed, Class: channel.NotSupported},
	{Code: "RULE_LIMIT", Outcome: channel.Failed, Class: channel.ByRisk},
	{Code: "TRADE_ERROR", Outcome: channel.Failed, Class: channel.ByIssuer},
	{Code: "BANK_ERROR", Outcome: channel.Unknown},
	{Code: "SYSTEM_ERROR", Outcome: channel.Unknown},
	{Code: "FREQUENCY_LIMITED", Outcome: channel.Unknown},
	{Code: "A_CODE_OF_TOMORROW", Outcome: channel.Unknown},
}

func wrongKeys(t *testing.T, s *wechat.Simulator, mode wechat.Mode) []channeltest.WrongKey {
	k := keys(t)
	with := func(change func(*adapter.Settings)) channel.Channel { return adapterOf(t, s, change) }
	out := []channeltest.WrongKey{
		{Name: "another private key", Says: "SIGN_ERROR", Signature: true, Channel: with(func(set *adapter.Settings) { set.Key = k.Other })},
		{Name: "another serial of ours", Says: "SIGN_ERROR", Signature: true, Channel: with(func(set *adapter.Settings) { set.Serial = "00FF" })},
	}
	if mode == wechat.ByPublicKey {
		out = append(out,
			channeltest.WrongKey{Name: "another public key", Says: "another key has signed", Channel: with(func(set *adapter.Settings) { set.PublicKey = &k.Other.PublicKey })},
			channeltest.WrongKey{Name: "certificates instead of the public key", Says: "but only platform certificates are set here", Channel: with(func(set *adapter.Settings) {
				set.PublicKey, set.PublicKeyID, set.Certificates = nil, "", []*x509.Certificate{k.Retired}
			})},
		)
	} else {
		out = append(out,
			channeltest.WrongKey{Name: "the certificate of last year", Says: "the serial is of another platform certificate", Channel: with(func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{k.Retired} })},
			channeltest.WrongKey{Name: "the public key instead of certificates", Says: "but only WeChat Pay's public key is set here", Channel: with(func(set *adapter.Settings) {
				set.Certificates, set.PublicKeyID, set.PublicKey = nil, "PUB_KEY_ID_1", &k.Other.PublicKey
			})},
		)
	}
	return append(out, channeltest.WrongKey{Name: "another API v3 key", Notify: true, Says: "API v3 key", Channel: with(func(set *adapter.Settings) { set.V3Key = "0123456789abcdef0123456789abcdef" })})
}

// resign is a notification with some of it changed, signed anew.
func resign(t *testing.T, n channel.Notification, key *rsa.PrivateKey, change func(body map[string]json.RawMessage)) channel.Notification {
	t.Helper()
	n.Header = n.Header.Clone()
	if change != nil {
		var body map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(n.Body, &body))
		change(body)
		var err error
		n.Body, err = json.Marshal(body)
		require.NoError(t, err)
	}
	sig, err := utils.SignSHA256WithRSA(n.Header.Get("Wechatpay-Timestamp")+"\n"+n.Header.Get("Wechatpay-Nonce")+"\n"+string(n.Body)+"\n", key)
	require.NoError(t, err)
	n.Header.Set("Wechatpay-Signature", sig)
	return n
}

func forgeries(t *testing.T, s *wechat.Simulator) func(channel.Notification) []channeltest.Forgery {
	return func(genuine channel.Notification) []channeltest.Forgery {
		k := keys(t)
		header := func(name, value string) channel.Notification {
			n := genuine
			n.Header = n.Header.Clone()
			n.Header.Set(name, value)
			return n
		}
		old := genuine
		old.At = old.At.Add(5 * time.Minute)
		early := genuine
		early.At = early.At.Add(-5 * time.Minute)
		later := strconv.FormatInt(genuine.At.Unix()+10, 10)
		return []channeltest.Forgery{
			{Name: "signed with the merchant's key", Notification: resign(t, genuine, k.Merchant, nil), Why: "verified with the merchant key instead of the platform key"},
			{Name: "signed by nobody we know", Notification: resign(t, genuine, k.Other, nil), Why: "another key has signed"},
			{Name: "the merchant's serial", Notification: header("Wechatpay-Serial", s.Settings().Serial), Why: "the serial is of the merchant's own certificate"},
			{Name: "a serial of nobody", Notification: header("Wechatpay-Serial", "PUB_KEY_ID_2"), Why: "the serial is of another platform certificate"},
			{Name: "no serial", Notification: header("Wechatpay-Serial", ""), Why: "Wechatpay-Serial is missing"},
			{Name: "no signature", Notification: header("Wechatpay-Signature", ""), Why: "Wechatpay-Signature is missing"},
			{Name: "a signature that is no base64", Notification: header("Wechatpay-Signature", "%%%"), Why: "not base64"},
			{Name: "a probe", Notification: header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+genuine.Header.Get("Wechatpay-Signature")), Why: "a probe of WeChat Pay"},
			{Name: "a time that is none", Notification: header("Wechatpay-Timestamp", "now"), Why: "not a number of seconds"},
			{Name: "another time", Notification: header("Wechatpay-Timestamp", later), Why: "does not fit"},
			{Name: "five minutes old", Notification: old, Why: "300 seconds from ours"},
			{Name: "five minutes early", Notification: early, Why: "-300 seconds from ours"},
			{Name: "an algorithm of tomorrow", Notification: resource(t, genuine, k, "algorithm", "SM4"), Why: "SM4"},
			{Name: "a nonce of 11 bytes", Notification: resource(t, genuine, k, "nonce", "01234567890"), Why: "11 bytes, not 12"},
			{Name: "no nonce", Notification: resource(t, genuine, k, "nonce", ""), Why: "0 bytes, not 12"},
			{Name: "a resource that is no base64", Notification: resource(t, genuine, k, "ciphertext", "%"), Why: "not base64"},
			{Name: "an empty resource", Notification: resource(t, genuine, k, "ciphertext", ""), Why: "API v3 key"},
		}
	}
}

// resource is a notification whose resource has another value, signed by the platform.
func resource(t *testing.T, n channel.Notification, k *wechat.Keys, field, value string) channel.Notification {
	return resign(t, n, k.Platform, func(body map[string]json.RawMessage) {
		var r map[string]string
		require.NoError(t, json.Unmarshal(body["resource"], &r))
		r[field] = value
		body["resource"], _ = json.Marshal(r)
	})
}

func TestSuiteWithQRAndPublicKey(t *testing.T) {
	channeltest.Run(t, bench(wechat.ByPublicKey, channel.QR))
}

func TestSuiteWithPagesAndCertificates(t *testing.T) {
	channeltest.Run(t, bench(wechat.ByCertificate, channel.JSAPI))
}

func TestSuiteWithPaymentCodes(t *testing.T) {
	channeltest.Run(t, bench(wechat.ByPublicKey, channel.Code))
}

// TestWorstDay: what stands before WeChat Pay answers anything.
func TestWorstDay(t *testing.T) {
	s, _, _ := open(t, wechat.ByPublicKey, nil)
	channeltest.WorstDay(t, channeltest.Worst{
		Channel: func(w channeltest.Wire) channel.Channel {
			return adapterOf(t, s, func(set *adapter.Settings) { set.HTTP = w })
		},
		Pay: request("wd000000000000000000001", 900, channel.QR), Payout: out("wd000000000000000000002", 800), Signs: true,
		Success: `{"code_url":"weixin://wxpay/bizpayurl?pr=1","trade_state":"SUCCESS","status":"SUCCESS","out_trade_no":"wd000000000000000000001","transaction_id":"1","amount":{"total":900,"currency":"CNY"}}`,
	})
}
