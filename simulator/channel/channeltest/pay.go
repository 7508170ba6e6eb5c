package channeltest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

func success(s *stand) {
	n := number()
	res, err := s.ask(s.request(n, 1234, Pays))
	require.NoError(s.t, err)
	require.Contains(s.t, []channel.Outcome{channel.Pending, channel.Succeeded}, res.Outcome)
	if s.caps.Sync {
		require.Equal(s.t, channel.Succeeded, res.Outcome, "Capabilities.Sync")
	}
	require.NoError(s.t, s.Act(n))
	last := s.await(n)
	require.Equal(s.t, channel.Succeeded, last.Outcome)
	require.EqualValues(s.t, 1234, minor(last.Money), "the query must say how much")
	require.NotEmpty(s.t, last.ChannelID, "the query must say the channel's number")
	require.False(s.t, last.At.IsZero(), "the query must say when")
	require.Equal(s.t, Truth{Charges: 1, Paid: 1234}, s.Truth(n))

	again, err := s.ask(s.requests[n])
	if err == nil {
		require.NotContains(s.t, []channel.Outcome{channel.Failed, channel.Closed, channel.Missing}, again.Outcome, "asked again about what is paid")
	}
	require.Equal(s.t, Truth{Charges: 1, Paid: 1234}, s.Truth(n))
}

func decline(s *stand) {
	n := number()
	res, err := s.ask(s.request(n, 1234, Declines))
	require.NoError(s.t, err)
	_ = s.Act(n)
	if res.Outcome != channel.Failed {
		res = s.query(n)
	}
	if res.Outcome != channel.Failed {
		require.Equal(s.t, channel.Pending, res.Outcome, "declined by the payer: failed, or the channel still waits")
		if s.caps.Close {
			res, err = s.Channel.Close(s.ctx, s.ref(n))
			require.NoError(s.t, err)
			require.Equal(s.t, channel.Closed, res.Outcome)
		}
	} else {
		require.NotEmpty(s.t, res.Code, "a failure must say the channel's code")
		require.NotEqual(s.t, channel.NoClass, res.Class, "code %s has no class", res.Code)
	}
	require.Equal(s.t, Truth{}, s.Truth(n))
	s.notifications()
	require.False(s.t, s.succeeded(n))
}

func codes(s *stand) {
	for _, c := range s.Codes {
		n := number()
		s.Weather.Next(sim.Pay, sim.Fate{Error: c.Code})
		res, err := s.ask(s.request(n, 500, Pays))
		if c.Outcome == channel.Unknown {
			s.lost(channel.Unknown, res, "code "+c.Code)
			continue
		}
		require.NoError(s.t, err, "code %s", c.Code)
		require.Equal(s.t, c.Outcome, res.Outcome, "code %s", c.Code)
		require.Equal(s.t, c.Code, res.Code)
		require.Equal(s.t, c.Class, res.Class, "code %s", c.Code)
	}
}

func unknownPayment(s *stand) {
	n := number()
	s.request(n, 500, Pays)
	s.sent[n] = s.Clock.Now()
	require.Equal(s.t, channel.Missing, s.query(n).Outcome)
}

func requestLost(s *stand) {
	n := number()
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutBefore})
	res, err := s.ask(s.request(n, 700, Pays))
	s.notKnown(res, err)
	s.lost(channel.Missing, s.query(n), "a request that was lost is not known to the channel")

	_, err = s.ask(s.requests[n])
	require.NoError(s.t, err)
	require.NoError(s.t, s.Act(n))
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 700}, s.Truth(n))
}

// lost: what was lost on the way is as it is said; a channel that remembers goes on with it by itself.
func (s *stand) lost(as channel.Outcome, res channel.Result, why string) {
	s.t.Helper()
	if s.Remembers {
		require.Contains(s.t, []channel.Outcome{channel.Pending, channel.Succeeded}, res.Outcome, why)
		return
	}
	require.Equal(s.t, as, res.Outcome, why)
}

// notKnown: nobody has said what became of it.
func (s *stand) notKnown(res channel.Result, err error) {
	s.t.Helper()
	require.Contains(s.t, []channel.Outcome{channel.Unknown, channel.Pending}, res.Outcome, "error: %v", err)
	if res.Outcome == channel.Unknown {
		require.NotErrorIs(s.t, err, channel.ErrNotSent, "the request has left")
	}
}

func answerLost(s *stand) {
	n := number()
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	res, err := s.ask(s.request(n, 700, Pays))
	s.notKnown(res, err)
	_, err = s.ask(s.requests[n])
	require.NoError(s.t, err)
	_ = s.Act(n) // a channel may have taken the money with the first request
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	_, _ = s.ask(s.requests[n])
	require.Equal(s.t, Truth{Charges: 1, Paid: 700}, s.Truth(n))
}

func answerLostThenQueried(s *stand) {
	n := number()
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	res, err := s.ask(s.request(n, 700, Pays))
	s.notKnown(res, err)
	require.Contains(s.t, []channel.Outcome{channel.Pending, channel.Succeeded}, s.query(n).Outcome)
	require.NoError(s.t, s.Act(n))
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 700}, s.Truth(n))
}

// doneButAnsweredWithAnError: what a channel says of itself while it is in trouble must not be taken for the payment's end.
func doneButAnsweredWithAnError(s *stand) {
	for _, c := range s.Codes {
		if c.Outcome != channel.Unknown {
			continue
		}
		n := number()
		s.Weather.Next(sim.Pay, sim.Fate{Error: c.Code, AndDone: true})
		res, err := s.ask(s.request(n, 700, Pays))
		s.notKnown(res, err)
		require.NoError(s.t, s.Act(n))
		require.Equal(s.t, channel.Succeeded, s.await(n).Outcome, "code %s", c.Code)
	}
}

func anotherAmount(s *stand) {
	n := s.pay(700)
	other := s.requests[n]
	other.Money = s.Request(n, 800, Pays).Money
	res, err := s.Channel.Pay(s.ctx, other)
	_ = s.Act(n)
	require.False(s.t, err == nil && res.Outcome == channel.Succeeded && minor(res.Money) != 700, "the second amount was taken for paid")
	require.Equal(s.t, Truth{Charges: 1, Paid: 700}, s.Truth(n))
}

func unreachable(s *stand) {
	n := number()
	s.Weather.Unreachable(true)
	res, err := s.ask(s.request(n, 700, Pays))
	s.lost(channel.Unknown, res, "unreachable")
	if !s.Remembers {
		require.Error(s.t, err)
		_, err = s.Channel.Query(s.ctx, s.ref(n))
		require.Error(s.t, err, "an unreachable channel does not say that a payment is missing")
	}
	s.Weather.Unreachable(false)
	s.lost(channel.Missing, s.query(n), "nothing was sent")
}

func contextEnded(s *stand) {
	n := number()
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	r := s.request(n, 700, Pays)
	s.sent[n] = s.Clock.Now()
	res, err := s.Channel.Pay(ctx, r)
	require.Error(s.t, err)
	s.check(n, res, err)
	res, err = s.Channel.Query(ctx, s.ref(n))
	require.Error(s.t, err)
	s.check(n, res, err)
}

func wrongKeys(s *stand) {
	for _, w := range s.WrongKeys {
		var said string
		if w.Notify {
			s.pay(500)
			require.NotEmpty(s.t, s.raw, "a payment was made and nothing was told")
			events, err := w.Channel.Notified(s.ctx, s.raw[len(s.raw)-1])
			require.Empty(s.t, events, w.Name)
			var forged *channel.ForgedError
			require.ErrorAs(s.t, err, &forged, w.Name)
			said = forged.Why
		} else {
			n := number()
			res, err := w.Channel.Pay(s.ctx, s.request(n, 500, Pays))
			require.NotContains(s.t, []channel.Outcome{channel.Succeeded, channel.Pending}, res.Outcome, w.Name)
			if said = res.Code + " " + res.Message; err != nil {
				said = err.Error()
			} else if res.Outcome == channel.Failed {
				require.Equal(s.t, channel.BySetting, res.Class, w.Name)
			}
			if errors.Is(err, channel.ErrNotSent) { // a channel that wants a sign-on first never got the payment
				require.Zero(s.t, s.Truth(n), w.Name)
			}
			signatureOfARefund(s, w)
		}
		require.Contains(s.t, said, w.Says, w.Name)
	}
}

// signatureOfARefund: a refund is owed whatever our keys are. That a channel refuses the signature of its request ends the request and not the refund.
func signatureOfARefund(s *stand, w WrongKey) {
	if !s.Channel.Capabilities().Refund || !w.Signature {
		return
	}
	r := s.refundOf(s.pay(500), number(), 200)
	res, err := w.Channel.Refund(s.ctx, r)
	require.False(s.t, res.Outcome.Final(), "%s: %v, %v", w.Name, res, err)
	require.Equal(s.t, channel.Succeeded, s.settle(r).Outcome, "%s: with the right key", w.Name)
	require.Equal(s.t, Truth{Charges: 1, Paid: 500, Refunded: 200}, s.Truth(r.Of.Number), w.Name)
}
