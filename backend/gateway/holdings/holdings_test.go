package holdings_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/holdings"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

const (
	ann = "till.ann"
	day = 24 * time.Hour
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type stand struct {
	*holdings.Service
	t     *testing.T
	store *store.Store
	clock *clock.Manual
}

func newStand(t *testing.T) *stand {
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := clock.NewManual(noon)
	h, err := holdings.New(s, holdings.Config{Currency: "CNY", Clock: c, Log: log})
	require.NoError(t, err)
	return &stand{h, t, s, c}
}

// changes asks and approves.
func (s *stand) changes(w holdings.Wanted) error {
	c, err := s.Ask(s.t.Context(), w, "bob", "a reason")
	require.NoError(s.t, err)
	_, err = s.Approve(s.t.Context(), c.ID, "carol")
	return err
}

func (s *stand) balance(a books.Account) (out string) {
	require.NoError(s.t, s.store.View(s.t.Context(), func(tx *store.Tx) error {
		b, err := tx.Balance(s.t.Context(), a)
		out = b.String()
		return err
	}))
	return out
}

func (s *stand) points(holder string) (balance int64) {
	require.NoError(s.t, s.store.View(s.t.Context(), func(tx *store.Tx) error {
		b, _, err := tx.Points(s.t.Context(), holder, "PTS")
		balance = b.Minor()
		return err
	}))
	return balance
}

func (s *stand) spends(id, holder string, n int64) {
	require.NoError(s.t, s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		return tx.MovePoints(s.t.Context(), id, holder, "shop", "PTS", money.Minor(n), id, s.clock.Now())
	}))
}

func pts(n int64, until time.Duration) holdings.Wanted {
	w := holdings.Wanted{Holder: ann, Currency: "PTS", Amount: money.Minor(n)}
	if until > 0 {
		w.Expires = noon.Add(until)
	}
	return w
}

// TestTwoPersonsChangeABalance: nothing moves on one person's word, everything once on two, and the proof of the books holds.
func TestTwoPersonsChangeABalance(t *testing.T) {
	s := newStand(t)
	c, err := s.Ask(t.Context(), holdings.Wanted{Holder: ann, Currency: "CNY", Amount: money.Minor(500)}, "bob", "the bank took it twice")
	require.NoError(t, err)
	require.Equal(t, store.ChangeBalance, c.Kind)
	_, err = s.Approve(t.Context(), c.ID, "bob")
	require.ErrorIs(t, err, holdings.ErrSamePerson)
	require.Equal(t, "0.00", s.balance(books.HolderBalance(ann)))
	c, err = s.Approve(t.Context(), c.ID, "carol")
	require.NoError(t, err)
	require.Equal(t, store.ChangeDone, c.State)
	_, err = s.Approve(t.Context(), c.ID, "dave")
	require.ErrorIs(t, err, holdings.ErrDecided)
	require.Equal(t, "-5.00", s.balance(books.HolderBalance(ann)))
	require.Equal(t, "5.00", s.balance(holdings.Adjusted))

	require.ErrorIs(t, s.changes(holdings.Wanted{Holder: ann, Currency: "CNY", Amount: money.Minor(-501)}), holdings.ErrFunds)
	all, err := s.Changes(t.Context(), store.ChangeAsked, 10)
	require.NoError(t, err)
	require.Len(t, all, 1, "what cannot be done now may be done later")
	_, err = s.Refuse(t.Context(), all[0].ID, "bob", "a mistake")
	require.NoError(t, err)
	require.NoError(t, s.changes(holdings.Wanted{Holder: ann, Currency: "CNY", Amount: money.Minor(-500)}))
	require.Equal(t, "0.00", s.balance(books.HolderBalance(ann)))
	require.Equal(t, "0.00", s.balance(holdings.Adjusted))
	p, err := ledger.ProveDay(t.Context(), s.store, "2026-03-02", noon.Add(day))
	require.NoError(t, err)
	require.True(t, p.Passed, string(p.Text()))
	_, err = s.Approve(t.Context(), "H1", "carol")
	require.ErrorIs(t, err, holdings.ErrUnknown)
}

func TestAFrozenBalanceStaysAsItIs(t *testing.T) {
	s := newStand(t)
	require.NoError(t, s.changes(holdings.Wanted{Holder: ann, Currency: "CNY", Amount: money.Minor(500)}))
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SwitchAccount(t.Context(), books.HolderBalance(ann), books.SwitchFrozen, 0, "bob", "a case")
	}))
	for _, n := range []int64{100, -100} {
		require.ErrorIs(t, s.changes(holdings.Wanted{Holder: ann, Currency: "CNY", Amount: money.Minor(n)}), holdings.ErrFunds)
	}
	require.Equal(t, "-5.00", s.balance(books.HolderBalance(ann)))
}

func TestWhatIsNotAskedFor(t *testing.T) {
	s := newStand(t)
	good := pts(5, day)
	for _, w := range []holdings.Wanted{{}, {Holder: "Ann", Currency: "PTS", Amount: good.Amount}, {Holder: ann, Currency: "pts", Amount: good.Amount}, {Holder: ann, Currency: "PTS"},
		{Holder: ann, Currency: "CNY", Amount: good.Amount, Expires: good.Expires}, {Holder: ann, Currency: "PTS", Amount: money.Minor(-1), Expires: good.Expires},
		{Holder: ann, Currency: "PTS", Amount: good.Amount, Expires: noon}} {
		_, err := s.Ask(t.Context(), w, "bob", "a reason")
		require.ErrorIs(t, err, holdings.ErrRequest, "%+v", w)
	}
	for _, x := range [][2]string{{"", "a reason"}, {"bob", " "}, {"bob", "a\nline"}} {
		_, err := s.Ask(t.Context(), good, x[0], x[1])
		require.ErrorIs(t, err, holdings.ErrRequest)
	}
	c, err := s.Ask(t.Context(), good, "bob", "a reason")
	require.NoError(t, err)
	s.clock.Advance(day)
	_, err = s.Approve(t.Context(), c.ID, "carol")
	require.ErrorIs(t, err, holdings.ErrRequest, "they would expire at once")
	_, err = holdings.New(nil, holdings.Config{Currency: "CNY"})
	require.Error(t, err)
}

// TestPointsExpire: what is left of them, once, and not what is held for a payment.
func TestPointsExpire(t *testing.T) {
	s := newStand(t)
	require.NoError(t, s.changes(pts(100, day)))
	require.NoError(t, s.changes(pts(50, 0)))
	require.NoError(t, s.changes(pts(30, 2*day)))
	s.spends("s1", ann, 60)
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.HoldPoints(t.Context(), ann, "PTS", money.Minor(90)) }))
	require.NoError(t, s.Expire(t.Context()))
	require.EqualValues(t, 120, s.points(ann))
	s.clock.Advance(day)
	for range 2 {
		require.NoError(t, s.Expire(t.Context()))
		require.EqualValues(t, 90, s.points(ann), "40 have expired, of which 10 are held")
	}
	require.NoError(t, s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.HoldPoints(t.Context(), ann, "PTS", money.Minor(-90)) }))
	s.clock.Advance(day)
	require.NoError(t, s.Expire(t.Context()))
	require.EqualValues(t, 60, s.points(ann))
	require.ErrorIs(t, s.changes(pts(-61, 0)), holdings.ErrFunds)
	require.NoError(t, s.changes(pts(-60, 0)))
	require.NoError(t, s.store.View(t.Context(), func(tx *store.Tx) error {
		bad, err := tx.VerifyPoints(t.Context())
		require.Empty(t, bad)
		return err
	}))
}

// TestPointsAgainstAPlainModel: gifts, payments, refunds and time in any order.
func TestPointsAgainstAPlainModel(t *testing.T) {
	type lot struct {
		expires time.Time // zero: never
		left    int64
	}
	s := newStand(t)
	next := 0
	rapid.Check(t, func(r *rapid.T) {
		next++
		holder := fmt.Sprint("till.h", next)
		var lots []*lot
		var have int64
		byExpiry := func(a, b *lot) int {
			if a.expires.IsZero() != b.expires.IsZero() {
				return cmp.Compare(map[bool]int{true: 1}[a.expires.IsZero()], map[bool]int{true: 1}[b.expires.IsZero()])
			}
			return a.expires.Compare(b.expires)
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			next++
			s.clock.Advance(time.Millisecond)
			switch rapid.SampledFrom([]string{"give", "give for ever", "pay", "refund", "wait"}).Draw(r, "what") {
			case "give":
				n := rapid.Int64Range(1, 50).Draw(r, "n")
				x := &lot{s.clock.Now().Add(time.Duration(rapid.IntRange(1, 9).Draw(r, "days")) * day), n}
				require.NoError(r, s.changes(holdings.Wanted{Holder: holder, Currency: "PTS", Amount: money.Minor(n), Expires: x.expires}))
				lots, have = append(lots, x), have+n
			case "give for ever":
				n := rapid.Int64Range(1, 50).Draw(r, "n")
				require.NoError(r, s.changes(holdings.Wanted{Holder: holder, Currency: "PTS", Amount: money.Minor(n)}))
				lots, have = append(lots, &lot{left: n}), have+n
			case "refund":
				n := rapid.Int64Range(1, 20).Draw(r, "n")
				require.NoError(r, s.store.Update(t.Context(), func(tx *store.Tx) error {
					return tx.MovePoints(t.Context(), fmt.Sprint("back", next), "", holder, "PTS", money.Minor(n), "back", s.clock.Now())
				}))
				lots, have = append(lots, &lot{left: n}), have+n
			case "pay":
				if have == 0 {
					continue
				}
				n := rapid.Int64Range(1, have).Draw(r, "n")
				s.spends(fmt.Sprint("pay", next), holder, n)
				have -= n
				slices.SortStableFunc(lots, byExpiry)
				for _, x := range lots {
					take := min(x.left, n)
					x.left, n = x.left-take, n-take
				}
			case "wait":
				s.clock.Advance(time.Duration(rapid.IntRange(1, 4).Draw(r, "days")) * day)
				require.NoError(r, s.Expire(t.Context()))
				for _, x := range lots {
					if !x.expires.IsZero() && !x.expires.After(s.clock.Now()) {
						have, x.left = have-x.left, 0
					}
				}
			}
			require.Equal(r, have, s.points(holder))
		}
	})
}
