package tap_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// TestAPowerCutTakesNothingAndForgetsNothing cuts the power before and after every commit of every kind of trip, also of
// one whose card left at DEBIT, and of the visit that then settles it. After the terminal has come up again the card is
// presented until a light lets the rider pass: the trip is paid exactly once, and every debit stands in one record.
func TestAPowerCutTakesNothingAndForgetsNothing(t *testing.T) {
	for _, c := range trips {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := places(t, c)
			debitAt := s0(t, w, c)
			tears := []epcard.Tear{{}, {At: debitAt - 1}, {At: debitAt, Noticed: true}, {At: debitAt}, {At: debitAt, After: true}}
			for _, tear := range tears {
				for first := 0; first <= 8; first++ {
					for second := 0; second <= 8; second++ {
						name := fmt.Sprintf("%+v, cut at %d, then at %d", tear, first, second)
						if !stage(t, w, c, nil).cutTwice(t, name, tear, first, second) {
							break // there are no more commits to cut
						}
						w.now = w.now.Add(time.Hour)
					}
				}
			}
		})
	}
}

// cutTwice is one course of a trip with a cut in each of two visits. It reports whether the second visit had so many
// commits.
func (s *scene) cutTwice(t *testing.T, name string, tear epcard.Tear, first, second int) bool {
	full := money.Minor(s.trip.costs)
	s.a.plan(first)
	result, lit := s.a.present(t, s.r, tear)
	s.a.plan(0)
	passed := lit && result.Outcome.Pass() || s.sold(t)
	if lit && passed {
		require.Equal(t, full, s.paid(), "%s: a light for a trip that is not paid", name)
	}
	s.now = s.now.Add(5 * time.Second)
	reached := true
	if !passed || s.trip.place.Mode != tap.Sale {
		s.a.plan(second)
		result, lit = s.a.present(t, s.r, epcard.Tear{})
		reached = s.a.plan(0) && !lit || second == 0
		passed = lit && result.Outcome.Pass() || s.sold(t)
	}
	for range 2 {
		if passed {
			break
		}
		s.now = s.now.Add(5 * time.Second)
		result, lit = s.a.present(t, s.r, epcard.Tear{})
		require.True(t, lit, name)
		passed = result.Outcome.Pass()
	}
	require.True(t, passed, "%s: %v %s", name, result.Outcome, result.Reason)
	require.Equal(t, full, s.paid(), "%s: the trip is paid exactly once", name)
	states := s.states(t, s.r)
	require.Zero(t, states[wire.State_STATE_UNKNOWN]+states[wire.State_STATE_UNSPECIFIED], "%s: %v", name, states)
	return reached
}

// sold reports whether the till finds its request completed in the journal. The tap knows cards, not requests: that such a
// sale is answered from the journal and not sold again is the part of package edge.
func (s *scene) sold(t *testing.T) bool {
	if s.trip.place.Mode != tap.Sale {
		return false
	}
	for _, a := range s.attempts(t, s.r) {
		if a.state == wire.State_STATE_COMPLETED && a.rec.GetRequestId() == s.trip.place.RequestID {
			return true
		}
	}
	return false
}
