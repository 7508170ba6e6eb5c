package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// TestEveryColumnOfAHoldIsSealed: whoever changes one by SQL neither frees nor takes what is held.
func TestEveryColumnOfAHoldIsSealed(t *testing.T) {
	for name, change := range map[string]string{
		"amount": "amount = 1", "account": "account = 'merchant:m:pending'", "until": "until_ms = until_ms + 1", "state": "state = 'released'", "entry": "entry = 'q'",
		"seal": "seal = (SELECT seal FROM account WHERE name = 'trust')", "id": "id = 'b'",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := sealed(t)
			update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
			update(t, s, func(ctx context.Context, tx *store.Tx) error {
				return tx.Hold(ctx, "a", books.Funding, money.Minor(6_00), heldUntil)
			})
			require.Empty(t, faults(t, s))
			edit(t, s, `UPDATE account_hold SET `+change+` WHERE id = 'a'`)
			require.Contains(t, faults(t, s)[0], "its row was edited")
			id := "a"
			if name == "id" {
				id = "b"
			}
			for _, use := range []func(context.Context, *store.Tx) error{
				func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseHold(ctx, id) },
				func(ctx context.Context, tx *store.Tx) error { return tx.SettleHold(ctx, id, pays("q", 1)) },
				func(ctx context.Context, tx *store.Tx) error {
					return tx.Hold(ctx, id, books.Funding, money.Minor(6_00), heldUntil)
				},
			} {
				require.ErrorIs(t, try(t, s, use), store.ErrHoldEdited)
			}
		})
	}
}

// TestHoldsOfAnOlderVersionAreSealedOnce, and none that somebody adds afterwards, even if he takes the note away that they are.
func TestHoldsOfAnOlderVersionAreSealedOnce(t *testing.T) {
	s, path := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.Hold(ctx, "a", books.Funding, money.Minor(1_00), heldUntil)
	})
	with := open(t, path, store.Options{BooksKey: booksKey})
	require.Empty(t, faults(t, with))
	add := `INSERT INTO account_hold (id, account, amount, until_ms, state, entry) VALUES ('mine', 'funding', 1, 0, 'open', '')`
	edit(t, with, add)
	require.Contains(t, faults(t, with)[0], "hold mine: its row was edited")
	edit(t, with, `UPDATE account_seal SET holds = 0`)
	require.Contains(t, faults(t, open(t, path, store.Options{BooksKey: booksKey}))[0], "hold mine: its row was edited")

	// Without the key nobody holds on sealed books, or ends a hold.
	for _, use := range []func(context.Context, *store.Tx) error{
		func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseHold(ctx, "a") },
		func(ctx context.Context, tx *store.Tx) error {
			return tx.Hold(ctx, "new", books.Funding, money.Minor(1), heldUntil)
		},
	} {
		require.ErrorIs(t, try(t, open(t, path, store.Options{}), use), store.ErrSealed)
	}
}

// TestAReservationWithoutItsHoldIsFound: taking a hold away frees what a holder reserved, and no seal is there to tell.
func TestAReservationWithoutItsHoldIsFound(t *testing.T) {
	s, _ := sealed(t)
	ann := books.HolderBalance("ann")
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		lines, err := books.Move(books.Funding, ann, money.Minor(5_00))
		require.NoError(t, err)
		require.NoError(t, tx.Post(ctx, books.Entry{ID: "up", Kind: "test", Day: "2026-11-24", Lines: lines}))
		require.NoError(t, tx.Hold(ctx, "balance:P1", ann, money.Minor(3_00), heldUntil))
		return tx.AddBalancePayment(ctx, store.BalancePayment{Number: "P1", Holder: "ann", Amount: money.Minor(3_00), State: store.BalanceHeld, Made: time.UnixMilli(1)})
	})
	require.Empty(t, faults(t, s))
	edit(t, s, `DELETE FROM account_hold`)
	require.Equal(t, []string{"reservation P1 of a balance: its hold is not there, or of another amount"}, faults(t, s))
}

// TestASettledHoldHasItsEntry: what a hold says that was taken is in the journal.
func TestASettledHoldHasItsEntry(t *testing.T) {
	s, _ := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("in", 10_00)) })
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.Hold(ctx, "a", books.Funding, money.Minor(6_00), heldUntil))
		return tx.SettleHold(ctx, "a", pays("q", 2_00))
	})
	require.Empty(t, faults(t, s))
	edit(t, s, `UPDATE account_hold SET entry = 'none'`)
	require.Equal(t, []string{"hold a: 6.00 was held, entry none took 0.00"}, faults(t, s))
	edit(t, s, `UPDATE account_hold SET entry = 'q', amount = 100`)
	require.Equal(t, []string{"hold a: 1.00 was held, entry q took 2.00"}, faults(t, s))
}
