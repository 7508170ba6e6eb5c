package monitor

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/history"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func codes(all []Alert) (out []string) {
	for _, a := range all {
		out = append(out, a.Code)
	}
	return out
}

func TestTheBusinessIsWatched(t *testing.T) {
	hours := func(yesterday, before, now Count) []Hour {
		out := make([]Hour, Hours)
		out[0].Count, out[1].Count, out[Hours-1].Count = yesterday, before, now
		return out
	}
	good := Count{Orders: 100, Paid: 95, Tried: 95, Refused: 5}
	for name, c := range map[string]struct {
		b    Business
		want []string
	}{
		"nothing at all":                    {Business{}, nil},
		"a day like the one before":         {Business{Hours: hours(good, good, good)}, nil},
		"no order, where there were many":   {Business{Hours: hours(good, good, Count{})}, []string{OrdersFell}},
		"a quiet hour, as yesterday":        {Business{Hours: hours(Count{Orders: 29}, good, Count{})}, nil},
		"half are refused":                  {Business{Hours: hours(good, good, Count{Orders: 100, Tried: 50, Refused: 50})}, []string{SuccessFell}},
		"half of a few are refused":         {Business{Hours: hours(good, good, Count{Orders: 100, Tried: 9, Refused: 10})}, nil},
		"a little worse is chance":          {Business{Hours: hours(good, good, Count{Orders: 100, Tried: 90, Refused: 10})}, nil},
		"nobody knows how many were before": {Business{Hours: hours(Count{}, Count{Tried: 40}, Count{Orders: 100, Refused: 100})}, nil},
		"late ones": {Business{Hours: hours(good, good, good), Payments: store.Overdue{Count: 1}, Refunds: store.Overdue{Count: 2}, Loads: store.Overdue{Count: 3}},
			[]string{PaymentsLate, RefundsLate, LoadsLate}},
		"a history of now":    {Business{History: &history.Lag{Events: 9, Behind: lateHistory - 1}}, nil},
		"a history of before": {Business{History: &history.Lag{Events: 9, Behind: lateHistory}}, []string{HistoryLate}},
	} {
		require.Equal(t, c.want, codes(c.b.Alerts()), name)
	}
}

func TestSellersAreWatched(t *testing.T) {
	before, bad := Count{Tried: 190, Refused: 10}, Count{Tried: 5, Refused: 25}
	s := Sales{Sellers: []Seller{
		{App: "fine", Merchant: "m1", Before: before, Last: Count{Tried: 30}, Blocked: 9},
		{App: "falls", Before: before, Last: bad},
		{App: "guarded", Merchant: "m2", Day: Count{Tried: 45, Refused: 5}, Blocked: 10},
		{App: "busy", Merchant: "m3", Day: Count{Tried: 450, Refused: 50}, Blocked: 10},
		{App: "owes", Merchant: "m4", Available: money.Minor(-1)},
	}}
	require.Equal(t, []Alert{
		{Code: SuccessFell, Grave: true, About: "falls", Was: 0.95, Is: 5.0 / 30, Count: 30},
		{Code: RiskBlocks, About: "guarded / m2", Count: 10},
		{Code: OwesUs, About: "owes / m4", Amount: money.Minor(-1)},
	}, s.Alerts())
}

func TestAccountsAreWatched(t *testing.T) {
	require.Empty(t, Accounts{Channels: []books.Balance{{Account: "channel:a"}}, Own: []settlement.Level{{ID: "trust"}, {ID: "no rule", Below: true}}}.Alerts())
	a := Accounts{
		Own:       []settlement.Level{{ID: "trust", Below: true, Rules: store.OwnAccount{NotedAt: noon}, Free: money.Minor(7)}},
		Channels:  []books.Balance{{Account: "channel:a", Amount: money.Minor(-5)}, {Account: "channel:b", Amount: money.Minor(5)}},
		Suspense:  []books.Balance{{Account: "suspense:surplus", Amount: money.Minor(-3)}},
		Unmatched: 2, Unknown: money.Minor(9),
	}
	require.Equal(t, []Alert{
		{Code: BelowMinimum, Grave: true, About: "trust", Amount: money.Minor(7)},
		{Code: NotExplained, Grave: true, Count: 2, Amount: money.Minor(9)},
		{Code: WeOwe, About: "channel:a", Amount: money.Minor(-5)},
		{Code: NotZero, About: "suspense:surplus", Amount: money.Minor(-3)},
	}, a.Alerts())
}

// TestChanceSeldomAlarms: two hours of one success rate are hardly ever told apart, whatever the rate.
func TestChanceSeldomAlarms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := Count{Tried: rapid.Int64Range(0, 5000).Draw(t, "paid"), Refused: rapid.Int64Range(0, 5000).Draw(t, "refused")}
		// Of the last hour as many are paid, in share, as before, or more.
		n := rapid.Int64Range(0, 500).Draw(t, "now")
		all := before.Tried + before.Refused
		if all == 0 {
			all = 1
		}
		paid := min((n*before.Tried+all-1)/all+rapid.Int64Range(0, 10).Draw(t, "more"), n)
		_, _, yes := fell(before, Count{Tried: paid, Refused: n - paid})
		require.False(t, yes)
	})
}

func TestWhatIsReadIsTheLastDay(t *testing.T) {
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	defer st.Close()
	n := 0
	topUp := code.Context{Product: 1, Mode: code.Instant, Action: code.TopUp}.String()
	pay := code.Context{Product: 1, Mode: code.Instant, Action: code.Pay}.String()
	write := func(f func(ctx context.Context, tx *store.Tx) error) {
		t.Helper()
		require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }))
	}
	order := func(app string, m ids.MerchantID, what string, ago time.Duration, paid bool, attempts ...string) {
		write(func(ctx context.Context, tx *store.Tx) error {
			n++
			o := store.GatewayOrder{ID: fmt.Sprint("o", n), App: app, IdempotencyKey: fmt.Sprint(n), Merchant: m, Context: what, Amount: money.Minor(100), Currency: "CNY", State: "open", Created: noon.Add(-ago), Changed: noon, Expires: noon}
			if paid {
				o.State, o.PaidAt, o.Received, o.Refunded, o.Refunding, o.Fee = "paid", noon, money.Minor(100), money.Minor(20), money.Minor(10), money.Minor(1)
			}
			if err := tx.AddGatewayOrder(ctx, o); err != nil {
				return err
			}
			for i, state := range attempts {
				p := store.GatewayPayment{Number: fmt.Sprintf("p%d-%d", n, i), Order: o.ID, N: i + 1, Channel: []string{"alipay", "wechat"}[i%2], Amount: o.Amount, State: state, Created: o.Created, Expires: noon.Add(-time.Minute)}
				if state == "unknown" {
					p.Asking = store.Asking{Slice: 3, Ask: noon}
				}
				if err := tx.AddGatewayPayment(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	order("shop", "m1", pay, time.Minute, true, "failed", "paid")
	order("shop", "m1", pay, 90*time.Minute, true, "paid")
	order("shop", "m1", pay, 24*time.Hour+time.Minute, true, "paid") // yesterday's hour
	order("shop", "m1", pay, 26*time.Hour, true, "paid")             // before all
	order("shop", "m2", pay, time.Hour, false, "closed", "unknown")
	order("kiosk", "", topUp, time.Minute, true, "paid")
	write(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddGatewayOperation(ctx, store.GatewayOperation{Number: "r1", Order: "o1", Amount: money.Minor(20), State: "unknown", Created: noon.Add(-25 * time.Hour), Asking: store.Asking{Slice: 1, Ask: noon}}); err != nil {
			return err
		}
		for i, x := range []struct {
			debit, credit books.Account
			minor         int64
		}{{books.Channel("alipay"), books.MerchantPending("m1"), 77}, {"suspense:surplus", books.Channel("wechat"), 5}, {books.BankTransit, books.Trust, 3}, {books.AcquirerClearing("citybus"), books.Trust, 4}, {books.AcquirerSoldLoads("citybus"), books.Trust, 4}} {
			lines, err := books.Move(x.debit, x.credit, money.Minor(x.minor))
			if err != nil {
				return err
			}
			if err := tx.Post(ctx, books.Entry{ID: fmt.Sprint("e", i), Kind: "test", Day: "2026-11-25", Lines: lines}); err != nil {
				return err
			}
		}
		return tx.PutBankEntry(ctx, store.BankEntry{Account: "1", Statement: "s", Ref: "r", Digest: "d", Day: "2026-11-25", Amount: money.Minor(9), Currency: "CNY", Unmatched: money.Minor(-9), ReadAt: noon})
	})
	c := clock.NewManual(noon)
	w := New(st, c, func(context.Context) (history.Lag, error) { return history.Lag{Events: 7}, nil })
	b, err := w.Business(t.Context())
	require.NoError(t, err)
	require.Len(t, b.Hours, Hours)
	at := func(i int) [4]int64 {
		h := b.Hours[i]
		return [4]int64{h.Orders, h.Paid, h.Tried, h.Refused}
	}
	require.Equal(t, [4]int64{3, 2, 2, 1}, at(24), "an hour ago belongs to the hour that begins there")
	require.Equal(t, [4]int64{1, 1, 1, 0}, at(23))
	require.Equal(t, [4]int64{1, 1, 1, 0}, at(0))
	require.Equal(t, noon.Add(-time.Hour), b.Hours[24].From)
	require.Len(t, b.Kinds, 2)
	require.Equal(t, code.Pay, b.Kinds[0].Action)
	require.Equal(t, Count{Orders: 3, Paid: 2, Amount: money.Minor(300), Received: money.Minor(200), Returned: money.Minor(60), Fees: money.Minor(2)}, b.Kinds[0].Count)
	require.Equal(t, code.TopUp, b.Kinds[1].Action)
	require.EqualValues(t, 1, b.Payments.Count)
	require.Equal(t, money.Minor(100), b.Payments.Amount)
	require.EqualValues(t, 1, b.Refunds.Count)
	require.Equal(t, noon.Add(-25*time.Hour), b.Refunds.Oldest.UTC())
	require.Equal(t, []string{PaymentsLate, RefundsLate}, codes(b.Alerts()))
	require.EqualValues(t, 7, b.History.Events)

	s, err := w.Sales(t.Context())
	require.NoError(t, err)
	var names []string
	for _, x := range s.Sellers {
		names = append(names, x.Name())
	}
	require.Equal(t, []string{"shop / m1", "kiosk", "shop / m2"}, names)
	m1 := s.Sellers[0]
	require.Equal(t, money.Minor(77), m1.Pending)
	require.EqualValues(t, 2, m1.Day.Orders)
	require.EqualValues(t, 2, m1.Before.Tried, "yesterday's hour counts as before")
	require.EqualValues(t, 1, m1.Last.Refused)

	a, err := w.Accounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, []books.Balance{{Account: "channel:alipay", Class: books.Asset, Amount: money.Minor(77)}, {Account: "channel:wechat", Class: books.Asset, Amount: money.Minor(-5)}}, a.Channels)
	require.Equal(t, []books.Balance{{Account: "acquirer:citybus:clearing", Class: books.Clearing, Amount: money.Minor(4)}, {Account: books.BankTransit, Class: books.Clearing, Amount: money.Minor(3)}}, a.Clearing)
	require.Equal(t, []string{NotExplained, WeOwe, NotZero}, codes(a.Alerts()))
	require.Equal(t, money.Minor(9), a.Unknown)

	// What was read serves for five seconds, whoever asks.
	order("shop", "m1", pay, 0, false)
	b, err = w.Business(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, b.Hours[24].Orders)
	c.Advance(keepFor)
	b, err = w.Business(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, b.Hours[24].Orders) // one has come, one has left the hour
	require.EqualValues(t, 2, b.Hours[23].Orders)
}
