package alipay_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

const notifyURL = "https://gateway.example/notify/alipay"

var start = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

func keys(t *testing.T) *alipay.Keys {
	t.Helper()
	k, err := alipay.ProcessKeys()
	require.NoError(t, err)
	return k
}

func open(t *testing.T, o alipay.Options) (*alipay.Simulator, *adapter.Channel, *clock.Manual) {
	t.Helper()
	at := clock.NewManual(start)
	o.Clock, o.Seed, o.Keys = at, 1, keys(t)
	s := alipay.New(o)
	return s, adapterOf(t, s, nil), at
}

func adapterOf(t *testing.T, s *alipay.Simulator, change func(*adapter.Settings)) *adapter.Channel {
	t.Helper()
	set := s.Settings()
	if change != nil {
		change(&set)
		set.Transfers = set.Transfers && set.PublicKey == nil
	}
	c, err := adapter.New(set)
	require.NoError(t, err)
	return c
}

func request(number string, minor int64, product channel.Product) channel.PayRequest {
	return channel.PayRequest{
		Number: number, Context: "12345678901234567890", Product: product, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"},
		Subject: `充值, card/load = "1" & more`, NotifyURL: notifyURL, Payer: channel.Payer{OpenID: "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"},
	}
}

// bench is the adapter and the simulator under the suite. Payers scan a QR code as soon as it is made: before that, Alipay does not know the
// payment (see TestAQRCodeThatNobodyHasScannedIsMissingButCanBePaid).
func bench(mode alipay.Mode, product channel.Product) channeltest.Maker {
	return func(t *testing.T) *channeltest.Bench {
		s, c, at := open(t, alipay.Options{Mode: mode, ScanAtOnce: product == channel.QR, Messages: notifyURL})
		wills, codes, pages := map[string]channeltest.Will{}, map[string]string{}, map[string]string{}
		return &channeltest.Bench{
			Channel: c, Clock: at, Weather: s.Weather, Notifier: s.Notices, WrongKeys: wrongKeys(t, s, mode), Codes: payCodes, Forgeries: forgeries(t, mode),
			Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
				wills[number] = will
				r := request(number, minor, product)
				if product == channel.Code {
					if codes[number] == "" {
						codes[number] = s.Code(alipay.Payer{Short: will == channeltest.Declines, Password: will == channeltest.Waits})
					}
					r.Payer = channel.Payer{Code: codes[number]}
				}
				return r
			},
			Sign: func(number string) channel.SignRequest {
				r := channel.SignRequest{Number: number, Plan: "auto-reload", NotifyURL: notifyURL, ReturnURL: "https://shop.example/signed"}
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
			EndThere: s.EndAtAlipay, TellsEnds: true,
			Act: func(number string) error {
				if page := pages[number]; page != "" {
					return s.Sign(page, alipay.Payer{})
				}
				if wills[number] == channeltest.Declines {
					return errors.New("the payer does not want to")
				}
				if charges, _, _ := s.Booked(number); charges > 0 {
					return nil
				}
				return s.Pay(number, alipay.Payer{})
			},
			Truth: func(number string) channeltest.Truth {
				charges, paid, back := s.Booked(number)
				return channeltest.Truth{Charges: charges, Paid: paid, Refunded: back}
			},
			Payout: func(number string, minor int64) channel.PayoutRequest { return out(number, minor, at) },
			PaidOut: func(number string) channeltest.Truth {
				times, sent := s.Transferred(number)
				return channeltest.Truth{Charges: times, Paid: sent}
			},
			Drain:   func() { s.Fund(-s.Fund(0)) },
			Refuses: func() { s.AddPayee(payee, alipay.Payee{Gone: true}) },
		}
	}
}

var payCodes = []channeltest.Code{
	{Code: "ACQ.INVALID_PARAMETER", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "ACQ.ACCESS_FORBIDDEN", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "ACQ.SELLER_BEEN_BLOCKED", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "ACQ.TOTAL_FEE_EXCEED", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "isv.insufficient-isv-permissions", Outcome: channel.Failed, Class: channel.BySetting},
	{Code: "ACQ.BUYER_BALANCE_NOT_ENOUGH", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "ACQ.PAYMENT_AUTH_CODE_INVALID", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "ACQ.BUYER_SELLER_EQUAL", Outcome: channel.Failed, Class: channel.ByPayer},
	{Code: "ACQ.PAYMENT_FAIL", Outcome: channel.Failed, Class: channel.ByIssuer},
	{Code: "ACQ.PAYMENT_REQUEST_HAS_RISK", Outcome: channel.Failed, Class: channel.ByRisk},
	{Code: "ACQ.CURRENCY_NOT_SUPPORT", Outcome: channel.Failed, Class: channel.NotSupported},
	{Code: "ACQ.SYSTEM_ERROR", Outcome: channel.Unknown},
	{Code: "aop.unknow-error", Outcome: channel.Unknown},
	{Code: "isv.app-call-limited", Outcome: channel.Unknown},
	{Code: "ACQ.A_CODE_OF_TOMORROW", Outcome: channel.Unknown},
}

func wrongKeys(t *testing.T, s *alipay.Simulator, mode alipay.Mode) []channeltest.WrongKey {
	k := keys(t)
	with := func(change func(*adapter.Settings)) channel.Channel { return adapterOf(t, s, change) }
	if mode == alipay.ByKey {
		certificates := with(func(set *adapter.Settings) {
			set.PublicKey, set.AppCertificate, set.RootCertificates, set.Certificates = nil, k.AppCertificate, k.Roots, []*x509.Certificate{k.Retired}
		})
		return []channeltest.WrongKey{
			{Name: "another private key", Says: "isv.invalid-signature", Signature: true, Channel: with(func(set *adapter.Settings) { set.Key = k.Other })},
			{Name: "another app", Says: "isv.invalid-app-id", Channel: with(func(set *adapter.Settings) { set.AppID = "2021000118604127" })},
			{Name: "another public key", Says: "another key has signed", Channel: with(func(set *adapter.Settings) { set.PublicKey = &k.Other.PublicKey })},
			{Name: "another public key, in a notification", Says: "another key has signed", Notify: true, Channel: with(func(set *adapter.Settings) { set.PublicKey = &k.Other.PublicKey })},
			{Name: "certificates instead of the public key", Says: "but only certificates are set here", Channel: certificates},
		}
	}
	return []channeltest.WrongKey{
		{Name: "the certificate of last year", Says: "which is not among those set here", Channel: with(func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{k.Retired} })},
		{Name: "the public key instead of certificates", Says: "isv.missing-app-cert-sn", Channel: with(func(set *adapter.Settings) {
			set.PublicKey, set.AppCertificate, set.RootCertificates, set.Certificates = &k.Alipay.PublicKey, nil, nil, nil
		})},
		{Name: "another's public key instead of certificates", Says: "but only a public key is set here", Channel: with(func(set *adapter.Settings) {
			set.PublicKey, set.AppCertificate, set.RootCertificates, set.Certificates = &k.Other.PublicKey, nil, nil, nil
		})},
	}
}

// resign is a notification with some of it changed, signed anew.
func resign(t *testing.T, n channel.Notification, key *rsa.PrivateKey, change func(url.Values)) channel.Notification {
	t.Helper()
	v, err := url.ParseQuery(string(n.Body))
	require.NoError(t, err)
	if change != nil {
		change(v)
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if name != "sign" && name != "sign_type" {
			pairs = append(pairs, name+"="+v.Get(name))
		}
	}
	digest := sha256.Sum256([]byte(strings.Join(pairs, "&")))
	raw, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	require.NoError(t, err)
	v.Set("sign", base64.StdEncoding.EncodeToString(raw))
	n.Body = []byte(v.Encode())
	return n
}

func forgeries(t *testing.T, mode alipay.Mode) func(channel.Notification) []channeltest.Forgery {
	return func(genuine channel.Notification) []channeltest.Forgery {
		k := keys(t)
		with := func(name, value string) channel.Notification {
			v, err := url.ParseQuery(string(genuine.Body))
			require.NoError(t, err)
			v.Set(name, value)
			n := genuine
			n.Body = []byte(v.Encode())
			return n
		}
		twice := genuine
		twice.Body = append(slices.Clone(genuine.Body), "&trade_status=TRADE_SUCCESS"...)
		torn := genuine
		torn.Body = []byte("%zz=1")
		out := []channeltest.Forgery{
			{Name: "signed with the app's key", Notification: resign(t, genuine, k.App, nil), Why: "verified with the merchant key instead of Alipay's"},
			{Name: "signed by nobody we know", Notification: resign(t, genuine, k.Other, nil), Why: "another key has signed"},
			{Name: "another amount", Notification: with("total_amount", "0.01"), Why: "does not fit"},
			{Name: "a parameter more", Notification: with("tenant", "7"), Why: "does not fit"},
			{Name: "a parameter twice", Notification: twice, Why: "is there twice"},
			{Name: "no signature", Notification: with("sign", ""), Why: "sign is missing"},
			{Name: "a signature that is no base64", Notification: with("sign", "%%%"), Why: "not base64"},
			{Name: "SHA-1", Notification: with("sign_type", "RSA"), Why: "RSA2 is known here"},
			{Name: "no form", Notification: torn, Why: "no form"},
		}
		if mode == alipay.ByKey {
			out = append(out, channeltest.Forgery{Name: "a certificate", Notification: with("alipay_cert_sn", "00ff"), Why: "but only a public key is set here"})
		} else {
			out = append(out, channeltest.Forgery{Name: "a certificate of nobody", Notification: with("alipay_cert_sn", "00ff"), Why: "not among those set here"})
		}
		return out
	}
}

func TestSuiteWithQRAndPublicKey(t *testing.T) {
	channeltest.Run(t, bench(alipay.ByKey, channel.QR))
}

func TestSuiteWithPaymentCodesAndCertificates(t *testing.T) {
	channeltest.Run(t, bench(alipay.ByCertificate, channel.Code))
}

func TestSuiteWithMiniProgramsAndPublicKey(t *testing.T) {
	channeltest.Run(t, bench(alipay.ByKey, channel.JSAPI))
}

// TestWorstDay: what stands before Alipay answers anything, in both modes of keys.
func TestWorstDay(t *testing.T) {
	for _, mode := range []alipay.Mode{alipay.ByKey, alipay.ByCertificate} {
		s, _, at := open(t, alipay.Options{Mode: mode})
		channeltest.WorstDay(t, channeltest.Worst{
			Channel: func(w channeltest.Wire) channel.Channel {
				return adapterOf(t, s, func(set *adapter.Settings) { set.HTTP = w })
			},
			Pay: request("wd000000000000000000001", 900, channel.QR), Payout: out("wd000000000000000000002", 800, at), Signs: true,
			Success: `{"alipay_trade_precreate_response":{"code":"10000","msg":"Success","out_trade_no":"wd000000000000000000001","qr_code":"https://qr.alipay.com/1"},"alipay_trade_query_response":{"code":"10000","trade_status":"TRADE_SUCCESS"}}`,
		})
	}
}
