package unionpay_test

import (
	"context"
	"crypto/x509"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

func TestTheAdapterKeepsToTheSuite(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
		s := open(t)
		return &channeltest.Bench{
			Channel: s.a, Clock: s.clock, Weather: s.weather, Notifier: s.sim.Notifier(),
			Request: s.quick,
			Act:     func(number string) error { s.sim.Act(number); return nil },
			Truth:   s.truth,
			Codes: []channeltest.Code{
				{Code: "03", Outcome: channel.Unknown}, {Code: "04", Outcome: channel.Unknown}, {Code: "99", Outcome: channel.Unknown},
				{Code: "05", Outcome: channel.Pending},
				{Code: "02", Outcome: channel.Failed, Class: channel.ByChannel}, {Code: "11", Outcome: channel.Failed, Class: channel.BySetting},
				{Code: "38", Outcome: channel.Failed, Class: channel.ByRisk}, {Code: "64", Outcome: channel.Failed, Class: channel.ByPayer},
				{Code: "60", Outcome: channel.Failed, Class: channel.ByIssuer}, {Code: "68", Outcome: channel.Failed, Class: channel.NotSupported},
			},
			Sign: func(number string) channel.SignRequest {
				return channel.SignRequest{Number: number, Plan: "auto-reload", NotifyURL: notifyTo, Payer: channel.Payer{Token: "ref-rich"}}
			},
			Debit: func(number, agreement string, minor int64) channel.PayRequest {
				return channel.PayRequest{Number: number, Product: channel.Agreement, Money: cny(minor), Sent: s.first(number), NotifyURL: notifyTo, Payer: channel.Payer{Agreement: agreement}}
			},
			EndThere: func(number string) error { s.sim.EndAtBank(number); return nil },
			Payout: func(number string, minor int64) channel.PayoutRequest {
				return channel.PayoutRequest{Number: number, Money: cny(minor), Sent: s.first(number), Account: "ref-payee", Name: "张三", Purpose: "提现", NotifyURL: notifyTo}
			},
			PaidOut: func(number string) channeltest.Truth {
				s.sim.Settle()
				return s.truth(number)
			},
			Refuses:   func() { s.sim.AddCard(unionpay.Card{Number: payee, Bank: "0100", Stopped: true}) },
			WrongKeys: wrongKeys(t, s),
			Forgeries: forgeries,
		}
	})
}

// wrongKeys are accounts set up with one key taken for another.
func wrongKeys(t *testing.T, s *stand) []channeltest.WrongKey {
	with := func(change func(*adapter.Settings)) *adapter.Adapter {
		c := settings(s.sim, s.clock, s.weather)
		change(&c)
		a, err := adapter.New(c)
		require.NoError(t, err)
		return a
	}
	others := stranger()
	return []channeltest.WrongKey{
		{Name: "signed with another merchant's key", Says: "11", Signature: true, Channel: with(func(c *adapter.Settings) { c.Key = others.Merchant })},
		{Name: "another root", Says: "root", Notify: true, Channel: with(func(c *adapter.Settings) { c.Roots = others.Roots() })},
		{Name: "another root, at once", Says: "root", Channel: with(func(c *adapter.Settings) { c.Roots = x509.NewCertPool() })},
	}
}

// forgeries are messages that hold together, but are not UnionPay's.
func forgeries(genuine channel.Notification) []channeltest.Forgery {
	signed := func(k adapter.Key, cert *x509.Certificate) channel.Notification {
		f, err := adapter.ParseForm(string(genuine.Body))
		if err != nil {
			panic(err)
		}
		f = maps.Clone(f)
		if cert != nil {
			f["signPubKeyCert"] = pemOf(cert)
		}
		if err := k.Sign(f); err != nil {
			panic(err)
		}
		return channel.Notification{Header: http.Header{}, Body: []byte(f.Encode()), At: genuine.At}
	}
	mine := pki().Merchant
	return []channeltest.Forgery{
		{Name: "the merchant's key", Notification: signed(mine, nil), Why: "merchant key instead of UnionPay's"},
		{Name: "the merchant's key and certificate", Notification: signed(mine, mine.Cert), Why: "merchant's certificate instead of UnionPay's"},
		{Name: "the certificate for encryption", Notification: signed(mine, pki().Encrypt), Why: "for encryption instead"},
		{Name: "another root", Notification: signed(stranger().Merchant, stranger().Merchant.Cert), Why: "root"},
		{Name: "another merchant of UnionPay", Notification: signed(otherMerchant(), otherMerchant().Cert), Why: "not UnionPay's own"},
	}
}

func TestNotificationsComeFiveTimesAndStop(t *testing.T) {
	s := open(t)
	tries := 0
	s.sim.Notifier().Receive(func(_ context.Context, url string, n channel.Notification) channel.Reply {
		require.Equal(t, notifyTo, url)
		tries++
		return channel.Reply{Status: http.StatusInternalServerError}
	})
	_, err := s.a.Pay(t.Context(), s.quick("20261125100000000001", 500, channeltest.Pays))
	require.NoError(t, err)
	s.clock.Advance(unionpay.DebitAfter)
	s.sim.Settle()
	for due, more := s.sim.Notifier().Next(); more; due, more = s.sim.Notifier().Next() {
		s.clock.Set(due)
		s.sim.Notifier().Run(t.Context())
	}
	require.Equal(t, 1+len(unionpay.Gaps), tries)
	require.Equal(t, noon.Add(unionpay.DebitAfter+12*time.Minute), s.clock.Now())
}

// TestWorstDay: what stands before UnionPay answers anything.
func TestWorstDay(t *testing.T) {
	s := open(t)
	set := settings(s.sim, s.clock, s.weather)
	channeltest.WorstDay(t, channeltest.Worst{
		Channel: func(w channeltest.Wire) channel.Channel {
			set.HTTP = w
			a, err := adapter.New(set)
			require.NoError(t, err)
			return a
		},
		Pay: s.quick("wd000000000000000000001", 900, channeltest.Pays), Signs: true,
		Payout:  channel.PayoutRequest{Number: "wd000000000000000000002", Money: cny(800), Sent: s.clock.Now(), Account: "ref-payee", Name: "张三", Purpose: "提现", NotifyURL: notifyTo},
		Success: "respCode=00&origRespCode=00&orderId=wd000000000000000000001&txnAmt=900&currencyCode=156&queryId=202603020900000000018&signature=&signPubKeyCert=",
	})
}
