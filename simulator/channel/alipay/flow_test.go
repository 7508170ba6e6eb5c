package alipay_test

import (
	"context"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/alipay"
)

const number = "20260302000000000001"

func TestAQRCodeThatNobodyHasScannedIsMissingButCanBePaid(t *testing.T) {
	s, c, at := open(t, alipay.Options{})
	r := request(number, 100, channel.QR)
	r.Expires = at.Now().Add(10 * time.Minute)
	got, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	require.Equal(t, "https://qr.alipay.com/"+number, got.Action.QR)
	ref := channel.Ref{Number: number}
	got, err = c.Close(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, channel.Missing, got.Outcome, "there is nothing to close")

	require.NoError(t, s.Scan(number))
	got, err = c.Query(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	require.NoError(t, s.Pay(number, alipay.Payer{Bank: "ICBC"}))
	got, err = c.Query(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, channel.Result{
		Outcome: channel.Succeeded, Number: number, ChannelID: got.ChannelID, At: at.Now(), Bank: "ICBC", Money: r.Money,
	}, withUTC(got))
	require.Error(t, s.Pay(number, alipay.Payer{}), "two phones at one QR code")
}

func withUTC(r channel.Result) channel.Result {
	r.At = r.At.UTC()
	return r
}

func TestAnUnscannedQRCodeDiesAtItsEnd(t *testing.T) {
	s, c, at := open(t, alipay.Options{})
	r := request(number, 100, channel.QR)
	r.Expires = at.Now().Add(10 * time.Minute)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	at.Advance(10 * time.Minute)
	require.Error(t, s.Scan(number))
	require.Error(t, s.Pay(number, alipay.Payer{}))
}

// TestOneNumberForTwoAmounts: the first QR code may still be scanned, so the second request has not failed.
func TestOneNumberForTwoAmounts(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	got, err := c.Pay(t.Context(), request(number, 200, channel.QR))
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, got.Outcome)
	require.Equal(t, "ACQ.CONTEXT_INCONSISTENT", got.Code)
	require.NoError(t, s.Scan(number))
	_, err = c.Pay(t.Context(), request(number, 200, channel.QR))
	require.ErrorContains(t, err, "one number was used for two things")
}

func TestAppsAndPagesAreOpenedByThePayer(t *testing.T) {
	s, c, _ := open(t, alipay.Options{Mode: alipay.ByCertificate})
	for i, p := range []channel.Product{channel.App, channel.H5, channel.NetBank} {
		r := request(number+string(rune('A'+i)), 100, p)
		r.ReturnURL = "https://shop.example/done?a=1"
		got, err := c.Pay(t.Context(), r)
		require.NoError(t, err, p)
		require.Equal(t, channel.Pending, got.Outcome)
		ref := channel.Ref{Number: r.Number}
		before, err := c.Query(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, channel.Missing, before.Outcome, "%s: nobody has opened it", p)

		what := got.Action.URL
		if p == channel.App {
			what = got.Action.Params["orderStr"]
		}
		require.Error(t, s.Open(strings.Replace(what, url.QueryEscape(`"1.00"`), url.QueryEscape(`"0.01"`), 1)), "the payer has changed the amount")
		require.NoError(t, s.Open(what), p)
		require.NoError(t, s.Open(what), "opened again")
		require.NoError(t, s.Pay(r.Number, alipay.Payer{}))
		after, err := c.Query(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, after.Outcome)
	}
}

func TestATradeEnds(t *testing.T) {
	s, c, at := open(t, alipay.Options{ScanAtOnce: true, TellsClosing: true})
	var events []channel.Event
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		got, err := c.Notified(t.Context(), n)
		require.NoError(t, err)
		events = append(events, got...)
		return c.Answer(err)
	})
	r := request(number, 100, channel.QR)
	r.Expires = at.Now().Add(10 * time.Minute)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	at.Advance(10 * time.Minute)
	s.Run(t.Context())
	require.Len(t, events, 1)
	require.Equal(t, channel.Closed, events[0].Result.Outcome, "closed, nobody has paid")
	require.Error(t, s.Pay(number, alipay.Payer{}))
	s.Weather.Set(sim.Faults{LateSuccess: true})
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	s.Run(t.Context())
	require.Equal(t, channel.Succeeded, events[1].Result.Outcome)
}

// TestClosedByItsRefundsWasPaid: TRADE_CLOSED says both that nobody has paid and that all was given back.
func TestClosedByItsRefundsWasPaid(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	var events []channel.Event
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		got, err := c.Notified(t.Context(), n)
		require.NoError(t, err)
		events = append(events, got...)
		return c.Answer(err)
	})
	r := request(number, 1000, channel.QR)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	for i, minor := range []int64{400, 600} {
		back := channel.RefundRequest{Number: number + "R" + string(rune('1'+i)), Of: channel.Ref{Number: number, Money: r.Money}, Money: channel.Money{Amount: money.Minor(minor), Currency: "CNY"}}
		got, err := c.Refund(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, got.Outcome)
		got, err = c.QueryRefund(t.Context(), channel.RefundRef{Number: back.Number, Of: back.Of})
		require.NoError(t, err)
		require.Equal(t, back.Money, got.Money, "the amount of this refund, and not the sum of all")
	}
	require.Equal(t, "TRADE_CLOSED", s.State(number))
	got, err := c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)

	s.Run(t.Context())
	require.Len(t, events, 5, "a payment, and twice a payment and its refund")
	for _, e := range events {
		require.Equal(t, channel.Succeeded, e.Result.Outcome)
	}
	require.Equal(t, channel.OfRefund, events[4].About)
	require.Equal(t, number+"R2", events[4].Result.Number)
}

func TestWhatIsFinishedCannotBeRefundedAnyMore(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	r := request(number, 1000, channel.QR)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	back := channel.RefundRequest{Number: number + "R", Of: channel.Ref{Number: number, Money: r.Money}, Money: channel.Money{Amount: money.Minor(1), Currency: "CNY"}}
	_, err = c.Refund(t.Context(), back)
	require.NoError(t, err)
	require.NoError(t, s.Finish(number))
	got, err := c.Refund(t.Context(), back)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome, "this one was made before")
	back.Number += "2"
	got, err = c.Refund(t.Context(), back)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
	require.Equal(t, "ACQ.TRADE_HAS_FINISHED", got.Code)
	got, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
}

func TestAPasswordIsWaitedFor(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	r := request(number, 1000_01, channel.Code) // above 1,000 yuan a password is always asked
	r.Payer = channel.Payer{Code: s.Code(alipay.Payer{})}
	for range 2 {
		got, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, channel.Pending, got.Outcome)
		require.Equal(t, "10003", got.Code)
	}
	got, err := c.Close(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Closed, got.Outcome)
	require.Error(t, s.Pay(number, alipay.Payer{}))
}

func TestTheScheduleIsAlipays(t *testing.T) {
	s, c, at := open(t, alipay.Options{})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	tries := 0
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		tries++
		events, err := c.Notified(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, events[0].Result.Outcome)
		return channel.Reply{Status: 200, Body: []byte("success\n")} // not exactly success
	})
	first := at.Now()
	for s.Run(t.Context()); ; s.Run(t.Context()) {
		due, more := s.Notices.Next()
		if !more {
			break
		}
		at.Set(due)
	}
	require.Equal(t, 8, tries)
	require.Equal(t, 24*time.Hour+24*time.Minute, at.Now().Sub(first))
}

func TestAnAnswerThatWasWrittenAnewProvesNothing(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	for _, tt := range []struct {
		name  string
		proxy func([]byte) []byte
		says  string
	}{
		{"with blanks", func(b []byte) []byte {
			return sim.Reencode(channel.Notification{Body: b}).Body
		}, "the body was written anew on the way"},
		{"with other escapes", func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), `Success`, `Succes\u0073`)) }, "does not fit"},
		{"another amount", func(b []byte) []byte { return []byte(strings.Replace(string(b), "1.00", "9.00", 1)) }, "does not fit"},
		{"without its signature", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"sign"`, `"sing"`, 1)) }, "no signature"},
		{"an answer to something else", func(b []byte) []byte { return []byte(strings.Replace(string(b), "trade_query", "trade_close", 1)) }, "does not answer"},
		{"a page", func([]byte) []byte { return []byte("<html>") }, "no JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Proxy(tt.proxy)
			got, err := c.Query(t.Context(), channel.Ref{Number: number})
			var forged *channel.ForgedError
			require.ErrorAs(t, err, &forged)
			require.Contains(t, forged.Why, tt.says)
			require.Equal(t, channel.Result{}, got)
		})
	}
	s.Proxy(nil)
	s.SignWith(keys(t).App)
	_, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.ErrorContains(t, err, "verified with the merchant key instead of Alipay's")
}

func TestABillOfAnotherSellerOrDayIsRefusedAsAWhole(t *testing.T) {
	s, c, at := open(t, alipay.Options{})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	at.Advance(48 * time.Hour)
	taken := 0
	take := func(channel.BillRow) error { taken++; return nil }
	other := adapterOf(t, s, func(set *adapter.Settings) { set.SellerID = "2088000000000000" })
	require.ErrorContains(t, other.Bill(t.Context(), "2026-03-02", take), "nothing of it is taken")
	s.Proxy(func(b []byte) []byte {
		if b[0] == 'P' { // the archive is cut short
			return b[:len(b)/2]
		}
		return b
	})
	require.ErrorContains(t, c.Bill(t.Context(), "2026-03-02", take), "no zip")
	s.Proxy(nil)
	require.Zero(t, taken)
	require.NoError(t, c.Bill(t.Context(), "2026-03-02", take))
	require.Equal(t, 1, taken)
	require.NoError(t, c.Bill(t.Context(), "2026-03-01", take), "a day without payments has no bill")
	require.ErrorIs(t, c.Bill(t.Context(), "2026-03-03", take), channel.ErrNoBillYet, "one that is not there may still come")
	require.Equal(t, 1, taken)
}

// TestTheAddressOfABillDies after 30 seconds: whoever is slow asks again.
func TestTheAddressOfABillDies(t *testing.T) {
	s, c, at := open(t, alipay.Options{})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	at.Advance(48 * time.Hour)
	none := func(channel.BillRow) error { return nil }
	s.Proxy(func(b []byte) []byte { at.Advance(30 * time.Second); return b })
	require.ErrorContains(t, c.Bill(t.Context(), "2026-03-02", none), "ask again")
	s.Proxy(func(b []byte) []byte { at.Advance(29 * time.Second); return b })
	require.NoError(t, c.Bill(t.Context(), "2026-03-02", none))
}

// TestANotificationAboutSomebodyElseSaysNothing: Alipay's own word, but not about us.
func TestANotificationAboutSomebodyElseSaysNothing(t *testing.T) {
	s, c, _ := open(t, alipay.Options{Mode: alipay.ByCertificate})
	var genuine channel.Notification
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		genuine = n
		return c.Answer(nil)
	})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, alipay.Payer{}))
	s.Run(t.Context())
	_, err = c.Notified(t.Context(), genuine)
	require.NoError(t, err)
	with := func(name, value string) channel.Notification {
		return resign(t, genuine, keys(t).Alipay, func(v url.Values) { v.Set(name, value) })
	}
	for name, value := range map[string]string{"app_id": "2021000118604127", "seller_id": "2088000000000000", "total_amount": "1e2", "refund_fee": "-1.00", "gmt_payment": "yesterday", "out_trade_no": ""} {
		events, err := c.Notified(t.Context(), with(name, value))
		require.Error(t, err, name)
		require.Empty(t, events, name)
		require.Equal(t, "failure", string(c.Answer(err).Body))
	}
	events, err := c.Notified(t.Context(), with("notify_type", "dut_user_sign"))
	require.NoError(t, err)
	require.Empty(t, events, "of something that we never asked for")

	closing := resign(t, genuine, keys(t).Alipay, func(v url.Values) {
		v.Set("trade_status", "TRADE_CLOSED")
		for _, name := range []string{"gmt_payment", "receipt_amount", "buyer_pay_amount"} {
			v.Del(name)
		}
	})
	events, err = c.Notified(t.Context(), closing)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, events[0].Result.Outcome, "it does not say why it is closed, and a query says that it was paid")
	s.Weather.Unreachable(true)
	events, err = c.Notified(t.Context(), closing)
	require.Error(t, err, "nobody can say: it must come again")
	require.Empty(t, events)
}

func TestTheSameRequestHasTheSameQRCode(t *testing.T) {
	_, c, _ := open(t, alipay.Options{})
	var codes []string
	for range 2 {
		got, err := c.Pay(t.Context(), request(number, 100, channel.QR))
		require.NoError(t, err)
		codes = append(codes, got.Action.QR)
	}
	require.Equal(t, codes[0], codes[1])
}

// TestACodeThatIsUsedUpIsAskedAbout: the first answer is lost, and Alipay no longer takes the code with which the payer has paid.
func TestACodeThatIsUsedUpIsAskedAbout(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	r := request(number, 100, channel.Code)
	r.Payer = channel.Payer{Code: s.Code(alipay.Payer{})}
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter}, sim.Fate{Error: "ACQ.PAYMENT_AUTH_CODE_INVALID"})
	_, err := c.Pay(t.Context(), r)
	require.ErrorIs(t, err, sim.ErrBroken)
	got, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
}

func TestCertificatesThatDoNotBelongTogetherAreRefused(t *testing.T) {
	s, _, _ := open(t, alipay.Options{Mode: alipay.ByCertificate})
	for says, change := range map[string]func(*adapter.Settings){
		"not of its private key":          func(set *adapter.Settings) { set.AppCertificate = keys(t).Retired },
		"alipayRootCert.crt":              func(set *adapter.Settings) { set.RootCertificates = nil },
		"alipayCertPublicKey_RSA2.crt":    func(set *adapter.Settings) { set.Certificates = nil },
		"is the app's own":                func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{set.AppCertificate} },
		"in key mode or in certificate m": func(set *adapter.Settings) { set.PublicKey = &keys(t).Alipay.PublicKey },
	} {
		set := s.Settings()
		change(&set)
		_, err := adapter.New(set)
		require.ErrorContains(t, err, says)
	}
}

// TestACertificateThatChanges: both are set for a while, and a message counts only under the one that it names.
func TestACertificateThatChanges(t *testing.T) {
	s, _, _ := open(t, alipay.Options{Mode: alipay.ByCertificate})
	c := adapterOf(t, s, func(set *adapter.Settings) { set.Certificates = append(set.Certificates, keys(t).Retired) })
	got, err := c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Missing, got.Outcome)
	s.SignWith(keys(t).Other) // and still names the other one
	_, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.ErrorContains(t, err, "and is signed under "+adapter.SerialOf(keys(t).Retired))
}

func TestAMiniProgramsPayerIsNamedInOneWay(t *testing.T) {
	_, c, _ := open(t, alipay.Options{})
	for i, payer := range []string{"2088102122524333", "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"} {
		r := request(number+string(rune('A'+i)), 100, channel.JSAPI)
		r.Payer.OpenID = payer
		got, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, channel.Pending, got.Outcome)
		require.NotEmpty(t, got.ChannelID)
		require.Equal(t, map[string]string{"tradeNO": got.ChannelID}, got.Action.Params)
	}
}
