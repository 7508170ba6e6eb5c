package recurring_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/recurring"
	"github.com/purselane/purselane/internal/money"
)

var low = recurring.Reload{Below: money.Minor(20_00), Amount: money.Minor(50_00), Days: 7}

func TestACardIsLoadedWhenItHoldsLittle(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	poor := recurring.Known{Active: true, Balance: money.Minor(19_99)}
	with := func(f func(*recurring.Known)) recurring.Known { k := poor; f(&k); return k }
	for name, c := range map[string]struct {
		s    recurring.Reloads
		k    recurring.Known
		want recurring.Do
		at   time.Duration
	}{
		"below":                       {k: poor, want: recurring.Charge},
		"at the line":                 {k: with(func(k *recurring.Known) { k.Balance = money.Minor(20_00) }), want: recurring.Wait, at: 10 * time.Minute},
		"blocked":                     {k: with(func(k *recurring.Known) { k.Active = false }), want: recurring.Wait, at: 10 * time.Minute},
		"a load waits":                {k: with(func(k *recurring.Known) { k.UnderWay = true }), want: recurring.Wait, at: 10 * time.Minute},
		"in doubt":                    {s: recurring.Reloads{Doubt: true}, k: poor, want: recurring.Query},
		"within the period":           {s: recurring.Reloads{Paid: now.AddDate(0, 0, -6)}, k: poor, want: recurring.Wait, at: 24 * time.Hour},
		"the period is over":          {s: recurring.Reloads{Paid: now.AddDate(0, 0, -7)}, k: poor, want: recurring.Charge},
		"refused an hour ago":         {s: recurring.Reloads{Tried: now.Add(-time.Hour), Refusals: 1}, k: poor, want: recurring.Wait, at: 5 * time.Hour},
		"refused for the ninth time":  {s: recurring.Reloads{Tried: now, Refusals: 9}, k: poor, want: recurring.Wait, at: 7 * 24 * time.Hour},
		"refused long enough ago":     {s: recurring.Reloads{Tried: now.Add(-6 * time.Hour), Refusals: 1}, k: poor, want: recurring.Charge},
		"paid, then refused, too new": {s: recurring.Reloads{Paid: now.AddDate(0, 0, -1), Tried: now.Add(-24 * time.Hour), Refusals: 1}, k: poor, want: recurring.Wait, at: 6 * 24 * time.Hour},
	} {
		step := low.Next(recurring.Defaults(), c.s, c.k, now)
		require.Equal(t, c.want, step.Do, name)
		if c.want == recurring.Wait {
			require.Equal(t, now.Add(c.at), step.At, name)
		}
	}
	require.NoError(t, low.Check())
	for _, bad := range []recurring.Reload{{}, {Below: low.Below, Amount: low.Amount}, {Below: low.Below, Amount: low.Amount, Days: 367}, {Amount: low.Amount, Days: 1}} {
		require.Error(t, bad.Check())
	}
}

// TestNoCardIsLoadedTwiceInAPeriod whatever is known of it, and whenever it is looked at.
func TestNoCardIsLoadedTwiceInAPeriod(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		var s recurring.Reloads
		for range rapid.IntRange(1, 60).Draw(r, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 72*60).Draw(r, "minutes")) * time.Minute)
			k := recurring.Known{Active: true, Balance: money.Minor(rapid.Int64Range(0, 40_00).Draw(r, "balance")), UnderWay: rapid.Bool().Draw(r, "under way")}
			step := low.Next(recurring.Defaults(), s, k, now)
			if step.Do != recurring.Charge {
				require.True(r, step.At.After(now), "it comes back")
				continue
			}
			require.True(r, s.Paid.IsZero() || !now.Before(s.Paid.AddDate(0, 0, low.Days)))
			require.False(r, k.UnderWay)
			s.Tried = now
			if rapid.Bool().Draw(r, "paid") {
				s.Paid, s.Refusals = now, 0
			} else {
				s.Refusals++
			}
		}
	})
}
