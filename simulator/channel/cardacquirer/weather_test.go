package cardacquirer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	sim "github.com/purselane/purselane/simulator/channel"
	"github.com/purselane/purselane/simulator/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

// TestInAnyWeatherTheLastWordIsTheTruth: whatever is cut or refused, and whenever the process dies, the adapter's last word on each payment
// is what the acquirer has booked, and nothing is owed in the end.
func TestInAnyWeatherTheLastWordIsTheTruth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, rapid.Bool().Draw(rt, "enquiry"), adapter.Binary2)
		a := s.a
		cut := rapid.SampledFrom([]sim.Fate{{}, {Cut: sim.CutBefore}, {Cut: sim.CutAfter}, {Error: "96"}, {Error: "96", AndDone: true}, {Error: "05"}})
		sent := map[string]time.Time{}
		for i := range rapid.IntRange(1, 6).Draw(rt, "payments") {
			n := fmt.Sprintf("2026112510000000%04d", i)
			sent[n] = s.clock.Now()
			s.weather.Next(sim.Pay, cut.Draw(rt, "pay"))
			_, _ = a.Pay(t.Context(), s.pay(n, int64(100+i), channeltest.Pays))
			s.weather.Next(cardacquirer.Reversal, cut.Draw(rt, "reversal"))
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0:
				_, _ = a.Pay(t.Context(), s.pay(n, int64(100+i), channeltest.Pays))
			case 1:
				_, _ = a.Flush(t.Context())
			case 2:
				a = s.crashed(t)
			}
		}
		for left := 1; left > 0; {
			var err error
			if left, err = a.Flush(t.Context()); err != nil {
				require.Positive(t, left, "an error, and nothing is owed")
			}
		}
		spent := int64(0)
		for n, at := range sent {
			got, err := a.Query(t.Context(), channel.Ref{Number: n, Sent: at})
			require.NoError(t, err)
			truth := s.truth(n)
			require.LessOrEqual(t, truth.Charges, 1)
			net := truth.Paid - truth.Refunded
			spent += net
			if got.Outcome == channel.Succeeded {
				require.Equal(t, net, got.Money.Amount.Minor())
			} else {
				require.Contains(t, []channel.Outcome{channel.Failed, channel.Missing}, got.Outcome)
				require.Zero(t, net, "%v, and the card has paid", got.Outcome)
			}
		}
		require.Equal(t, 100_000_00-spent, s.sim.Card(rich).Balance)
	})
}
