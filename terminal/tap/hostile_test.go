package tap_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/image"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// meet presents a liar that stands in for r's card. Whatever it says, the terminal does not fail, and what it shows is one of its
// outcomes.
func (m *terminal) meet(t *testing.T, r *rider, liar epcard.Powered) tap.Result {
	t.Helper()
	place := m.place
	place.Now, place.Clock = m.w.now, wire.ClockState_CLOCK_GOOD
	field := epcard.Present(liar, epcard.Tear{})
	result, err := m.tap.Purchase(context.Background(), field, place)
	field.Leave()
	require.NoError(t, err, "a card makes the terminal fail")
	require.NotEmpty(t, result.Outcome.String())
	r.note(t)
	m.checkLight(t, r, result)
	return result
}

// last is the newest record of the journal.
func (m *terminal) last(t *testing.T) *wire.Record {
	t.Helper()
	all := m.records(t)
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

// tacIsGood is the backend's check of a record.
func tacIsGood(t *testing.T, rec *wire.Record) bool {
	t.Helper()
	number := rec.GetCardNumber()
	input := ep.PurchaseTAC(money.Minor(rec.GetAmount()), ep.Type(rec.GetTxnType()), ep.TerminalNumber(rec.GetPsamTerminal()), rec.GetPsamSerial(), ep.DateTime(rec.GetPurseTime()))
	tac, err := keys.NewSoft(masters).TAC(t.Context(), keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1}, Factors: [][8]byte{[8]byte(rec.GetIssuer()), [8]byte(number[2:])}}, input)
	require.NoError(t, err)
	return string(tac[:]) == string(rec.GetTac())
}

func hostileTown(t *testing.T, place tap.Request) (*town, *terminal) {
	t.Helper()
	w := newTown(t.TempDir())
	t.Cleanup(w.close)
	return w, w.terminal(t, place)
}

// TestACardThatSubtractsWrongly: 1000h − 10h = 0F10h, and MAC2 and TAC are good. Only reading back tells.
func TestACardThatSubtractsWrongly(t *testing.T) {
	w, m := hostileTown(t, tap.Request{Mode: tap.Sale, Amount: money.Minor(0x10), RequestID: "till-1"})
	r := w.rider(t, func(s *personalise.CardSpec) { s.Balance = money.Minor(0x1000) })
	result := m.meet(t, r, epcard.NewHostile(r.Card, epcard.WrongBorrow))
	require.Equal(t, tap.RefusedFaulty, result.Outcome)
	require.Equal(t, money.Minor(0x0F10), r.Balance())
	rec := m.last(t)
	require.Equal(t, wire.State_STATE_COMPLETED, rec.GetState(), "the debit took place, with a good TAC, and is told")
	require.Equal(t, money.Minor(0x0F10).Minor(), rec.GetBalanceAfter())
	require.NotZero(t, rec.GetFlags())
	require.True(t, tacIsGood(t, rec))
	require.Equal(t, money.Minor(0x10), r.taken(0))
}

// same is a source of random numbers that gives one byte for ever.
type same byte

func (s same) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

// TestAConstantRandomNumberAndMAC2: the terminal's own serial is in the session key, so the MAC2 of another tap is not the MAC2 of this
// one.
func TestAConstantRandomNumberAndMAC2(t *testing.T) {
	w, m := hostileTown(t, till)
	r := w.rider(t, nil)
	var err error
	r.Card, err = epcard.New(r.Image(), same(7))
	require.NoError(t, err)
	liar := epcard.NewHostile(r.Card, epcard.ConstantMAC2)
	require.Equal(t, tap.Granted, m.meet(t, r, liar).Outcome, "the first MAC2 is true")
	w.now = w.now.Add(time.Minute)
	m.place.RequestID = "till-2"
	require.Equal(t, tap.RefusedFaulty, m.meet(t, r, liar).Outcome)
	require.Equal(t, 1, w.states(t, r)[wire.State_STATE_UNKNOWN], "the card did debit; the terminal cannot know")
	w.check(t, r)
}

// TestAnswersOfAnOlderSession: a chip that holds no key and repeats what the true card said once.
func TestAnswersOfAnOlderSession(t *testing.T) {
	for _, place := range []tap.Request{bus, inHarbor, till} {
		w, m := hostileTown(t, place)
		r := w.rider(t, nil)
		liar := epcard.NewHostile(r.Card, epcard.Replay)
		require.Equal(t, tap.Granted, m.meet(t, r, liar).Outcome)
		counter := r.OfflineCounter()
		w.now = w.now.Add(10 * time.Minute)
		m.place.RequestID = "till-2"
		result := m.meet(t, r, liar)
		require.Equal(t, tap.RefusedFaulty, result.Outcome)
		require.Equal(t, counter, r.OfflineCounter())
		require.Equal(t, 1, w.states(t, r)[wire.State_STATE_COMPLETED])
		require.Equal(t, 1, w.states(t, r)[wire.State_STATE_UNKNOWN])
	}
}

// TestAReplayAfterAllSerials: the session key has two bytes of the serial, so after 65536 debits of one PSAM a replayed MAC2 verifies.
// The TAC has all four bytes and the time: the backend refuses it.
func TestAReplayAfterAllSerials(t *testing.T) {
	w, m := hostileTown(t, till)
	r := w.rider(t, nil)
	liar := epcard.NewHostile(r.Card, epcard.Replay)
	require.Equal(t, tap.Granted, m.meet(t, r, liar).Outcome)
	require.True(t, tacIsGood(t, m.last(t)))
	m.insertPSAM(t, 1+1<<16)
	w.now = w.now.Add(time.Hour)
	m.place.RequestID = "till-2"
	result := m.meet(t, r, liar)
	rec := m.last(t)
	require.NotEqual(t, tap.Granted, result.Outcome, "the card's log does not show the debit")
	require.Equal(t, wire.State_STATE_COMPLETED, rec.GetState())
	require.NotZero(t, rec.GetFlags())
	require.False(t, tacIsGood(t, rec))
}

// TestACounterThatWraps: from 256 the card counts on with 1. Debits go on; a lost answer just there is never taken for "not debited".
func TestACounterThatWraps(t *testing.T) {
	for _, log := range []epcard.LogCounter{epcard.LogBefore, epcard.LogAfter} {
		for _, lost := range []bool{false, true} {
			w, m := hostileTown(t, till)
			r := w.riderOf(t, func(s *personalise.CardSpec) { s.Log = log }, func(img *epcard.Image) { img.OfflineCounter = 256 })
			tear := epcard.Tear{}
			if lost {
				tear = epcard.Tear{At: 5, After: true}
			}
			field := epcard.Present(epcard.NewHostile(r.Card, epcard.CounterWraps), tear)
			place := m.place
			place.Now, place.Clock = w.now, wire.ClockState_CLOCK_GOOD
			result, err := m.tap.Purchase(t.Context(), field, place)
			require.NoError(t, err)
			require.EqualValues(t, 1, r.OfflineCounter(), "it did debit")
			r.noted = 0 // one debit since, as this card counts
			w.now = w.now.Add(time.Second)
			m.place.RequestID = "till-2"
			if !lost {
				require.Contains(t, []tap.Outcome{tap.Granted, tap.RefusedFaulty}, result.Outcome)
				require.Equal(t, wire.State_STATE_COMPLETED, m.last(t).GetState())
				continue
			}
			require.Equal(t, tap.PresentAgain, result.Outcome)
			result = m.meet(t, r, epcard.NewHostile(r.Card, epcard.CounterWraps))
			require.NotNil(t, result.Recovered)
			require.True(t, result.Recovered.Completed || result.Recovered.Aged, "a debit that took place was called off")
			require.Equal(t, tap.Granted, result.Outcome, "the next sale")
		}
	}
}

// TestAProofWithoutMAC2: after a lost answer the card proves with a MAC2 of zeros and a made-up TAC. While the card's own counter and log
// do not show the debit, the proof is worth nothing; where the log does, the record says that a proof is its evidence, and the backend
// holds the TAC against it.
func TestAProofWithoutMAC2(t *testing.T) {
	for _, debited := range []bool{false, true} {
		w, m := hostileTown(t, till)
		r := w.rider(t, nil)
		// The commands of a sale: SELECT, EF 15, EF 17, INITIALIZE, DEBIT.
		result, lit := m.present(t, r, epcard.Tear{At: 5, After: debited})
		require.True(t, lit)
		require.Equal(t, tap.PresentAgain, result.Outcome)
		w.now = w.now.Add(time.Second)
		result = m.meet(t, r, epcard.NewHostile(r.Card, epcard.ProofWithout))
		if !debited {
			require.NotNil(t, result.Recovered)
			require.False(t, result.Recovered.Completed, "no log record, no debit")
			require.Equal(t, tap.Granted, result.Outcome)
			require.EqualValues(t, 1, r.OfflineCounter())
			w.check(t, r)
			continue
		}
		require.Equal(t, tap.RecoveredGranted, result.Outcome)
		require.EqualValues(t, 1, r.OfflineCounter(), "nothing is taken twice")
		rec := m.last(t)
		require.Equal(t, wire.Evidence_EVIDENCE_PROVE, rec.GetEvidence())
		require.False(t, tacIsGood(t, rec))
	}
}

// TestABalanceAboveTheMaximum: the top bit does not count, and a balance that the debit did not make is seen.
func TestABalanceAboveTheMaximum(t *testing.T) {
	w, m := hostileTown(t, till)
	r := w.rider(t, nil)
	result := m.meet(t, r, epcard.NewHostile(r.Card, epcard.TooRich))
	require.Equal(t, tap.RefusedFaulty, result.Outcome)
	require.Equal(t, money.Minor(12_50), r.taken(0))
	require.NotZero(t, m.last(t).GetFlags())

	poor := w.rider(t, func(s *personalise.CardSpec) { s.Balance = money.Minor(1_00) })
	m.place.RequestID = "till-2"
	result = m.meet(t, poor, epcard.NewHostile(poor.Card, epcard.TooRich))
	require.Equal(t, tap.RefusedBalance, result.Outcome, "the card itself knows what it has")
	require.Empty(t, poor.debits)
}

// TestAnswersThatAreNone: from each command on, in each place, the card answers nothing, too much, or for ever that there is more. What
// follows is typed; the honest card settles what is open afterwards, and each debit has one record.
func TestAnswersThatAreNone(t *testing.T) {
	lies := []epcard.Lie{epcard.Empty, epcard.TooLong, epcard.Padded, epcard.Endless61, epcard.Endless6C, epcard.SilentZeroBytes}
	for _, place := range []tap.Request{bus, inHarbor, till} {
		for _, lie := range lies {
			t.Run(fmt.Sprintf("%v/%s", place.Mode, lie), func(t *testing.T) {
				w, m := hostileTown(t, place)
				for from := 1; ; from++ {
					m.place.RequestID = fmt.Sprintf("till-%d", from)
					m.insertPSAM(t, uint32(from)*100) // three wrong MAC2 lock one
					r := w.rider(t, nil)
					counted := &counter{Powered: epcard.NewHostile(r.Card, lie)}
					counted.Powered.(*epcard.Hostile).From = from
					result := m.meet(t, r, counted)
					require.LessOrEqual(t, len(r.debits), 1)
					if counted.n < from {
						require.Equal(t, tap.Granted, result.Outcome, "it told no lie")
						require.Greater(t, from, 5)
						break
					}
					require.Less(t, counted.n, from+30, "an endless card ends")
					w.check(t, r)
					if place.Mode == tap.Sale && result.Outcome.Pass() {
						continue // it lied after the sale, and the till knows that it is paid
					}
					w.now = w.now.Add(time.Second)
					again, lit := m.present(t, r, epcard.Tear{})
					require.True(t, lit)
					require.True(t, again.Outcome.Pass(), "the honest card: %v, %s", again.Outcome, again.Reason)
					require.Len(t, r.debits, 1, "charged twice, or not at all")
					require.Zero(t, w.states(t, r)[wire.State_STATE_UNSPECIFIED])
					w.now = w.now.Add(time.Hour)
				}
			})
		}
	}
}

// counter counts the commands that reach a chip.
type counter struct {
	epcard.Powered
	n int
}

func (c *counter) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.n++
	return c.Powered.Transmit(ctx, command)
}

// TestACardSwappedInTheMiddle: from each command on another card of the scheme answers. Neither is debited for the other, and no journal
// says so.
func TestACardSwappedInTheMiddle(t *testing.T) {
	for _, place := range []tap.Request{bus, inHarbor, till} {
		w, m := hostileTown(t, place)
		for from := 2; from < 20; from++ {
			m.place.RequestID = fmt.Sprintf("till-%d", from)
			m.insertPSAM(t, uint32(from)*100)
			first, second := w.rider(t, nil), w.rider(t, func(s *personalise.CardSpec) { s.Balance = money.Minor(55_00) })
			liar := epcard.NewHostile(first.Card, epcard.Swapped)
			liar.From, liar.Other = from, second.Card
			result := m.meet(t, first, liar)
			second.note(t)
			require.Empty(t, second.debits, "from command %d the second card was debited under the first one's name", from)
			w.check(t, first)
			w.check(t, second)
			if len(first.debits) == 0 {
				require.False(t, result.Outcome.Pass(), "from command %d: %v", from, result.Outcome)
			}
			w.now = w.now.Add(time.Hour)
		}
	}
}

// TestACardThatHidesThePurseOfItsOpenTap: two applications of one number, each with a good counter of its own. The tap of the one is open
// when the card shows the other, whose counter has not moved. Nothing is called off by that, nothing is sold, and the first one settles it.
func TestACardThatHidesThePurseOfItsOpenTap(t *testing.T) {
	for _, debited := range []bool{false, true} {
		w := newTown(t.TempDir())
		t.Cleanup(w.close)
		w.profile.Card.AIDs = append(w.profile.Card.AIDs, ep.AIDPBOC)
		m := w.terminal(t, till)
		r := w.rider(t, nil)
		img := r.Image()
		img.AID = image.Bytes(ep.AIDPBOC)
		second, err := epcard.New(img, seeded(99))
		require.NoError(t, err)
		liar := epcard.NewHostile(r.Card, epcard.TwoPurses)
		liar.Other = second

		place := m.place
		place.Now, place.Clock = w.now, wire.ClockState_CLOCK_GOOD
		// The commands of a sale: SELECT, EF 15, EF 17, INITIALIZE, DEBIT.
		result, err := m.tap.Purchase(t.Context(), epcard.Present(liar, epcard.Tear{At: 5, After: debited}), place)
		require.NoError(t, err)
		require.Equal(t, tap.PresentAgain, result.Outcome)
		torn := result.Tap

		liar.Hidden = true
		for range 2 {
			w.now = w.now.Add(time.Second)
			result = m.meet(t, r, liar)
			require.Equal(t, tap.RefusedFaulty, result.Outcome)
			require.Contains(t, result.Reason, "another purse than at its open tap")
			require.Equal(t, torn, result.Tap)
			require.Nil(t, result.Recovered)
			require.Zero(t, second.OfflineCounter(), "the other purse was debited")
			require.Equal(t, map[wire.State]int{wire.State_STATE_UNKNOWN: 1}, w.states(t, r))
			_, unknown, found, err := m.journal.OpenIntent(r.Number())
			require.NoError(t, err)
			require.True(t, found && unknown, "the intent stays open")
		}

		liar.Hidden = false
		w.now = w.now.Add(time.Second)
		result = m.meet(t, r, liar)
		want := tap.Granted
		if debited {
			want = tap.RecoveredGranted
		}
		require.Equal(t, want, result.Outcome, result.Reason)
		require.EqualValues(t, 1, r.OfflineCounter())
		w.check(t, r)
	}
}
