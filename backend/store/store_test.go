package store_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

func open(t *testing.T, path string, opt store.Options) *store.Store {
	opt.NoSync = opt.NoSync || pgtest.Postgres // the tests' server has fsync off
	s, err := store.Open(t.Context(), emptystore.At(t, path), opt)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t *testing.T) (*store.Store, string) {
	path := filepath.Join(t.TempDir(), "scheme ?#%.db") // a path is not an URL
	return open(t, path, store.Options{}), path
}

func update(t *testing.T, s *store.Store, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }))
}

func entry(id string, minor int64) books.Entry {
	return books.Entry{ID: id, Kind: "test", Day: "2026-11-24", Lines: []books.Line{
		{Account: books.Trust, Amount: money.Minor(minor)}, {Account: books.Funding, Amount: money.Minor(-minor)}}}
}

func balance(t *testing.T, s *store.Store, a books.Account) string {
	var b money.Amount
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		var err error
		b, err = tx.Balance(t.Context(), a)
		return err
	}))
	return b.String()
}

func faults(t *testing.T, s *store.Store) []string {
	var out []string
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		var err error
		out, err = tx.VerifyBooks(t.Context())
		return err
	}))
	return out
}

func TestADatabaseIsOpenedAgainWithWhatItHolds(t *testing.T) {
	s, path := fresh(t)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	require.NoError(t, s.Close())
	require.Equal(t, "5.00", balance(t, open(t, path, store.Options{}), books.Trust))
}

func TestTheWriterIsDurableAndChecksItsKeys(t *testing.T) {
	s, _ := fresh(t)
	settings, read := map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "wal_autocheckpoint": "20000"}, "PRAGMA "
	if pgtest.Postgres {
		settings, read = map[string]string{"transaction_isolation": "serializable", "idle_in_transaction_session_timeout": "5min", "application_name": "purselane"}, "SHOW "
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for setting, want := range settings {
			got, err := tx.Setting(ctx, read+setting)
			require.NoError(t, err)
			require.Equal(t, want, got, setting)
		}
		return nil
	})
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutMerchant(t.Context(), store.Merchant{ID: "m", Acquirer: "nobody"})
	})
	require.Regexp(t, "(?i)foreign key", err.Error())
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	s, _ := fresh(t)
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		require.NoError(t, tx.Post(t.Context(), entry("a", 5_00)))
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, "0.00", balance(t, s, books.Trust))
	require.Zero(t, s.Changes())
}

func TestAViewCannotWrite(t *testing.T) {
	s, _ := fresh(t)
	err := s.View(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("a", 5_00)) })
	require.Error(t, err)
}

func TestAnEntryIsPostedOnceAndNeverChanged(t *testing.T) {
	s, _ := fresh(t)
	for range 2 {
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Post(ctx, entry("a", 5_00)) })
	}
	require.Equal(t, "5.00", balance(t, s, books.Trust))
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), entry("a", 6_00)) })
	require.ErrorIs(t, err, books.ErrConflict)
	unbalanced := entry("b", 5_00)
	unbalanced.Lines = unbalanced.Lines[:1]
	err = s.Update(t.Context(), func(tx *store.Tx) error { return tx.Post(t.Context(), unbalanced) })
	require.ErrorIs(t, err, books.ErrUnbalanced)
	require.Empty(t, faults(t, s))
}

// posted is a store with one card, a load on it and one posted tap.
func posted(t *testing.T) (*store.Store, string) {
	s, path := fresh(t)
	postTap(t, s)
	require.Empty(t, faults(t, s))
	return s, path
}

// postTap loads a card and posts a tap of it.
func postTap(t *testing.T, s *store.Store) {
	t.Helper()
	card := ids.CardNumber{9: 1}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.IssueCard(ctx, store.Card{Number: card, Token: "t1", Levels: 1}))
		require.NoError(t, tx.Post(ctx, books.Entry{ID: "load", Kind: "load", Day: "2026-11-24", Lines: []books.Line{
			{Account: books.Trust, Amount: money.Minor(10_00)}, {Account: books.Float, Amount: money.Minor(-10_00)}}}))
		require.NoError(t, tx.PutCardLoad(ctx, card, shadowaccount.Load{Amount: money.Minor(10_00), Loaded: true}, "load"))
		_, err := tx.Keep(ctx, store.Arrived{Terminal: "bus-1", Epoch: 1, FirstSeq: 1, Records: [][]byte{{1}}, Envelope: []byte{1}, At: time.UnixMilli(1), Day: "2026-11-24"})
		require.NoError(t, err)
		pending, err := tx.PendingRecords(ctx, 10)
		require.NoError(t, err)
		require.Len(t, pending, 1)
		return tx.PostGroup(ctx, store.Group{Day: "2026-11-24"}, []store.Verified{{Pending: pending[0], Card: card, Claim: shadowaccount.Claim{
			Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 1}, Seq: 1, Merchant: "m", Amount: money.Minor(2_00), Before: money.Minor(10_00), After: money.Minor(8_00),
			Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood}}})
	})
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"an account's balance":    {`UPDATE account SET balance = balance + 1 WHERE name = 'trust'`, "account trust: off by 0.01"},
		"a line of the journal":   {`UPDATE journal_line SET amount = amount + 1 WHERE account = 'float' AND entry = 'load'`, "entry load: off by 0.01"},
		"an account that is gone": {`DELETE FROM account WHERE name = 'trust'`, "lines of an account that is not there: trust: off by 10.00"},
		"a shadow account":        {`UPDATE card SET shadow = shadow + 1`, "float against the sum of shadow accounts: off by -0.01"},
		"a claim":                 {`UPDATE claim SET amount = amount + 1`, "shadow account t1: off by 0.01"},
		"a load":                  {`UPDATE card_load SET amount = amount + 1`, "shadow account t1: off by -0.01"},
		"a group's entry":         {`UPDATE journal_line SET account = 'merchant:x:pending' WHERE account = 'merchant:m:pending'`, "posting group 1: its entry was changed"},
		"a group's record":        {`UPDATE record SET hash = body`, "posting group 1: its records were changed"},
		"a group's hash":          {`UPDATE posting_group SET hash = 'x'`, "posting group 1: the chain is broken"},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := posted(t)
			require.NoError(t, s.Close())
			db, err := sql.Open("sqlite", "file:"+filepath.Join(filepath.Dir(path), "scheme%20%3f%23%25.db"))
			if pgtest.Postgres {
				db, err = sql.Open("pgx", pgtest.Store(t, path))
			}
			require.NoError(t, err)
			_, err = db.Exec(c.sql)
			require.NoError(t, err)
			require.NoError(t, db.Close())
			require.Contains(t, faults(t, open(t, path, store.Options{})), c.want)
		})
	}
}

func TestPostingAGroupAgainChangesNothing(t *testing.T) {
	s, _ := posted(t)
	before := balance(t, s, books.Float)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.PostGroup(ctx, store.Group{Day: "2026-11-25"}, []store.Verified{{Pending: store.Pending{Terminal: "bus-1", Epoch: 1, Seq: 1}, Card: ids.CardNumber{9: 1}, Claim: shadowaccount.Claim{
			Tap: ids.TapID{Terminal: "bus-1", Epoch: 1, Tap: 1}, Seq: 1, Merchant: "m", Amount: money.Minor(2_00), Before: money.Minor(10_00), After: money.Minor(8_00),
			Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood}}})
	})
	require.Equal(t, before, balance(t, s, books.Float))
	require.Empty(t, faults(t, s))
}

func TestACardIsIssuedEmptyAndOnce(t *testing.T) {
	s, _ := fresh(t)
	card := store.Card{Number: ids.CardNumber{9: 1}, Token: "t1", Levels: 2, OpeningCounter: 7}
	for range 2 {
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.IssueCard(ctx, card) })
	}
	for name, spoil := range map[string]func(*store.Card){
		"money on it": func(c *store.Card) { c.OpeningBalance = money.Minor(1) },
		"no token":    func(c *store.Card) { c.Token = "" },
	} {
		c := card
		spoil(&c)
		require.Error(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.IssueCard(t.Context(), c) }), name)
	}
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.CardByToken(t.Context(), "t1")
		require.NoError(t, err)
		require.Equal(t, store.CardActive, got.Status)
		require.EqualValues(t, 7, got.Next)
		_, err = tx.CardByNumber(t.Context(), ids.CardNumber{9: 2})
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	}))
}

func TestALoadMovesTheShadowOnceAndOnlyWhenItIsOnTheCard(t *testing.T) {
	s, _ := fresh(t)
	n := ids.CardNumber{9: 1}
	load := shadowaccount.Load{Counter: 3, Amount: money.Minor(5_00)}
	on := load
	on.Loaded = true
	shadow := func() string {
		var c store.Card
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			var err error
			c, err = tx.CardByNumber(ctx, n)
			return err
		})
		return c.Shadow.String()
	}
	put := func(l shadowaccount.Load) error {
		return s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCardLoad(t.Context(), n, l, "order") })
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.IssueCard(ctx, store.Card{Number: n, Token: "t1", Levels: 1})
	})
	require.NoError(t, put(load))
	require.Equal(t, "0.00", shadow())
	for range 2 {
		require.NoError(t, put(on))
		require.Equal(t, "5.00", shadow())
	}
	require.Error(t, put(load), "it cannot leave the card again")
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DropCardLoad(ctx, n, 3) })
	require.Equal(t, "5.00", shadow())
}

func TestTokensNeedTheirKey(t *testing.T) {
	n := ids.CardNumber{9: 1}
	one, other := store.Token([]byte("0123456789abcdef"), n), store.Token([]byte("0123456789abcdeX"), n)
	require.Len(t, one, 32)
	require.NotEqual(t, one, other)
	require.NotEqual(t, one, store.Token([]byte("0123456789abcdef"), ids.CardNumber{9: 2}))
}

func TestATerminalKeepsWhatItSaidWhenItIsRegisteredAgain(t *testing.T) {
	s, _ := fresh(t)
	m := store.Terminal{ID: "bus-1", Merchant: "m", PSAMs: [][6]byte{{5: 1}, {5: 2}}, PublicKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Active: true}
	at := time.UnixMilli(1_000_000)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.PutAcquirer(ctx, store.Acquirer{ID: "a"}))
		require.NoError(t, tx.PutMerchant(ctx, store.Merchant{ID: "m", Acquirer: "a"}))
		require.NoError(t, tx.PutTerminal(ctx, m))
		require.NoError(t, tx.TerminalSeen(ctx, "bus-1", at, 9))
		m.Place = "depot"
		require.NoError(t, tx.PutTerminal(ctx, m))
		got, err := tx.Terminal(ctx, "bus-1")
		require.NoError(t, err)
		m.LastSeen, m.Backlog, m.Online = at, 9, true
		require.Equal(t, m, got)
		require.True(t, got.HasPSAM([6]byte{5: 2}))
		require.False(t, got.HasPSAM([6]byte{}))
		m.PSAMs = [][6]byte{{5: 3}}
		require.NoError(t, tx.PutTerminal(ctx, m))
		all, err := tx.Terminals(ctx)
		require.NoError(t, err)
		require.Equal(t, []store.Terminal{m}, all)
		m.PublicKey = nil
		require.Error(t, tx.PutTerminal(ctx, m))
		m.ID = "no/slash"
		require.Error(t, tx.PutTerminal(ctx, m))
		return nil
	})
}

// TestAServerThatWouldLoseACommitIsRefused: the tests' server has fsync off.
func TestAServerThatWouldLoseACommitIsRefused(t *testing.T) {
	if !pgtest.Postgres {
		t.Skip("needs PostgreSQL: make test-pg")
	}
	at := pgtest.Store(t, filepath.Join(t.TempDir(), "scheme.db"))
	_, err := store.Open(t.Context(), at, store.Options{})
	require.ErrorContains(t, err, "fsync off")
	_, err = store.Open(t.Context(), at+"?options=-c%20synchronous_commit%3Doff", store.Options{})
	require.ErrorContains(t, err, "synchronous_commit off")
}

func TestADiskThatIsNoPlaceForADatabaseIsSaidClearly(t *testing.T) {
	_, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder", "x.db"), store.Options{})
	require.ErrorContains(t, err, "unable to open database file")
	require.ErrorContains(t, err, "x.db")
}
