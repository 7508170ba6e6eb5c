package books_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

var allOperations = []books.Operation{books.OpLoad, books.OpWithdraw, books.OpPay, books.OpTransferIn, books.OpTransferOut, books.OpOverdraw}

// TestNineSwitchesByOperation spells the matrix out once more: what each switch, turned over alone, forbids.
func TestNineSwitchesByOperation(t *testing.T) {
	for name, forbids := range map[string][]books.Operation{
		"load":         {books.OpLoad},
		"withdraw":     {books.OpWithdraw},
		"overdraft":    {books.OpOverdraw},
		"pay":          {books.OpPay},
		"transfer-in":  {books.OpTransferIn},
		"transfer-out": {books.OpTransferOut},
		"safeguard":    {books.OpOverdraw},
		"active":       allOperations,
		"frozen":       allOperations,
	} {
		s, err := books.ParseSwitch(name)
		require.NoError(t, err)
		require.Equal(t, name, s.String())
		turned := books.DefaultSwitches ^ s
		for _, o := range allOperations {
			err := books.Allow(turned, o)
			if !contains(forbids, o) {
				require.NoError(t, err, "%s turned over, %v", name, o)
				continue
			}
			require.ErrorIs(t, err, books.ErrSwitched, "%s turned over, %v", name, o)
			require.ErrorContains(t, err, name)
		}
	}
	for _, o := range allOperations {
		require.NoError(t, books.Allow(books.DefaultSwitches, o), "%v", o)
	}
	_, err := books.ParseSwitch("frost")
	require.ErrorContains(t, err, "want one of load,")
}

func contains(all []books.Operation, o books.Operation) bool {
	for _, x := range all {
		if x == o {
			return true
		}
	}
	return false
}

func TestWhatALineDoesToItsAccount(t *testing.T) {
	for _, c := range []struct {
		kind  string
		class books.Class
		minor int64
		want  books.Operation
	}{
		{"records", books.Liability, -5, books.OpPay},
		{"load-authorise", books.Liability, 5, books.OpLoad},
		{"settle-pay", books.Asset, -5, books.OpWithdraw},
		{"settle-close", books.Liability, 5, books.OpTransferOut},
		{"settle-close", books.Liability, -5, books.OpTransferIn},
		{"settle-close", books.Asset, -5, books.OpTransferOut},
		{"correction", books.Suspense, 5, books.OpTransferIn},
	} {
		require.Equal(t, c.want, books.OperationOf(c.kind, c.class, line(books.Float, c.minor)), "%+v", c)
	}
	require.True(t, books.Overdrawn(books.Liability, 1))
	require.False(t, books.Overdrawn(books.Liability, -1))
	require.True(t, books.Overdrawn(books.Asset, -1))
	require.False(t, books.Overdrawn(books.Clearing, -1))
	require.False(t, books.Overdrawn(books.Asset, 0))
	require.True(t, books.Fact("records"))
	require.False(t, books.Fact("settle-pay"))
}

func TestFundsAreAvailableAndFrozen(t *testing.T) {
	f := books.Funds{Available: money.Minor(100)}
	f, err := f.Freeze(money.Minor(60))
	require.NoError(t, err)
	_, err = f.Pay(money.Minor(41))
	require.ErrorIs(t, err, books.ErrFunds, "what is frozen does not pay for something else")
	_, err = f.Freeze(money.Minor(41))
	require.ErrorIs(t, err, books.ErrFunds)
	f, err = f.SettleFromFrozen(money.Minor(50))
	require.NoError(t, err)
	f, err = f.Unfreeze(money.Minor(10))
	require.NoError(t, err)
	require.Equal(t, books.Funds{Available: money.Minor(50)}, f)
	_, err = f.SettleFromFrozen(money.Minor(1))
	require.ErrorIs(t, err, books.ErrFunds)
	_, err = f.Freeze(money.Minor(0))
	require.Error(t, err)
	_, err = f.Freeze(money.Minor(-5))
	require.Error(t, err, "freezing less than nothing would make value")
}

func TestFundsNeitherMakeNorLoseValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		start := rapid.Int64Range(0, 1000).Draw(r, "start")
		f := books.Funds{Available: money.Minor(start)}
		paid := int64(0)
		for range rapid.IntRange(0, 20).Draw(r, "steps") {
			amount := rapid.Int64Range(-10, 500).Draw(r, "amount")
			before := f
			var err error
			step := rapid.IntRange(0, 3).Draw(r, "step")
			switch step {
			case 0:
				f, err = f.Freeze(money.Minor(amount))
			case 1:
				f, err = f.Unfreeze(money.Minor(amount))
			case 2:
				f, err = f.SettleFromFrozen(money.Minor(amount))
			case 3:
				f, err = f.Pay(money.Minor(amount))
			}
			switch {
			case err != nil:
				require.Equal(r, before, f, "what is refused changes nothing")
			case step >= 2:
				paid += amount
			}
			balance, err := f.Balance()
			require.NoError(r, err)
			require.Equal(r, start-paid, balance.Minor())
			require.GreaterOrEqual(r, f.Available.Minor(), int64(0))
			require.GreaterOrEqual(r, f.Frozen.Minor(), int64(0))
		}
	})
}
