package recurring_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/internal/money"
)

const day = 24 * time.Hour

var set = recurring.Defaults()

func agreement(start time.Time, change ...func(*recurring.Agreement)) recurring.Agreement {
	a := recurring.Agreement{
		Number: "A1", Payer: "signer", Start: start, Zone: time.UTC, Months: 1, Currency: "CNY",
		Prices: []recurring.Price{{Amount: money.Minor(1000)}},
	}
	for _, f := range change {
		f(&a)
	}
	return a
}

func date(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s+" 12:00")
	if err != nil {
		panic(err)
	}
	return t
}

// TestMonthEnds: each row is a start and what is due in natural months, over leap years and the centuries that have none.
func TestMonthEnds(t *testing.T) {
	for _, row := range []struct {
		start  string
		months int
		due    []string
	}{
		{"2026-01-31", 1, []string{"2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"}},
		{"2028-01-31", 1, []string{"2028-01-31", "2028-02-29", "2028-03-31"}},
		{"2028-01-30", 1, []string{"2028-01-30", "2028-02-29", "2028-03-30"}},
		{"2028-01-29", 1, []string{"2028-01-29", "2028-02-29", "2028-03-29"}},
		{"2027-01-29", 1, []string{"2027-01-29", "2027-02-28", "2027-03-29"}},
		{"2026-01-28", 1, []string{"2026-01-28", "2026-02-28", "2026-03-28"}},
		{"2100-01-31", 1, []string{"2100-01-31", "2100-02-28", "2100-03-31"}},
		{"2000-01-31", 1, []string{"2000-01-31", "2000-02-29", "2000-03-31"}},
		{"2026-01-01", 1, []string{"2026-01-01", "2026-02-01", "2026-03-01"}},
		{"2026-11-30", 3, []string{"2026-11-30", "2027-02-28", "2027-05-30", "2027-08-30"}},
		{"2026-08-31", 6, []string{"2026-08-31", "2027-02-28", "2027-08-31", "2028-02-29"}},
		{"2028-02-29", 12, []string{"2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"}},
		{"2026-12-31", 2, []string{"2026-12-31", "2027-02-28", "2027-04-30", "2027-06-30"}},
	} {
		a := agreement(date(row.start), func(a *recurring.Agreement) { a.Months = row.months })
		require.NoError(t, a.Check())
		for n, want := range row.due {
			require.Equal(t, date(want), a.Due(n), "%s, every %d months, period %d", row.start, row.months, n)
		}
	}
}

func TestDueIsOnTheDayItWasSignedOrTheMonthsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "start"), 0).UTC()
		months := rapid.IntRange(1, 12).Draw(t, "months")
		trial := recurring.Trial{Months: rapid.IntRange(0, 12).Draw(t, "trial")}
		a := agreement(start, func(a *recurring.Agreement) { a.Months, a.Trial = months, trial })
		for n := range 30 {
			due := a.Due(n)
			want := int(start.Month()) - 1 + start.Year()*12 + trial.Months + n*months
			require.Equal(t, want, int(due.Month())-1+due.Year()*12, "no month is skipped")
			if due.Day() != start.Day() {
				require.Less(t, due.Day(), start.Day())
				require.Equal(t, 1, due.AddDate(0, 0, 1).Day(), "the month's last")
			}
			require.Equal(t, start.Format(time.TimeOnly), due.Format(time.TimeOnly))
		}
	})
}

func TestMonthsAreThoseOfThePlace(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	// 30 January 17:00 UTC is 31 January 01:00 in Shanghai.
	a := agreement(time.Date(2026, 1, 30, 17, 0, 0, 0, time.UTC), func(a *recurring.Agreement) { a.Zone = shanghai })
	require.Equal(t, time.Date(2026, 2, 28, 1, 0, 0, 0, shanghai), a.Due(1))
	require.Equal(t, time.Date(2026, 3, 31, 1, 0, 0, 0, shanghai), a.Due(2))
	// Clocks move on 8 March 2026; the hour on the wall stays.
	a = agreement(time.Date(2026, 2, 9, 9, 30, 0, 0, newYork), func(a *recurring.Agreement) { a.Zone = newYork })
	require.Equal(t, "2026-03-09 09:30 -0400", a.Due(1).Format("2006-01-02 15:04 -0700"))
}

func TestATrialCostsNothing(t *testing.T) {
	a := agreement(date("2026-01-31"), func(a *recurring.Agreement) { a.Trial.Months = 1 })
	require.Equal(t, date("2026-02-28"), a.Due(0))
	require.Equal(t, date("2026-03-31"), a.Due(1), "the day is still that of the signature")
	a = agreement(date("2026-01-31"), func(a *recurring.Agreement) { a.Trial.Days = 14 })
	require.Equal(t, date("2026-02-14"), a.Due(0))
	require.Equal(t, date("2026-03-14"), a.Due(1))
	require.Equal(t, recurring.Step{Do: recurring.Wait, At: date("2026-02-04")}, a.Next(set, recurring.State{}, a.Start))
	require.Equal(t, recurring.Good, a.Standing(recurring.State{}, date("2026-02-13")))
	require.Equal(t, recurring.Late, a.Standing(recurring.State{}, date("2026-02-14")))
}

// events applies events, each at its time.
func events(t require.TestingT, s recurring.State, at time.Time, all ...recurring.Event) recurring.State {
	for _, e := range all {
		var err error
		s, err = recurring.Apply(s, e, at)
		require.NoError(t, err, "%s", e)
	}
	return s
}

func TestThePathOfAPayment(t *testing.T) {
	a := agreement(date("2026-01-31"))
	step := a.Next(set, recurring.State{}, a.Start)
	require.Equal(t, recurring.Step{Do: recurring.Charge, Try: 1, Payer: "signer", Amount: money.Minor(1000), Key: "A1-0-1"}, step, "the first is paid when it is signed")
	s := events(t, recurring.State{}, a.Start, recurring.Charged, recurring.Succeeded)
	due := date("2026-02-28")
	for _, row := range []struct {
		before  time.Duration
		checked bool
		want    recurring.Do
		at      time.Time
	}{
		{10*day + 1, false, recurring.Wait, due.Add(-10 * day)},
		{10 * day, false, recurring.Look, time.Time{}},
		{10 * day, true, recurring.Wait, due.Add(-day)},
		{day + 1, true, recurring.Wait, due.Add(-day)},
		{day, true, recurring.Charge, time.Time{}},
		{0, true, recurring.Charge, time.Time{}},
		{-59 * day, true, recurring.Charge, time.Time{}},
		{-90 * day, true, recurring.Charge, time.Time{}}, // we were down: it was never tried
	} {
		now := s
		now.Checked = row.checked
		step := a.Next(set, now, due.Add(-row.before))
		require.Equal(t, row.want, step.Do, "%v before", row.before)
		require.Equal(t, row.at, step.At, "%v before", row.before)
	}
}

func TestRetriesAndGrace(t *testing.T) {
	a := agreement(date("2026-01-31"))
	due := a.Due(1)
	s := events(t, recurring.State{}, a.Start, recurring.Charged, recurring.Succeeded)
	s = events(t, s, due.Add(-10*day), recurring.Looked)
	var tried []string
	for now := due.Add(-day); ; {
		step := a.Next(set, s, now)
		if step.Do == recurring.Wait {
			require.True(t, step.At.After(now))
			now = step.At
			continue
		}
		if step.Do == recurring.Lapse {
			require.Equal(t, due.Add(60*day), now)
			require.Equal(t, recurring.Late, a.Standing(s, now), "the service goes on until then")
			s = events(t, s, now, recurring.GaveUp)
			break
		}
		require.Equal(t, recurring.Charge, step.Do)
		require.Equal(t, len(tried)+1, step.Try)
		tried = append(tried, now.Sub(due).String())
		s = events(t, s, now, recurring.Charged, recurring.Refused)
	}
	require.Equal(t, []string{"-24h0m0s", "-18h0m0s", "-6h0m0s", "18h0m0s", "66h0m0s", "138h0m0s", "306h0m0s", "474h0m0s", "642h0m0s", "810h0m0s", "978h0m0s", "1146h0m0s", "1314h0m0s"}, tried)
	require.Equal(t, recurring.Rest, a.Next(set, s, due.Add(100*day)).Do)
	require.Equal(t, recurring.Lapsed, a.Standing(s, due.Add(100*day)))
	s = events(t, s, due.Add(100*day), recurring.Succeeded)
	require.Equal(t, recurring.State{Period: 2, Paid: due.Add(100 * day), End: recurring.Lapsed}, s, "money that came is counted, and the end stays")
}

func TestWhatWasPaidLateIsNotFollowedAtOnce(t *testing.T) {
	a := agreement(date("2026-01-31"))
	late := date("2026-03-31") // the second is paid when the third is due
	s := events(t, recurring.State{Period: 1}, late, recurring.Looked, recurring.Charged, recurring.Succeeded, recurring.Looked)
	require.Equal(t, recurring.Step{Do: recurring.Wait, Period: 2, At: late.Add(day)}, a.Next(set, s, late))
	require.Equal(t, recurring.Charge, a.Next(set, s, late.Add(day)).Do)
	require.Equal(t, date("2026-04-30"), a.Due(3), "later periods stay where they were")
}

func TestAPaymentInDoubtIsAskedForAndNoOtherIsMade(t *testing.T) {
	a := agreement(date("2026-01-31"))
	s := events(t, recurring.State{}, a.Start, recurring.Charged)
	for _, after := range []time.Duration{0, day, 59 * day, 400 * day} {
		require.Equal(t, recurring.Query, a.Next(set, s, a.Start.Add(after)).Do, after)
	}
	for _, e := range []recurring.Event{recurring.Charged, recurring.GaveUp} {
		_, err := recurring.Apply(s, e, a.Start)
		require.ErrorIs(t, err, recurring.ErrEvent, e)
	}
	s = events(t, s, a.Start, recurring.Cancelled)
	require.Equal(t, recurring.Rest, a.Next(set, s, a.Start).Do)
	require.Equal(t, 1, events(t, s, a.Start, recurring.Succeeded).Period, "its end is still heard after the agreement's")
}

func TestARiseNeedsConsentAndAFallDoesNot(t *testing.T) {
	price := func(from string, minor int64, agreed bool) recurring.Price {
		return recurring.Price{From: date(from), Amount: money.Minor(minor), Agreed: agreed}
	}
	signed := recurring.Price{Amount: money.Minor(1000)}
	for name, row := range map[string]struct {
		prices []recurring.Price
		amount int64
		agreed bool
	}{
		"as signed":                  {nil, 1000, true},
		"a rise":                     {[]recurring.Price{price("2026-02-10", 1200, false)}, 1200, false},
		"a rise agreed to":           {[]recurring.Price{price("2026-02-10", 1200, true)}, 1200, true},
		"from its due day":           {[]recurring.Price{price("2026-02-28", 1200, false)}, 1200, false},
		"from the day after":         {[]recurring.Price{price("2026-03-01", 1200, false)}, 1000, true},
		"a fall":                     {[]recurring.Price{price("2026-02-10", 800, false)}, 800, true},
		"the same":                   {[]recurring.Price{price("2026-02-10", 1000, false)}, 1000, true},
		"a rise taken back":          {[]recurring.Price{price("2026-02-10", 1200, false), price("2026-02-20", 1000, false)}, 1000, true},
		"down and up again":          {[]recurring.Price{price("2026-02-10", 800, false), price("2026-02-20", 1000, false)}, 1000, false},
		"up, agreed, and half back":  {[]recurring.Price{price("2026-02-10", 1200, true), price("2026-02-20", 1100, false)}, 1100, true},
		"up, unheard, and half back": {[]recurring.Price{price("2026-02-10", 1200, false), price("2026-02-20", 1100, false)}, 1100, false},
	} {
		a := agreement(date("2026-01-31"), func(a *recurring.Agreement) { a.Prices = append([]recurring.Price{signed}, row.prices...) })
		require.NoError(t, a.Check(), name)
		amount, agreed := a.Price(1)
		require.Equal(t, money.Minor(row.amount), amount, name)
		require.Equal(t, row.agreed, agreed, name)

		due, s := a.Due(1), recurring.State{Period: 1, Checked: true}
		if row.agreed {
			require.Equal(t, recurring.Charge, a.Next(set, s, due.Add(-day)).Do, name)
			require.Equal(t, money.Minor(row.amount), a.Next(set, s, due.Add(-day)).Amount, name)
			continue
		}
		require.Equal(t, recurring.Step{Do: recurring.Ask, Period: 1, At: due, Amount: money.Minor(row.amount)}, a.Next(set, s, due.Add(-10*day)), name)
		require.Equal(t, recurring.Ask, a.Next(set, s, due.Add(-1)).Do, name)
		require.Equal(t, recurring.Lapse, a.Next(set, s, due).Do, name)
	}
}

// TestWhateverHappens walks agreements through chance: payments refused, in doubt and late news. Nobody is charged twice for a period, before its
// window, beside a payment in doubt, or more than was agreed to; and no walk stands still.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(t, "start"), 0).UTC()
		a := agreement(start, func(a *recurring.Agreement) {
			a.Months = rapid.IntRange(1, 3).Draw(t, "months")
			a.Trial.Days = rapid.IntRange(0, 20).Draw(t, "trial")
			a.Prices = append(a.Prices, recurring.Price{From: start.AddDate(0, 4, 0), Amount: money.Minor(rapid.Int64Range(900, 1100).Draw(t, "price")), Agreed: rapid.Bool().Draw(t, "agreed")})
		})
		require.NoError(t, a.Check())
		keys := map[string]bool{}
		s, now, doubted := recurring.State{}, start, time.Duration(0)
		for n := range 150 {
			step := a.Next(set, s, now)
			require.Equal(t, s.Period, step.Period)
			switch step.Do {
			case recurring.Wait:
				require.True(t, step.At.After(now), "step %d waits for %v at %v", n, step.At, now)
				now = step.At.Add(time.Duration(rapid.Int64Range(0, int64(2*day)).Draw(t, "late")))
			case recurring.Look:
				s = events(t, s, now, recurring.Looked)
			case recurring.Ask:
				now = step.At
			case recurring.Charge:
				require.False(t, keys[step.Key], step.Key)
				keys[step.Key] = true
				require.False(t, now.Before(a.Due(s.Period).Add(-set.Window)), "before its window")
				_, agreed := a.Price(s.Period)
				require.True(t, agreed)
				require.Equal(t, "signer", step.Payer)
				s = events(t, s, now, recurring.Charged)
				doubted = time.Duration(rapid.Int64Range(0, int64(3*day)).Draw(t, "doubt"))
			case recurring.Query:
				now = now.Add(doubted)
				s = events(t, s, now, rapid.SampledFrom([]recurring.Event{recurring.Succeeded, recurring.Refused}).Draw(t, "end"))
			case recurring.Lapse:
				require.False(t, now.Before(a.Due(s.Period)))
				s = events(t, s, now, recurring.GaveUp)
			case recurring.Rest:
				require.Equal(t, recurring.Lapsed, s.End)
				return
			}
		}
	})
}

func TestSuccessIsCountedOnce(t *testing.T) {
	at := date("2026-01-31")
	s := events(t, recurring.State{}, at, recurring.Charged, recurring.Refused, recurring.Succeeded)
	require.Equal(t, 1, s.Period, "it was called refused, and the money came")
	for _, e := range []recurring.Event{recurring.Succeeded, recurring.Refused} {
		_, err := recurring.Apply(s, e, at)
		require.ErrorIs(t, err, recurring.ErrEvent, e)
	}
	for _, e := range recurring.Events {
		if e != recurring.Succeeded {
			_, err := recurring.Apply(recurring.State{End: recurring.Ended}, e, at)
			require.ErrorIs(t, err, recurring.ErrEvent, e)
		}
	}
	_, err := recurring.Apply(recurring.State{}, "else", at)
	require.ErrorIs(t, err, recurring.ErrEvent)
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	at := date("2026-01-31")
	for name, change := range map[string]func(*recurring.Agreement){
		"no number":         func(a *recurring.Agreement) { a.Number = "" },
		"no payer":          func(a *recurring.Agreement) { a.Payer = "" },
		"no currency":       func(a *recurring.Agreement) { a.Currency = "" },
		"no zone":           func(a *recurring.Agreement) { a.Zone = nil },
		"no start":          func(a *recurring.Agreement) { a.Start = time.Time{} },
		"no months":         func(a *recurring.Agreement) { a.Months = 0 },
		"a trial back":      func(a *recurring.Agreement) { a.Trial.Days = -1 },
		"no price":          func(a *recurring.Agreement) { a.Prices = nil },
		"no first price":    func(a *recurring.Agreement) { a.Prices[0].From = at.Add(1) },
		"nothing to pay":    func(a *recurring.Agreement) { a.Prices[0].Amount = money.Minor(0) },
		"prices of one day": func(a *recurring.Agreement) { a.Prices = append(a.Prices, a.Prices[0]) },
	} {
		require.Error(t, agreement(at, change).Check(), name)
	}
	require.NoError(t, set.Check())
	for name, change := range map[string]func(*recurring.Settings){
		"no window":             func(s *recurring.Settings) { s.Window = 0 },
		"looked at after":       func(s *recurring.Settings) { s.Ahead = day },
		"looked at a month ago": func(s *recurring.Settings) { s.Ahead = 28 * day },
		"no retries":            func(s *recurring.Settings) { s.Retries = nil },
		"a retry at once":       func(s *recurring.Settings) { s.Retries = []time.Duration{0} },
		"a grace back":          func(s *recurring.Settings) { s.Grace = -1 },
	} {
		s := recurring.Defaults()
		change(&s)
		require.Error(t, s.Check(), name)
	}
}
