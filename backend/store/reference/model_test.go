package reference_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/reference"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

var (
	one   = ids.CardNumber{9: 1}
	alias = ids.CardNumber{0: 0xA1, 9: 1}
	bus   = reference.Epoch{Terminal: "bus-1", Epoch: 1}
)

// tap makes what a terminal knows of one tap; before and amount are in minor units.
func tap(seq uint64, counter uint32, before, amount int64, said shadowaccount.Said, proof shadowaccount.Proof) reference.Looked {
	return reference.Looked{Verified: store.Verified{Card: one, Counter: counter, Kind: 1, Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: bus.Terminal, Epoch: bus.Epoch, Tap: seq}, Seq: seq, At: int64(seq),
		Merchant: "m", Amount: money.Minor(amount), Before: money.Minor(before), After: money.Minor(before - amount), Said: said, Proof: proof}}}
}

func good(seq uint64, counter uint32, before, amount int64) reference.Looked {
	return tap(seq, counter, before, amount, shadowaccount.SaidCompleted, shadowaccount.ProofGood)
}

// told makes a model of one terminal's records, numbered from 1 on.
func told(records ...reference.Looked) *reference.Model {
	m := reference.New(func(k reference.Key, _ []byte) reference.Looked { return records[k.Seq-1] })
	for i := range records {
		m.Keep(bus, uint64(i+1), [][]byte{{byte(i)}})
	}
	return m
}

func loaded(m *reference.Model, counter uint16, minor int64) {
	m.Issue(store.Card{Number: one})
	m.Load(one, shadowaccount.Load{Counter: counter, Amount: money.Minor(minor), Loaded: true})
	m.Post(books.Entry{ID: "load", Lines: []books.Line{{Account: books.Trust, Amount: money.Minor(minor)}, {Account: books.Float, Amount: money.Minor(-minor)}}})
}

func state(t *testing.T, m *reference.Model) reference.State {
	s, err := m.State()
	require.NoError(t, err)
	return s
}

func statuses(c reference.Card) (out []string) {
	for _, p := range c.Claims {
		out = append(out, p.Status.String())
	}
	return out
}

func TestALostAnswerIsToldByTheNextTap(t *testing.T) {
	m := told(tap(1, 0, 10_00, 2_00, shadowaccount.SaidUnknown, shadowaccount.ProofNone), good(2, 1, 8_00, 3_00), good(3, 4, 4_00, 1_00))
	loaded(m, 0, 10_00)
	s := state(t, m)
	c := s.Cards[one]
	require.Equal(t, []string{"inferred", "accepted", "accepted"}, statuses(c))
	require.Equal(t, "4.00", c.Shadow.String())
	require.Equal(t, [3]uint32{2, 5, 2}, [3]uint32{c.Complete, c.Next, uint32(c.Missing)})
	require.Equal(t, []shadowaccount.Gap{{First: 2, Last: 3, Value: money.Minor(1_00)}}, c.Gaps)
	require.Equal(t, map[books.Account]money.Amount{books.Trust: money.Minor(10_00), books.Float: money.Minor(-4_00), books.MerchantPending("m"): money.Minor(-6_00)}, s.Balances)
	require.EqualValues(t, 3, s.Through[bus])
}

func TestASlotStandsOnce(t *testing.T) {
	m := told(good(1, 0, 10_00, 2_00), good(2, 0, 10_00, 1_00), tap(3, 1, 8_00, 1_00, shadowaccount.SaidCompleted, shadowaccount.ProofBad))
	loaded(m, 0, 10_00)
	m.Block(one, time.UnixMilli(0))
	s := state(t, m)
	require.Equal(t, []string{"accepted", "clone", "bad-tac"}, statuses(s.Cards[one]))
	require.Equal(t, store.CardBlocked, s.Cards[one].Status)
	require.Equal(t, money.Minor(1_00), s.Balances[books.SuspClone])
	require.Equal(t, money.Minor(1_00), s.Balances[books.SuspBadTAC])
	require.Equal(t, shadowaccount.FindClone, s.Cards[one].Findings[0].Code)
}

// A debit counts for the claim it belongs to, wherever the others stand; a card that nobody issued has a row once a record of it is a tap.
func TestADebitCountsOnce(t *testing.T) {
	first, again := good(1, 0, 10_00, 2_00), good(2, 3, 10_00, 2_00)
	first.Claim.Debit, again.Claim.Debit = "d", "d"
	s := state(t, told(first, again))
	c := s.Cards[one]
	require.Equal(t, []string{"accepted", "void"}, statuses(c))
	require.Equal(t, store.CardUnknown, c.Status)
	require.Equal(t, "-2.00", c.Shadow.String())
}

// On a card whose counter moves without a debit the balance decides, at the next slot that says anything.
func TestASparseChainIsReadByItsBalances(t *testing.T) {
	torn, next := tap(1, 1, 10_00, 2_00, shadowaccount.SaidUnknown, shadowaccount.ProofNone), good(2, 7, 10_00, 1_00)
	torn.Family, next.Family = "ec", "ec"
	s := state(t, told(torn, next))
	require.Equal(t, []string{"void", "accepted"}, statuses(s.Cards[one]))
	require.Equal(t, "ec", s.Cards[one].Family)
}

func TestRecordsThatAreNoTaps(t *testing.T) {
	hidden := tap(1, 1, 10_00, 2_00, shadowaccount.SaidUnknown, shadowaccount.ProofNone)
	hidden.Card, hidden.Unnamed = ids.CardNumber{}, &alias
	m := told(hidden, reference.Looked{Unreadable: "garbled"})
	m.Keep(bus, 2, [][]byte{{9}})
	m.Quarantine(bus, 2, 4)
	s := state(t, m)
	require.Equal(t, map[reference.Key]reference.Fate{{Terminal: "bus-1", Epoch: 1, Seq: 1}: reference.Unnamed, {Terminal: "bus-1", Epoch: 1, Seq: 2}: reference.Unreadable,
		{Terminal: "bus-1", Epoch: 1, Seq: 3}: reference.Quarantined, {Terminal: "bus-1", Epoch: 1, Seq: 4}: reference.Quarantined}, s.Records)
	require.Equal(t, 1, s.Conflicts)
	require.Empty(t, s.Cards)

	named := good(2, 2, 8_00, 1_00)
	named.Alias = &alias
	s = state(t, told(hidden, named))
	require.Equal(t, []string{"inferred", "accepted"}, statuses(s.Cards[one]))
}

func TestNumbersAreASet(t *testing.T) {
	m := told(good(1, 0, 0, 0))
	m.Quarantine(bus, 3, 3)
	require.EqualValues(t, 1, m.Through(bus))
	require.Equal(t, map[uint64]bool{2: true, 4: true, 5: true}, m.Missing(bus, 5))
	m.GiveUp(bus, 2)
	require.EqualValues(t, 3, m.Through(bus))
}

func TestALoadIsForgottenUnlessItIsOnTheCard(t *testing.T) {
	m := told(good(1, 0, 0, 0), good(2, 1, 5_00, 1_00))
	m.Issue(store.Card{Number: one})
	m.Load(one, shadowaccount.Load{Counter: 0, Amount: money.Minor(5_00)})
	require.Equal(t, []uint16{0}, state(t, m).Cards[one].Explained)
	m.Forget(one, 0)
	require.Equal(t, shadowaccount.FindBalanceUp, state(t, m).Cards[one].Findings[0].Code)
	loaded(m, 0, 5_00)
	m.Forget(one, 0)
	require.Equal(t, "4.00", state(t, m).Cards[one].Shadow.String())
}

func TestARecordThatWaitedForItsNameIsOfItsTap(t *testing.T) {
	torn, proved := tap(1, 0, 10_00, 2_00, shadowaccount.SaidUnknown, shadowaccount.ProofNone), good(2, 0, 10_00, 2_00)
	torn.Unnamed, proved.Alias, proved.Claim.Tap.Tap = &alias, &alias, 1
	require.Empty(t, told(torn).Told())
	require.Equal(t, map[reference.Tapped][]reference.Key{{Card: one, Tap: proved.Claim.Tap}: {{Terminal: bus.Terminal, Epoch: bus.Epoch, Seq: 1},
		{Terminal: bus.Terminal, Epoch: bus.Epoch, Seq: 2}}}, told(torn, proved).Told())
}
