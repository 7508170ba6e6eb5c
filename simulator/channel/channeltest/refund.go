package channeltest

import (
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

func refundInParts(s *stand) {
	n := s.pay(1000)
	for i, part := range []int64{300, 600, 100} {
		r := s.refundOf(n, number(), part)
		res := s.settle(r)
		require.Equal(s.t, channel.Succeeded, res.Outcome, "part %d", i+1)
		require.Equal(s.t, r.Number, res.Number, "a refund's result must name the refund's number")
	}
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 1000}, s.Truth(n))
	require.NotEqual(s.t, channel.Failed, s.query(n).Outcome, "a payment that was refunded was paid")
}

func sameRefundAgain(s *stand) {
	n := s.pay(1000)
	r := s.refundOf(n, number(), 400)
	require.Equal(s.t, channel.Succeeded, s.settle(r).Outcome)
	require.NotContains(s.t, []channel.Outcome{channel.Failed, channel.Closed, channel.Missing}, s.settle(r).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 400}, s.Truth(n))
}

func refundAnswerLost(s *stand) {
	n := s.pay(1000)
	r := s.refundOf(n, number(), 400)
	sent := s.Clock.Now()
	s.Weather.Next(sim.Refund, sim.Fate{Cut: sim.CutAfter})
	res, err := s.Channel.Refund(s.ctx, r)
	require.False(s.t, res.Outcome.Final())
	require.NotErrorIs(s.t, err, channel.ErrNotSent)
	res, err = s.Channel.Refund(s.ctx, r)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Succeeded, s.settled(r, sent, res).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 400}, s.Truth(n))
}

func refundAnotherAmount(s *stand) {
	n := s.pay(1000)
	r := s.refundOf(n, number(), 400)
	require.Equal(s.t, channel.Succeeded, s.settle(r).Outcome)
	other := s.refundOf(n, r.Number, 500)
	res, err := s.Channel.Refund(s.ctx, other)
	require.False(s.t, err == nil && res.Outcome == channel.Succeeded && minor(res.Money) == 500, "one number gave back two amounts")
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 400}, s.Truth(n))
}

func overRefund(s *stand) {
	n := s.pay(1000)
	require.Equal(s.t, channel.Succeeded, s.settle(s.refundOf(n, number(), 700)).Outcome)
	res := s.settle(s.refundOf(n, number(), 301))
	require.Equal(s.t, channel.Failed, res.Outcome, "more than was paid")
	require.NotEmpty(s.t, res.Code)
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 700}, s.Truth(n))
	require.Equal(s.t, channel.Succeeded, s.settle(s.refundOf(n, number(), 300)).Outcome, "what is left can still be given back")
}

func refundOfUnknown(s *stand) {
	n := number()
	s.request(n, 1000, Pays)
	s.sent[n] = s.Clock.Now()
	res, err := s.Channel.Refund(s.ctx, s.refundOf(n, number(), 100))
	require.NoError(s.t, err)
	require.Contains(s.t, []channel.Outcome{channel.Failed, channel.Missing}, res.Outcome)
}

func unknownRefund(s *stand) {
	n := s.pay(1000)
	res, err := s.Channel.QueryRefund(s.ctx, refundRef(s.refundOf(n, number(), 100), s.Clock.Now()))
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Missing, res.Outcome)
}

func void(s *stand) {
	n := s.pay(1000)
	r := s.refundOf(n, number(), 1000)
	v := s.Channel.(channel.Voider)
	s.Weather.Next(sim.Void, sim.Fate{Cut: sim.CutAfter})
	res, err := v.Void(s.ctx, r)
	require.False(s.t, err != nil && res.Outcome.Final())
	sent := s.Clock.Now()
	for range 2 {
		res, err = v.Void(s.ctx, r)
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Succeeded, s.settled(r, sent, res).Outcome)
	}
	require.Equal(s.t, Truth{Charges: 1, Paid: 1000, Refunded: 1000}, s.Truth(n))
}
