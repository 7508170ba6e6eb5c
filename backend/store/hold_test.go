package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

var heldUntil = time.UnixMilli(1_790_000_000_000)

// pays moves amount out of funding to the trust account, as an entry of an id.
func pays(id string, minor int64) books.Entry { return entry(id, -minor) }

func funds(t require.TestingT, s *store.Store, a books.Account) (f books.Funds) {
	require.NoError(t, s.View(context.Background(), func(tx *store.Tx) (err error) {
		f, err = tx.Funds(context.Background(), a)
		return err
	}))
	return f
}

func try(t *testing.T, s *store.Store, f func(ctx context.Context, tx *store.Tx) error) error {
	return s.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) })
}

func TestWhatIsHeldIsTakenByNobodyElse(t *testing.T) {
	s, _ := sealed(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
	hold := func(id string, minor int64) error {
		return try(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.Hold(ctx, id, books.Funding, money.Minor(minor), heldUntil)
		})
	}
	post := func(e books.Entry) error {
		return try(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, e) })
	}
	settle := func(id string, e books.Entry) error {
		return try(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.SettleHold(ctx, id, e) })
	}
	release := func(id string) error {
		return try(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseHold(ctx, id) })
	}

	require.NoError(t, hold("a", 6_00))
	require.NoError(t, hold("a", 6_00), "asking twice holds once")
	require.ErrorIs(t, hold("a", 5_00), books.ErrConflict)
	require.Equal(t, books.Funds{Available: money.Minor(4_00), Frozen: money.Minor(6_00)}, funds(t, s, books.Funding))
	require.ErrorIs(t, hold("b", 4_01), books.ErrFunds)
	require.Error(t, hold("b", 0))
	require.Error(t, hold("", 1))
	require.ErrorIs(t, post(pays("p", 4_01)), books.ErrFunds)
	require.NoError(t, post(pays("p", 4_00)))
	require.Equal(t, "-6.00", balance(t, s, books.Funding), "a hold leaves the balance as it is")

	require.ErrorIs(t, settle("a", pays("q", 6_01)), books.ErrFunds)
	require.Error(t, settle("a", entry("q", 1)), "an entry that takes nothing settles nothing")
	require.ErrorIs(t, settle("a", pays("p", 4_00)), books.ErrConflict, "it took what was not held")
	require.NoError(t, settle("a", pays("q", 2_00)))
	require.NoError(t, settle("a", pays("q", 2_00)), "settling twice pays once")
	require.ErrorIs(t, settle("a", pays("q", 2_01)), books.ErrConflict)
	require.ErrorIs(t, settle("a", pays("r", 2_00)), store.ErrHoldEnded)
	require.ErrorIs(t, release("a"), store.ErrHoldEnded)
	require.Equal(t, books.Funds{Available: money.Minor(4_00)}, funds(t, s, books.Funding), "what the entry left may be used")

	require.NoError(t, hold("b", 4_00))
	require.NoError(t, release("b"))
	require.NoError(t, release("b"))
	require.ErrorIs(t, settle("b", pays("r", 4_00)), store.ErrHoldEnded)
	require.NoError(t, hold("b", 4_00), "a hold that has ended is not made again")
	require.Equal(t, books.Funds{Available: money.Minor(4_00)}, funds(t, s, books.Funding))
	require.ErrorIs(t, release("none"), store.ErrNotFound)
	require.ErrorIs(t, settle("none", pays("r", 1)), store.ErrNotFound)
	require.Empty(t, faults(t, s))
}

func TestAHoldThatIsOverdueStaysUntilItIsEnded(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.Post(ctx, entry("in", 10_00)), tx.Hold(ctx, "late", books.Funding, money.Minor(2_00), heldUntil.Add(time.Minute)),
			tx.Hold(ctx, "early", books.Funding, money.Minor(1_00), heldUntil), tx.Hold(ctx, "gone", books.Funding, money.Minor(1_00), heldUntil), tx.ReleaseHold(ctx, "gone"))
	})
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		open, err := tx.OpenHolds(ctx, books.Funding)
		require.NoError(t, err)
		require.Equal(t, []store.AccountHold{{ID: "early", Account: books.Funding, Amount: money.Minor(1_00), Until: heldUntil, State: store.HoldOpen},
			{ID: "late", Account: books.Funding, Amount: money.Minor(2_00), Until: heldUntil.Add(time.Minute), State: store.HoldOpen}}, open)
		overdue, err := tx.OverdueHolds(ctx, heldUntil.Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, open[:1], overdue)
		return nil
	})
	require.Equal(t, money.Minor(3_00), funds(t, s, books.Funding).Frozen)
}

func TestHoldsAreOfLiabilitiesThatMayPay(t *testing.T) {
	s, _ := sealed(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
	err := try(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.Hold(ctx, "a", books.Trust, money.Minor(1), heldUntil)
	})
	require.ErrorIs(t, err, store.ErrNoHolds)
	err = try(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.Hold(ctx, "a", "no:such", money.Minor(1), heldUntil)
	})
	require.ErrorIs(t, err, books.ErrNoAccount)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.SwitchAccount(ctx, books.Funding, books.SwitchFrozen, 0, "ann", "case 12")
	})
	err = try(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.Hold(ctx, "a", books.Funding, money.Minor(1), heldUntil)
	})
	require.ErrorIs(t, err, books.ErrSwitched)
}

// A fact is posted whatever is held: the card has done it.
func TestAHoldDoesNotStopAFact(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		fact := pays("fact", 9_00)
		fact.Kind = books.KindRecords
		return errors.Join(tx.Post(ctx, entry("in", 10_00)), tx.Hold(ctx, "a", books.Funding, money.Minor(6_00), heldUntil), tx.Post(ctx, fact))
	})
	require.Equal(t, books.Funds{Available: money.Minor(-5_00), Frozen: money.Minor(6_00)}, funds(t, s, books.Funding))
}

// TestHoldsAreWhatFundsSay lets the table and the rule decide the same steps.
func TestHoldsAreWhatFundsSay(t *testing.T) {
	var n int
	s, _ := fresh(t)
	rapid.Check(t, func(r *rapid.T) {
		n++
		ctx := context.Background()
		a := books.Account(fmt.Sprintf("merchant:m%d:available", n))
		move := func(id string, minor int64) books.Entry {
			return books.Entry{ID: fmt.Sprintf("%d:%s", n, id), Kind: "test", Day: "2026-11-24", Lines: []books.Line{
				{Account: a, Amount: money.Minor(minor)}, {Account: books.Trust, Amount: money.Minor(-minor)}}}
		}
		var want books.Funds
		held := map[string]money.Amount{}
		amount := rapid.Int64Range(1, 500)
		for step := range rapid.IntRange(1, 8).Draw(r, "steps") {
			id := fmt.Sprint(step)
			minor := amount.Draw(r, "minor")
			var should, did error
			next := want
			switch rapid.SampledFrom([]string{"in", "pay", "hold", "release", "settle"}).Draw(r, "what") {
			case "in":
				next.Available = money.Minor(next.Available.Minor() + minor)
				did = s.Update(ctx, func(tx *store.Tx) error { return tx.Post(ctx, move(id, -minor)) })
			case "pay":
				next, should = want.Pay(money.Minor(minor))
				if want.Frozen.IsZero() && should != nil { // nothing is held: an account may be overdrawn, and the proof tells
					continue
				}
				did = s.Update(ctx, func(tx *store.Tx) error { return tx.Post(ctx, move(id, minor)) })
			case "hold":
				next, should = want.Freeze(money.Minor(minor))
				did = s.Update(ctx, func(tx *store.Tx) error {
					return tx.Hold(ctx, fmt.Sprintf("%d:%s", n, id), a, money.Minor(minor), heldUntil)
				})
				if did == nil {
					held[id] = money.Minor(minor)
				}
			case "release":
				for id, amount := range held {
					next, should = want.Unfreeze(amount)
					did = s.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseHold(ctx, fmt.Sprintf("%d:%s", n, id)) })
					delete(held, id)
					break
				}
			case "settle":
				for of, amount := range held {
					next, should = want.SettleFromFrozen(amount)
					did = s.Update(ctx, func(tx *store.Tx) error {
						return tx.SettleHold(ctx, fmt.Sprintf("%d:%s", n, of), move(id, amount.Minor()))
					})
					delete(held, of)
					break
				}
			}
			if should != nil {
				require.ErrorIs(r, did, books.ErrFunds)
				next = want
			} else {
				require.NoError(r, did)
			}
			want = next
			require.Equal(r, want, funds(r, s, a))
		}
	})
}

// TestOfThoseWhoHoldAtOnceOneGetsWhatIsThereForOne: two transactions do not promise the same money.
func TestOfThoseWhoHoldAtOnceOneGetsWhatIsThereForOne(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
	errs := make([]error, 8)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			errs[i] = try(t, s, func(ctx context.Context, tx *store.Tx) error {
				return tx.Hold(ctx, fmt.Sprint("h", i), books.Funding, money.Minor(6_00), heldUntil)
			})
		})
	}
	wait.Wait()
	got := 0
	for _, err := range errs {
		if err == nil {
			got++
			continue
		}
		require.ErrorIs(t, err, books.ErrFunds)
	}
	require.Equal(t, 1, got)
	require.Equal(t, books.Funds{Available: money.Minor(4_00), Frozen: money.Minor(6_00)}, funds(t, s, books.Funding))
}
