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
