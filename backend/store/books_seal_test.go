package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

var booksKey = []byte("a key for tests and for nothing else")

func sealed(t *testing.T) (*store.Store, string) {
	_, path := fresh(t)
	return open(t, path, store.Options{BooksKey: booksKey}), path
}

// edit changes the database as somebody with SQL access would.
func edit(t *testing.T, s *store.Store, query string, args ...any) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.SQL(ctx, query, args...) })
}

func account(t *testing.T, s *store.Store, a books.Account) (out store.BooksAccount) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) {
		out, err = tx.FindAccount(t.Context(), string(a))
		return err
	}))
	return out
}

func notes(t *testing.T, s *store.Store, a books.Account) (out []store.AccountNote) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) {
		out, err = tx.AccountNotes(t.Context(), a)
		return err
	}))
	return out
}

func TestABalanceFlippedBySQLFreezesTheAccountAtTheNextRead(t *testing.T) {
	s, _ := sealed(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	require.Empty(t, faults(t, s))
	edit(t, s, `UPDATE account SET balance = 999 WHERE name = 'trust'`)

	err := s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Balance(t.Context(), books.Trust)
		return err
	})
	require.ErrorIs(t, err, store.ErrEdited)
	require.True(t, account(t, s, books.Trust).Edited)
	found := notes(t, s, books.Trust)
	require.Len(t, found, 1)
	require.Equal(t, store.NoteEdited, found[0].Code)
	require.Contains(t, found[0].Detail, "held 9.99, its lines say 5.00")

	ov, err := s.Overview(t.Context())
	require.NoError(t, err)
	require.Contains(t, ov.Findings, store.FindingCount{Code: store.NoteEdited, Severity: "alarm", Open: 1}, "the operators' page shows it")

	// Putting the balance back does not open the account again.
	edit(t, s, `UPDATE account SET balance = 500 WHERE name = 'trust'`)
	err = s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("b", 1)) })
	require.ErrorIs(t, err, store.ErrEdited)
	require.Equal(t, "-5.00", balance(t, s, books.Funding), "nothing of the refused entry stands")
	require.Len(t, notes(t, s, books.Trust), 1, "one alarm, however often it is read")
}

func TestEveryColumnOfAnAccountIsSealed(t *testing.T) {
	for name, change := range map[string]string{
		"balance": "balance = balance + 1", "switches": "switches = 0", "version": "version = version + 1", "number": "number = '11100000000000000000'",
		"class": "class = 'liability'", "edited": "edited = 1", "seal": "seal = ?", "name": "name = 'rounding'",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := sealed(t)
			update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
			var args []any
			if name == "seal" {
				args = append(args, []byte{})
			}
			edit(t, s, `UPDATE account SET `+change+` WHERE name = 'trust'`, args...)
			err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("b", 1)) })
			require.ErrorIs(t, err, store.ErrEdited)
			require.NotEmpty(t, faults(t, s))
		})
	}
	t.Run("the whole row", func(t *testing.T) {
		s, _ := sealed(t)
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
		edit(t, s, `DELETE FROM account WHERE name = 'trust'`)
		err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("b", 1)) })
		require.ErrorIs(t, err, store.ErrEdited)
		require.True(t, account(t, s, books.Trust).Edited)
	})
}

func TestATapAtAFrozenMerchantIsSetAsideAndComesBackWithTheRelease(t *testing.T) {
	s, _ := sealed(t)
	merchantWithCard(t, s)
	pending := books.MerchantPending("m1")
	pay(t, s, 0, 3_00, 97_00)
	require.Equal(t, "-3.00", balance(t, s, pending))
	edit(t, s, `UPDATE account SET balance = 0 WHERE name = ?`, string(pending))

	pay(t, s, 1, 2_00, 95_00) // the first to find it
	pay(t, s, 2, 1_00, 94_00)
	require.Equal(t, "-3.00", balance(t, s, books.Aside(pending)), "what the card paid is owed, in suspense")
	require.True(t, account(t, s, pending).Edited)
	found := faults(t, s)
	require.Len(t, found, 2, "the account alone is not sound: shadows, float, entries and groups are: %v", found)
	for _, f := range found {
		require.Contains(t, f, "account "+string(pending))
	}

	release := func(by, why string) error {
		return s.Update(t.Context(), func(tx *store.Tx) error { return tx.ReleaseAccount(t.Context(), pending, "2026-11-25", by, why) })
	}
	require.Error(t, release("", "nobody did it"))
	require.NoError(t, release("officer 7", "a script of ours, case 12"))
	require.Equal(t, "-6.00", balance(t, s, pending))
	require.Equal(t, "0.00", balance(t, s, books.Aside(pending)))
	require.Empty(t, faults(t, s))
	require.Equal(t, store.NoteReleased, notes(t, s, pending)[0].Code)
	pay(t, s, 3, 1_00, 93_00)
	require.Equal(t, "-7.00", balance(t, s, pending))
	require.NoError(t, release("officer 7", "again"), "an account that is open stays as it is")
	require.Equal(t, "-7.00", balance(t, s, pending))
}

func TestALineSetAsideGoesBesideTheLinesOfItsSuspenseAccount(t *testing.T) {
	for _, frozen := range []books.Account{books.MerchantPending("m1"), books.Trust} { // before and after its suspense account by name
		t.Run(string(frozen), func(t *testing.T) {
			s, _ := sealed(t)
			aside := books.Aside(frozen)
			post := func(id string) {
				update(t, s, func(ctx context.Context, tx *store.Tx) error {
					return tx.Post(ctx, books.Entry{ID: id, Kind: books.KindRecords, Day: "2026-11-25", Lines: []books.Line{
						{Account: books.Float, Amount: money.Minor(3_00)}, {Account: frozen, Amount: money.Minor(-2_00)}, {Account: aside, Amount: money.Minor(-1_00)}}})
				})
			}
			post("open")
			require.Equal(t, "-1.00", balance(t, s, aside))
			edit(t, s, `UPDATE account SET balance = 0 WHERE name = ?`, string(frozen))
			post("frozen")
			require.Equal(t, "-4.00", balance(t, s, aside), "its own line and that of the frozen account")
			post("frozen")
			post("again")
			require.Equal(t, "-7.00", balance(t, s, aside))
			require.Equal(t, "9.00", balance(t, s, books.Float))
			for _, f := range faults(t, s) {
				require.NotContains(t, f, "account "+string(aside))
				require.NotContains(t, f, "entry ")
			}
		})
	}
}

func TestNothingIsReleasedFromAJournalThatIsNotSound(t *testing.T) {
	s, _ := sealed(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	edit(t, s, `UPDATE account SET balance = 900 WHERE name = 'trust'`)
	edit(t, s, `UPDATE journal_line SET amount = 900 WHERE account = 'trust'`)
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.ReleaseAccount(t.Context(), books.Trust, "2026-11-25", "officer 7", "it looks right to me")
	})
	require.ErrorContains(t, err, "not sound either")
}

func TestBooksAreSealedWhenTheyAreFirstOpenedWithTheKey(t *testing.T) {
	s, path := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	edit(t, s, `UPDATE account SET balance = -499 WHERE name = 'funding'`)
	with := open(t, path, store.Options{BooksKey: booksKey})
	require.False(t, account(t, with, books.Trust).Edited)
	require.True(t, account(t, with, books.Funding).Edited, "a row that does not equal its lines is not sealed as it is")

	_, err := store.Open(t.Context(), emptystore.At(t, path), store.Options{NoSync: true, BooksKey: []byte("another")})
	require.ErrorIs(t, err, store.ErrSealed)
	without := open(t, path, store.Options{})
	require.Equal(t, "5.00", balance(t, without, books.Trust), "who has no key may read")
	err = without.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("b", 1)) })
	require.ErrorIs(t, err, store.ErrEdited, "funding is frozen for everybody")
	err = without.Update(t.Context(), func(tx *store.Tx) error {
		e := entry("b", 1)
		e.Lines[1].Account = books.Rounding
		return tx.Post(t.Context(), e)
	})
	require.ErrorIs(t, err, store.ErrSealed)

	// Taking the note of the seal away does not have edited rows sealed again.
	edit(t, with, `UPDATE account SET balance = 1, seal = ? WHERE name = 'trust'`, []byte{})
	edit(t, with, `DELETE FROM account_seal`)
	require.True(t, account(t, open(t, path, store.Options{BooksKey: booksKey}), books.Trust).Edited)
}

func TestSwitchesForbidWhatTheTableSays(t *testing.T) {
	s, _ := sealed(t)
	merchantWithCard(t, s)
	available := books.MerchantAvailable("m1")
	post := func(id, kind string, debit, credit books.Account, minor int64) error {
		lines, err := books.Move(debit, credit, money.Minor(minor))
		require.NoError(t, err)
		return s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.Post(t.Context(), books.Entry{ID: id, Kind: kind, Day: "2026-11-24", Lines: lines})
		})
	}
	turn := func(on, off books.Switches) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.SwitchAccount(ctx, available, on, off, "officer 7", "a dispute")
		})
	}
	require.NoError(t, post("in", "settle-close", books.Trust, available, 9_00))
	turn(0, books.SwitchTransferOut)
	require.ErrorIs(t, post("out", "settle-close", available, books.Trust, 1_00), books.ErrSwitched)
	require.NoError(t, post("in2", "settle-close", books.Trust, available, 1_00))
	turn(books.SwitchTransferOut, books.SwitchOverdraft)
	require.NoError(t, post("out2", "settle-close", available, books.Trust, 10_00))
	require.ErrorIs(t, post("out3", "settle-close", available, books.Trust, 1), books.ErrSwitched, "it would be overdrawn")
	turn(books.SwitchFrozen, 0)
	require.ErrorIs(t, post("in3", "settle-close", books.Trust, available, 1), books.ErrSwitched)
	require.Len(t, notes(t, s, available), 3)
	require.Contains(t, notes(t, s, available)[0].Detail, "a dispute")
	require.Empty(t, faults(t, s))
}

func TestATapAtAnAccountThatMayNotPayIsSetAside(t *testing.T) {
	s, _ := sealed(t)
	merchantWithCard(t, s)
	pending := books.MerchantPending("m1")
	pay(t, s, 0, 3_00, 97_00)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.SwitchAccount(ctx, pending, 0, books.SwitchPay, "officer 7", "its contract has ended")
	})
	pay(t, s, 1, 2_00, 95_00)
	require.Equal(t, "-3.00", balance(t, s, pending))
	require.Equal(t, "-2.00", balance(t, s, books.Aside(pending)))
	require.Empty(t, faults(t, s), "switched off is no fault")
	var aside []books.Balance
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) { aside, err = tx.SetAside(t.Context()); return err }))
	require.Len(t, aside, 1)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SwitchAccount(ctx, pending, books.SwitchPay, 0, "officer 7", "it has a new one"); err != nil {
			return err
		}
		return tx.ReleaseAccount(ctx, pending, "2026-11-25", "officer 7", "it has a new contract")
	})
	require.Equal(t, "-5.00", balance(t, s, pending))
}

func TestAnAccountIsFoundByItsNumber(t *testing.T) {
	s, _ := sealed(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	a := account(t, s, books.Trust)
	kind, err := books.ParseNumber(a.Number)
	require.NoError(t, err)
	require.Equal(t, "111", kind)
	require.Equal(t, a, account(t, s, books.Account(a.Number)))
	require.ErrorIs(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.FindAccount(t.Context(), ""); return err }), store.ErrNotFound)
}

// merchantWithCard registers a merchant with a terminal, and loads 100.00 on a card.
func merchantWithCard(t *testing.T, s *store.Store) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: "a1", Name: "a1", Fees: "[]"}); err != nil {
			return err
		}
		if err := tx.PutMerchant(ctx, store.Merchant{ID: "m1", Acquirer: "a1", Name: "m1"}); err != nil {
			return err
		}
		if err := tx.PutTerminal(ctx, store.Terminal{ID: "t1", Merchant: "m1", PublicKey: make([]byte, 32), Active: true}); err != nil {
			return err
		}
		if err := tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{1}, Token: "card1", Levels: 1}); err != nil {
			return err
		}
		lines, err := books.Move(books.AcquirerSoldLoads("a1"), books.Float, money.Minor(100_00))
		if err != nil {
			return err
		}
		if err := tx.Post(ctx, books.Entry{ID: "load:L1:loaded", Kind: "load-loaded", Day: "2026-11-23", Ref: "L1", Lines: lines}); err != nil {
			return err
		}
		return tx.PutCardLoad(ctx, ids.CardNumber{1}, shadowaccount.Load{Amount: money.Minor(100_00), Loaded: true}, "L1")
	})
}

// pay posts one accepted tap of the card, minor units, with the balance it leads to.
func pay(t *testing.T, s *store.Store, counter uint32, amount, after int64) {
	t.Helper()
	seq := uint64(counter) + 1
	v := store.Verified{
		Pending: store.Pending{Terminal: "t1", Epoch: 1, Seq: seq, Day: "2026-11-24", ReceivedMS: 1},
		Card:    ids.CardNumber{1}, Counter: counter, Levels: 1, Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "t1", Epoch: 1, Tap: seq}, Seq: seq, At: int64(counter), Merchant: "m1", Amount: money.Minor(amount),
			Before: money.Minor(after + amount), After: money.Minor(after), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: fmt.Sprint(counter)},
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.PostGroup(ctx, store.Group{Day: "2026-11-24", AtMS: 1, Token: func(n ids.CardNumber) string { return n.String() }}, []store.Verified{v})
	})
}
