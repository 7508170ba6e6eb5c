package stripe_test

import (
	"fmt"
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

const n1, n2, n3 = "20260302000000000001", "20260302000000000002", "20260302000000000003"

// TestAForgottenKeyDoesNotChargeAgain: Stripe keeps an idempotency key for a day, and a payment may be asked for again after that.
func TestAForgottenKeyDoesNotChargeAgain(t *testing.T) {
	for name, sent := range map[string]func(time.Time) time.Time{
		"with its time": func(at time.Time) time.Time { return at },
		"without it":    func(time.Time) time.Time { return time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			c := s.adapter()
			r := request(n1, 1000, "pm_card_visa")
			r.Sent = sent(s.clock.Now())
			_, err := c.Pay(t.Context(), r)
			require.NoError(t, err)
			s.clock.Advance(25 * time.Hour)
			s.sim.Forget()
			res, err := c.Pay(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, res.Outcome)
			require.Equal(t, channeltest.Truth{Charges: 1, Paid: 1000}, s.truth(n1))

			r.Money.Amount = money.Minor(1100)
			_, err = c.Pay(t.Context(), r)
			require.ErrorContains(t, err, "same number")

			back := channel.RefundRequest{Number: n2, Of: channel.Ref{Number: n1, ChannelID: res.ChannelID}, Money: channel.Money{Amount: money.Minor(100), Currency: "USD"}, Sent: sent(s.clock.Now())}
			for range 2 {
				_, err = c.Refund(t.Context(), back)
				require.NoError(t, err)
				s.clock.Advance(25 * time.Hour)
				s.sim.Forget()
			}
			require.Equal(t, channeltest.Truth{Charges: 1, Paid: 1000, Refunded: 100}, s.truth(n1))
			back.Money.Amount = money.Minor(200)
			_, err = c.Refund(t.Context(), back)
			require.ErrorContains(t, err, "another amount")
		})
	}
}

// TestAFreshPaymentIsFoundAmongMany: what is too new to be searched for is found in the list, on whatever page.
func TestAFreshPaymentIsFoundAmongMany(t *testing.T) {
	s := newStand(t, func(s *stripe.Settings) { s.SearchDelay = 59 * time.Minute })
	c := s.adapter()
	sent := s.clock.Now()
	s.sim.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	_, err := c.Pay(t.Context(), request(n1, 1000, "pm_card_visa"))
	require.Error(t, err)
	for i := range 250 {
		r := request(fmt.Sprintf("20260302100000%06d", i), 500, "pm_card_visa")
		r.Sent = sent
		_, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
	}
	for _, later := range []time.Duration{0, 30 * time.Minute, 2 * time.Hour, 100 * time.Hour} {
		s.clock.Advance(later)
		res, err := c.Query(t.Context(), channel.Ref{Number: n1, Sent: sent})
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, res.Outcome, later)
	}
	res, err := c.Query(t.Context(), channel.Ref{Number: n2, Sent: s.clock.Now()})
	require.NoError(t, err)
	require.Equal(t, channel.Missing, res.Outcome)
}

func TestAnIncrementIsMadeOnce(t *testing.T) {
	s := newStand(t)
	c := s.adapter()
	held, err := c.Authorise(t.Context(), request(n1, 1000, "pm_card_visa"))
	require.NoError(t, err)
	require.EqualValues(t, 1000, held.Money.Amount.Minor())
	step := channel.RefundRequest{Number: n2, Of: channel.Ref{Number: n1}, Money: channel.Money{Amount: money.Minor(300), Currency: "USD"}}
	s.sim.Weather.Next(sim.Increment, sim.Fate{Cut: sim.CutAfter})
	_, err = c.Increment(t.Context(), step)
	require.Error(t, err)
	for range 2 {
		res, err := c.Increment(t.Context(), step)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, res.Outcome)
	}
	held, err = c.Query(t.Context(), channel.Ref{Number: n1})
	require.NoError(t, err)
	require.EqualValues(t, 1300, held.Money.Amount.Minor())

	_, err = c.Authorise(t.Context(), request(n3, 1000, "pm_card_amex"))
	require.NoError(t, err)
	step.Number, step.Of.Number = "20260302000000000009", n3
	res, err := c.Increment(t.Context(), step)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, res.Outcome)
	require.Equal(t, channel.NotSupported, res.Class)

	closed, err := c.Close(t.Context(), channel.Ref{Number: n3})
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, closed.Outcome, "closing does not release what is reserved")
}

// TestTheBillTellsBothCurrencies: what was charged, and what came of it in the account's currency.
func TestTheBillTellsBothCurrencies(t *testing.T) {
	s := newStand(t)
	c := s.adapter()
	_, err := c.Pay(t.Context(), request(n1, 1000, "pm_card_visa"))
	require.NoError(t, err)
	_, err = c.Refund(t.Context(), channel.RefundRequest{Number: n2, Of: channel.Ref{Number: n1}, Money: channel.Money{Amount: money.Minor(400), Currency: "USD"}})
	require.NoError(t, err)
	s.clock.Advance(24 * time.Hour)
	var rows []channel.BillRow
	require.NoError(t, c.Bill(t.Context(), "2026-03-02", func(r channel.BillRow) error { rows = append(rows, r); return nil }))
	require.Len(t, rows, 2)
	require.Equal(t, channel.OfRefund, rows[0].Kind, "newest first")
	require.Equal(t, n1, rows[0].Of)
	require.Equal(t, channel.Money{Amount: money.Minor(3120), Currency: "HKD"}, rows[0].Settled)
	require.Equal(t, channel.Money{Amount: money.Minor(1000), Currency: "USD"}, rows[1].Money)
	require.Equal(t, channel.Money{Amount: money.Minor(7800), Currency: "HKD"}, rows[1].Settled)
	require.EqualValues(t, 256, rows[1].Fee.Minor(), "2.9 % of 78.00 and 0.30")
}

func TestACustomersCardAndOneThatMayNotAsk(t *testing.T) {
	s := newStand(t)
	c := s.adapter()
	r := request(n1, 1000, "cus_1:pm_card_visa")
	res, err := c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, res.Outcome)

	r = request(n2, 1000, "pm_card_authenticationRequired")
	r.ReturnURL = ""
	res, err = c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Failed, res.Outcome)
	require.Equal(t, "authentication_required", res.Code)

	r = request(n3, 1000, "pm_card_authenticationRequired")
	res, err = c.Pay(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, channel.Pending, res.Outcome)
	require.Contains(t, res.Action.URL, "https://")

	for _, bad := range []string{"", "4242424242424242", "tok_1", "pm_1:pm_2", "cus_1:"} {
		_, err := c.Pay(t.Context(), request("20260302000000000010", 1000, bad))
		require.ErrorContains(t, err, "token")
		require.NotContains(t, err.Error(), "4242", "what was given as token is not shown")
	}
}

// TestErrorsShowNoPayer: the library's errors print the whole answer, in which a payment's secret is.
func TestErrorsShowNoPayer(t *testing.T) {
	s := newStand(t)
	c := s.adapter()
	_, err := c.Pay(t.Context(), request(n1, 1000, "pm_card_visa_chargeDeclined"))
	require.NoError(t, err)
	for number, code := range map[string]string{n2: "api_error", n3: "rate_limit"} {
		s.sim.Weather.Next(sim.Pay, sim.Fate{Error: code, AndDone: code == "api_error"})
		_, err := c.Pay(t.Context(), request(number, 1000, "pm_card_visa"))
		require.Error(t, err)
		for _, hidden := range []string{"_secret_", key, "4242", "pm_card"} {
			require.NotContains(t, err.Error(), hidden)
		}
	}
	_, err = s.adapter(func(a *adapter.Settings) { a.Key = "sk_test_another00001" }).Query(t.Context(), channel.Ref{Number: n1})
	require.ErrorContains(t, err, "API key is not accepted")
	require.NotContains(t, err.Error(), "another00001")
}

func TestARolledSecretAndAnAccountOfOthers(t *testing.T) {
	s := newStand(t)
	c := s.adapter(func(a *adapter.Settings) { a.WebhookSecrets = []string{"whsec_thenextone1", secret} })
	other := stripe.Sign([]byte(`{"id":"evt_1","type":"payment_intent.succeeded","livemode":false,"data":{"object":{"id":"pi_1","status":"succeeded","metadata":{}}}}`), secret, s.clock.Now())
	events, err := c.Notified(t.Context(), other)
	require.NoError(t, err)
	require.Empty(t, events, "a payment that somebody else made with the account")
	other = stripe.Sign([]byte(`{"id":"evt_2","type":"customer.created","livemode":false,"data":{"object":{}}}`), secret, s.clock.Now())
	events, err = c.Notified(t.Context(), other)
	require.NoError(t, err)
	require.Empty(t, events)
	_, err = c.Notified(t.Context(), stripe.Sign([]byte(`[]`), secret, s.clock.Now()))
	require.ErrorContains(t, err, "does not read")
	require.Equal(t, 200, c.Answer(nil).Status)
	require.Equal(t, 500, c.Answer(err).Status)
}

// fast is a clock that goes ahead of another.
type fast struct {
	clock.Clock
	by time.Duration
}

func (f fast) Now() time.Time { return f.Clock.Now().Add(f.by) }

// TestOurClockIsWrong by minutes: a payment that was made is never missing, and the error says what is wrong. When the clock is set, it is found by the time that was wrong, too.
func TestOurClockIsWrong(t *testing.T) {
	for _, minutes := range []time.Duration{-70, -10, -4, 0, 4, 10, 70} {
		s := newStand(t)
		c := s.adapter(func(set *adapter.Settings) { set.Clock = fast{s.clock, minutes * time.Minute} })
		r := request("20260302000000000001", 900, "pm_card_visa")
		r.Sent = s.clock.Now().Add(minutes * time.Minute)
		_, err := c.Pay(t.Context(), r)
		require.NoError(t, err)
		for after := range 4 { // before it can be searched for, and then
			got, err := c.Query(t.Context(), channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
			if err != nil {
				require.ErrorContains(t, err, "clock is "+(minutes*time.Minute).String()+" ahead", "%d minutes", minutes)
				require.Equal(t, channel.Unknown, got.Outcome)
				require.Greater(t, minutes, time.Duration(5))
			} else {
				require.Equal(t, channel.Succeeded, got.Outcome, "%d minutes, %d later", minutes, after)
			}
			set, err := s.adapter().Query(t.Context(), channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, set.Outcome, "%d minutes, and the clock is set", minutes)
			s.clock.Advance(30 * time.Second)
		}
	}
}
