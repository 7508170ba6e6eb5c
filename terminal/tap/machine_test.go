package tap_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// TestAnyVisitsInAnyOrder sends a few cards through a small city, torn and cut at random. After each visit the journals are
// held against the cards' memories, each DEBIT is watched on the air (see [watched]), and a light against what was paid. In
// the end every card is shown to every terminal once more, and nothing is unknown that a card can still tell.
func TestAnyVisitsInAnyOrder(t *testing.T) {
	// One city for all runs: each has cards of its own.
	w := newTown(t.TempDir())
	defer w.close()
	for _, place := range []tap.Request{bus, bus, inHarbor, inHarbor, outHarb, inMarket, outMark, till} {
		w.terminal(t, place)
	}
	rapid.Check(t, func(t *rapid.T) {
		w.now = morning
		w.profile.Card.LogCounter = rapid.SampledFrom([]string{"before", "after"}).Draw(t, "profile logs")
		var riders []*rider
		for range 2 {
			riders = append(riders, w.rider(t, func(s *personalise.CardSpec) {
				s.Log = rapid.SampledFrom([]epcard.LogCounter{epcard.LogBefore, epcard.LogAfter}).Draw(t, "card logs")
				s.Balance = money.Minor(rapid.Int64Range(0, 60_00).Draw(t, "balance"))
			}))
		}
		request := 0
		t.Repeat(map[string]func(*rapid.T){
			"present": func(t *rapid.T) {
				r := rapid.SampledFrom(riders).Draw(t, "rider")
				m := rapid.SampledFrom(w.terminals).Draw(t, "terminal")
				visit{w, m, r, drawTear(t), rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4, 5, 6}).Draw(t, "cut"), m.place}.make(t, &request)
			},
			"torn at once again": func(t *rapid.T) {
				r := rapid.SampledFrom(riders).Draw(t, "rider")
				m := rapid.SampledFrom(w.terminals).Draw(t, "terminal")
				for range 2 {
					visit{w, m, r, drawTear(t), 0, m.place}.make(t, &request)
					w.now = w.now.Add(3 * time.Second)
				}
			},
			"load": func(t *rapid.T) {
				rapid.SampledFrom(riders).Draw(t, "rider").load(t, money.Minor(5_00))
			},
			"": func(t *rapid.T) {
				w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 8 * time.Second, time.Minute, 5 * time.Hour}).Draw(t, "pause"))
			},
		})
		w.now = w.now.Add(24 * time.Hour)
		for _, r := range riders {
			for _, m := range w.terminals {
				visit{w, m, r, epcard.Tear{}, 0, m.place}.make(t, &request)
				w.now = w.now.Add(time.Hour)
			}
			states := w.states(t, r)
			require.Zero(t, states[wire.State_STATE_UNKNOWN]+states[wire.State_STATE_UNSPECIFIED], "%v", states)
		}
	})
}

func drawTear(t *rapid.T) epcard.Tear {
	return epcard.Tear{
		At:    rapid.SampledFrom([]int{0, 0, 0, 3, 4, 5, 6, 7, 7, 8, 8, 9, 10, 11, 12, 13}).Draw(t, "torn at"),
		After: rapid.Bool().Draw(t, "after"), Noticed: rapid.Bool().Draw(t, "noticed"),
	}
}

// visit is one presentation of the machine.
type visit struct {
	w     *town
	m     *terminal
	r     *rider
	tear  epcard.Tear
	cutAt int
	place tap.Request
}

func (v visit) make(t *rapid.T, request *int) {
	if v.place.Mode == tap.Sale {
		*request++
		v.place.RequestID, v.place.Amount = fmt.Sprint(*request), money.Minor(1_50)
	}
	had := len(v.r.debits)
	v.m.plan(v.cutAt)
	result, lit := v.m.presentFor(t, v.r, v.tear, v.place)
	v.m.plan(0)
	v.w.check(t, v.r)
	fresh := v.r.debits[had:]

	// One visit is one debit, or two at an entry: the trip never left, and then the entry itself, of nothing.
	most := 1
	if v.place.Mode == tap.MetroEntry {
		most = 2
	}
	require.LessOrEqual(t, len(fresh), most)
	if len(fresh) == 2 {
		require.Zero(t, fresh[1].log.Amount.Minor(), "the entry itself takes nothing")
	}
	if !lit {
		return
	}
	switch result.Outcome {
	case tap.Granted, tap.GrantedLow:
		require.NotEmpty(t, fresh, "granted, and nothing was debited")
		require.Equal(t, v.r.taken(had), result.Amount)
	case tap.AlreadyPaid, tap.RecoveredGranted:
		require.Empty(t, fresh, "%v, and something was debited", result.Outcome)
		require.NotEmpty(t, v.r.debits, "%v, and the card has never paid", result.Outcome)
	case tap.PresentAgain:
	default:
		require.False(t, result.Outcome.Pass())
		require.Empty(t, fresh, "%v: %s", result.Outcome, result.Reason)
	}
}
