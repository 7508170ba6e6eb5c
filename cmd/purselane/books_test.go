package main

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// sealedScheme is a scheme's folder whose sealed books hold a load of 50.00 on a card.
func sealedScheme(t *testing.T) (dir string, s *store.Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "scheme")
	must(t, "init", "--dir", dir)
	n, err := schemeFolder{Dir: dir}.open(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	ctx, s := t.Context(), n.Store()
	require.NoError(t, s.Update(ctx, func(tx *store.Tx) error {
		if err := tx.IssueCard(ctx, store.Card{Number: ids.CardNumber{9: 1}, Token: "card1", Levels: 1}); err != nil {
			return err
		}
		if err := tx.MoveLoad(ctx, "load:L1:loaded", "load-loaded", "2026-11-23", "L1", books.AcquirerSoldLoads("bus"), books.Float, money.Minor(50_00)); err != nil {
			return err
		}
		return tx.PutCardLoad(ctx, ids.CardNumber{9: 1}, shadowaccount.Load{Amount: money.Minor(50_00), Loaded: true}, "L1")
	}))
	return dir, s
}

func TestTheBooksAreProvedAndToldByCommand(t *testing.T) {
	dir, _ := sealedScheme(t)
	require.Contains(t, must(t, "books", "verify", "--dir", dir), "sound")
	require.Contains(t, must(t, "books", "prove", "--dir", dir), "the books are sound")
	var p ledger.Proof
	require.NoError(t, json.Unmarshal([]byte(must(t, "books", "prove", "--dir", dir, "--day", "2026-11-23", "--json")), &p))
	require.True(t, p.Passed)
	require.Equal(t, must(t, "books", "prove", "--dir", dir, "--day", "2026-11-23"), must(t, "books", "prove", "--dir", dir, "--day", "2026-11-23"))
	_, err := run(t, "books", "prove", "--dir", dir, "--day", now().Add(72*time.Hour).Format(time.DateOnly))
	require.ErrorContains(t, err, "not over")

	require.Regexp(t, `(?m)^2 +liabilities +-50\.00$`, must(t, "books", "chart", "--dir", dir))
	require.Equal(t, "float  -50.00\n", must(t, "books", "balance", "--dir", dir, "float", "--at", "2026-11-23"))
	require.Equal(t, "float  0.00\n", must(t, "books", "balance", "--dir", dir, "float", "--at", "2026-11-22"))
	_, err = run(t, "books", "balance", "--dir", dir, "flaot")
	require.ErrorIs(t, err, store.ErrNotFound)

	require.Contains(t, must(t, "books", "statement", "--dir", dir, "--card", "card1", "--from", "2026-11-01", "--to", "2026-11-30"), "50.00")
	require.Contains(t, must(t, "books", "statement", "--dir", dir, "--card", "card1", "--from", "2026-11-01", "--to", "2026-11-30", "--form", "csv"), "shadow,2026-11-23,load,L1,50.00,50.00")
	_, err = run(t, "books", "statement", "--dir", dir, "--from", "2026-11-01", "--to", "2026-11-30")
	require.Error(t, err, "of whom?")
}

func TestAnAccountThatWasEditedIsReleasedByCommand(t *testing.T) {
	dir, s := sealedScheme(t)
	why := []string{"--dir", dir, "--by", "ann", "--reason", "case 12"}
	require.Contains(t, must(t, append([]string{"books", "switch", "float", "--off", "withdraw"}, why...)...), "load overdraft pay")
	require.Contains(t, must(t, "books", "account", "--dir", dir, "float"), "SWITCHED by ann")

	// What somebody with SQL access can do, and no key.
	path := node.DatabasePath(filepath.Join(dir, folderData))
	flip(t, path, `UPDATE account SET balance = -4000 WHERE name = 'float'`)
	out, err := run(t, "books", "prove", "--dir", dir)
	require.ErrorIs(t, err, errBooks)
	require.Contains(t, out, "FAILS  accounts")
	require.Contains(t, must(t, "books", "account", "--dir", dir, "float"), "not to be believed")
	require.ErrorIs(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Balance(t.Context(), books.Float); return err }), store.ErrEdited)

	require.Contains(t, must(t, append([]string{"books", "release", "float"}, why...)...), "holds -50.00")
	require.Contains(t, must(t, "books", "prove", "--dir", dir), "the books are sound")
	require.Contains(t, must(t, "books", "account", "--dir", dir, "float"), "RELEASED by ann")
	_, err = run(t, append([]string{"books", "switch", "float", "--on", "frost"}, why...)...)
	require.ErrorContains(t, err, "no switch")
}

func TestAnAccountShowsWhatIsHeldOfIt(t *testing.T) {
	dir, s := sealedScheme(t)
	shop := books.MerchantAvailable("shop")
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		lines, err := books.Move(books.Trust, shop, money.Minor(10_00))
		require.NoError(t, err)
		require.NoError(t, tx.Post(t.Context(), books.Entry{ID: "in", Kind: "test", Day: "2026-11-24", Lines: lines}))
		require.NoError(t, tx.Hold(t.Context(), "order-2", shop, money.Minor(1_00), time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)))
		return tx.Hold(t.Context(), "order-1", shop, money.Minor(3_00), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	}))
	out := must(t, "books", "account", "--dir", dir, string(shop))
	require.Contains(t, out, "  holds     -10.00\n")
	require.Contains(t, out, "  may use   6.00\n  held      4.00\n    order-1  3.00  until 2026-01-01T00:00:00Z  OVERDUE\n    order-2  1.00  until 2999-01-01T00:00:00Z\n")
	require.NotContains(t, must(t, "books", "account", "--dir", dir, "float"), "held")
}

func flip(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	_, err = db.Exec(query)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
