package topup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/card/ep"
)

// opened sells a load of 50.00 that was authorised for card 1, and doubted if said so.
func (d *desk) opened(doubted bool) (id string, f *field, a topup.Authorisation) {
	id = d.order(bus, "sale-1", 50_00)
	f = d.present(1)
	a = d.authorise(bus, id, f.init(50_00, kiosk))
	if doubted {
		_, err := d.topup.Uncertain(d.ctx, bus, id)
		require.NoError(d.t, err)
	}
	return id, f, a
}

func (d *desk) resolve(id string, e topup.Evidence) (topup.State, error) {
	o, err := d.topup.Resolve(d.ctx, metro, id, e) // the card turned up at another agent
	return o.State, err
}

// TestABadTAC proves nothing, in either direction.
func TestABadTAC(t *testing.T) {
	for _, call := range []string{"confirm", "resolve"} {
		t.Run(call, func(t *testing.T) {
			d := start(t)
			id, f, a := d.opened(false)
			tac := f.credit(a)
			bad := tac
			bad[3]++
			send := func(m ep.MAC) error {
				if call == "confirm" {
					_, err := d.topup.Confirm(d.ctx, bus, id, m)
					return err
				}
				_, err := d.resolve(id, topup.Evidence{TAC: &m})
				return err
			}
			for range 2 {
				require.ErrorIs(t, send(bad), topup.ErrTAC)
				require.Equal(t, topup.Uncertain, d.state(id))
				require.Equal(t, booked(50, 0, 50, 0), d.accounts())
			}
			require.NoError(t, send(tac))
			require.Equal(t, topup.Loaded, d.state(id))
			require.ErrorIs(t, send(bad), topup.ErrTAC)
			require.Equal(t, topup.Loaded, d.state(id), "what is proved stays")
			require.Equal(t, booked(50, 0, 0, 50), d.accounts())
			require.Contains(t, d.codes(), topup.FindBadTAC)
		})
	}
}

// TestALateTAC comes after the order was called uncertain, and before anything else settled it.
func TestALateTAC(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	tac := f.credit(a)
	d.clock.Advance(48 * time.Hour)
	o, err := d.topup.Confirm(d.ctx, bus, id, tac)
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, o.State)
	require.Equal(t, topup.ByTAC, o.Proof)
	// A late word of doubt undoes nothing.
	o, err = d.topup.Uncertain(d.ctx, bus, id)
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, o.State)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

// TestATACAfterReturn: a card that showed it was not credited turns out to have been. It cannot happen with honest cards:
// it is an alarm, and no money moves by itself.
func TestATACAfterReturn(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	copied := d.present(1) // a copy of the card: the state before is shown again
	a := d.authorise(bus, id, copied.init(50_00, kiosk))
	d.cards[1] = clone(d, d.cards[1])
	tac := copied.credit(a)
	fresh := d.present(1).init(1, a.Challenge)
	state, err := d.resolve(id, topup.Evidence{Init: &fresh})
	require.NoError(t, err)
	require.Equal(t, topup.Paid, state)
	for range 2 {
		_, err = d.topup.Confirm(d.ctx, bus, id, tac)
		require.ErrorIs(t, err, topup.ErrState)
	}
	require.Equal(t, []string{topup.FindAfterReturn}, d.codes())
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())
	var found []store.LoadFinding
	d.view(func(tx *store.Tx) error {
		found, err = tx.LoadFindings(d.ctx, token(1), 10)
		return err
	})
	require.Len(t, found, 1, "the card is named, although the order is not with it any more")

	// Sold again to the same card, the old booking's TAC is still none of the new one's.
	d.clock.Advance(time.Second)
	f := d.present(1)
	b := d.authorise(bus, id, f.init(50_00, kiosk))
	_, err = d.topup.Confirm(d.ctx, bus, id, tac)
	require.ErrorIs(t, err, topup.ErrState)
	require.Equal(t, topup.InProgress, d.state(id))
	_, err = d.topup.Confirm(d.ctx, bus, id, f.credit(b))
	require.NoError(t, err)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

// TestTwoBookingsInOneSecond have the same TAC: balance, counter, amount, terminal and time are the same.
func TestTwoBookingsInOneSecond(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(false)
	fresh := f.init(1, a.Challenge)
	_, err := d.resolve(id, topup.Evidence{Init: &fresh})
	require.NoError(t, err)
	o, err := d.topup.Confirm(d.ctx, bus, id, f.credit(d.authorise(bus, id, f.init(50_00, kiosk))))
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, o.State)
	require.Empty(t, d.codes())
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

func TestResolveByProve(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	f.credit(a) // whose answer is lost
	tac := d.present(1).prove(1)
	for range 2 {
		state, err := d.resolve(id, topup.Evidence{TAC: &tac})
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, state)
	}
	require.Equal(t, topup.ByProve, d.proof(id))
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
	require.Equal(t, d.balance(1), d.shadow(1))
}

func TestResolveByMovedCounter(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	f.credit(a)
	shown := d.present(1).init(1, kiosk) // no challenge is wanted: a counter does not go back
	for range 2 {
		state, err := d.resolve(id, topup.Evidence{Init: &shown})
		require.NoError(t, err)
		require.Equal(t, topup.Loaded, state)
	}
	require.Equal(t, topup.ByCounter, d.proof(id))
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
	require.Equal(t, d.balance(1), d.shadow(1))
}

func TestResolveByChallenge(t *testing.T) {
	d := start(t)
	id, old, a := d.opened(true)
	f := d.present(1)
	shown := f.init(1, kiosk)
	_, err := d.resolve(id, topup.Evidence{Init: &shown})
	require.ErrorIs(t, err, topup.ErrChallenge, "it could be older than the authorisation")
	require.Equal(t, topup.Uncertain, d.state(id))

	info, err := d.topup.Lookup(d.ctx, metro, f.init(1, kiosk))
	require.NoError(t, err)
	require.Equal(t, &topup.OpenLoad{Order: id, Amount: fifty, Counter: 0, Challenge: a.Challenge}, info.Open)
	fresh := f.init(1, info.Open.Challenge)
	for range 2 {
		state, err := d.resolve(id, topup.Evidence{Init: &fresh})
		require.NoError(t, err)
		require.Equal(t, topup.Paid, state)
	}
	require.Equal(t, booked(50, 50, 0, 0), d.accounts())
	// The MAC2 that was out is worth nothing.
	_, err = old.card.CreditLoad(d.ctx, a.DateTime, a.MAC2)
	require.ErrorIs(t, err, ep.ErrMAC)
	require.Zero(t, d.balance(1))
	info, err = d.topup.Lookup(d.ctx, bus, f.init(1, kiosk))
	require.NoError(t, err)
	require.Nil(t, info.Open)
	o, err := d.topup.Order(d.ctx, bus, id)
	require.NoError(t, err)
	require.Empty(t, o.Token, "the money is nobody's card's")
	require.Empty(t, d.codes())
}

// TestAnOldChallenge was answered before a newer session began: it says nothing of that one.
func TestAnOldChallenge(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	kept := f.init(1, a.Challenge)
	b := d.authorise(bus, id, f.init(50_00, kiosk))
	_, err := d.resolve(id, topup.Evidence{Init: &kept})
	require.ErrorIs(t, err, topup.ErrChallenge)
	require.Equal(t, topup.InProgress, d.state(id))
	_, err = d.topup.Confirm(d.ctx, bus, id, f.credit(b))
	require.NoError(t, err)
	// And once it is loaded, evidence of before changes nothing.
	state, err := d.resolve(id, topup.Evidence{Init: &kept})
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, state)
	require.Equal(t, booked(50, 0, 0, 50), d.accounts())
}

func TestEvidenceThatDecidesNothing(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	fresh := f.init(1, a.Challenge)
	tac := ep.MAC{}
	for name, e := range map[string]topup.Evidence{"none": {}, "both": {TAC: &tac, Init: &fresh}} {
		_, err := d.resolve(id, e)
		require.ErrorIs(t, err, topup.ErrEvidence, name)
	}
	other := d.present(2).init(1, a.Challenge)
	_, err := d.resolve(id, topup.Evidence{Init: &other})
	require.ErrorIs(t, err, topup.ErrOtherCard)
	forged := fresh
	forged.MAC1[0]++
	_, err = d.resolve(id, topup.Evidence{Init: &forged})
	require.ErrorIs(t, err, topup.ErrMAC1)
	require.Equal(t, []string{topup.FindAuthFailed}, d.codes(), "forged evidence is an alarm")
	_, err = d.resolve("L000000000000000000000000", topup.Evidence{Init: &fresh})
	require.ErrorIs(t, err, topup.ErrUnknownOrder)
	require.Equal(t, topup.Uncertain, d.state(id))
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
}

// TestABlockedCardIsSettled although it cannot be loaded.
func TestABlockedCardIsSettled(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(true)
	d.update(func(tx *store.Tx) error { return tx.BlockCard(d.ctx, number(1), noon) })
	info, err := d.topup.Lookup(d.ctx, bus, f.init(1, kiosk))
	require.NoError(t, err)
	require.Equal(t, id, info.Open.Order)
	fresh := f.init(1, a.Challenge)
	state, err := d.resolve(id, topup.Evidence{Init: &fresh})
	require.NoError(t, err)
	require.Equal(t, topup.Paid, state)
}

func TestLookupRefuses(t *testing.T) {
	d := start(t)
	c := d.present(1).init(1, kiosk)
	c.MAC1[0]++
	_, err := d.topup.Lookup(d.ctx, bus, c)
	require.ErrorIs(t, err, topup.ErrMAC1)
	c.Card = number(9)
	_, err = d.topup.Lookup(d.ctx, bus, c)
	require.ErrorIs(t, err, topup.ErrUnknownCard)
	d.view(func(tx *store.Tx) error {
		all, err := tx.Witnesses(d.ctx, number(1), 10)
		require.Empty(t, all, "what does not verify is no witness")
		return err
	})
}

func TestWhatACardShowsIsKept(t *testing.T) {
	d := start(t)
	d.load("sale-1", 50_00)
	c := d.present(1).init(1, kiosk)
	for range 2 {
		_, err := d.topup.Lookup(d.ctx, metro, c)
		require.NoError(t, err)
	}
	d.view(func(tx *store.Tx) error {
		all, err := tx.Witnesses(d.ctx, number(1), 10)
		require.Equal(t, []store.Witness{{At: time.UnixMilli(noon.UnixMilli()), Counter: 1, Balance: fifty, Agent: metro}}, all)
		return err
	})
}

// TestSettleByRecords: nobody presents the card to a kiosk again, but its next debits show the load on it.
func TestSettleByRecords(t *testing.T) {
	d := start(t)
	d.load("sale-0", 10_00)
	id, f, a := d.opened(true)
	n, err := d.topup.SettleByRecords(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	d.debited(0, 10_00, 2_00)
	f.credit(a)
	n, err = d.topup.SettleByRecords(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n, "no record shows it yet")
	d.debited(1, 58_00, 2_00)
	n, err = d.topup.SettleByRecords(d.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, topup.Loaded, d.state(id))
	require.Equal(t, topup.ByRecords, d.proof(id))
	require.Equal(t, int64(56_00), d.shadow(1))
	require.Equal(t, map[string]string{"acquirer:bus:sold-loads": "60.00", "float": "-56.00", "merchant:line1:pending": "-4.00"}, d.accounts())
	n, err = d.topup.SettleByRecords(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	// The TAC that turns up after that changes nothing.
	tac := d.present(1).prove(2)
	state, err := d.resolve(id, topup.Evidence{TAC: &tac})
	require.NoError(t, err)
	require.Equal(t, topup.Loaded, state)
	require.Equal(t, topup.ByRecords, d.proof(id))
}

// TestTheCardContradictsItsRecords: records show the load on the card, the card shows its old counter. An officer must look.
func TestTheCardContradictsItsRecords(t *testing.T) {
	d := start(t)
	d.load("sale-0", 10_00)
	id, f, a := d.opened(true)
	d.debited(0, 10_00, 2_00)
	d.debited(1, 58_00, 2_00)
	fresh := f.init(1, a.Challenge)
	_, err := d.resolve(id, topup.Evidence{Init: &fresh})
	require.ErrorIs(t, err, topup.ErrEvidence)
	require.Equal(t, []string{topup.FindContradiction}, d.codes())
	require.Equal(t, topup.Uncertain, d.state(id))
}

// TestAgeing: a kiosk that says nothing more makes the load uncertain, not failed.
func TestAgeing(t *testing.T) {
	d := start(t)
	id, f, a := d.opened(false)
	d.clock.Advance(2*time.Minute - time.Millisecond)
	n, err := d.topup.AgeUnconfirmed(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	d.clock.Advance(time.Millisecond)
	n, err = d.topup.AgeUnconfirmed(d.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, topup.Uncertain, d.state(id))
	require.Equal(t, booked(50, 0, 50, 0), d.accounts())
	n, err = d.topup.AgeUnconfirmed(d.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = d.topup.Confirm(d.ctx, bus, id, f.credit(a))
	require.NoError(t, err)
}

// TestDoubtBeforeAnything: an order that was never authorised has nothing to doubt.
func TestDoubtBeforeAnything(t *testing.T) {
	d := start(t)
	id := d.order(bus, "sale-1", 50_00)
	o, err := d.topup.Uncertain(d.ctx, bus, id)
	require.NoError(t, err)
	require.Equal(t, topup.Paid, o.State)
	_, err = d.topup.Confirm(d.ctx, bus, id, ep.MAC{1})
	require.ErrorIs(t, err, topup.ErrTAC)
	require.Equal(t, topup.Paid, d.state(id))
}
