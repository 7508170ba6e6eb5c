package channeltest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
)

// payoutLost: what never arrived is missing, and nothing of the adapter's own sends it again.
func payoutLost(s *stand) {
	p := s.Channel.(channel.Payouts)
	r := s.Payout(number(), 800)
	s.Weather.Next(sim.Payout, sim.Fate{Cut: sim.CutBefore})
	res, err := p.Payout(s.ctx, r)
	s.notKnown(res, err)
	for range 3 {
		s.Clock.Advance(between)
		res, err = p.QueryPayout(s.ctx, channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
		require.NoError(s.t, err)
		require.Equal(s.t, channel.Missing, res.Outcome)
	}
	require.Equal(s.t, Truth{}, s.PaidOut(r.Number))
}

// payoutDoneButAnsweredWithAnError: a code that the adapter does not know says nothing about the money.
func payoutDoneButAnsweredWithAnError(s *stand) {
	p := s.Channel.(channel.Payouts)
	r := s.Payout(number(), 800)
	s.Weather.Next(sim.Payout, sim.Fate{Error: "A_CODE_OF_TOMORROW", AndDone: true})
	res, err := p.Payout(s.ctx, r)
	require.False(s.t, err == nil && res.Outcome.Final() && res.Outcome != channel.Succeeded, "%v, and it was paid", res.Outcome)
	require.Equal(s.t, channel.Succeeded, s.paidOut(p, r).Outcome)
	require.Equal(s.t, Truth{Charges: 1, Paid: 800}, s.PaidOut(r.Number))
}

func payoutAnotherAmount(s *stand) {
	p := s.Channel.(channel.Payouts)
	r := s.Payout(number(), 800)
	_, err := p.Payout(s.ctx, r)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Succeeded, s.paidOut(p, r).Outcome)
	other := r
	other.Money.Amount = money.Minor(900)
	res, err := p.Payout(s.ctx, other)
	require.False(s.t, err == nil && res.Outcome == channel.Succeeded && minor(res.Money) == 900, "one number paid two amounts")
	s.Clock.Advance(time.Hour)
	require.Equal(s.t, Truth{Charges: 1, Paid: 800}, s.PaidOut(r.Number))
}

func toldOfPayout(s *stand) {
	p := s.Channel.(channel.Payouts)
	r := s.Payout(number(), 800)
	_, err := p.Payout(s.ctx, r)
	require.NoError(s.t, err)
	for range patience {
		s.Clock.Advance(between)
		s.PaidOut(r.Number) // the simulator looks at its clock
		s.notifications()
		if told := s.told(channel.OfPayout, r.Number); len(told) > 0 {
			require.Equal(s.t, channel.Succeeded, told[0].Result.Outcome)
			return
		}
	}
	require.Fail(s.t, "nobody told of a pay-out")
}

func payoutWithoutMoney(s *stand) {
	p := s.Channel.(channel.Payouts)
	s.Drain()
	r := s.Payout(number(), 800)
	res, err := p.Payout(s.ctx, r)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Failed, res.Outcome)
	require.NotEmpty(s.t, res.Code)
	require.Equal(s.t, channel.BySetting, res.Class, "an operator must bring money")
	require.Equal(s.t, Truth{}, s.PaidOut(r.Number))
}

func payoutThatFails(s *stand) {
	p := s.Channel.(channel.Payouts)
	s.Refuses()
	r := s.Payout(number(), 800)
	res, err := p.Payout(s.ctx, r)
	require.NoError(s.t, err)
	for i := 0; !res.Outcome.Final(); i++ {
		require.Less(s.t, i, 30*24, "no final word on a pay-out after a month")
		s.Clock.Advance(time.Hour)
		s.notifications()
		res, err = p.QueryPayout(s.ctx, channel.Ref{Number: r.Number, Money: r.Money, Sent: r.Sent})
		require.NoError(s.t, err)
	}
	require.Contains(s.t, []channel.Outcome{channel.Failed, channel.Closed}, res.Outcome)
	require.NotEmpty(s.t, res.Code)
	require.Equal(s.t, Truth{}, s.PaidOut(r.Number))
}

// payoutOnTheBill: a pay-out is on its day's bill once, as what it is, and one that was refused is not.
func payoutOnTheBill(s *stand) {
	p := s.Channel.(channel.Payouts)
	day := s.dayOf(s.Clock.Now())
	r := s.Payout(number(), 800)
	_, err := p.Payout(s.ctx, r)
	require.NoError(s.t, err)
	require.Equal(s.t, channel.Succeeded, s.paidOut(p, r).Outcome)
	paid := s.pay(2500)
	require.Equal(s.t, day, s.dayOf(s.Clock.Now()), "the bench must start early enough in a day")
	var rows []channel.BillRow
	for hours := 0; ; hours++ {
		require.Less(s.t, hours, 72, "no bill after three days")
		s.Clock.Advance(time.Hour)
		err := s.Channel.Bill(s.ctx, day, func(r channel.BillRow) error { rows = append(rows, r); return nil })
		if err == nil {
			break
		}
		require.ErrorIs(s.t, err, channel.ErrNoBillYet)
		require.Empty(s.t, rows, "rows, and then no bill")
	}
	require.Len(s.t, rows, 2)
	for _, row := range rows {
		switch row.Number {
		case paid:
			require.Equal(s.t, channel.OfPayment, row.Kind)
		case r.Number:
			require.Equal(s.t, channel.OfPayout, row.Kind)
			require.Equal(s.t, r.Money, row.Money)
			require.NotEmpty(s.t, row.ChannelID)
			require.Equal(s.t, day, s.dayOf(row.At))
		default:
			require.Fail(s.t, "a row of nobody", row.Number)
		}
	}
}
