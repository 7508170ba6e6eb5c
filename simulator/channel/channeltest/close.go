package channeltest

import (
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

func closed(s *stand) {
	n := number()
	res, err := s.ask(s.request(n, 600, Waits))
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Pending, res.Outcome, "a payer who waits")
	for range 2 {
		res, err = s.Channel.Close(s.ctx, s.ref(n))
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Closed, res.Outcome)
	}
	require.Error(s.t, s.Act(n), "the payer paid what was closed")
	require.Contains(s.t, []channel.Outcome{channel.Closed, channel.Missing}, s.query(n).Outcome)
	require.Equal(s.t, Truth{}, s.Truth(n))
}

func closeOfPaid(s *stand) {
	n := number()
	_, err := s.ask(s.request(n, 600, Waits))
	require.NoError(s.t, err)
	require.NoError(s.t, s.Act(n))
	res, err := s.Channel.Close(s.ctx, s.ref(n))
	require.NoError(s.t, err)
	if s.GivesBack && res.Outcome == channel.Closed {
		s.givenBack(n)
		return
	}
	require.NotContains(s.t, []channel.Outcome{channel.Closed, channel.Failed, channel.Missing}, res.Outcome, "the payer was faster")
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 600}, s.Truth(n))
}

func closeOfUnknown(s *stand) {
	n := number()
	s.request(n, 600, Waits)
	s.sent[n] = s.Clock.Now()
	res, err := s.Channel.Close(s.ctx, s.ref(n))
	if err == nil {
		require.Contains(s.t, []channel.Outcome{channel.Missing, channel.Closed}, res.Outcome)
	}
}

// lateSuccess: a channel has let a payer through who was too late. It must be told as it is, whatever was said before.
func lateSuccess(s *stand) {
	n := number()
	_, err := s.ask(s.request(n, 600, Waits))
	require.NoError(s.t, err)
	res, err := s.Channel.Close(s.ctx, s.ref(n))
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Closed, res.Outcome)
	s.Weather.Set(sim.Faults{LateSuccess: true})
	require.NoError(s.t, s.Act(n), "the simulator was told to let him through")
	if s.GivesBack {
		s.givenBack(n)
		return
	}
	require.Equal(s.t, channel.Succeeded, s.await(n).Outcome)
	if s.Notifier != nil {
		s.untilTold(n)
	}
	require.Equal(s.t, Truth{Charges: 1, Paid: 600}, s.Truth(n))
}

// givenBack: what came too late goes back by itself, and nobody is told that it was paid.
func (s *stand) givenBack(n string) {
	for range patience {
		s.notifications()
		res, err := s.Channel.Query(s.ctx, s.ref(n))
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Closed, res.Outcome)
		require.False(s.t, s.succeeded(n))
		truth := s.Truth(n)
		require.LessOrEqual(s.t, truth.Charges, 1)
		if truth.Refunded == truth.Paid {
			return
		}
		s.Clock.Advance(between)
	}
	require.Fail(s.t, "not given back")
}
