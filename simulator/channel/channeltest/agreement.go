package channeltest

import (
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

// signed has a payer sign an agreement, and returns our number of it and the channel's.
func (s *stand) signed() (channel.Agreements, string, string) {
	s.t.Helper()
	a, n := s.Channel.(channel.Agreements), number()
	_, err := a.Sign(s.ctx, s.Sign(n))
	require.NoError(s.t, err)
	require.NoError(s.t, s.Act(n))
	got, err := a.QueryAgreement(s.ctx, n, "")
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Succeeded, got.Outcome)
	return a, n, got.Agreement
}

// endedThere: the payer ends an agreement at the channel and nobody tells us. A question finds it, and no money is taken any more.
func endedThere(s *stand) {
	a, n, agreement := s.signed()
	s.notifications()
	require.NoError(s.t, s.EndThere(n))
	got, err := a.QueryAgreement(s.ctx, n, agreement)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Closed, got.Outcome)
	require.Equal(s.t, channel.Failed, s.debit(s.Debit(number(), agreement, 300)).Outcome, "debited after the end of the agreement")
	got, err = a.Unsign(s.ctx, n, agreement)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Closed, got.Outcome, "ended already")
}

// debit asks for a debit and waits for the channel's word.
func (s *stand) debit(r channel.PayRequest) channel.Result {
	s.t.Helper()
	s.requests[r.Number] = r
	res, err := s.ask(r)
	require.NoError(s.t, err)
	if res.Outcome == channel.Failed {
		return res
	}
	return s.await(r.Number)
}

// debitAnswerLost: the same debit asked for again takes the money once, even after the agreement has ended.
func debitAnswerLost(s *stand) {
	a, n, agreement := s.signed()
	r := s.Debit(number(), agreement, 300)
	s.requests[r.Number] = r
	s.Weather.Next(sim.Pay, sim.Fate{Cut: sim.CutAfter})
	res, err := s.ask(r)
	s.notKnown(res, err)
	require.Equal(s.t, channel.Succeeded, s.debit(r).Outcome)
	_, err = a.Unsign(s.ctx, n, agreement)
	require.NoError(s.t, err)
	res, err = s.ask(r)
	require.NoError(s.t, err)
	require.NotEqual(s.t, channel.Failed, res.Outcome, "it has taken the money")
	require.Equal(s.t, channel.Succeeded, s.await(r.Number).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 300}, s.Truth(r.Number))
}

// unsignAnswerLost: whether it has ended is asked.
func unsignAnswerLost(s *stand) {
	a, n, agreement := s.signed()
	for _, cut := range []sim.Cut{sim.CutBefore, sim.CutAfter} {
		s.Weather.Next(sim.Unsign, sim.Fate{Cut: cut})
		got, err := a.Unsign(s.ctx, n, agreement)
		require.Error(s.t, err)
		require.Zero(s.t, got.Outcome)
		got, err = a.QueryAgreement(s.ctx, n, agreement)
		require.NoError(s.t, err)
		require.Equal(s.t, map[sim.Cut]channel.Outcome{sim.CutBefore: channel.Succeeded, sim.CutAfter: channel.Closed}[cut], got.Outcome)
	}
}

// toldOfAgreement: a forged notice of a signing says nothing; the true one comes, and that of the end the payer makes without us.
func toldOfAgreement(s *stand) {
	s.Weather.Set(sim.Faults{NotifyForged: 1, NotifyDoubled: 1})
	_, n, agreement := s.signed()
	s.notifications()
	require.Positive(s.t, s.forged)
	said := s.told(channel.OfAgreement, n)
	require.Len(s.t, said, 2, "the true one, twice")
	for _, e := range said {
		require.Equal(s.t, channel.Succeeded, e.Result.Outcome)
		require.Equal(s.t, agreement, e.Agreement)
	}
	require.NoError(s.t, s.EndThere(n))
	s.notifications()
	said = s.told(channel.OfAgreement, n)
	require.Len(s.t, said, 4)
	require.Equal(s.t, channel.Closed, said[3].Result.Outcome)
	require.Equal(s.t, agreement, said[3].Agreement)
}

// toldTooLate: the notice of a signing arrives after the payer has ended the agreement again. It must not bring it back.
func toldTooLate(s *stand) {
	_, n, _ := s.signed()
	require.NoError(s.t, s.EndThere(n))
	s.notifications()
	said := s.told(channel.OfAgreement, n)
	require.NotEmpty(s.t, said)
	for _, e := range said {
		require.Equal(s.t, channel.Closed, e.Result.Outcome)
	}
}
