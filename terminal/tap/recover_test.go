package tap_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// TestWhatTheCardTells is the decision table of docs/tap-cycle.md: a debit with no answer, the card's debits elsewhere
// meanwhile, and what this terminal then knows. It holds for each way in which a card may log its counter, whatever the profile
// says.
func TestWhatTheCardTells(t *testing.T) {
	cases := []struct {
		name      string
		committed bool // the debit that got no answer
		elsewhere int  // debits at another terminal meanwhile
		start     uint16
		state     wire.State
		evidence  wire.Evidence
	}{
		{"it did not debit", false, 0, 0, wire.State_STATE_VOIDED, wire.Evidence_EVIDENCE_NONE},
		{"it debited", true, 0, 0, wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_PROVE},
		{"it did not, and the counter went to another terminal", false, 1, 0, wire.State_STATE_VOIDED, wire.Evidence_EVIDENCE_NONE},
		{"it did not, and two went elsewhere", false, 2, 0, wire.State_STATE_VOIDED, wire.Evidence_EVIDENCE_NONE},
		{"it debited, and the proof is another's by now", true, 1, 0, wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_CARD_LOG},
		{"it debited, last record of the log", true, 9, 0, wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_CARD_LOG},
		{"it debited, the log has rolled past it", true, 10, 0, wire.State_STATE_AGED, wire.Evidence_EVIDENCE_NONE},
		{"it did not, the log has rolled past its counter", false, 11, 0, wire.State_STATE_AGED, wire.Evidence_EVIDENCE_NONE},
		{"it debited, and its counter is at the end", true, 0, 65534, wire.State_STATE_COMPLETED, wire.Evidence_EVIDENCE_PROVE},
		{"it did not, and another took its last counter", false, 1, 65534, wire.State_STATE_VOIDED, wire.Evidence_EVIDENCE_NONE},
	}
	for _, profile := range []string{"before", "after"} {
		w := newTown(t.TempDir())
		defer w.close()
		w.profile.Card.LogCounter = profile
		here, other := w.terminal(t, bus), w.terminal(t, till)
		for _, c := range cases {
			for kind, with := range kinds {
				t.Run(fmt.Sprintf("%s, card %s, profile %s", c.name, kind, profile), func(t *testing.T) {
					r := w.riderOf(t, with, func(img *epcard.Image) { img.OfflineCounter = c.start })
					first, _ := here.present(t, r, epcard.Tear{At: debitOfABus, After: c.committed})
					require.Equal(t, tap.PresentAgain, first.Outcome, first.Reason)
					require.Equal(t, map[wire.State]int{wire.State_STATE_UNKNOWN: 1}, w.states(t, r))
					for n := range c.elsewhere {
						w.now = w.now.Add(time.Minute)
						sale := till
						sale.RequestID = fmt.Sprint(n)
						sale.Amount = money.Minor(2_00) // as much as the ride
						result, _ := other.presentFor(t, r, epcard.Tear{}, sale)
						require.True(t, result.Outcome.Pass(), result.Reason)
					}
					w.now = w.now.Add(time.Hour)
					last, _ := here.present(t, r, epcard.Tear{})
					require.NotNil(t, last.Recovered, "%v %s", last.Outcome, last.Reason)
					require.Equal(t, c.state == wire.State_STATE_COMPLETED, last.Recovered.Completed)
					require.Equal(t, c.state == wire.State_STATE_AGED, last.Recovered.Aged)
					require.Equal(t, first.Tap, last.Recovered.Tap)
					if r.OfflineCounter() == 65535 {
						require.False(t, last.Outcome.Pass(), "a card at its end sells nothing more")
					}
					var final *wire.Record
					for _, rec := range here.records(t) {
						if rec.GetTap() == first.Tap.Tap {
							final = rec
						}
					}
					require.Equal(t, c.state, final.GetState())
					require.Equal(t, c.evidence, final.GetEvidence())
					if c.evidence == wire.Evidence_EVIDENCE_PROVE {
						requireTAC(t, r, final)
					} else {
						require.Empty(t, final.GetTac())
					}
				})
			}
		}
	}
}

// debitOfABus is the number of DEBIT among the commands of a bus ride: SELECT, EF 15, EF 17, EF 1E, INITIALIZE, cache,
// DEBIT.
const debitOfABus = 7

func requireTAC(t *testing.T, r *rider, rec *wire.Record) {
	number := r.Number()
	key := keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{[8]byte(issuer), [8]byte(number[2:])}}
	tac, err := keys.NewSoft(masters).TAC(t.Context(), key, ep.PurchaseTAC(money.Minor(rec.GetAmount()), ep.Type(rec.GetTxnType()),
		ep.TerminalNumber(rec.GetPsamTerminal()), rec.GetPsamSerial(), ep.DateTime(rec.GetPurseTime())))
	require.NoError(t, err)
	require.Equal(t, tac[:], rec.GetTac(), "the card's own proof of the debit")
}

// TestLoadsInTheLogAreNotDebits: loads share the log with debits and have a counter of their own, which may be the same number.
func TestLoadsInTheLogAreNotDebits(t *testing.T) {
	w := newTown(t.TempDir())
	defer w.close()
	here := w.terminal(t, bus)
	r := w.riderOf(t, nil, func(img *epcard.Image) { img.OnlineCounter = img.OfflineCounter })
	_, _ = here.present(t, r, epcard.Tear{At: debitOfABus, After: true})
	r.load(t, money.Minor(20_00))
	r.load(t, money.Minor(2_00))
	w.now = w.now.Add(10 * time.Second)
	result, _ := here.present(t, r, epcard.Tear{})
	require.Equal(t, tap.RecoveredGranted, result.Outcome, result.Reason)
	require.Equal(t, map[wire.State]int{wire.State_STATE_COMPLETED: 1}, w.states(t, r))
	require.Equal(t, money.Minor(120_00), r.Balance())
}

// TestASaleIsTheRequests: the till's request, not the window, says whether a sale is the same.
func TestASaleIsTheRequests(t *testing.T) {
	for _, committed := range []bool{true, false} {
		for _, request := range []string{till.RequestID, "till-2"} {
			t.Run(fmt.Sprintf("committed %v, asked as %s", committed, request), func(t *testing.T) {
				w := newTown(t.TempDir())
				defer w.close()
				here := w.terminal(t, till)
				r := w.rider(t, nil)
				first, _ := here.present(t, r, epcard.Tear{At: 5, After: committed}) // SELECT, EF 15, EF 17, INITIALIZE, DEBIT
				require.Equal(t, tap.PresentAgain, first.Outcome, first.Reason)
				require.Equal(t, till.Amount, first.Amount, "at stake")
				w.now = w.now.Add(time.Hour)
				again := till
				again.RequestID = request
				result, _ := here.presentFor(t, r, epcard.Tear{}, again)
				require.True(t, result.Outcome.Pass())
				require.Equal(t, committed, result.Recovered.Completed)
				same := request == till.RequestID
				require.Equal(t, same && committed, result.Outcome == tap.RecoveredGranted)
				debits := 1
				if committed && !same {
					debits = 2
				}
				require.Len(t, r.debits, debits)
				if result.Outcome == tap.RecoveredGranted {
					require.Equal(t, first.Tap, result.Tap)
					require.Equal(t, till.Amount, result.Amount)
					require.Equal(t, r.Balance(), result.Balance)
				}
			})
		}
	}
}

// TestNothingIsDebitedWhileAnOutcomeIsUnknown: a card that will not tell is sold nothing here.
func TestNothingIsDebitedWhileAnOutcomeIsUnknown(t *testing.T) {
	w := newTown(t.TempDir())
	defer w.close()
	here := w.terminal(t, bus)
	r := w.rider(t, nil)
	_, _ = here.present(t, r, epcard.Tear{At: debitOfABus, After: true})
	w.now = w.now.Add(time.Hour)
	for at := debitOfABus - 2; at < debitOfABus+1; at++ { // INITIALIZE, PROVE and the log
		result, _ := here.present(t, r, epcard.Tear{At: at})
		require.Equal(t, tap.PresentAgain, result.Outcome, result.Reason)
		require.Len(t, r.debits, 1)
		require.Equal(t, map[wire.State]int{wire.State_STATE_UNKNOWN: 1}, w.states(t, r))
	}
	// Another card is sold to meanwhile.
	result, _ := here.present(t, w.rider(t, nil), epcard.Tear{})
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
}

// TestARecordedTearHasNoSecondUnknown: however often the card comes and goes, the journal says UNKNOWN once.
func TestARecordedTearHasNoSecondUnknown(t *testing.T) {
	w := newTown(t.TempDir())
	defer w.close()
	here := w.terminal(t, bus)
	r := w.rider(t, func(s *personalise.CardSpec) { s.Balance = money.Minor(10_00) })
	for range 3 {
		result, _ := here.present(t, r, epcard.Tear{At: debitOfABus, After: true})
		require.Equal(t, tap.PresentAgain, result.Outcome)
		here.boot(t)
	}
	require.Len(t, here.records(t), 1)
}

// TestACardThatDoesNotCountNothing: some cards prove a debit of nothing with the counter unmoved (conflict C3).
func TestACardThatDoesNotCountNothing(t *testing.T) {
	for kind, with := range kinds {
		for _, committed := range []bool{true, false} {
			t.Run(fmt.Sprintf("card %s, committed %v", kind, committed), func(t *testing.T) {
				w := newTown(t.TempDir())
				defer w.close()
				gate := w.terminal(t, inHarbor)
				r := w.rider(t, with)
				first, _ := gate.present(t, r, epcard.Tear{At: debitOfABus + 2, After: committed}) // GET BALANCE and a second cached record
				require.Equal(t, tap.PresentAgain, first.Outcome, first.Reason)
				require.Equal(t, map[wire.State]int{wire.State_STATE_UNKNOWN: 1}, w.states(t, r))
				w.now = w.now.Add(10 * time.Second)
				request := inHarbor
				request.Now, request.Clock = w.now, wire.ClockState_CLOCK_GOOD
				uncounted := tampered{epcard.Present(r.Card, epcard.Tear{}), func(c, answer []byte) []byte {
					if is(c, 0x80, 0x50) && committed {
						answer[5]-- // the counter stays
					}
					return answer
				}}
				result, err := gate.tap.Purchase(t.Context(), uncounted, request)
				require.NoError(t, err)
				require.True(t, result.Outcome.Pass(), result.Reason)
				require.Equal(t, committed, result.Recovered.Completed)
				require.Equal(t, committed, result.Outcome == tap.RecoveredGranted, "%v", result.Outcome)
			})
		}
	}
}
