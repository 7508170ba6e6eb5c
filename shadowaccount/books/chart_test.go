package books_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// someAccount draws an account of every type of the chart.
func someAccount() *rapid.Generator[books.Account] {
	return rapid.Custom(func(t *rapid.T) books.Account {
		owner := rapid.StringMatching(`[a-z0-9]{1,8}`).Draw(t, "owner")
		m, a := ids.MerchantID(owner), ids.AcquirerID(owner)
		account := rapid.SampledFrom([]books.Account{
			books.Trust, books.Bank("x" + owner), books.BankTransit, books.Float, books.LoadInProgress, books.Funding, books.Rounding, books.FeeChannel, books.FeeMerchant, books.FeeMerchant + books.Account(":"+owner),
			books.SuspUnknown, books.SuspClone, books.SuspBadTAC, books.LossGranted, books.LossGoodwill, books.MerchantPending(m), books.MerchantAvailable(m), books.MerchantHeld(m), books.MerchantFeesDue(m),
			books.AcquirerClearing(a), books.AcquirerSoldLoads(a), books.Channel(owner), books.Tax(owner), books.HolderBalance(owner), books.Account("suspense:" + "x" + owner), books.Account("fee:x" + owner),
		}).Draw(t, "account")
		if rapid.Bool().Draw(t, "aside") {
			account = books.Aside(account)
		}
		return account
	})
}

func TestEveryTypeOfTheChartStandsUnderItsSubjects(t *testing.T) {
	names := map[string]string{}
	for i, s := range books.Chart {
		if i > 0 {
			require.Less(t, books.Chart[i-1].Code, s.Code, "by code")
		}
		require.Contains(t, []int{1, 2, 3}, s.Level())
		names[s.Code] = s.Name
		if s.Level() > 1 {
			require.NotEmpty(t, names[s.Code[:s.Level()-1]], "%s hangs in the air", s.Code)
		}
	}
	used := map[string]bool{}
	rapid.Check(t, func(r *rapid.T) {
		code, err := books.TypeOf(someAccount().Draw(r, "account"))
		require.NoError(r, err)
		require.Len(r, code, 3)
		require.NotEmpty(r, names[code], "type %s is not in the chart", code)
		used[code] = true
	})
	require.Greater(t, len(used), 10)
}

func TestAControlAccountIsTheSumOfItsDetailsAtEveryLevel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		balances := rapid.MapOfN(someAccount(), rapid.Int64Range(-1e12, 1e12), 0, 40).Draw(r, "balances")
		var all []books.Balance
		for a, minor := range balances {
			all = append(all, books.Balance{Account: a, Amount: money.Minor(minor)})
		}
		rows, err := books.RollUp(all)
		require.NoError(r, err)
		below := map[string]int64{} // what stands one level below a code
		details := 0
		for _, row := range rows {
			if row.Level == 4 {
				below[row.Code] += row.Amount.Minor()
				details++
				continue
			}
			if row.Level > 1 {
				below[row.Code[:row.Level-1]] += row.Amount.Minor()
			}
		}
		require.Equal(r, len(balances), details, "each account stands in the chart once")
		for _, row := range rows {
			if row.Level < 4 {
				require.Equal(r, below[row.Code], row.Amount.Minor(), "control %s", row.Code)
			}
		}
	})
}

func TestARollUpNamesWhatItCannotPlace(t *testing.T) {
	_, err := books.RollUp([]books.Balance{{Account: "flaot"}})
	require.ErrorIs(t, err, books.ErrNoAccount)
	most := money.Minor(1<<63 - 1)
	_, err = books.RollUp([]books.Balance{{Account: books.Channel("a"), Amount: most}, {Account: books.Channel("b"), Amount: most}})
	require.ErrorIs(t, err, money.ErrOverflow)
}

func TestTheTruthAboutABankOrAChannelStandsElsewhere(t *testing.T) {
	for account, want := range map[books.Account]bool{books.Trust: true, books.Bank("reserve"): true, books.Channel("c"): true, books.Float: false,
		books.MerchantAvailable("m"): false, books.AcquirerClearing("a"): false, books.Aside(books.Trust): false, "nothing": false} {
		require.Equal(t, want, books.External(account), account)
	}
}

func TestWhatIsSetAsideIsMeantForItsAccount(t *testing.T) {
	aside := books.Aside(books.MerchantPending("m"))
	require.Equal(t, books.MerchantPending("m"), books.Meant(aside))
	require.Equal(t, books.Float, books.Meant(books.Float))
	class, err := books.ClassOf(aside)
	require.NoError(t, err)
	require.Equal(t, books.Suspense, class)
	for _, bad := range []books.Account{books.Aside("flaot"), books.Aside(books.Aside(books.Float)), books.Aside("")} {
		_, err := books.ClassOf(bad)
		require.ErrorIs(t, err, books.ErrNoAccount, bad)
	}
	e := entry(line(books.Float, 5), line(books.MerchantPending("m"), -5))
	same := entry(line(books.Float, 5), line(aside, -5))
	require.Equal(t, e.Digest(), same.Digest(), "the entry is the same one")
}

func TestAnEntryInAnotherCurrencyIsRefused(t *testing.T) {
	e := entry(line(books.Float, 5), books.Line{Account: books.Trust, Amount: money.Minor(-5), Currency: "HKD"})
	err := e.Check()
	require.ErrorIs(t, err, books.ErrCurrency)
	require.ErrorContains(t, err, "HKD")
}

func TestTheNumberOfAnAccountFindsMistypedDigits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		account := someAccount().Draw(r, "account")
		n, err := books.Number(account, rapid.IntRange(0, 3).Draw(r, "attempt"))
		require.NoError(r, err)
		kind, err := books.ParseNumber(n)
		require.NoError(r, err)
		want, err := books.TypeOf(account)
		require.NoError(r, err)
		require.Equal(r, want, kind)
		at := rapid.IntRange(0, len(n)-1).Draw(r, "at")
		wrong := []byte(n)
		wrong[at] = '0' + (wrong[at]-'0'+byte(rapid.IntRange(1, 9).Draw(r, "by")))%10
		_, err = books.ParseNumber(string(wrong))
		require.ErrorIs(r, err, books.ErrNumber, "one wrong digit")
		if at+1 < len(n) && n[at] != n[at+1] {
			swapped := []byte(n)
			swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
			_, err = books.ParseNumber(string(swapped))
			require.ErrorIs(r, err, books.ErrNumber, "neighbours that changed places")
		}
	})
}

func TestNumbersOfAccountsDoNotMeet(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		accounts := rapid.SliceOfNDistinct(someAccount(), 2, 60, rapid.ID[books.Account]).Draw(r, "accounts")
		seen := map[string]books.Account{}
		for _, a := range accounts {
			first, err := books.Number(a, 0)
			require.NoError(r, err)
			second, err := books.Number(a, 1)
			require.NoError(r, err)
			require.NotEqual(r, first, second)
			require.Empty(r, seen[first])
			seen[first] = a
		}
	})
	_, err := books.Number("flaot", 0)
	require.ErrorIs(t, err, books.ErrNoAccount)
}

func FuzzParseNumber(f *testing.F) {
	n, _ := books.Number(books.Float, 0)
	f.Add(n)
	f.Add("")
	f.Add(strings.Repeat("0", 20))
	f.Fuzz(func(t *testing.T, n string) {
		if kind, err := books.ParseNumber(n); err == nil {
			require.Equal(t, n[:3], kind)
		} else {
			require.ErrorIs(t, err, books.ErrNumber)
		}
	})
}
