package tap_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// trip is one thing a rider wants of a place, and what it costs in all.
type trip struct {
	name  string
	place tap.Request
	costs int64
	// before are the visits that make it so, each followed by as much time.
	before []tap.Request
	pause  time.Duration
}

var trips = []trip{
	{name: "bus", place: bus, costs: 2_00},
	{name: "metro entry", place: inHarbor},
	{name: "metro exit", place: outMark, costs: 3_00, before: []tap.Request{inHarbor}, pause: 10 * time.Minute},
	{name: "metro exit without entry", place: outMark, costs: 6_00},
	{name: "metro entry with a trip never left", place: inMarket, costs: 6_00, before: []tap.Request{inHarbor}, pause: 24 * time.Hour},
	{name: "sale", place: till, costs: 12_50},
}

// scene is a town in which a rider is about to make a trip at terminal a; b is its neighbour, with a journal of its own.
type scene struct {
	*town
	trip trip
	a, b *terminal
	r    *rider
	had  int // debits before the trip
}

func stage(t *testing.T, w *town, c trip, kind func(*personalise.CardSpec)) *scene {
	s := &scene{town: w, trip: c, a: w.terminals[0], b: w.terminals[1], r: w.rider(t, kind)}
	for i := range c.before {
		result, _ := w.terminals[2+i].present(t, s.r, epcard.Tear{})
		require.True(t, result.Outcome.Pass(), result.Reason)
		w.now = w.now.Add(c.pause)
	}
	s.had = len(s.r.debits)
	return s
}

// places builds the terminals that a trip needs, once for all its scenes.
func places(t *testing.T, c trip) *town {
	w := newTown(t.TempDir())
	t.Cleanup(w.close)
	w.terminal(t, c.place)
	w.terminal(t, c.place)
	for _, place := range c.before {
		w.terminal(t, place)
	}
	return w
}

// paid is what the trip has cost so far.
func (s *scene) paid() money.Amount { return s.r.taken(s.had) }

// commands is how many commands a clean presentation takes.
func (s *scene) commands(t *testing.T) int {
	field := epcard.Present(s.r.Card, epcard.Tear{})
	request := s.trip.place
	request.Now, request.Clock = s.now, wire.ClockState_CLOCK_GOOD
	result, err := s.a.tap.Purchase(t.Context(), field, request)
	require.NoError(t, err)
	require.True(t, result.Outcome.Pass(), result.Reason)
	s.r.note(t)
	return field.Commands()
}

// kinds are the cards in the field (conflict C1), whatever the profile says.
var kinds = map[string]func(*personalise.CardSpec){
	"logs after":  func(s *personalise.CardSpec) { s.Log = epcard.LogAfter },
	"logs before": func(s *personalise.CardSpec) { s.Log = epcard.LogBefore },
}

// TestATornCardPaysOnce tears the card at every command of every kind of trip, before and after it is carried out, and
// presents it again: here, at the neighbour, or at both. The trip is paid exactly once, and what the journals say is
// what the card did.
func TestATornCardPaysOnce(t *testing.T) {
	again := map[string]func(*scene) []*terminal{
		"here":            func(s *scene) []*terminal { return []*terminal{s.a} },
		"there":           func(s *scene) []*terminal { return []*terminal{s.b} },
		"there, and here": func(s *scene) []*terminal { return []*terminal{s.b, s.a} },
	}
	for _, c := range trips {
		for kind, with := range kinds {
			t.Run(c.name+", card "+kind, func(t *testing.T) {
				t.Parallel()
				w := places(t, c)
				n := stage(t, w, c, with).commands(t)
				require.Greater(t, n, 5)
				for _, tear := range tears(n) {
					for where, terminals := range again {
						s := stage(t, w, c, with)
						name := fmt.Sprintf("%+v, again %s", tear, where)
						s.tornThenAgain(t, name, tear, terminals(s))
						w.now = w.now.Add(time.Hour)
					}
				}
			})
		}
	}
}

func tears(commands int) []epcard.Tear {
	var out []epcard.Tear
	for at := 1; at <= commands; at++ {
		out = append(out, epcard.Tear{At: at}, epcard.Tear{At: at, Noticed: true}, epcard.Tear{At: at, After: true})
	}
	return out
}

func (s *scene) tornThenAgain(t *testing.T, name string, tear epcard.Tear, terminals []*terminal) {
	first, _ := s.a.present(t, s.r, tear)
	full := money.Minor(s.trip.costs)
	if first.Outcome.Pass() {
		require.Equal(t, full, s.paid(), "%s: a light for a trip that is not paid", name)
	} else {
		require.Equal(t, tap.PresentAgain, first.Outcome, "%s: %s", name, first.Reason)
	}
	if s.trip.place.Mode == tap.Sale && terminals[0] != s.a {
		// A till is one terminal: another knows nothing of its sale, and a card shows no trip of it.
		return
	}
	for _, m := range terminals {
		s.now = s.now.Add(10 * time.Second)
		if s.trip.place.Mode == tap.Sale && first.Outcome.Pass() {
			break // the till has its answer
		}
		result, _ := m.present(t, s.r, epcard.Tear{})
		require.True(t, result.Outcome.Pass(), "%s: %v %s", name, result.Outcome, result.Reason)
		require.Equal(t, full, s.paid(), "%s: the trip is paid exactly once", name)
	}
	states := s.states(t, s.r)
	if terminals[len(terminals)-1] == s.a {
		require.Zero(t, states[wire.State_STATE_UNKNOWN], "%s: the card has told, and an outcome is still unknown", name)
		require.Zero(t, states[wire.State_STATE_AGED], name)
	}
}

// TestATornCardThatComesBackLater comes back after the window in which a tap is the same trip. What was taken without a light
// at a gate is not taken again there; a bus ride an hour later is another ride.
func TestATornCardThatComesBackLater(t *testing.T) {
	for _, c := range trips {
		if c.place.Mode == tap.Sale {
			continue // no window: the till's request is the trip
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := places(t, c)
			n := stage(t, w, c, nil).commands(t)
			for _, tear := range tears(n) {
				s := stage(t, w, c, nil)
				first, _ := s.a.present(t, s.r, tear)
				if first.Outcome.Pass() {
					continue
				}
				lost := s.paid()
				s.now = s.now.Add(time.Hour)
				had := len(s.r.debits)
				result, _ := s.a.present(t, s.r, epcard.Tear{})
				require.True(t, result.Outcome.Pass(), "%+v: %v %s", tear, result.Outcome, result.Reason)
				if c.place.Mode == tap.BusFlat {
					require.Equal(t, money.Minor(c.costs), s.r.taken(had), "%+v: the second ride", tear)
					require.LessOrEqual(t, lost.Minor(), c.costs)
				} else {
					require.Equal(t, money.Minor(c.costs), s.paid(), "%+v: once, gate or no gate", tear)
				}
				require.Zero(t, s.states(t, s.r)[wire.State_STATE_UNKNOWN], "%+v", tear)
			}
		})
	}
}

// TestATornRecovery tears the presentation that would have settled the first tear as well, at each of its commands.
func TestATornRecovery(t *testing.T) {
	for _, c := range trips {
		for _, committed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, committed %v", c.name, committed), func(t *testing.T) {
				t.Parallel()
				w := places(t, c)
				debitAt := s0(t, w, c)
				for at := 1; at < 40; at++ {
					for _, after := range []bool{false, true} {
						s := stage(t, w, c, nil)
						_, _ = s.a.present(t, s.r, epcard.Tear{At: debitAt, After: committed})
						s.now = s.now.Add(5 * time.Second)
						second, _ := s.a.present(t, s.r, epcard.Tear{At: at, After: after})
						s.now = s.now.Add(5 * time.Second)
						if second.Outcome.Pass() && c.place.Mode == tap.Sale {
							require.Equal(t, money.Minor(c.costs), s.paid())
							continue
						}
						third, _ := s.a.present(t, s.r, epcard.Tear{})
						require.True(t, third.Outcome.Pass(), "%d %v: %v %s", at, after, third.Outcome, third.Reason)
						require.Equal(t, money.Minor(c.costs), s.paid(), "%d %v: paid exactly once", at, after)
						require.Zero(t, s.states(t, s.r)[wire.State_STATE_UNKNOWN])
						w.now = w.now.Add(time.Hour)
					}
				}
			})
		}
	}
}

// s0 finds the command at which a trip's last DEBIT goes.
func s0(t *testing.T, w *town, c trip) int {
	n := stage(t, w, c, nil).commands(t)
	for at := n; at > 0; at-- {
		s := stage(t, w, c, nil)
		first, _ := s.a.present(t, s.r, epcard.Tear{At: at, After: true})
		w.now = w.now.Add(time.Hour)
		if first.Outcome == tap.PresentAgain && s.states(t, s.r)[wire.State_STATE_UNKNOWN] == 1 {
			return at
		}
	}
	require.Fail(t, "no DEBIT was found")
	return 0
}
