package wechat_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/wechat"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/wechat"
)

const number = "20260302000000000001"

func TestEveryProductHasItsAction(t *testing.T) {
	_, c, _ := open(t, wechat.ByPublicKey, nil)
	for i, p := range []channel.Product{channel.QR, channel.JSAPI, channel.H5, channel.App} {
		r := request(number+string(rune('A'+i)), 100, p)
		r.ReturnURL = "https://shop.example/done?a=1"
		got, err := c.Pay(t.Context(), r)
		require.NoError(t, err, p)
		require.Equal(t, channel.Pending, got.Outcome)
		switch p {
		case channel.QR:
			require.Contains(t, got.Action.QR, "weixin://")
		case channel.H5:
			require.Contains(t, got.Action.URL, "&redirect_url=https%3A%2F%2Fshop.example%2Fdone%3Fa%3D1")
		case channel.JSAPI:
			require.Contains(t, got.Action.Params["package"], "prepay_id=")
			require.NotEmpty(t, got.Action.Params["paySign"])
		case channel.App:
			require.Equal(t, "Sign=WXPay", got.Action.Params["package"])
			require.Equal(t, wechat.MerchantID, got.Action.Params["partnerid"])
		}
	}
}

func TestAnOrderEnds(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	r := request(number, 100, channel.QR)
	r.Expires = at.Now().Add(10 * time.Minute)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	at.Advance(10 * time.Minute)
	require.Error(t, s.Pay(number, wechat.Payer{}))
	got, err := c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Closed, got.Outcome)
	s.Weather.Set(sim.Faults{LateSuccess: true})
	require.NoError(t, s.Pay(number, wechat.Payer{Bank: "CMB_DEBIT"}))
	got, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, got.Outcome)
	require.Equal(t, "CMB_DEBIT", got.Bank)
}

// TestASecondScanIsRefused: two phones at one QR code.
func TestASecondScanIsRefused(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, wechat.Payer{}))
	require.Error(t, s.Pay(number, wechat.Payer{}))
	charges, _, _ := s.Booked(number)
	require.Equal(t, 1, charges)
}

func TestAPasswordIsWaitedFor(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	r := request(number, 100_001, channel.Code) // above 1,000 yuan a password is always asked
	r.Payer = channel.Payer{Code: s.Code(wechat.Payer{})}
	got, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	require.Equal(t, "USERPAYING", got.Code)
	require.NoError(t, s.Refuse(number))
	got, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.NoError(t, err)
	require.Equal(t, channel.Failed, got.Outcome)
}

func TestTheScheduleIsWeChats(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, wechat.Payer{}))
	tries := 0
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		tries++
		events, err := c.Notified(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, events[0].Result.Outcome)
		return channel.Reply{Status: 500}
	})
	first := at.Now()
	for s.Run(t.Context()); ; s.Run(t.Context()) {
		due, more := s.Notices.Next()
		if !more {
			break
		}
		at.Set(due)
	}
	require.Equal(t, 16, tries)
	require.Equal(t, 24*time.Hour+4*time.Minute, at.Now().Sub(first))
}

func TestANonceOfAnyLengthIsRefused(t *testing.T) {
	s, c, at := open(t, wechat.ByPublicKey, nil)
	var got error
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		_, got = c.Notified(t.Context(), n)
		return c.Answer(got)
	})
	_, err := c.Pay(t.Context(), request(number, 100, channel.QR))
	require.NoError(t, err)
	s.BadNonce(16)
	require.NoError(t, s.Pay(number, wechat.Payer{}))
	s.Run(t.Context())
	require.ErrorContains(t, got, "16 bytes, not 12")
	s.BadNonce(12)
	at.Advance(15 * time.Second)
	s.Run(t.Context())
	require.NoError(t, got)
}

func TestProbesAndAClockThatIsWrongProveNothing(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	s.ProbeAnswers(1)
	_, err := c.Query(t.Context(), channel.Ref{Number: number})
	require.ErrorContains(t, err, "a probe of WeChat Pay")
	s.Skew(-5 * time.Minute)
	_, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.ErrorContains(t, err, "our clock is wrong")
	s.Skew(0)
	s.SignWith(keys(t).Merchant)
	_, err = c.Query(t.Context(), channel.Ref{Number: number})
	require.ErrorContains(t, err, "verified with the merchant key instead of the platform key")
}

// TestOurClockIsWrong by minutes: below five nobody notices, and from there on nothing is known, neither paid nor refused, and the error says why.
func TestOurClockIsWrong(t *testing.T) {
	for _, minutes := range []time.Duration{-30, -6, -4, 0, 4, 6, 30} {
		s, _, at := open(t, wechat.ByPublicKey, nil)
		c := adapterOf(t, s, func(set *adapter.Settings) { set.Now = func() time.Time { return at.Now().Add(minutes * time.Minute) } })
		for what, ask := range map[string]func() (channel.Result, error){
			"pay":    func() (channel.Result, error) { return c.Pay(t.Context(), request(number, 100, channel.QR)) },
			"query":  func() (channel.Result, error) { return c.Query(t.Context(), channel.Ref{Number: number}) },
			"close":  func() (channel.Result, error) { return c.Close(t.Context(), channel.Ref{Number: number}) },
			"payout": func() (channel.Result, error) { return c.Payout(t.Context(), out(number, 250_000)) },
		} {
			got, err := ask()
			if minutes.Abs() < 5 {
				require.NoError(t, err, "%s, %d minutes", what, minutes)
				continue
			}
			require.ErrorContains(t, err, "our clock is wrong", "%s, %d minutes", what, minutes)
			require.NotErrorIs(t, err, channel.ErrNotSent)
			require.Equal(t, channel.Unknown, got.Outcome, "%s, %d minutes", what, minutes)
		}
	}
}

// TestKeysThatChange: for a while two are set, in whatever order, and what either has signed counts.
func TestKeysThatChange(t *testing.T) {
	k := keys(t)
	for _, c := range []struct {
		name   string
		signs  wechat.Mode
		change func(*adapter.Settings)
	}{
		{"from the certificate of last year", wechat.ByCertificate, func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{k.Retired, k.Certificate} }},
		{"to one that is not used yet", wechat.ByCertificate, func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{k.Certificate, k.Retired} }},
		{"to a public key, which is not used yet", wechat.ByCertificate, func(set *adapter.Settings) { set.PublicKeyID, set.PublicKey = "PUB_KEY_ID_1", &k.Other.PublicKey }},
		{"from a certificate to a public key", wechat.ByPublicKey, func(set *adapter.Settings) { set.Certificates = []*x509.Certificate{k.Certificate, k.Retired} }},
	} {
		s, ours, _ := open(t, c.signs, c.change)
		told := error(nil)
		s.Notices.Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
			_, told = ours.Notified(ctx, n)
			return ours.Answer(told)
		})
		_, err := ours.Pay(t.Context(), request(number, 100, channel.QR))
		require.NoError(t, err, c.name)
		require.NoError(t, s.Pay(number, wechat.Payer{}))
		require.Equal(t, 1, s.Run(t.Context()))
		require.NoError(t, told, c.name)
		got, err := ours.Query(t.Context(), channel.Ref{Number: number})
		require.NoError(t, err, c.name)
		require.Equal(t, channel.Succeeded, got.Outcome, c.name)
	}
}

func TestARefundMayStick(t *testing.T) {
	s, c, _ := open(t, wechat.ByPublicKey, nil)
	r := request(number, 100, channel.QR)
	_, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, s.Pay(number, wechat.Payer{}))
	back := channel.RefundRequest{Number: number + "R", Of: channel.Ref{Number: number, Money: r.Money}, Money: r.Money}
	got, err := c.Refund(t.Context(), back)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome)
	require.NoError(t, s.Stick(back.Number))
	got, err = c.QueryRefund(t.Context(), channel.RefundRef{Number: back.Number})
	require.NoError(t, err)
	require.Equal(t, channel.Pending, got.Outcome, "the merchant can still name another account")
	require.Equal(t, channel.ByIssuer, got.Class)
}
