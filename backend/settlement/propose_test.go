package settlement_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
)

func TestADayIsPaidByHandByTwoPersons(t *testing.T) {
	w := settledScheme(t)
	now := at(tuesday).Now
	p, err := settlement.ProposePay(w.ctx, w.store, monday, "BANK-7", "ann", "the bank's line is down", now)
	require.NoError(t, err)
	require.Equal(t, "2026-11-23-1", p.ID)
	require.False(t, w.paid(monday))
	_, err = settlement.ProposePay(w.ctx, w.store, monday, "BANK-8", "ben", "again", now)
	require.ErrorIs(t, err, settlement.ErrDecided, "one at a time")

	for _, who := range []string{"ann", "Ann", " ANN "} {
		_, _, err = settlement.Approve(w.ctx, w.store, p.ID, who, bankOn(tuesday))
		require.ErrorIs(t, err, settlement.ErrSamePerson, who)
	}
	require.False(t, w.paid(monday))
	done, _, err := settlement.Approve(w.ctx, w.store, p.ID, "ben", bankOn(tuesday))
	require.NoError(t, err)
	require.Equal(t, "approved", done.State)
	require.True(t, w.paid(monday))
	require.Equal(t, "212.60", w.balanceOf(books.Trust))
	_, _, err = settlement.Approve(w.ctx, w.store, p.ID, "cid", bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrDecided)
	_, err = settlement.ProposePay(w.ctx, w.store, monday, "BANK-8", "ann", "again", now)
	require.ErrorIs(t, err, settlement.ErrPaid)
	w.sound()

	all, err := settlement.ProposalsOf(w.ctx, w.store, monday)
	require.NoError(t, err)
	require.Len(t, all, 1)
	var steps []string
	for _, s := range all[0].Steps {
		steps = append(steps, s.Who+" "+s.What)
	}
	require.Equal(t, []string{"ann proposed", "ann denied", "Ann denied", " ANN  denied", "ben approved", "cid denied"}, steps)
	require.Equal(t, "the bank's line is down", all[0].Steps[0].Text)
}

func TestAProposalIsRefused(t *testing.T) {
	w := settledScheme(t)
	p, err := settlement.ProposePay(w.ctx, w.store, monday, "BANK-7", "ann", "why", at(tuesday).Now)
	require.NoError(t, err)
	_, err = settlement.Refuse(w.ctx, w.store, p.ID, "ann", "my mistake", at(tuesday).Now)
	require.NoError(t, err)
	_, _, err = settlement.Approve(w.ctx, w.store, p.ID, "ben", bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrDecided)
	require.False(t, w.paid(monday))
	again, err := settlement.ProposePay(w.ctx, w.store, monday, "BANK-8", "ann", "why", at(tuesday).Now)
	require.NoError(t, err)
	require.Equal(t, "2026-11-23-2", again.ID)
	open, err := settlement.ProposalsOf(w.ctx, w.store, "")
	require.NoError(t, err)
	require.Len(t, open, 1)

	// What cannot be done is not decided either.
	w.instruct(monday, tuesday)
	_, _, err = settlement.Approve(w.ctx, w.store, again.ID, "ben", bankOn(tuesday))
	require.ErrorIs(t, err, settlement.ErrOrdered)
	open, err = settlement.ProposalsOf(w.ctx, w.store, "")
	require.NoError(t, err)
	require.Len(t, open, 1)
}

func TestAPaymentIsOrderedAgainByTwoPersons(t *testing.T) {
	w := settledScheme(t)
	bus := w.instruct(monday, tuesday).Payments[0]
	w.status(report("R1", bus.Message, "RJCT"), tuesday)
	p, err := settlement.ProposeResend(w.ctx, w.store, monday, "acquirer", "bus", "ann", "a new account", at(day3).Now)
	require.NoError(t, err)
	_, order, err := settlement.Approve(w.ctx, w.store, p.ID, "ben", bankOn(day3))
	require.NoError(t, err)
	require.Equal(t, 2, order.Payments[0].Attempt)
	require.Equal(t, "ordered", w.state(order.Payments[0].ID))
	w.sound()
}

func TestWhatIsNotProposed(t *testing.T) {
	w := opened(t)
	now := at(monday).Now
	_, err := settlement.ProposePay(w.ctx, w.store, monday, "ref", "ann", "why", now)
	require.ErrorIs(t, err, settlement.ErrNotClosed)
	w.close(monday)
	for _, bad := range [][3]string{{"", "ann", "why"}, {"ref", "", "why"}, {"ref", "ann", " "}, {"ref", "a\nb", "why"}, {"ref", "ann", strings.Repeat("x", 501)}} {
		_, err := settlement.ProposePay(w.ctx, w.store, monday, bad[0], bad[1], bad[2], now)
		require.Error(t, err, bad)
	}
	_, _, err = settlement.Approve(w.ctx, w.store, "x", "ben", bankOn(monday))
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = settlement.Refuse(w.ctx, w.store, "x", "ben", "", now)
	require.ErrorContains(t, err, "reason")
}
