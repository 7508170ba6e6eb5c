package channeltest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	bills "github.com/purselane/purselane/backend/gateway/bill"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
)

// billMatches: a day's bill agrees with what was done on it, and each kind of difference that is planted on our side is found, alone.
func billMatches(s *stand) {
	day := s.dayOf(s.Clock.Now())
	ours := map[string]bills.Entry{}
	var payments []string
	for _, amount := range []int64{100, 2500, 99999} {
		n := s.pay(amount)
		payments = append(payments, n)
		ours[n] = bills.Entry{Kind: channel.OfPayment, Number: n, Order: "O" + n, State: "paid", Done: true, Money: s.requests[n].Money, At: s.Clock.Now()}
	}
	rows := 3
	if s.caps.Refund {
		r := s.refundOf(payments[1], number(), 1200)
		require.Equal(s.t, channel.Succeeded, s.settle(r).Outcome)
		ours[r.Number] = bills.Entry{Kind: channel.OfRefund, Number: r.Number, Of: payments[1], State: "done", Done: true, Money: r.Money, At: s.Clock.Now()}
		rows++
	}
	var all []channel.BillRow
	for hours := 0; ; hours++ {
		require.Less(s.t, hours, 72, "no bill after three days")
		s.Clock.Advance(time.Hour)
		err := s.Channel.Bill(s.ctx, day, func(r channel.BillRow) error { all = append(all, r); return nil })
		if err == nil {
			break
		}
		require.ErrorIs(s.t, err, channel.ErrNoBillYet)
	}
	match := func(ours map[string]bills.Entry, rows []channel.BillRow) bills.Report {
		s.t.Helper()
		m, err := bills.NewMatcher("account", day, slices.Collect(maps.Values(ours)), func(n string) (bills.Entry, bool, error) { e, known := ours[n]; return e, known, nil })
		require.NoError(s.t, err)
		for _, r := range rows {
			require.NoError(s.t, m.Row(r))
		}
		return m.Report()
	}
	clean := match(ours, all)
	require.Empty(s.t, clean.Differences)
	require.Equal(s.t, rows, clean.Matched)
	require.Equal(s.t, clean.Bill.Paid, clean.Ours.Paid)
	require.Equal(s.t, clean.Bill.Back, clean.Ours.Back)

	for class, plant := range map[bills.Class]func(map[string]bills.Entry, []channel.BillRow) []channel.BillRow{
		bills.Extra: func(o map[string]bills.Entry, r []channel.BillRow) []channel.BillRow {
			delete(o, payments[0])
			return r
		},
		bills.Missing: func(o map[string]bills.Entry, r []channel.BillRow) []channel.BillRow {
			o["P-never-asked"] = bills.Entry{Kind: channel.OfPayment, Number: "P-never-asked", Done: true, Money: ours[payments[0]].Money}
			return r
		},
		bills.Amount: func(o map[string]bills.Entry, r []channel.BillRow) []channel.BillRow {
			e := o[payments[0]]
			e.Money.Amount = money.Minor(e.Money.Amount.Minor() + 1)
			o[payments[0]] = e
			return r
		},
		bills.State: func(o map[string]bills.Entry, r []channel.BillRow) []channel.BillRow {
			e := o[payments[0]]
			e.Done, e.State = false, "unknown"
			o[payments[0]] = e
			return r
		},
		bills.Twice: func(_ map[string]bills.Entry, r []channel.BillRow) []channel.BillRow {
			return append(r, r[slices.IndexFunc(r, func(x channel.BillRow) bool { return x.Number == payments[0] })])
		},
	} {
		o := maps.Clone(ours)
		got := match(o, plant(o, slices.Clone(all)))
		require.Len(s.t, got.Differences, 1, "%s: %v", class, got.Differences)
		require.Equal(s.t, class, got.Differences[0].Class)
		require.Contains(s.t, []string{payments[0], "P-never-asked"}, got.Differences[0].Number)
		require.False(s.t, got.Clean())
	}

	m, err := bills.NewMatcher("account", day, nil, func(string) (bills.Entry, bool, error) { return bills.Entry{}, false, errors.ErrUnsupported })
	require.NoError(s.t, err)
	require.ErrorIs(s.t, m.Row(all[0]), errors.ErrUnsupported, "a row is not judged without our side")
}

// billOfABadDay: answers are lost, codes say nothing of what was done, payers are refused, one is late, another never pays, and parts of payments go back. What the channel's bill of the day has is what its
// word had come to by then, for every number, and nothing else.
func billOfABadDay(s *stand) {
	day := s.dayOf(s.Clock.Now())
	ours := map[string]bills.Entry{}
	note := func(e bills.Entry) { e.Done, e.At = true, s.Clock.Now(); ours[e.Number] = e }
	came := func(n string) bool { // to a success, which is asked for once more where the request was lost
		s.t.Helper()
		if s.query(n).Outcome == channel.Missing {
			_, err := s.ask(s.requests[n])
			require.NoError(s.t, err)
			_ = s.Act(n)
		}
		res := s.await(n)
		require.Equal(s.t, res.Outcome == channel.Succeeded, s.Truth(n).Charges == 1)
		if res.Outcome != channel.Succeeded {
			return false
		}
		note(bills.Entry{Kind: channel.OfPayment, Number: n, Order: "O" + n, State: "paid", Money: s.requests[n].Money})
		return true
	}
	paid := 0
	fates := []sim.Fate{{}, {Cut: sim.CutBefore}, {Cut: sim.CutAfter}}
	for _, c := range s.Codes {
		fates = append(fates, sim.Fate{Error: c.Code, AndDone: c.Outcome == channel.Unknown})
	}
	for i, fate := range fates {
		n := number()
		r := s.request(n, int64(1000+i), Pays)
		s.Weather.Next(sim.Pay, fate)
		_, _ = s.ask(r)
		_ = s.Act(n) // where the request was lost there is nothing to pay
		if came(n) {
			paid++
		}
	}
	require.Positive(s.t, paid)
	if s.caps.Close {
		late, never := number(), number()
		for _, n := range []string{late, never} {
			_, err := s.ask(s.request(n, 700, Waits))
			require.NoError(s.t, err)
		}
		s.Clock.Advance(2 * time.Minute)
		require.NoError(s.t, s.Act(late))
		require.True(s.t, came(late))
		res, err := s.Channel.Close(s.ctx, s.ref(never))
		require.NoError(s.t, err)
		require.NotEqual(s.t, channel.Succeeded, res.Outcome)
	}
	if s.caps.Refund {
		n := number()
		_, err := s.ask(s.request(n, 3000, Pays))
		require.NoError(s.t, err)
		require.NoError(s.t, s.Act(n))
		require.True(s.t, came(n))
		for i, fate := range []sim.Fate{{}, {Cut: sim.CutAfter}, {Cut: sim.CutBefore}} {
			r := s.refundOf(n, number(), int64(500+i))
			s.Weather.Next(sim.Refund, fate)
			_, _ = s.Channel.Refund(s.ctx, r)
			if s.settle(r).Outcome == channel.Succeeded {
				note(bills.Entry{Kind: channel.OfRefund, Number: r.Number, Of: n, State: "done", Money: r.Money})
			}
		}
	}
	if s.caps.Void {
		n := s.pay(4000)
		note(bills.Entry{Kind: channel.OfPayment, Number: n, Order: "O" + n, State: "paid", Money: s.requests[n].Money})
		r := s.refundOf(n, number(), 4000)
		_, err := s.Channel.(channel.Voider).Void(s.ctx, r)
		require.NoError(s.t, err)
		note(bills.Entry{Kind: channel.OfRefund, Number: r.Number, Of: n, Void: true, State: "done", Money: r.Money})
	}
	require.Equal(s.t, day, s.dayOf(s.Clock.Now()), "the day was too short")
	var all []channel.BillRow
	for hours := 0; ; hours++ {
		require.Less(s.t, hours, 72, "no bill after three days")
		s.Clock.Advance(time.Hour)
		err := s.Channel.Bill(s.ctx, day, func(r channel.BillRow) error { all = append(all, r); return nil })
		if err == nil {
			break
		}
		require.ErrorIs(s.t, err, channel.ErrNoBillYet)
	}
	m, err := bills.NewMatcher("account", day, slices.Collect(maps.Values(ours)), func(n string) (bills.Entry, bool, error) { e, known := ours[n]; return e, known, nil })
	require.NoError(s.t, err)
	for _, r := range all {
		require.NoError(s.t, m.Row(r))
	}
	got := m.Report()
	require.Empty(s.t, got.Differences)
	require.Positive(s.t, got.Matched)
}
