package stripe

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	api "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

func TestSettingsAreNamedWhereTheyAreWrong(t *testing.T) {
	good := Settings{Key: "sk_test_123456789", WebhookSecrets: []string{"whsec_12345678"}, Currencies: []string{"USD"}}
	c, err := New(good)
	require.NoError(t, err)
	require.False(t, c.live)
	for name, bad := range map[string]struct {
		change func(*Settings)
		says   string
	}{
		"publishable key":      {func(s *Settings) { s.Key = "pk_test_123456789" }, "publishable"},
		"webhook's secret":     {func(s *Settings) { s.Key = "whsec_123456789" }, "webhook's secret"},
		"no key":               {func(s *Settings) { s.Key = "" }, "sk_live_"},
		"no secret":            {func(s *Settings) { s.WebhookSecrets = nil }, "no webhook secret"},
		"key as secret":        {func(s *Settings) { s.WebhookSecrets = []string{"sk_test_123456789"} }, "whsec_"},
		"no currency":          {func(s *Settings) { s.Currencies = nil }, "currencies"},
		"currency as Stripe's": {func(s *Settings) { s.Currencies = []string{"usd"} }, "three capitals"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			bad.change(&s)
			_, err := New(s)
			require.ErrorContains(t, err, bad.says)
			require.NotContains(t, err.Error(), "123456789")
		})
	}
	good.Key = "rk_live_123456789"
	c, err = New(good)
	require.NoError(t, err)
	require.True(t, c.live)
}

// TestTheVersionIsPinned: a new version of the library brings a new one, which must be looked at (docs/channel-stripe.md).
func TestTheVersionIsPinned(t *testing.T) { require.Equal(t, "2026-03-25.dahlia", Version) }

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		currency string
		minor    int64
		units    int64 // 0: no amount that Stripe can charge
	}{
		{"USD", 199, 199}, {"JPY", 500, 500}, {"ISK", 5, 500}, {"UGX", 7, 700}, {"MGA", 300, 3}, {"MGA", 301, 0}, {"KWD", 1230, 1230}, {"KWD", 1234, 0}, {"USD", 0, 0}, {"USD", -5, 0},
	} {
		got, err := units(channel.Money{Amount: money.Minor(c.minor), Currency: c.currency})
		if c.units == 0 {
			require.ErrorIs(t, err, channel.ErrUnsupported, c)
			continue
		}
		require.NoError(t, err, c)
		require.Equal(t, c.units, got, c)
	}
	_, err := amount(150, "isk")
	require.Error(t, err)
}

func TestUnitsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := channel.Money{Amount: money.Minor(rapid.Int64Range(1, 1e12).Draw(t, "minor")), Currency: rapid.SampledFrom([]string{"USD", "JPY", "ISK", "MGA", "KWD"}).Draw(t, "currency")}
		n, err := units(m)
		if err != nil {
			return
		}
		back, err := amount(n, api.Currency(m.Currency))
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}

var at = time.Unix(1772413200, 0)

func signed(body []byte, secret string) channel.Notification {
	p := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
	return channel.Notification{Header: http.Header{"Stripe-Signature": {p.Header}}, Body: body, At: at}
}

// TestASignatureOfTheLibrary holds our own reading to what Stripe's library makes.
func TestASignatureOfTheLibrary(t *testing.T) {
	c, err := New(Settings{Key: "sk_test_123456789", WebhookSecrets: []string{"whsec_12345678"}, Currencies: []string{"USD"}})
	require.NoError(t, err)
	body := []byte(`{"id":"evt_1","type":"payment_intent.succeeded","created":1772413200,"livemode":false,"data":{"object":{"id":"pi_1","status":"succeeded","amount":500,
		"amount_received":500,"currency":"usd","created":1772413100,"metadata":{"purselane":"20260302000000000001"},"latest_charge":"ch_1"}}}`)
	events, err := c.Notified(t.Context(), signed(body, "whsec_12345678"))
	require.NoError(t, err)
	require.Equal(t, []channel.Event{{ID: "evt_1", About: channel.OfPayment, Result: channel.Result{Outcome: channel.Succeeded, Number: "20260302000000000001", ChannelID: "pi_1",
		Money: channel.Money{Amount: money.Minor(500), Currency: "USD"}, At: at}}}, events)
}

// FuzzNotified: whatever comes over the wire, signed or not, reads or is refused; and only what is signed is believed.
func FuzzNotified(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"status":"succeeded","amount_received":5,"currency":"usd","metadata":{"purselane":"20260302000000000001"}}}}`), "t=1,v1=ab", true)
	f.Add([]byte(`{"id":"evt_1","type":"payment_intent.payment_failed","data":{"object":{"status":"requires_payment_method","last_payment_error":{"code":"card_declined"},"metadata":{"purselane":"20260302000000000001"}}}}`), "", true)
	f.Add([]byte(`{"type":"refund.updated","data":{"object":{"status":"failed","failure_reason":"x","currency":"isk","amount":3,"metadata":{"purselane":"20260302000000000001"}}}}`), "v1=00,t=1772413200", true)
	f.Add([]byte(`{"type":"refund.updated","data":null}`), "t=1772413200,v1=", true)
	f.Add([]byte(``), "t==,v1", false)
	c, err := New(Settings{Key: "sk_test_123456789", WebhookSecrets: []string{"whsec_12345678"}, Currencies: []string{"USD"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte, header string, sign bool) {
		n := channel.Notification{Header: http.Header{"Stripe-Signature": {header}}, Body: body, At: at}
		if sign {
			n = signed(body, "whsec_12345678")
		}
		events, err := c.Notified(t.Context(), n)
		if err != nil {
			require.Empty(t, events)
		}
		if !sign {
			var forged *channel.ForgedError
			require.ErrorAs(t, err, &forged)
		}
		for _, e := range events {
			require.NotEmpty(t, e.Result.Number)
		}
	})
}
