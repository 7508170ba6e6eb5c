package stripe_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/stripe"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
	"github.com/purselane/purselane/simulator/channel/stripe"
)

const (
	key    = "sk_test_simulated0001"
	secret = "whsec_simulated0001"
)

// stand is an adapter in front of a simulator.
type stand struct {
	clock *clock.Manual
	sim   *stripe.Simulator
	http  *http.Client
	t     *testing.T
}

func newStand(t *testing.T, change ...func(*stripe.Settings)) *stand {
	c := clock.NewManual(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC))
	w := sim.NewWeather(1)
	s := stripe.Settings{Key: key, Version: adapter.Version, Endpoint: "https://gateway.example/stripe", Secret: secret, RefundDelay: 2 * time.Minute,
		Currency: "hkd", Rates: map[string]stripe.Ratio{"usd": {Num: 78, Den: 10}}}
	for _, f := range change {
		f(&s)
	}
	m := stripe.New(s, c, w)
	return &stand{clock: c, sim: m, http: sim.Client(m, w), t: t}
}

func (s *stand) adapter(change ...func(*adapter.Settings)) *adapter.Channel {
	set := adapter.Settings{Key: key, WebhookSecrets: []string{secret}, Currencies: []string{"USD", "JPY"}, Clock: s.clock, HTTP: s.http, URL: "https://api.stripe.example"}
	for _, f := range change {
		f(&set)
	}
	c, err := adapter.New(set)
	require.NoError(s.t, err)
	return c
}

func request(number string, minor int64, card string) channel.PayRequest {
	return channel.PayRequest{Number: number, Product: channel.Card, Money: channel.Money{Amount: money.Minor(minor), Currency: "USD"}, Subject: "ride", Context: "10010203040500000001",
		ReturnURL: "https://app.example/paid", Payer: channel.Payer{Token: card}}
}

func (s *stand) truth(number string) channeltest.Truth {
	n, paid, back := s.sim.Count(number)
	return channeltest.Truth{Charges: n, Paid: paid, Refunded: back}
}

func bench(t *testing.T) *channeltest.Bench { return benchOf(t, func(*http.Client) {}) }

// benchOf lets somebody listen to what the adapter sends.
func benchOf(t *testing.T, listen func(*http.Client)) *channeltest.Bench {
	s := newStand(t)
	listen(s.http)
	cards := map[channeltest.Will]string{channeltest.Pays: "pm_card_visa", channeltest.Declines: "pm_card_visa_chargeDeclined", channeltest.Waits: "pm_card_authenticationRequired"}
	return &channeltest.Bench{
		Channel: s.adapter(), Clock: s.clock, Weather: s.sim.Weather, Notifier: s.sim.Notifier, Act: s.sim.Act, Truth: s.truth,
		Request: func(number string, minor int64, will channeltest.Will) channel.PayRequest {
			return request(number, minor, cards[will])
		},
		Forgeries: func(genuine channel.Notification) []channeltest.Forgery {
			old := genuine
			old.At = genuine.At.Add(6 * time.Minute)
			early := genuine
			early.At = genuine.At.Add(-6 * time.Minute)
			unsigned := genuine
			unsigned.Header = http.Header{"Content-Type": genuine.Header.Values("Content-Type")}
			twice := genuine
			twice.Header = http.Header{"Stripe-Signature": {genuine.Header.Get("Stripe-Signature") + ",t=1"}}
			live := stripe.Sign([]byte(strings.ReplaceAll(string(genuine.Body), `"livemode": false`, `"livemode": true`)), secret, genuine.At)
			return []channeltest.Forgery{
				{Name: "old", Notification: old, Why: "5 minutes"},
				{Name: "from the future", Notification: early, Why: "5 minutes"},
				{Name: "unsigned", Notification: unsigned, Why: "no Stripe-Signature"},
				{Name: "two times", Notification: twice, Why: "t is not one time"},
				{Name: "another endpoint's secret", Notification: stripe.Sign(genuine.Body, "whsec_another0001", genuine.At), Why: "this endpoint's secret"},
				{Name: "the API key as secret", Notification: stripe.Sign(genuine.Body, key, genuine.At), Why: "this endpoint's secret"},
				{Name: "live mode", Notification: live, Why: "live mode"},
			}
		},
		WrongKeys: []channeltest.WrongKey{
			{Name: "API key", Channel: s.adapter(func(a *adapter.Settings) { a.Key = "sk_test_another00001" }), Says: "API key is not accepted"},
			{Name: "webhook secret", Channel: s.adapter(func(a *adapter.Settings) { a.WebhookSecrets = []string{"whsec_another0001"} }), Says: "this endpoint's secret", Notify: true},
		},
		Codes: []channeltest.Code{
			{Code: "insufficient_funds", Outcome: channel.Failed, Class: channel.ByPayer},
			{Code: "generic_decline", Outcome: channel.Failed, Class: channel.ByIssuer},
			{Code: "issuer_not_available", Outcome: channel.Failed, Class: channel.ByIssuer},
			{Code: "stolen_card", Outcome: channel.Failed, Class: channel.ByRisk},
			{Code: "fraudulent", Outcome: channel.Failed, Class: channel.ByRisk},
			{Code: "processing_error", Outcome: channel.Failed, Class: channel.ByChannel},
			{Code: "card_not_supported", Outcome: channel.Failed, Class: channel.NotSupported},
			{Code: "api_error"}, {Code: "rate_limit"}, {Code: "lock_timeout"},
		},
	}
}

func TestSuite(t *testing.T) { channeltest.Run(t, bench) }

// TestWorstDay: what stands before Stripe answers anything.
func TestWorstDay(t *testing.T) {
	s := newStand(t)
	channeltest.WorstDay(t, channeltest.Worst{
		Channel: func(w channeltest.Wire) channel.Channel {
			return s.adapter(func(set *adapter.Settings) { set.HTTP = &http.Client{Transport: w} })
		},
		Pay:     request("wd000000000000000000001", 900, "pm_card_visa"),
		Success: `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":900,"amount_received":900,"currency":"usd","metadata":{"purselane":"wd000000000000000000001"}}`,
	})
}
