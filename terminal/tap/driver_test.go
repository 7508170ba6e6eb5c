package tap_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/tap"
	"github.com/purselane/purselane/uplink/wire"
)

// stub is a driver and the card in front of it, of a family that tells the card's number only with an attempt unless told says otherwise. It does
// what the contract of package purse lets a driver do, and writes down what it was asked.
type stub struct {
	family string
	number ids.CardNumber
	told   bool // Reading has the number

	fail    map[string]error // by call
	verdict map[string]purse.Verdict
	seen    func(call string)
	calls   []string
	serial  uint32
}

func newStub(n byte) *stub {
	return &stub{family: "stub", number: ids.CardNumber{9: n}, fail: map[string]error{}, verdict: map[string]purse.Verdict{}}
}

func (s *stub) call(name string) error {
	s.calls = append(s.calls, name)
	if s.seen != nil {
		s.seen(name)
	}
	return s.fail[name]
}

func (s *stub) count(call string) (n int) {
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (s *stub) Family() string { return s.family }

func (s *stub) Open(context.Context, apdu.Transmitter) (purse.Card, error) {
	if err := s.call("Open"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stub) Read(context.Context, purse.Need) (r purse.Reading, err error) {
	if s.told {
		r.Card = s.number
	}
	r.Balance = money.Minor(50_00)
	return r, s.call("Read")
}

func (s *stub) Begin(_ context.Context, o purse.Order) (purse.Attempt, error) {
	s.serial++
	err := s.call("Begin")
	if err != nil && !errors.Is(err, purse.ErrMaybeDebited) {
		return purse.Attempt{}, err
	}
	return purse.Attempt{
		Family: s.family, Application: []byte{0xA0, 1}, Card: s.number, Counter: 7, Amount: o.Amount, Before: money.Minor(50_00), After: money.Minor(48_00),
		SAM: []byte{1, 2, 3, 4, 5, 6}, Serial: s.serial, Time: []byte{0x20, 0x26, 1, 1, 1, 1, 1}, State: []byte(fmt.Sprintf("card %d, %s", s.number[9], o.Amount)),
	}, err
}

func (s *stub) Stage(context.Context) error { return s.call("Stage") }

func (s *stub) Commit(context.Context) error { return s.call("Commit") }

func (s *stub) Evidence(context.Context) (purse.Evidence, error) {
	return purse.Evidence{How: purse.Reply, Kind: "stub/1", Data: []byte("proof"), Sealed: []byte("sealed"), Balance: money.Minor(48_00)}, s.call("Evidence")
}

func (s *stub) Recover(_ context.Context, a purse.Attempt) (purse.Verdict, purse.Evidence, error) {
	name := fmt.Sprintf("Recover %d", a.Card[9])
	if err := s.call(name); err != nil {
		return 0, purse.Evidence{}, err
	}
	v, found := s.verdict[name]
	if !found {
		return 0, purse.Evidence{}, purse.ErrOtherCard
	}
	return v, purse.Evidence{How: purse.Prove, Kind: "stub/1", Data: []byte("late proof"), Sealed: []byte("sealed"), Balance: money.Minor(48_00)}, nil
}

func (s *stub) Close() { _ = s.call("Close") }

// stubbed is a terminal that serves stubs. Its request is the place with a time.
func stubbed(t *testing.T, place tap.Request, drivers ...purse.Driver) (*terminal, tap.Request) {
	t.Helper()
	w := newTown(t.TempDir())
	t.Cleanup(w.close)
	m := w.terminal(t, place)
	m.tap.Drivers = drivers
	place.Now, place.Clock = w.now, wire.ClockState_CLOCK_GOOD
	return m, place
}

// tear leaves an open intent of unknown outcome of each card.
func (m *terminal) tear(t *testing.T, r tap.Request, cards ...*stub) {
	t.Helper()
	for _, s := range cards {
		s.fail["Commit"] = apdu.ErrNoAnswer
		m.tap.Drivers = []purse.Driver{s}
		result, err := m.tap.Purchase(t.Context(), nil, r)
		require.NoError(t, err)
		require.Equal(t, tap.PresentAgain, result.Outcome, result.Reason)
		delete(s.fail, "Commit")
		s.calls = nil
	}
}

func (m *terminal) states(t *testing.T) (out []wire.State) {
	t.Helper()
	for _, r := range m.records(t) {
		out = append(out, r.GetState())
	}
	return out
}

const (
	completed, unknown = wire.State_STATE_COMPLETED, wire.State_STATE_UNKNOWN
	voided, aged       = wire.State_STATE_VOIDED, wire.State_STATE_AGED
)

// TestARecordOfAnyFamily: what the driver tells is in the record, and what is the driver's own is on disk before Commit and nowhere later.
func TestARecordOfAnyFamily(t *testing.T) {
	s := newStub(1)
	m, r := stubbed(t, bus, s)
	s.seen = func(call string) {
		if call != "Commit" {
			return
		}
		draft, _, found, err := m.journal.OpenIntent(s.number)
		require.NoError(t, err)
		require.True(t, found, "Commit before the intent is on disk")
		require.Equal(t, "card 1, 2.00", string(draft.GetAttempt()))
	}
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
	require.Equal(t, s.number, result.Card)
	rec := m.last(t)
	require.Equal(t, "stub", rec.GetFamily())
	require.Equal(t, []byte{0xA0, 1}, rec.GetApplication())
	require.Equal(t, s.number[:], rec.GetCardNumber())
	require.Equal(t, "stub/1", rec.GetEvidenceKind())
	require.Equal(t, "proof", string(rec.GetEvidenceData()))
	require.Equal(t, "sealed", string(rec.GetSealedCard()))
	require.Empty(t, rec.GetAttempt())
	require.EqualValues(t, 48_00, rec.GetBalanceAfter())
	require.Equal(t, []string{"Open", "Read", "Begin", "Stage", "Commit", "Evidence", "Close"}, s.calls)
}

// TestAnEPRecordHasAnApplication: and beside it what it always had.
func TestAnEPRecordHasAnApplication(t *testing.T) {
	w := newTown(t.TempDir())
	defer w.close()
	m := w.terminal(t, bus)
	_, _ = m.present(t, w.rider(t, nil), epcard.Tear{})
	rec := m.last(t)
	require.Equal(t, []byte(w.profile.Card.AIDs[0]), rec.GetApplication())
	require.Empty(t, rec.GetEvidenceKind())
	require.Empty(t, rec.GetEvidenceData())
	require.Empty(t, rec.GetSealedCard())
	require.Empty(t, rec.GetAttempt())
	require.Len(t, rec.GetTac(), 4)
}

func TestTheFirstDriverWhosePurseIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		first error
		want  tap.Outcome
		asked int // of the second
	}{
		"none of this family": {purse.ErrNoPurse, tap.Granted, 1},
		"blocked":             {purse.ErrBlocked, tap.RefusedBlocked, 0},
		"left":                {apdu.ErrNoAnswer, tap.PresentAgain, 0},
		"there":               {nil, tap.Granted, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := newStub(1), newStub(2)
			first.fail["Open"] = c.first
			m, r := stubbed(t, bus, first, second)
			result, err := m.tap.Purchase(t.Context(), nil, r)
			require.NoError(t, err)
			require.Equal(t, c.want, result.Outcome)
			require.Equal(t, c.asked, second.count("Open"))
			require.Equal(t, c.asked, second.count("Close"))
		})
	}
	m, r := stubbed(t, bus)
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RefusedUnknown, result.Outcome)
}

// TestWhatADriverMaySay: each error of the contract at each call, what the rider is shown, and what the journal says then.
func TestWhatADriverMaySay(t *testing.T) {
	and := func(all ...error) error { return errors.Join(all...) }
	cases := []struct {
		call  string
		err   error
		want  tap.Outcome // OutOfService: an error
		state []wire.State
	}{
		{"Open", purse.ErrTerminal, tap.OutOfService, nil},
		{"Read", purse.ErrExpired, tap.RefusedExpired, nil},
		{"Read", purse.ErrNoPurse, tap.RefusedUnknown, nil},
		{"Begin", purse.ErrBusy, tap.PresentAgain, nil},
		{"Begin", purse.ErrKey, tap.RefusedKeyVersion, nil},
		{"Begin", purse.ErrInsufficient, tap.RefusedBalance, nil},
		{"Begin", purse.ErrDeclined, tap.RefusedFaulty, nil},
		{"Begin", purse.ErrTerminal, tap.OutOfService, nil},
		{"Begin", and(purse.ErrMaybeDebited, apdu.ErrNoAnswer), tap.PresentAgain, []wire.State{unknown}},
		{"Begin", and(purse.ErrMaybeDebited, purse.ErrTerminal), tap.OutOfService, []wire.State{unknown}},
		{"Stage", apdu.ErrNotSent, tap.PresentAgain, nil},
		{"Stage", purse.ErrDeclined, tap.RefusedFaulty, nil},
		{"Stage", purse.ErrTerminal, tap.OutOfService, nil},
		{"Commit", and(purse.ErrNotDebited, apdu.ErrNotSent), tap.PresentAgain, nil},
		{"Commit", and(purse.ErrNotDebited, purse.ErrInsufficient), tap.RefusedBalance, nil},
		{"Commit", and(purse.ErrNotDebited, purse.ErrTerminal), tap.OutOfService, nil},
		{"Commit", apdu.ErrNoAnswer, tap.PresentAgain, []wire.State{unknown}},
		{"Commit", purse.ErrDeclined, tap.PresentAgain, []wire.State{unknown}},
		{"Commit", purse.ErrTerminal, tap.OutOfService, []wire.State{unknown}},
		{"Evidence", purse.ErrBadProof, tap.RefusedFaulty, []wire.State{unknown}},
		{"Evidence", apdu.ErrNoAnswer, tap.PresentAgain, []wire.State{unknown}},
		{"Evidence", purse.ErrTerminal, tap.OutOfService, []wire.State{unknown}},
	}
	for _, told := range []bool{false, true} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s %v, number told first %v", c.call, c.err, told), func(t *testing.T) {
				s := newStub(1)
				s.told, s.fail[c.call] = told, c.err
				m, r := stubbed(t, bus, s)
				result, err := m.tap.Purchase(t.Context(), nil, r)
				require.Equal(t, c.want == tap.OutOfService, err != nil, "%v", err)
				require.Equal(t, c.want, result.Outcome, result.Reason)
				require.Equal(t, c.state, m.states(t))
				open, err := m.journal.OpenIntents()
				require.NoError(t, err)
				require.Len(t, open, len(c.state), "an unknown outcome stays open, nothing else does")
				if c.call != "Open" {
					require.Equal(t, 1, s.count("Close"))
				}
			})
		}
	}
}

// TestACardThatHidesItsNumberIsAskedAboutTheNewest: five of its family's open intents, the newest first; not those of others, and not one that
// another reader has under way.
func TestACardThatHidesItsNumberIsAskedAboutTheNewest(t *testing.T) {
	m, r := stubbed(t, bus)
	var torn []*stub
	for n := byte(1); n <= 7; n++ {
		torn = append(torn, newStub(n))
	}
	m.tear(t, r, torn...)
	other := newStub(8)
	other.family = "other"
	m.tear(t, r, other)
	number9 := ids.CardNumber{9: 9}
	_, err := m.journal.Begin(&wire.Record{Family: "stub", CardNumber: number9[:]})
	require.NoError(t, err)

	s := newStub(20)
	m.tap.Drivers = []purse.Driver{s}
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
	require.Equal(t, []string{"Open", "Read", "Recover 7", "Recover 6", "Recover 5", "Recover 4", "Recover 3", "Begin", "Stage", "Commit", "Evidence", "Close"}, s.calls)

	// Card 4 comes back: it is asked, and then it rides.
	four := torn[3]
	four.verdict["Recover 4"] = purse.Voided
	m.tap.Drivers = []purse.Driver{four}
	result, err = m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
	require.NotNil(t, result.Recovered)
	require.False(t, result.Recovered.Completed)
	require.Equal(t, []wire.State{voided, completed}, m.states(t)[len(m.states(t))-2:])
	require.Zero(t, four.count("Recover 3"), "it is found")

	// Card 1 is too old to be asked about; its number finds its open intent all the same, before anything is debited.
	one := torn[0]
	one.verdict["Recover 1"] = purse.Completed
	m.tap.Drivers = []purse.Driver{one}
	result, err = m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RecoveredGranted, result.Outcome, "the ride of a moment ago is paid")
	require.NotNil(t, result.Recovered)
	require.True(t, result.Recovered.Completed)
	require.Zero(t, one.count("Commit"))
	require.Equal(t, []string{"Begin", "Close", "Open", "Read", "Recover 1", "Close"}, one.calls[slices.Index(one.calls, "Begin"):], "asked before any Begin: opened afresh")
	rec := m.last(t)
	require.Equal(t, completed, rec.GetState())
	require.Equal(t, wire.Evidence_EVIDENCE_PROVE, rec.GetEvidence())
	require.Equal(t, "late proof", string(rec.GetEvidenceData()))
	require.Equal(t, "sealed", string(rec.GetSealedCard()))
	result, err = m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
}

// TestWhatAGivenUpTapStillHas: evidence that the terminal cannot judge goes to the backend; how the debit is known, and a balance after it, it does not say.
func TestWhatAGivenUpTapStillHas(t *testing.T) {
	for verdict, want := range map[purse.Verdict]string{purse.Aged: "late proof", purse.Voided: ""} {
		s := newStub(1)
		m, r := stubbed(t, bus)
		m.tear(t, r, s)
		s.verdict["Recover 1"] = verdict
		m.tap.Drivers = []purse.Driver{s}
		result, err := m.tap.Purchase(t.Context(), nil, r)
		require.NoError(t, err)
		require.Equal(t, tap.Granted, result.Outcome, result.Reason)
		all := m.records(t)
		rec := all[1] // after its unknown one
		require.Equal(t, map[purse.Verdict]wire.State{purse.Aged: aged, purse.Voided: voided}[verdict], rec.GetState())
		require.Equal(t, want, string(rec.GetEvidenceData()))
		require.Equal(t, want != "", rec.GetEvidenceKind() == "stub/1")
		require.Zero(t, rec.GetEvidence())
	}
}

func TestACardThatHidesItsNumberAndWillNotTell(t *testing.T) {
	for err, want := range map[error]tap.Outcome{apdu.ErrNoAnswer: tap.PresentAgain, errors.New("nonsense"): tap.RefusedFaulty, purse.ErrTerminal: tap.OutOfService} {
		s := newStub(1)
		m, r := stubbed(t, bus)
		m.tear(t, r, s)
		s.fail["Recover 1"] = err
		result, got := m.tap.Purchase(t.Context(), nil, r)
		require.Equal(t, want == tap.OutOfService, got != nil)
		require.Equal(t, want, result.Outcome)
		require.Equal(t, []wire.State{unknown}, m.states(t))
		require.Zero(t, s.count("Begin"), "nothing is debited while the old outcome is open")
	}
}

// TestTheDenyListOfACardThatHidesItsNumber: it is looked at as soon as the number is known, and before anything is debited.
func TestTheDenyListOfACardThatHidesItsNumber(t *testing.T) {
	s := newStub(1)
	m, r := stubbed(t, bus, s)
	m.tap.Denied = func(n ids.CardNumber) bool { return n == s.number }
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RefusedDenied, result.Outcome)
	require.Equal(t, s.number, result.Card)
	require.Empty(t, m.states(t))
	open, err := m.journal.OpenIntents()
	require.NoError(t, err)
	require.Empty(t, open)
	require.Zero(t, s.count("Commit"))

	m.tap.Denied = nil
	m.tear(t, r, s)
	m.tap.Denied = func(n ids.CardNumber) bool { return n == s.number }
	s.verdict["Recover 1"] = purse.Completed
	result, err = m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RefusedDenied, result.Outcome, "what is open is settled; nothing more is sold")
	require.Equal(t, []wire.State{unknown, completed}, m.states(t))
}

// TestARecordNamesTheDenyListThatWasAsked: a newer one that comes while the card is looked up was not asked.
func TestARecordNamesTheDenyListThatWasAsked(t *testing.T) {
	s := newStub(1)
	m, r := stubbed(t, bus, s)
	list := uint64(7)
	m.tap.DenyVersion = func() uint64 { return list }
	m.tap.Denied = func(ids.CardNumber) bool { list = 8; return false }
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.Granted, result.Outcome, result.Reason)
	records := m.records(t)
	require.EqualValues(t, 7, records[len(records)-1].GetDenyVersion())
}

// TestACardThatChangesItsNumber in the middle of a visit must not be served under either.
func TestACardThatChangesItsNumber(t *testing.T) {
	for _, told := range []bool{false, true} {
		s := newStub(1)
		m, r := stubbed(t, bus)
		m.tear(t, r, s)
		s.told, s.verdict["Recover 1"] = told, purse.Voided
		s.seen = func(call string) {
			if call == "Begin" {
				s.number = ids.CardNumber{9: 77}
			}
		}
		result, err := m.tap.Purchase(t.Context(), nil, r)
		require.NoError(t, err)
		require.Equal(t, tap.RefusedFaulty, result.Outcome)
		require.Contains(t, result.Reason, "changes its number")
		require.Equal(t, []wire.State{unknown, voided}, m.states(t))
		require.Zero(t, s.count("Commit"))
	}
	s := newStub(0)
	s.number = ids.CardNumber{}
	m, r := stubbed(t, bus, s)
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RefusedFaulty, result.Outcome)
	require.Contains(t, result.Reason, "no number")
}

// TestAPurseOfAnotherFamilyIsNotAsked: one number in two families. The one that is open is not called off by what the other one says.
func TestAPurseOfAnotherFamilyIsNotAsked(t *testing.T) {
	first, second := newStub(1), newStub(1)
	first.told, second.told, second.family = true, true, "other"
	m, r := stubbed(t, bus)
	m.tear(t, r, first)
	second.verdict["Recover 1"] = purse.Voided
	m.tap.Drivers = []purse.Driver{second}
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RefusedFaulty, result.Outcome)
	require.Contains(t, result.Reason, "another purse than at its open tap")
	require.Equal(t, []wire.State{unknown}, m.states(t))
	require.Zero(t, second.count("Recover 1"))
	require.Zero(t, second.count("Begin"))
}

// TestTheSaleThatACardHidingItsNumberHasPaid is answered by its request, as ever.
func TestTheSaleThatACardHidingItsNumberHasPaid(t *testing.T) {
	s := newStub(1)
	m, r := stubbed(t, till)
	m.tear(t, r, s)
	s.verdict["Recover 1"] = purse.Completed
	r.Now = r.Now.Add(time.Hour)
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.RecoveredGranted, result.Outcome)
	require.Equal(t, s.number, result.Card)
	require.Zero(t, s.count("Begin"))
}

// TestBegunTooFarTwice: a card may have debited in Begin while an older attempt is open that it denied. The new one must be on disk, and the
// old one is given up: the backend finds both.
func TestBegunTooFarTwice(t *testing.T) {
	s := newStub(1)
	m, r := stubbed(t, bus)
	m.tear(t, r, s)
	s.fail["Begin"] = purse.ErrMaybeDebited
	result, err := m.tap.Purchase(t.Context(), nil, r)
	require.NoError(t, err)
	require.Equal(t, tap.PresentAgain, result.Outcome)
	require.Equal(t, []wire.State{unknown, aged, unknown}, m.states(t))
	require.NotEqual(t, m.records(t)[0].GetTap(), m.last(t).GetTap())
	require.Equal(t, m.last(t).GetTap(), result.Tap.Tap)
	draft, isUnknown, found, err := m.journal.OpenIntent(s.number)
	require.NoError(t, err)
	require.True(t, found && isUnknown)
	require.Equal(t, "card 1, 2.00", string(draft.GetAttempt()))
	require.Equal(t, unknown, draft.GetState(), "the journal is told that it is too late to refuse")
	require.Zero(t, s.count("Stage"))
}
