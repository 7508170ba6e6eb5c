package books_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

func line(a books.Account, minor int64) books.Line {
	return books.Line{Account: a, Amount: money.Minor(minor)}
}

func entry(lines ...books.Line) books.Entry {
	return books.Entry{ID: "e1", Kind: "test", Day: "2026-11-24", Lines: lines}
}

func TestTheClassOfEveryAccountIsInItsName(t *testing.T) {
	for account, want := range map[books.Account]books.Class{
		books.Float: books.Liability, books.LoadInProgress: books.Liability, books.Funding: books.Liability, books.Trust: books.Asset,
		books.FeeMerchant: books.Income, books.FeeChannel: books.Expense, books.Rounding: books.Income,
		books.SuspUnknown: books.Suspense, books.SuspClone: books.Suspense, books.SuspBadTAC: books.Suspense,
		books.MerchantPending("m"): books.Liability, books.MerchantAvailable("m"): books.Liability, books.MerchantHeld("m"): books.Liability,
		books.AcquirerClearing("a"): books.Clearing, books.AcquirerSoldLoads("a"): books.Asset, books.Channel("c"): books.Asset, books.Tax("vat"): books.Liability,
	} {
		got, err := books.ClassOf(account)
		require.NoError(t, err, account)
		require.Equal(t, want, got, account)
	}
	for _, account := range []books.Account{"", "flaot", "merchant:m", "merchant:m:owed", "merchant:a:b:pending", "acquirer:a", "suspense", "channel", "tax", "tax:"} {
		_, err := books.ClassOf(account)
		require.ErrorIs(t, err, books.ErrNoAccount, account)
	}
}

func TestAnEntryMustSumToZeroInAccountsOfTheChart(t *testing.T) {
	require.NoError(t, entry(line(books.Float, 5), line(books.Trust, -5)).Check())
	require.ErrorIs(t, entry(line(books.Float, 5), line(books.Trust, -4)).Check(), books.ErrUnbalanced)
	require.ErrorIs(t, entry(line("flaot", 5), line(books.Trust, -5)).Check(), books.ErrNoAccount)
	require.ErrorIs(t, entry(line(books.Float, math.MaxInt64), line(books.Trust, 1)).Check(), money.ErrOverflow)
	require.Error(t, books.Entry{Kind: "test", Day: "2026-11-24"}.Check(), "no id")
}

func TestCompactIsOneFormForAllWaysToWriteAnEntry(t *testing.T) {
	a, err := entry(line(books.Trust, -5), line(books.Float, 3), line(books.Funding, 0), line(books.Float, 2)).Compact()
	require.NoError(t, err)
	require.Equal(t, []books.Line{line(books.Float, 5), line(books.Trust, -5)}, a.Lines)
	b, err := entry(line(books.Float, 5), line(books.Trust, -5)).Compact()
	require.NoError(t, err)
	require.Equal(t, a.Digest(), b.Digest())
}

func TestTheDigestSeesEveryPartOfAnEntry(t *testing.T) {
	base := entry(line(books.Float, 5), line(books.Trust, -5))
	for name, change := range map[string]func(*books.Entry){
		"id": func(e *books.Entry) { e.ID = "e2" }, "kind": func(e *books.Entry) { e.Kind = "other" }, "day": func(e *books.Entry) { e.Day = "2026-11-25" },
		"ref":     func(e *books.Entry) { e.Ref = "x" },
		"amount":  func(e *books.Entry) { e.Lines = []books.Line{line(books.Float, 6), line(books.Trust, -6)} },
		"account": func(e *books.Entry) { e.Lines = []books.Line{line(books.Funding, 5), line(books.Trust, -5)} },
		"border":  func(e *books.Entry) { e.ID, e.Kind = "e1t", "est" },
	} {
		e := base
		change(&e)
		require.NotEqual(t, base.Digest(), e.Digest(), name)
	}
}

func TestATrialBalanceOfBalancedEntriesIsZero(t *testing.T) {
	accounts := []books.Account{books.Float, books.Trust, books.Funding, books.SuspClone}
	rapid.Check(t, func(r *rapid.T) {
		sum := map[books.Account]money.Amount{}
		for range rapid.IntRange(1, 10).Draw(r, "entries") {
			lines, err := books.Move(rapid.SampledFrom(accounts).Draw(r, "debit"), rapid.SampledFrom(accounts).Draw(r, "credit"), money.Minor(rapid.Int64Range(-1e9, 1e9).Draw(r, "amount")))
			require.NoError(r, err)
			e, err := entry(lines...).Compact()
			require.NoError(r, err)
			require.NoError(r, e.Check())
			for _, l := range e.Lines {
				sum[l.Account], err = sum[l.Account].Add(l.Amount)
				require.NoError(r, err)
			}
		}
		var all []books.Balance
		for a, s := range sum {
			all = append(all, books.Balance{Account: a, Amount: s})
		}
		total, err := books.Total(all)
		require.NoError(r, err)
		require.True(r, total.IsZero())
	})
}
