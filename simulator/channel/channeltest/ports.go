package channeltest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
)

// authorised reserves an amount.
func (s *stand) authorised(amount int64) (channel.Authoriser, string) {
	s.t.Helper()
	n := number()
	var r channel.PayRequest
	if s.Authorise != nil {
		r = s.Authorise(n, amount)
		s.requests[n] = r
	} else {
		r = s.request(n, amount, Pays)
	}
	a := s.Channel.(channel.Authoriser)
	s.sent[n] = s.Clock.Now()
	for range 2 { // asked again it is the same one
		res, err := a.Authorise(s.ctx, r)
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Succeeded, res.Outcome)
	}
	require.Equal(s.t, Truth{}, s.Truth(n), "what is reserved is not taken")
	return a, n
}

func captureAPart(s *stand) {
	a, n := s.authorised(1000)
	r := s.refundOf(n, number(), 400)
	s.Weather.Next(sim.Capture, sim.Fate{Cut: sim.CutAfter})
	res, err := a.Capture(s.ctx, r)
	require.False(s.t, err != nil && res.Outcome.Final())
	for range 2 {
		res, err = a.Capture(s.ctx, r)
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Succeeded, res.Outcome)
	}
	require.Equal(s.t, Truth{Charges: 1, Paid: 400}, s.Truth(n))
	if s.caps.Refund {
		require.Equal(s.t, channel.Failed, s.settle(s.refundOf(n, number(), 401)).Outcome, "more than was captured")
	}
}

func captureTooMuch(s *stand) {
	a, n := s.authorised(1000)
	res, err := a.Capture(s.ctx, s.refundOf(n, number(), 1001))
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Failed, res.Outcome)
	require.Equal(s.t, Truth{}, s.Truth(n))

	res, err = a.Increment(s.ctx, s.refundOf(n, number(), 500))
	if err != nil {
		require.ErrorIs(s.t, err, channel.ErrUnsupported)
		return
	}
	if res.Outcome == channel.Succeeded {
		res, err = a.Capture(s.ctx, s.refundOf(n, number(), 1400))
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Succeeded, res.Outcome)
		require.Equal(s.t, Truth{Charges: 1, Paid: 1400}, s.Truth(n))
	}
}

func releaseAll(s *stand) {
	a, n := s.authorised(1000)
	r := s.refundOf(n, number(), 1000)
	for range 2 {
		res, err := a.Release(s.ctx, r)
		require.NoError(s.t, err)
		require.Contains(s.t, []channel.Outcome{channel.Succeeded, channel.Closed}, res.Outcome)
	}
	res, err := a.Capture(s.ctx, s.refundOf(n, number(), 100))
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Failed, res.Outcome, "captured after the release")
	require.Equal(s.t, Truth{}, s.Truth(n))
}

func agreement(s *stand) {
	a := s.Channel.(channel.Agreements)
	n := number()
	got, err := a.Sign(s.ctx, s.Sign(n))
	require.NoError(s.t, err)
	require.Contains(s.t, []channel.Outcome{channel.Pending, channel.Succeeded}, got.Outcome)
	require.NoError(s.t, s.Act(n))
	s.notifications()
	got, err = a.QueryAgreement(s.ctx, n, "")
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Succeeded, got.Outcome)
	require.NotEmpty(s.t, got.Agreement)

	if s.Debit != nil {
		debit := number()
		r := s.Debit(debit, got.Agreement, 300)
		s.requests[debit] = r
		_, err = s.ask(r)
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Succeeded, s.await(debit).Outcome, "a debit needs nobody")
		require.Equal(s.t, Truth{Charges: 1, Paid: 300}, s.Truth(debit))
	}
	for range 2 {
		ended, err := a.Unsign(s.ctx, n, got.Agreement)
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Closed, ended.Outcome)
	}
	ended, err := a.QueryAgreement(s.ctx, n, got.Agreement)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Closed, ended.Outcome)
	if s.Debit != nil {
		debit := number()
		r := s.Debit(debit, got.Agreement, 300)
		s.requests[debit] = r
		res, err := s.ask(r)
		require.NoError(s.t, err)
		if res.Outcome != channel.Failed {
			res = s.await(debit)
		}
		require.Equal(s.t, channel.Failed, res.Outcome, "debited after the end of the agreement")
	}
	missing, err := a.QueryAgreement(s.ctx, number(), "")
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Missing, missing.Outcome)
}

func payout(s *stand) {
	p := s.Channel.(channel.Payouts)
	n := number()
	r := s.Payout(n, 800)
	for range 2 {
		res, err := p.Payout(s.ctx, r)
		require.NoError(s.t, err)
		require.Contains(s.t, []channel.Outcome{channel.Pending, channel.Succeeded}, res.Outcome)
	}
	require.Equal(s.t, channel.Succeeded, s.paidOut(p, r).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 800}, s.PaidOut(n))

	res, err := p.QueryPayout(s.ctx, channel.Ref{Number: number(), Money: r.Money, Sent: s.Clock.Now()})
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Missing, res.Outcome)
}

func (s *stand) paidOut(p channel.Payouts, r channel.PayoutRequest) channel.Result {
	s.t.Helper()
	ref := channel.Ref{Number: r.Number, Money: r.Money, Sent: s.Clock.Now()}
	for range patience {
		res, err := p.QueryPayout(s.ctx, ref)
		require.NoError(s.t, err)
		if res.Outcome.Final() {
			return res
		}
		s.Clock.Advance(between)
		s.notifications()
	}
	require.Fail(s.t, "no final word on a pay-out")
	return channel.Result{}
}

func payoutAnswerLost(s *stand) {
	p := s.Channel.(channel.Payouts)
	n := number()
	r := s.Payout(n, 800)
	s.Weather.Next(sim.Payout, sim.Fate{Cut: sim.CutAfter})
	res, err := p.Payout(s.ctx, r)
	s.notKnown(res, err)
	require.Equal(s.t, channel.Succeeded, s.paidOut(p, r).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 800}, s.PaidOut(n))
}

// dayOf is the channel's day of a moment.
func (s *stand) dayOf(at time.Time) string {
	return at.In(s.caps.DayZone).Add(-s.caps.DayStart).Format(time.DateOnly)
}

// bill: the rows of a day are the payments and refunds of that day, each once.
func bill(s *stand) {
	day := s.dayOf(s.Clock.Now())
	paid := map[string]int64{}
	for _, amount := range []int64{100, 2500, 99999} {
		paid[s.pay(amount)] = amount
	}
	declined := number()
	_, err := s.ask(s.request(declined, 777, Declines))
	require.NoError(s.t, err)
	back := map[string]int64{}
	if s.caps.Refund {
		n := s.pay(5000)
		paid[n] = 5000
		r := s.refundOf(n, number(), 1200)
		require.Equal(s.t, channel.Succeeded, s.settle(r).Outcome)
		back[r.Number] = 1200
	}
	require.Equal(s.t, day, s.dayOf(s.Clock.Now()), "the bench must start early enough in a day")

	none := func(channel.BillRow) error { return nil }
	require.ErrorIs(s.t, s.Channel.Bill(s.ctx, day, none), channel.ErrNoBillYet, "the day is not over")

	gotPaid, gotBack := map[string]int64{}, map[string]int64{}
	read := func(r channel.BillRow) error {
		require.Positive(s.t, minor(r.Money))
		require.NotEmpty(s.t, r.ChannelID)
		require.Equal(s.t, day, s.dayOf(r.At))
		switch r.Kind {
		case channel.OfPayment:
			gotPaid[r.Number] += minor(r.Money)
		case channel.OfRefund:
			gotBack[r.Number] += minor(r.Money)
		}
		return nil
	}
	for hours := 0; ; hours++ {
		require.Less(s.t, hours, 72, "no bill after three days")
		s.Clock.Advance(time.Hour)
		if err := s.Channel.Bill(s.ctx, day, read); err == nil {
			break
		} else {
			require.ErrorIs(s.t, err, channel.ErrNoBillYet)
			require.Empty(s.t, gotPaid, "rows, and then no bill")
		}
	}
	require.Equal(s.t, paid, gotPaid)
	require.Equal(s.t, back, gotBack)

	stop := s.Channel.Bill(s.ctx, day, func(channel.BillRow) error { return errStop })
	require.ErrorIs(s.t, stop, errStop, "an error of the reader ends the reading")
}

var errStop = stopped("enough")

type stopped string

func (e stopped) Error() string { return string(e) }
