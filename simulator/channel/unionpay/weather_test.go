package unionpay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

// TestInAnyWeatherTheLastWordIsTheTruth: with cuts, codes and notifications that are lost, doubled, forged and late, each payment ends as the
// gateway has booked it, and no notification says otherwise.
func TestInAnyWeatherTheLastWordIsTheTruth(t *testing.T) {
	s := open(t)
	s.weather.Set(sim.Faults{
		CutBefore: 0.1, CutAfter: 0.1, Early: 0.1, Errors: map[string]map[string]float64{"0308": {"60": 0.1, "04": 0.1}},
		NotifyLost: 0.3, NotifyDoubled: 0.2, NotifyForged: 0.2, NotifyReencoded: 0.2, NotifyLate: 0.2, NotifyLateBy: time.Minute,
	})
	told, forged := map[string]channel.Outcome{}, 0
	s.sim.Notifier().Receive(func(ctx context.Context, _ string, n channel.Notification) channel.Reply {
		events, err := s.a.Notified(ctx, n)
		if err != nil {
			forged++
			return s.a.Answer(err)
		}
		for _, e := range events {
			if before, twice := told[e.Result.Number]; twice {
				require.Equal(t, before, e.Result.Outcome)
			}
			told[e.Result.Number] = e.Result.Outcome
		}
		return s.a.Answer(nil)
	})
	wills := []channeltest.Will{channeltest.Pays, channeltest.Declines, channeltest.Waits}
	var numbers []string
	for i := range 60 {
		n := fmt.Sprintf("2026112510000000%04d", i)
		numbers = append(numbers, n)
		for range 1 + i%2 { // every other one is asked for again
			_, _ = s.a.Pay(t.Context(), s.quick(n, int64(100+i), wills[i%3]))
		}
		s.clock.Advance(time.Second)
		s.sim.Act(n)
		s.sim.Notifier().Run(t.Context())
	}
	for due, more := s.sim.Notifier().Next(); more; due, more = s.sim.Notifier().Next() {
		if due.After(s.clock.Now()) {
			s.clock.Set(due)
		}
		s.sim.Settle()
		s.sim.Notifier().Run(t.Context())
	}
	s.weather.Set(sim.Faults{})
	for _, n := range numbers {
		truth := s.truth(n)
		require.LessOrEqual(t, truth.Charges, 1, n)
		last := s.outcome(t, n)
		require.Contains(t, []channel.Outcome{channel.Succeeded, channel.Failed, channel.Missing}, last, n)
		require.Equal(t, truth.Charges == 1, last == channel.Succeeded, "%s: %v", n, last)
		if said, heard := told[n]; heard {
			require.Equal(t, last, said, n)
		}
	}
	require.NotZero(t, forged)
	require.NotEmpty(t, told)
}
