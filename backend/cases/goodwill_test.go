package cases_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// loaded is the desk with the load that its card's taps were paid from.
func loaded(t *testing.T) *desk {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.MoveLoad(ctx, "load:L0:loaded", "load-loaded", day1, "L0", books.AcquirerSoldLoads("bus"), books.Float, money.Minor(20_00)))
		return tx.PutCardLoad(ctx, card, shadowaccount.Load{Amount: money.Minor(20_00), Loaded: true}, "L0")
	})
	return d
}

// A holder gets a debit back that stands: the tap, its merchant and the shadow account stay, and the scheme bears it.
func TestADebitThatStandsIsGivenBackByTwoOfficers(t *testing.T) {
	d := loaded(t)
	ctx := t.Context()
	_, err := d.Complain(ctx, name(4), "ann", "never entered")
	require.ErrorIs(t, err, cases.ErrNothingToDecide, "its card has not paid it")
	_, err = d.Complain(ctx, name(99), "ann", "never entered")
	require.ErrorIs(t, err, cases.ErrUnknownTap)
	_, err = d.Complain(ctx, name(2), "ann", " ")
	require.ErrorIs(t, err, cases.ErrRequest)
	c, err := d.Complain(ctx, name(2), "ann", "the gate did not open")
	require.NoError(t, err)
	require.Equal(t, cases.Goodwill, c.Kind)
	again, err := d.Complain(ctx, name(2), "eve", "the gate did not open")
	require.NoError(t, err)
	require.Equal(t, c, again, "one case a tap")

	_, err = d.Propose(ctx, c.ID, cases.Grant, "ann", "x")
	require.ErrorIs(t, err, cases.ErrRequest)
	_, err = d.Propose(ctx, c.ID, cases.Repay, "ann", "x")
	require.ErrorIs(t, err, cases.ErrRequest, "at whose desk?")
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "metro"}, "ann", "x")
	require.ErrorIs(t, err, cases.ErrUnknownAgent)
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus", Amount: money.Minor(2_01)}, "ann", "x")
	require.ErrorIs(t, err, cases.ErrTooMuch)
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus", Amount: money.Minor(-1)}, "ann", "x")
	require.ErrorIs(t, err, cases.ErrRequest)

	// A part first, which is sent back, and then another one.
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus", Amount: money.Minor(1_00)}, "ann", "half")
	require.NoError(t, err)
	c, err = d.Refuse(ctx, c.ID, "bob", "more")
	require.NoError(t, err)
	require.Zero(t, c.Repay)
	c, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus", Amount: money.Minor(1_50)}, "ann", "the camera agrees")
	require.NoError(t, err)
	require.Equal(t, cases.Repayment{Agent: "bus", Amount: money.Minor(1_50)}, c.Repay)
	_, err = d.Approve(ctx, c.ID, "ann", "seen")
	require.ErrorIs(t, err, cases.ErrSamePerson)
	require.Equal(t, "0.00", d.balance(books.Funding), "nothing moves before two agree")
	c, err = d.Approve(ctx, c.ID, "bob", "seen")
	require.NoError(t, err)
	require.Equal(t, cases.Decided, c.State)
	require.Equal(t, shadowaccount.Stands, c.Worth)
	require.Equal(t, "1.50", d.balance(books.LossGoodwill))
	require.Equal(t, "-1.50", d.balance(books.Funding))
	require.Equal(t, "-2.00", d.balance(books.MerchantPending("m")), "the merchant did its work")
	once, err := d.Approve(ctx, c.ID, "bob", "seen")
	require.NoError(t, err)
	require.Equal(t, c, once)

	d.update(func(ctx context.Context, tx *store.Tx) error {
		o, err := tx.LoadOrder(ctx, c.Repay.LoadOrder)
		require.NoError(t, err)
		require.Equal(t, []any{"paid", "1.50", "bus"}, []any{o.State, o.Amount.String(), string(o.Agent)})
		n, err := tx.RepaidCard(ctx, o.ID)
		require.Equal(t, card, n)
		return err
	})

	// What is left of it, and no more.
	d.clock.Advance(time.Hour)
	c, err = d.Complain(ctx, name(2), "ann", "all of it")
	require.NoError(t, err)
	c, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus"}, "ann", "all of it")
	require.NoError(t, err)
	require.Equal(t, "0.50", c.Repay.Amount.String())
	_, err = d.Approve(ctx, c.ID, "bob", "seen")
	require.NoError(t, err)
	d.clock.Advance(time.Hour)
	c, err = d.Complain(ctx, name(2), "ann", "and again")
	require.NoError(t, err)
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus"}, "ann", "and again")
	require.ErrorIs(t, err, cases.ErrTooMuch)
	_, err = d.Propose(ctx, c.ID, cases.Deny, "ann", "enough")
	require.NoError(t, err)
	_, err = d.Approve(ctx, c.ID, "bob", "seen")
	require.NoError(t, err)
	require.Equal(t, "2.00", d.balance(books.LossGoodwill))

	// The day closes and settles as ever, and the books are sound.
	out, err := settlement.Close(ctx, d.store, day1, settlement.Options{Now: d.clock.Now(), Location: time.UTC})
	require.NoError(t, err)
	require.Equal(t, "2.00", out.Report.Acquirers[0].Accepted.Amount.String())
	p, err := ledger.ProveDay(ctx, d.store, day1, d.clock.Now().AddDate(0, 0, 2))
	require.NoError(t, err)
	require.True(t, p.Passed, "%s", p.Text())
}

// A tap that no longer stands needs no goodwill, and its own case opens whatever was complained of before.
func TestAComplaintEndsWhenTheTapNoLongerStands(t *testing.T) {
	d := loaded(t)
	ctx := t.Context()
	c, err := d.Complain(ctx, name(2), "ann", "the gate did not open")
	require.NoError(t, err)
	_, err = d.ProposeRepay(ctx, c.ID, cases.Repayment{Agent: "bus"}, "ann", "the camera agrees")
	require.NoError(t, err)
	_, err = d.Open(ctx, name(2), "ann", "x")
	require.ErrorIs(t, err, cases.ErrNothingToDecide)

	older := tap(7, 3, 2_00, shadowaccount.ProofGood)
	older.Claim.At -= 3_600_000
	d.post(older)
	_, err = d.Approve(ctx, c.ID, "bob", "seen")
	require.ErrorIs(t, err, cases.ErrNothingToDecide)
	swept, err := d.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, cases.Swept{Ended: 1}, swept)
	require.Equal(t, "0.00", d.balance(books.LossGoodwill))
	d.clock.Advance(time.Hour)
	claimed, err := d.Open(ctx, name(2), "ann", "it was the first")
	require.NoError(t, err)
	require.Equal(t, cases.Claimed, claimed.Kind)
	_, err = d.ProposeRepay(ctx, claimed.ID, cases.Repayment{Agent: "bus"}, "ann", "x")
	require.ErrorIs(t, err, cases.ErrRequest)
	_, err = d.Propose(ctx, claimed.ID, cases.Repay, "ann", "x")
	require.ErrorIs(t, err, cases.ErrRequest)
	_, err = d.Complain(ctx, name(7), "ann", "whose is it?")
	require.NoError(t, err)
}
