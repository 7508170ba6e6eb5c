package alipay_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/alipay"
	"github.com/purselane/purselane/simulator/channel/alipay"
)

// heard is the one notification that is due.
func heard(t *testing.T, s *alipay.Simulator) channel.Notification {
	t.Helper()
	var out []channel.Notification
	s.Notices.Receive(func(_ context.Context, _ string, n channel.Notification) channel.Reply {
		out = append(out, n)
		return channel.Reply{Status: 200, Body: []byte("success")}
	})
	s.Run(t.Context())
	require.Len(t, out, 1)
	return out[0]
}

func signRequest() channel.SignRequest {
	return channel.SignRequest{Number: number, Plan: "auto-reload", NotifyURL: notifyURL, ReturnURL: "https://shop.example/signed"}
}

// TestAPageIsSignedInAnyWay: opened in Alipay's app, by a link to it, or from a QR code. What somebody has changed on it is not signed.
func TestAPageIsSignedInAnyWay(t *testing.T) {
	for _, o := range []adapter.Open{adapter.OpenPage, adapter.OpenApp, adapter.OpenQR} {
		s, _, _ := open(t, alipay.Options{Mode: alipay.ByCertificate})
		c := adapterOf(t, s, func(set *adapter.Settings) { set.Agreements.Open = o })
		got, err := c.Sign(t.Context(), signRequest())
		require.NoError(t, err)
		require.Equal(t, channel.Pending, got.Outcome)
		what := got.Action.URL
		if o == adapter.OpenQR {
			what = got.Action.QR
		}
		require.Equal(t, o == adapter.OpenApp, strings.HasPrefix(what, "alipays://"))
		before, err := c.QueryAgreement(t.Context(), number, "")
		require.NoError(t, err)
		require.Equal(t, channel.Missing, before.Outcome, "nobody has signed it")
		require.ErrorIs(t, s.Sign(strings.Replace(what, number, number[:19]+"9", 1), alipay.Payer{}), alipay.ErrNotSigned, "the number was changed")
		require.NoError(t, s.Sign(what, alipay.Payer{}))
		require.ErrorIs(t, s.Sign(what, alipay.Payer{}), alipay.ErrNotSigned, "signed already")
		after, err := c.QueryAgreement(t.Context(), number, "")
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, after.Outcome)
	}
}

// TestAPeriodHoldsADebitToWhatWasAgreed: Alipay refuses more than the highest amount, and asks for a period where the product has one.
func TestAPeriodHoldsADebitToWhatWasAgreed(t *testing.T) {
	s, c, _ := open(t, alipay.Options{Cycle: true})
	got, err := c.Sign(t.Context(), signRequest())
	require.NoError(t, err)
	require.NoError(t, s.Sign(got.Action.URL, alipay.Payer{}))
	signed, err := c.QueryAgreement(t.Context(), number, "")
	require.NoError(t, err)
	for i, minor := range []int64{500_00, 500_01} {
		r := request(number+string(rune('A'+i)), minor, channel.Agreement)
		r.Payer.Agreement = signed.Agreement
		res, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
		if i == 0 {
			require.Equal(t, channel.Succeeded, res.Outcome)
			require.Equal(t, r.Money, res.Money)
			continue
		}
		require.Equal(t, channel.Failed, res.Outcome)
		require.Equal(t, "ACQ.CYCLE_PAY_SINGLE_FEE_EXCEED", res.Code)
	}

	s, _, _ = open(t, alipay.Options{}) // of GENERAL_WITHHOLDING
	cycle := adapterOf(t, s, func(set *adapter.Settings) {
		set.Agreements = adapter.Agreements{Product: "CYCLE_PAY_AUTH", Scene: alipay.SignScene, Period: adapter.Period{Type: "DAY", Every: 7, Most: request(number, 1, channel.QR).Money.Amount}}
	})
	got, err = cycle.Sign(t.Context(), signRequest())
	require.NoError(t, err)
	require.ErrorContains(t, s.Sign(got.Action.URL, alipay.Payer{}), "not signed up for this product")
}

// TestAnAgreementThatIsNotOursSaysNothing: Alipay's own word, about what was signed without our number, or about nothing that changes.
func TestAnAgreementThatIsNotOursSaysNothing(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	got, err := c.Sign(t.Context(), signRequest())
	require.NoError(t, err)
	require.NoError(t, s.Sign(got.Action.URL, alipay.Payer{}))
	genuine := heard(t, s)
	events, err := c.Notified(t.Context(), genuine)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, channel.OfAgreement, events[0].About)
	for name, value := range map[string]string{"external_agreement_no": "", "status": "STOP", "notify_type": "dut_user_unsign"} {
		events, err := c.Notified(t.Context(), resign(t, genuine, keys(t).Alipay, func(v url.Values) { v.Set(name, value) }))
		require.NoError(t, err, name)
		require.Empty(t, events, name)
	}
	for name, value := range map[string]string{"app_id": "2021000118604127", "agreement_no": "", "external_agreement_no": number[:19] + "9"} {
		events, err := c.Notified(t.Context(), resign(t, genuine, keys(t).Alipay, func(v url.Values) { v.Set(name, value) }))
		require.Error(t, err, name)
		require.Empty(t, events, name)
	}
	s.Weather.Unreachable(true)
	events, err = c.Notified(t.Context(), genuine)
	require.Error(t, err, "nobody can say whether it is in force still: it must come again")
	require.Empty(t, events)
	s.Weather.Unreachable(false)
	none := adapterOf(t, s, func(set *adapter.Settings) { set.Agreements = adapter.Agreements{} })
	events, err = none.Notified(t.Context(), genuine)
	require.NoError(t, err)
	require.Empty(t, events)
	require.False(t, none.Capabilities().Agreements)
	_, err = none.Sign(t.Context(), signRequest())
	require.ErrorIs(t, err, channel.ErrUnsupported)
}

// TestAPauseIsNoEnd: an answer that an agreement is stopped for a while says nothing of its end.
func TestAPauseIsNoEnd(t *testing.T) {
	s, c, _ := open(t, alipay.Options{})
	got, err := c.Sign(t.Context(), signRequest())
	require.NoError(t, err)
	require.NoError(t, s.Sign(got.Action.URL, alipay.Payer{}))
	signed, err := c.QueryAgreement(t.Context(), number, "")
	require.NoError(t, err)
	_, err = c.QueryAgreement(t.Context(), number, signed.Agreement+"0")
	require.NoError(t, err)
	s.Pause(number, true)
	paused, err := c.QueryAgreement(t.Context(), number, signed.Agreement)
	require.NoError(t, err)
	require.Equal(t, channel.Unknown, paused.Outcome)
	r := request(number+"A", 100, channel.Agreement)
	r.Payer.Agreement = signed.Agreement
	res, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, res.Outcome)
	s.Pause(number, false)
	again, err := c.QueryAgreement(t.Context(), number, signed.Agreement)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, again.Outcome)
}
