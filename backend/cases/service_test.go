package cases_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/cases"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

var card = ids.CardNumber{9: 1}

const day1 = "2026-11-24"

// desk is a store with three taps of one card that nothing proves, and one that stands: 1 unknown, 2 proved, 3 its clone, 4 with a bad TAC.
type desk struct {
	*cases.Service
	t     *testing.T
	store *store.Store
	clock *clock.Manual
}

func newDesk(t *testing.T) *desk {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	d := &desk{t: t, store: s, clock: clock.NewManual(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))}
	d.Service, err = cases.New(s, d.clock, cases.Config{})
	require.NoError(t, err)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: "bus", Name: "Bus", Fees: "[]"}))
		require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: "m", Acquirer: "bus"}))
		return tx.IssueCard(ctx, store.Card{Number: card, Token: "one", Levels: 1})
	})
	d.post(tap(1, 9, 1_00, shadowaccount.ProofNone), tap(2, 3, 2_00, shadowaccount.ProofGood), tap(3, 3, 3_00, shadowaccount.ProofGood), tap(4, 6, 4_00, shadowaccount.ProofBad))
	return d
}

func name(n uint64) ids.TapID { return ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: n} }

func tap(n uint64, counter uint32, minor int64, p shadowaccount.Proof) store.Verified {
	said := shadowaccount.SaidCompleted
	if p == shadowaccount.ProofNone {
		said = shadowaccount.SaidUnknown
	}
	at := time.Date(2026, 11, 24, 11, 0, int(n), 0, time.UTC).UnixMilli()
	return store.Verified{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: n, Day: day1, ReceivedMS: at}, Card: card, Levels: 1, Counter: counter, Kind: 1,
		Claim: shadowaccount.Claim{Tap: name(n), Seq: n, At: at, Merchant: "m", Amount: money.Minor(minor), Before: money.Minor(10_00), After: money.Minor(10_00 - minor), Said: said, Proof: p}}
}

func (d *desk) update(f func(context.Context, *store.Tx) error) {
	d.t.Helper()
	require.NoError(d.t, d.store.Update(d.t.Context(), func(tx *store.Tx) error { return f(d.t.Context(), tx) }))
}

func (d *desk) post(records ...store.Verified) {
	d.t.Helper()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PostGroup(ctx, store.Group{Day: records[0].Day, AtMS: d.clock.Now().UnixMilli()}, records)
	})
}

func (d *desk) balance(a books.Account) string {
	d.t.Helper()
	var b money.Amount
	require.NoError(d.t, d.store.View(d.t.Context(), func(tx *store.Tx) (err error) {
		faults, err := tx.VerifyBooks(d.t.Context())
		require.NoError(d.t, err)
		require.Empty(d.t, faults)
		b, err = tx.Balance(d.t.Context(), a)
		return err
	}))
	return b.String()
}

// aged is the desk after the time at which cases open, with them by kind.
func (d *desk) aged() map[cases.Kind]cases.Case {
	d.t.Helper()
	d.clock.Advance(30 * 24 * time.Hour)
	swept, err := d.Sweep(d.t.Context())
	require.NoError(d.t, err)
	require.Equal(d.t, cases.Swept{Opened: 3}, swept)
	all, err := d.Cases(d.t.Context(), cases.Open, 10)
	require.NoError(d.t, err)
	out := map[cases.Kind]cases.Case{}
	for _, c := range all {
		out[c.Kind] = c
	}
	require.Len(d.t, out, 3)
	return out
}

func TestTheSweepOpensACaseOnce(t *testing.T) {
	d := newDesk(t)
	swept, err := d.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept, "the taps are too young")
	all := d.aged()
	require.Equal(t, name(1), all[cases.Aged].Tap)
	require.Equal(t, name(3), all[cases.Suspect].Tap)
	require.Equal(t, name(4), all[cases.Rejected].Tap)
	swept, err = d.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept)
	d.clock.Advance(10*24*time.Hour + time.Millisecond)
	late, err := d.Cases(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false}, []bool{late[0].Overdue, late[1].Overdue, late[2].Overdue})
	require.Equal(t, cases.Rejected, late[0].Kind)
	_, err = d.Withdraw(t.Context(), late[0].ID, "ann", "left")
	require.NoError(t, err)
	swept, err = d.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept, "what an officer left stays so")
}

// TestTheRunningCasesAreInTheOverview: the page shows those that are due first, and counts the others.
func TestTheRunningCasesAreInTheOverview(t *testing.T) {
	d := newDesk(t)
	all := d.aged()
	_, err := d.Propose(t.Context(), all[cases.Suspect].ID, cases.Deny, "ann", "a copy")
	require.NoError(t, err)
	shown := func() (out []string) {
		o, err := d.store.Overview(t.Context())
		require.NoError(t, err)
		for _, c := range o.Cases {
			out = append(out, c.ID+" "+c.State+" "+c.ProposedBy)
		}
		require.EqualValues(t, len(out), o.CaseCount)
		return out
	}
	require.Equal(t, []string{all[cases.Rejected].ID + " open ", all[cases.Suspect].ID + " proposed ann", all[cases.Aged].ID + " open "}, shown())
	_, err = d.Approve(t.Context(), all[cases.Suspect].ID, "ben", "seen")
	require.NoError(t, err)
	require.Len(t, shown(), 2, "a decided case runs no longer")
	require.NoError(t, d.store.View(t.Context(), func(tx *store.Tx) error {
		one, n, err := tx.RunningCases(t.Context(), 1)
		require.Equal(t, all[cases.Rejected].ID, one[0].ID)
		require.Len(t, one, 1)
		require.EqualValues(t, 2, n)
		return err
	}))
}

func TestTwoOfficersDecideAndTheBooksFollow(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	all := d.aged()
	for _, want := range []struct {
		kind     cases.Kind
		proposal cases.Proposal
		worth    string
		pending  string
	}{{cases.Aged, cases.Grant, "granted", "-3.00"}, {cases.Suspect, cases.Deny, "denied", "-3.00"}, {cases.Rejected, cases.Grant, "granted", "-7.00"}} {
		id := all[want.kind].ID
		_, err := d.Approve(ctx, id, "bob", "seen")
		require.ErrorIs(t, err, cases.ErrState)
		_, err = d.Propose(ctx, id, want.proposal, "ann", "camera")
		require.NoError(t, err)
		_, err = d.Approve(ctx, id, " Ann ", "seen")
		require.ErrorIs(t, err, cases.ErrSamePerson)
		_, err = d.Refuse(ctx, id, "bob", "which camera?")
		require.NoError(t, err)
		_, err = d.Propose(ctx, id, want.proposal, "ann", "the one at the gate")
		require.NoError(t, err)
		for range 2 {
			c, err := d.Approve(ctx, id, "bob", "seen")
			require.NoError(t, err)
			require.Equal(t, cases.Decided, c.State)
			require.Equal(t, want.worth, c.Worth.String())
		}
		require.Equal(t, want.pending, d.balance(books.MerchantPending("m")))
		_, trail, err := d.Show(ctx, id)
		require.NoError(t, err)
		var did []string
		for _, e := range trail {
			did = append(did, string(e.Event))
		}
		require.Equal(t, []string{"opened", "proposed", "not-allowed", "refused", "proposed", "approved"}, did)
	}
	require.Equal(t, "5.00", d.balance(books.LossGranted))
	require.Equal(t, "0.00", d.balance(books.MerchantHeld("m")))
	require.Equal(t, "2.00", d.balance(books.Float), "no card pays for it")
	require.NoError(t, d.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Findings(ctx, "one", 10)
		require.NoError(t, err)
		var codes []shadowaccount.Code
		for _, f := range found {
			codes = append(codes, f.Code)
		}
		require.Contains(t, codes, shadowaccount.FindClone, "who pays makes it no less a clone")
		return nil
	}))
}

// A day that was closed with a tap held pays it with a later day, and takes it back when the card's word says otherwise.
func TestAProofIsStrongerThanADecision(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	closeDay := func(day string) settlement.MerchantSection {
		out, err := settlement.Close(ctx, d.store, day, settlement.Options{Now: d.clock.Now(), Location: time.UTC})
		require.NoError(t, err)
		return out.Report.Acquirers[0].Merchants[0]
	}
	require.Equal(t, "2.00", closeDay(day1).Net.String())
	id := d.aged()[cases.Aged].ID
	_, err := d.Propose(ctx, id, cases.Grant, "ann", "camera")
	require.NoError(t, err)
	_, err = d.Approve(ctx, id, "bob", "seen")
	require.NoError(t, err)
	require.Equal(t, "1.00", closeDay("2026-12-24").Net.String())

	d.clock.Advance(24 * time.Hour)
	void := tap(1, 9, 1_00, shadowaccount.ProofNone)
	void.Seq, void.Claim.Seq, void.Claim.Said, void.Day = 5, 5, shadowaccount.SaidVoided, "2026-12-25"
	d.post(void)
	require.Equal(t, "0.00", d.balance(books.LossGranted))
	require.Equal(t, "-1.00", closeDay("2026-12-25").Net.String())
}

func TestWhatDecidesItselfNeedsNoOfficer(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	_, err := d.Open(ctx, name(2), "ann", "the holder says she never paid")
	require.ErrorIs(t, err, cases.ErrNothingToDecide)
	_, err = d.Open(ctx, name(7), "ann", "lost")
	require.ErrorIs(t, err, cases.ErrUnknownTap)
	_, err = d.Open(ctx, name(1), "ann", " ")
	require.ErrorIs(t, err, cases.ErrRequest)
	_, _, err = d.Show(ctx, "C0")
	require.ErrorIs(t, err, cases.ErrUnknownCase)
	c, err := d.Open(ctx, name(1), "ann", "the merchant asks")
	require.NoError(t, err)
	require.Equal(t, cases.Claimed, c.Kind)
	again, err := d.Open(ctx, name(1), "ben", "the merchant asks again")
	require.NoError(t, err)
	require.Equal(t, c.ID, again.ID)
	_, err = d.Propose(ctx, c.ID, "burn", "ann", "odd")
	require.ErrorIs(t, err, cases.ErrRequest)
	_, err = d.Propose(ctx, c.ID, cases.Deny, "ann", "nothing is known")
	require.NoError(t, err)

	word := tap(1, 9, 1_00, shadowaccount.ProofGood)
	word.Seq, word.Claim.Seq = 5, 5
	d.post(word)
	_, err = d.Approve(ctx, c.ID, "bob", "seen")
	require.ErrorIs(t, err, cases.ErrNothingToDecide)
	swept, err := d.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, cases.Swept{Ended: 1}, swept)
	c, _, err = d.Show(ctx, c.ID)
	require.NoError(t, err)
	require.Equal(t, cases.Moot, c.State)
}

// What was decided can be decided otherwise, by a case that somebody opens.
func TestADecisionCanBeObjectedTo(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	for _, p := range []cases.Proposal{cases.Deny, cases.Grant} {
		d.clock.Advance(time.Hour)
		c, err := d.Open(ctx, name(4), "ann", "asked")
		require.NoError(t, err)
		_, err = d.Propose(ctx, c.ID, p, "ann", "asked")
		require.NoError(t, err)
		_, err = d.Approve(ctx, c.ID, "bob", "seen")
		require.NoError(t, err)
	}
	require.Equal(t, "4.00", d.balance(books.LossGranted))
}

// TestTwoCasesOfOneMomentHaveTheirOwnIDs: who withdraws a case may open the next one before the clock has moved.
func TestTwoCasesOfOneMomentHaveTheirOwnIDs(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	seen := map[string]bool{}
	for range 3 {
		c, err := d.Open(ctx, name(4), "ann", "asked")
		require.NoError(t, err)
		require.False(t, seen[c.ID], c.ID)
		seen[c.ID] = true
		_, err = d.Withdraw(ctx, c.ID, "ann", "the wrong one")
		require.NoError(t, err)
	}
	all, err := d.Cases(ctx, "", 10)
	require.NoError(t, err)
	require.Len(t, all, 3)
}

func TestSettingsOfCasesAreChecked(t *testing.T) {
	_, err := cases.New(nil, nil, cases.Config{After: -1})
	require.ErrorContains(t, err, "After")
	_, err = cases.New(nil, nil, cases.Config{Clock: map[cases.Kind]time.Duration{"odd": 1}})
	require.ErrorContains(t, err, "odd")
}

// A tap that stands and came too late: a closed day opens its case, and what two officers grant a later day pays.
func TestATapThatCameTooLateIsGrantedByTwoOfficers(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	late := tap(5, 20, 1_50, shadowaccount.ProofGood)
	late.Claim.At = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
	d.post(late)
	closeDay := func() settlement.MerchantSection {
		day := d.clock.Now().Format(time.DateOnly)
		out, err := settlement.Close(ctx, d.store, day, settlement.Options{Now: d.clock.Now(), Location: time.UTC, ExpireAfter: 10})
		require.NoError(t, err)
		if len(out.Report.Acquirers[0].Merchants) == 0 {
			return settlement.MerchantSection{}
		}
		return out.Report.Acquirers[0].Merchants[0]
	}
	_, err := d.Open(ctx, name(5), "ann", "the merchant asks")
	require.ErrorIs(t, err, cases.ErrNothingToDecide, "no day has said yet that it is late")
	require.Equal(t, "2.00", closeDay().Net.String())
	require.Equal(t, "-1.50", d.balance(books.SuspExpired))
	for range 2 {
		_, err = d.Sweep(ctx)
		require.NoError(t, err)
	}
	all, err := d.Cases(ctx, cases.Open, 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	c := all[0]
	require.Equal(t, cases.Expired, c.Kind)
	require.Equal(t, name(5), c.Tap)

	decide := func(p cases.Proposal) {
		d.clock.Advance(24 * time.Hour)
		_, err = d.Propose(ctx, c.ID, p, "ann", "the depot burnt")
		require.NoError(t, err)
		_, err = d.Approve(ctx, c.ID, "ann", "seen")
		require.ErrorIs(t, err, cases.ErrSamePerson)
		c, err = d.Approve(ctx, c.ID, "bob", "seen")
		require.NoError(t, err)
		require.Equal(t, cases.Decided, c.State)
		require.Equal(t, shadowaccount.Stands, c.Worth)
	}
	decide(cases.Deny)
	require.Zero(t, closeDay())
	swept, err := d.Sweep(ctx)
	require.NoError(t, err)
	require.Zero(t, swept, "what was denied stays so")
	d.clock.Advance(time.Hour)
	c, err = d.Open(ctx, name(5), "ann", "the merchant objects")
	require.NoError(t, err)
	require.Equal(t, cases.Expired, c.Kind)
	decide(cases.Grant)
	require.Equal(t, "1.50", closeDay().Net.String())
	require.Equal(t, "0.00", d.balance(books.SuspExpired))
	require.Equal(t, "0.00", d.balance(books.LossGranted), "the card has paid for it")
	_, err = d.Open(ctx, name(5), "ann", "again")
	require.ErrorIs(t, err, cases.ErrNothingToDecide)
}

// An expired tap that loses its slot before anybody decided needs nobody any more.
func TestACaseOfALateTapEndsWhenTheTapNoLongerStands(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	late := tap(5, 20, 1_50, shadowaccount.ProofGood)
	late.Claim.At = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
	d.post(late)
	closeDay := func() {
		_, err := settlement.Close(ctx, d.store, d.clock.Now().Format(time.DateOnly), settlement.Options{Now: d.clock.Now(), Location: time.UTC, ExpireAfter: 10})
		require.NoError(t, err)
	}
	closeDay()
	_, err := d.Sweep(ctx)
	require.NoError(t, err)
	older := tap(6, 20, 1_50, shadowaccount.ProofGood)
	older.Claim.At, older.Day = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC).UnixMilli(), "2026-11-25"
	d.post(older)
	d.clock.Advance(24 * time.Hour)
	closeDay()
	swept, err := d.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, cases.Swept{Opened: 1, Ended: 1}, swept, "the older one is late too")
	require.Equal(t, "-1.50", d.balance(books.SuspExpired))
}
