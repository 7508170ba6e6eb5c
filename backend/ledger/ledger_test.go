package ledger_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/internal/pgtest"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

var (
	key     = []byte("a key for tests and for nothing else")
	evening = time.Date(2026, 11, 25, 23, 0, 0, 0, time.UTC)
)

// scheme is one acquirer with a merchant and a terminal over a real store with sealed books.
type scheme struct {
	t       require.TestingT
	ctx     context.Context
	store   *store.Store
	counter map[byte]uint32
	balance map[byte]int64
	loads   map[byte]uint16
	seq     uint64
}

func schemeAt(t require.TestingT, ctx context.Context, at string) *scheme {
	s, err := store.Open(ctx, at, store.Options{NoSync: true, BooksKey: key})
	require.NoError(t, err)
	return &scheme{t: t, ctx: ctx, store: s, counter: map[byte]uint32{}, balance: map[byte]int64{}, loads: map[byte]uint16{}}
}

// settleByHand notes that a closed day was paid: one person proposes it, and another approves.
func (w *scheme) settleByHand(day string) {
	p, err := settlement.ProposePay(w.ctx, w.store, day, "bank 1", "ann", "paid by hand", evening)
	require.NoError(w.t, err)
	_, _, err = settlement.Approve(w.ctx, w.store, p.ID, "ben", settlement.BankOptions{Now: evening})
	require.NoError(w.t, err)
}

func newScheme(t require.TestingT, ctx context.Context, at string) *scheme {
	w := schemeAt(t, ctx, at)
	w.update(func(tx *store.Tx) error {
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: "bus", Name: "Bus", Fees: "[]"}); err != nil {
			return err
		}
		if err := tx.PutMerchant(ctx, store.Merchant{ID: "line1", Acquirer: "bus", Name: "Line 1"}); err != nil {
			return err
		}
		return tx.PutTerminal(ctx, store.Terminal{ID: "door", Merchant: "line1", PublicKey: make([]byte, 32), Active: true, Place: "Line 1"})
	})
	return w
}

func opened(t *testing.T) *scheme {
	w := newScheme(t, t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")))
	t.Cleanup(func() { w.store.Close() })
	return w
}

func (w *scheme) update(f func(*store.Tx) error) { require.NoError(w.t, w.store.Update(w.ctx, f)) }

func number(card byte) ids.CardNumber { return ids.CardNumber{9: card} }

func token(card byte) string { return fmt.Sprint("card", card) }

// load sells a load and puts it on the card, in the three steps of package topup.
func (w *scheme) load(card byte, day string, minor int64) {
	w.seq++
	order := fmt.Sprint("L", w.seq)
	w.update(func(tx *store.Tx) error {
		if err := tx.IssueCard(w.ctx, store.Card{Number: number(card), Token: token(card), Levels: 1}); err != nil {
			return err
		}
		for _, step := range []struct {
			name          string
			debit, credit books.Account
		}{{"paid", books.AcquirerSoldLoads("bus"), books.Funding}, {"authorise:1", books.Funding, books.LoadInProgress}, {"loaded", books.LoadInProgress, books.Float}} {
			kind, _, _ := strings.Cut("load-"+step.name, ":")
			if err := tx.MoveLoad(w.ctx, "load:"+order+":"+step.name, kind, day, order, step.debit, step.credit, money.Minor(minor)); err != nil {
				return err
			}
		}
		l := shadowaccount.Load{Counter: w.loads[card], Amount: money.Minor(minor), Loaded: true}
		w.loads[card]++
		return tx.PutCardLoad(w.ctx, number(card), l, order)
	})
	w.balance[card] += minor
}

// pay posts one accepted tap.
func (w *scheme) pay(card byte, day string, minor int64) {
	w.seq++
	before := w.balance[card]
	w.balance[card] -= minor
	v := store.Verified{
		Pending: store.Pending{Terminal: "door", Epoch: 1, Seq: w.seq, Day: day, ReceivedMS: int64(w.seq)},
		Card:    number(card), Counter: w.counter[card], Levels: 1, Kind: 1,
		Claim: shadowaccount.Claim{Tap: ids.TapID{Terminal: "door", Epoch: 1, Tap: w.seq}, Seq: w.seq, At: int64(w.seq), Merchant: "line1", Amount: money.Minor(minor),
			Before: money.Minor(before), After: money.Minor(before - minor), Said: shadowaccount.SaidCompleted, Proof: shadowaccount.ProofGood, Debit: fmt.Sprint(w.seq)},
	}
	w.counter[card]++
	w.update(func(tx *store.Tx) error {
		return tx.PostGroup(w.ctx, store.Group{Day: day, AtMS: 1, Token: func(ids.CardNumber) string { return token(card) }}, []store.Verified{v})
	})
}

func (w *scheme) close(day string) {
	_, err := settlement.Close(w.ctx, w.store, day, settlement.Options{Now: evening})
	require.NoError(w.t, err)
}

func (w *scheme) prove(day string, at time.Time) ledger.Proof {
	p, err := ledger.ProveDay(w.ctx, w.store, day, at)
	require.NoError(w.t, err)
	return p
}

// failed names the checks that do not hold.
func failed(p ledger.Proof) []string {
	out := []string{}
	for _, c := range p.Checks {
		if !c.Passed {
			out = append(out, c.Name)
		}
	}
	return out
}

func figure(t *testing.T, p ledger.Proof, check, name string) string {
	for _, c := range p.Checks {
		for _, f := range c.Figures {
			if c.Name == check && f.Name == name {
				return f.Amount.String()
			}
		}
	}
	require.Fail(t, "no such figure", "%s: %s in %+v", check, name, p)
	return ""
}

// aDay is a scheme with two cards, whose first day is closed.
func aDay(t *testing.T) *scheme {
	w := opened(t)
	w.load(1, "2026-11-23", 50_00)
	w.load(2, "2026-11-23", 20_00)
	w.pay(1, "2026-11-23", 3_00)
	w.pay(2, "2026-11-23", 2_00)
	w.close("2026-11-23")
	w.pay(1, "2026-11-24", 4_00)
	return w
}

func TestSoundBooksAreProvedBeforeAndAfterADayIsPaid(t *testing.T) {
	w := aDay(t)
	p := w.prove("2026-11-24", evening)
	require.Empty(t, failed(p))
	require.True(t, p.Passed)
	require.Equal(t, "61.00", figure(t, p, "float-identity", "cards"))
	require.Equal(t, "61.00", figure(t, p, "float-identity", "held for holders"))
	require.Equal(t, "65.00", figure(t, p, "clearing", "acquirer:bus:clearing"), "closed and not paid")
	require.Equal(t, "4.00", figure(t, p, "float-identity", "payables"))

	w.settleByHand("2026-11-23")
	p = w.prove("2026-11-23", evening)
	require.Empty(t, failed(p))
	require.Equal(t, "0.00", figure(t, p, "clearing", "acquirer:bus:clearing"))
	require.Equal(t, "65.00", figure(t, p, "float-identity", "trust"))
}

func TestAProofWithoutTheKeySaysThatItDidNotLookAtTheSeals(t *testing.T) {
	dir := t.TempDir()
	w := newScheme(t, t.Context(), emptystore.At(t, filepath.Join(dir, "scheme.db")))
	w.load(1, "2026-11-23", 5_00)
	require.NotContains(t, string(w.prove("2026-11-23", evening).Text()), "NOT LOOKED AT")
	require.NoError(t, w.store.Close())
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(dir, "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer s.Close()
	p, err := ledger.ProveDay(t.Context(), s, "2026-11-24", evening)
	require.NoError(t, err)
	require.Contains(t, string(p.Text()), "NOT LOOKED AT")
}

func TestAProofIsKeptAndComesOutTheSame(t *testing.T) {
	w := aDay(t)
	first := w.prove("2026-11-24", evening)
	w.pay(1, "2026-11-25", 1_00)
	again := w.prove("2026-11-24", evening.Add(time.Hour))
	a, err := first.JSON()
	require.NoError(t, err)
	b, err := again.JSON()
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
	require.Equal(t, string(first.Text()), string(again.Text()))
	_, err = ledger.ProveDay(t.Context(), w.store, "2026-11-25", evening)
	require.ErrorContains(t, err, "not over")
	_, err = ledger.ProveDay(t.Context(), w.store, "yesterday", evening)
	require.ErrorContains(t, err, "YYYY-MM-DD")
}

func TestEachCheckFindsWhatItIsFor(t *testing.T) {
	post := func(w *scheme, kind string, debit, credit books.Account) {
		lines, err := books.Move(debit, credit, money.Minor(7))
		require.NoError(w.t, err)
		w.update(func(tx *store.Tx) error {
			return tx.Post(w.ctx, books.Entry{ID: "wrong", Kind: kind, Day: "2026-11-24", Lines: lines})
		})
	}
	for name, c := range map[string]struct {
		wrong func(*scheme)
		want  []string
	}{
		"float moved without a card":   {func(w *scheme) { post(w, "correction", books.Float, books.Rounding) }, []string{"shadows", "float-identity"}},
		"money in flight and no order": {func(w *scheme) { post(w, "correction", books.Trust, books.LoadInProgress) }, []string{"float-identity"}},
		"paid otherwise than closed":   {func(w *scheme) { post(w, "correction", books.Trust, books.AcquirerClearing("bus")) }, []string{"clearing"}},
		"on its way to nobody":         {func(w *scheme) { post(w, "correction", books.Trust, books.BankTransit) }, []string{"clearing"}},
		"clearing of nobody":           {func(w *scheme) { post(w, "correction", books.Trust, books.AcquirerClearing("nobody")) }, []string{"clearing"}},
		"more loaded than was paid":    {func(w *scheme) { post(w, "correction", books.Funding, books.Trust) }, []string{"float-identity", "sides"}},
		"a load order without money": {func(w *scheme) {
			w.update(func(tx *store.Tx) error {
				return tx.AddLoadOrder(w.ctx, store.LoadOrder{ID: "L0", Agent: "bus", IdempotencyKey: "k", Amount: money.Minor(5), State: "paid", Created: evening, Changed: evening})
			})
		}, []string{"float-identity"}},
		"a frozen merchant": {func(w *scheme) {
			w.update(func(tx *store.Tx) error {
				return tx.SwitchAccount(w.ctx, books.MerchantPending("line1"), books.SwitchFrozen, 0, "officer", "test")
			})
			w.pay(1, "2026-11-24", 1_00)
		}, []string{"set-aside"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := aDay(t)
			c.wrong(w)
			p := w.prove("2026-11-24", evening)
			require.Equal(t, c.want, failed(p))
			require.False(t, p.Passed)
			text := string(p.Text())
			require.Contains(t, text, "NOT SOUND")
			for _, check := range p.Checks {
				if !check.Passed {
					require.NotEmpty(t, check.Do, "it says what to do")
					require.Contains(t, text, check.Do)
				}
			}
		})
	}
}

func TestAFailedProofIsKeptAndTheDayIsProvedAnewOnceItIsPutRight(t *testing.T) {
	w := aDay(t)
	switchIt := func(on, off books.Switches) {
		w.update(func(tx *store.Tx) error {
			return tx.SwitchAccount(w.ctx, books.MerchantPending("line1"), on, off, "officer", "test")
		})
	}
	switchIt(books.SwitchFrozen, 0)
	w.pay(1, "2026-11-24", 1_00)
	require.False(t, w.prove("2026-11-24", evening).Passed)
	switchIt(0, books.SwitchFrozen)
	w.update(func(tx *store.Tx) error {
		return tx.ReleaseAccount(w.ctx, books.MerchantPending("line1"), "2026-11-24", "officer", "test")
	})
	require.True(t, w.prove("2026-11-24", evening).Passed)
	require.NoError(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		kept, found, err := tx.LastProof(t.Context(), "2026-11-24")
		require.True(t, found)
		require.Equal(t, 2, kept.Run)
		return err
	}))
}

func TestTheNightProvesTheDayThatIsOver(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	w := aDay(t)
	at := clock.NewManual(time.Date(2026, 11, 24, 17, 59, 0, 0, time.UTC)) // 01:59 of the 25th there
	var log bytes.Buffer
	n := &ledger.Nightly{Store: w.store, Clock: at, Location: shanghai, Log: slog.New(slog.NewTextHandler(&log, nil))}
	nights, busy := 0, errors.New("busy")
	n.Also = func(context.Context) error {
		nights++
		if nights == 2 {
			return busy
		}
		return nil
	}
	kept := func(day string) (found bool) {
		require.NoError(t, w.store.View(t.Context(), func(tx *store.Tx) (err error) { _, found, err = tx.LastProof(t.Context(), day); return err }))
		return found
	}
	require.NoError(t, n.Step(t.Context()))
	require.True(t, kept("2026-11-23"))
	require.False(t, kept("2026-11-24"), "two hours are left for what is under way")
	at.Advance(time.Minute)
	require.ErrorIs(t, n.Step(t.Context()), busy)
	require.NoError(t, n.Step(t.Context()))
	require.True(t, kept("2026-11-24"))
	require.NoError(t, n.Step(t.Context()))
	require.Equal(t, 3, nights, "once a night, and again after it failed")
	require.NotContains(t, log.String(), "ERROR")

	w.update(func(tx *store.Tx) error {
		lines, err := books.Move(books.Float, books.Rounding, money.Minor(1))
		require.NoError(t, err)
		return tx.Post(w.ctx, books.Entry{ID: "wrong", Kind: "correction", Day: "2026-11-25", Lines: lines})
	})
	at.Advance(24 * time.Hour)
	require.NoError(t, n.Step(t.Context()), "books that are not sound do not stop the backend")
	require.Contains(t, log.String(), "ERROR")
	require.Contains(t, log.String(), "check=float-identity")
}

func TestStatementsAddUpAndAgreeWithTheBooks(t *testing.T) {
	days := []string{"2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"}
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db") // making a schema takes longer than a history does
	require.NoError(t, newScheme(t, t.Context(), emptystore.At(t, empty)).store.Close())
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		w := schemeAt(r, t.Context(), pgtest.Copy(t, empty, filepath.Join(dir, strconv.Itoa(run)+".db")))
		defer w.store.Close()
		ends := map[string]int64{} // the shadow of card 1 at the end of each day, told independently
		pending := map[string]int64{}
		var shadow, owed int64
		w.load(1, days[0], 100_00)
		shadow = 100_00
		for _, day := range days {
			for range rapid.IntRange(0, 3).Draw(r, "events") {
				minor := rapid.Int64Range(1, 9_00).Draw(r, "amount")
				if rapid.IntRange(0, 3).Draw(r, "what") == 0 {
					w.load(1, day, minor)
					shadow += minor
				} else {
					w.pay(1, day, minor)
					shadow -= minor
					owed += minor
				}
			}
			ends[day], pending[day] = shadow, owed
		}
		i := rapid.IntRange(0, len(days)-1).Draw(r, "from")
		j := rapid.IntRange(i, len(days)-1).Draw(r, "to")
		require.NoError(r, w.store.View(w.ctx, func(tx *store.Tx) error {
			c, err := ledger.CardStatement(w.ctx, tx, token(1), days[i], days[j])
			require.NoError(r, err)
			addsUp(r, c)
			require.Equal(r, ends[days[j]], c.Sections[0].Closing.Minor())
			m, err := ledger.MerchantStatement(w.ctx, tx, "line1", days[i], days[j])
			require.NoError(r, err)
			addsUp(r, m)
			require.Equal(r, pending[days[j]], m.Sections[0].Closing.Minor())
			if i > 0 {
				require.Equal(r, ends[days[i-1]], c.Sections[0].Opening.Minor())
				require.Equal(r, pending[days[i-1]], m.Sections[0].Opening.Minor())
			}
			at, err := ledger.BalanceAt(w.ctx, tx, books.Float, days[j])
			require.NoError(r, err)
			require.Equal(r, -ends[days[j]], at.Minor(), "the balance of that day, whatever came after it")
			return nil
		}))
	})
}

func addsUp(t require.TestingT, s ledger.Statement) {
	for _, c := range s.Sections {
		sum := c.Opening.Minor()
		for _, l := range c.Lines {
			sum += l.Amount.Minor()
			require.Equal(t, sum, l.Balance.Minor())
			require.True(t, s.From <= l.Day && l.Day <= s.To)
		}
		require.Equal(t, sum, c.Closing.Minor())
	}
}

func TestAStatementInItsThreeForms(t *testing.T) {
	w := aDay(t)
	require.NoError(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		s, err := ledger.CardStatement(t.Context(), tx, token(1), "2026-11-24", "2026-11-25")
		require.NoError(t, err)
		require.Contains(t, string(s.Text()), "purchase at Line 1")
		raw, err := s.CSV()
		require.NoError(t, err)
		rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"shadow", "2026-11-24", "opening", "", "", "47.00"}, rows[1])
		require.Equal(t, "-4.00", rows[2][4])
		require.Equal(t, []string{"shadow", "2026-11-25", "closing", "", "", "43.00"}, rows[3])
		raw, err = s.JSON()
		require.NoError(t, err)
		var back ledger.Statement
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, s, back)

		_, err = ledger.CardStatement(t.Context(), tx, "nobody", "2026-11-24", "2026-11-25")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = ledger.MerchantStatement(t.Context(), tx, "nobody", "2026-11-24", "2026-11-25")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = ledger.CardStatement(t.Context(), tx, token(1), "2026-11-25", "2026-11-24")
		require.ErrorContains(t, err, "comes after")
		return nil
	}))
}

func TestALoadWhoseEntryNobodyKnowsLiesBeforeAllDays(t *testing.T) {
	w := aDay(t)
	w.update(func(tx *store.Tx) error {
		return tx.PutCardLoad(w.ctx, number(1), shadowaccount.Load{Counter: 9, Amount: money.Minor(5), Loaded: true}, "L9")
	})
	require.NoError(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		s, err := ledger.CardStatement(t.Context(), tx, token(1), "2026-11-23", "2026-11-25")
		require.Equal(t, "0.05", s.Sections[0].Opening.String())
		return err
	}))
}

func TestTheBalanceOfAnExternalAccountIsNotOurs(t *testing.T) {
	w := aDay(t)
	w.settleByHand("2026-11-23")
	require.NoError(t, w.store.View(t.Context(), func(tx *store.Tx) error {
		_, err := ledger.BalanceAt(t.Context(), tx, books.Trust, "2026-11-25")
		require.ErrorIs(t, err, ledger.ErrExternal)
		turnover, err := tx.TurnoverAt(t.Context(), books.Trust, "2026-11-25")
		require.Equal(t, store.Turnover{Debits: money.Minor(65_00)}, turnover)
		require.NoError(t, err)
		_, err = ledger.BalanceAt(t.Context(), tx, "flaot", "2026-11-25")
		require.ErrorIs(t, err, books.ErrNoAccount)
		return nil
	}))
}
