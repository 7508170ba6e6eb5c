package selfheal_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var quiet = slog.New(slog.DiscardHandler)

func TestADecisionIsRecordedWithItsReasons(t *testing.T) {
	c := clock.NewManual(noon)
	x, k, st := process(t, c, emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")))
	_, err := k.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOff, 0, "ann", "tests")
	require.NoError(t, err)
	_ = x.Record(st, quiet)
	routed(t, x)
	c.Advance(time.Second)
	routed(t, x) // another attempt
	x.KeepRecords(t.Context(), st, quiet)
	var all []store.ChannelDecision
	require.NoError(t, st.View(t.Context(), func(tx *store.Tx) (err error) { all, err = tx.ChannelDecisions(t.Context(), "o-1"); return err }))
	require.Len(t, all, 2)
	require.Equal(t, []int{1, 2}, []int{all[0].N, all[1].N})
	require.Equal(t, noon, all[0].At.UTC())
	require.Equal(t, []string{"second"}, all[0].Accounts)
	require.Equal(t, 3, all[0].Plan)
	why, err := selfheal.Reasons(all[0])
	require.NoError(t, err)
	require.Equal(t, []route.Verdict{route.Faulty, route.May}, []route.Verdict{why[0].Verdict, why[1].Verdict})
	require.Equal(t, []int{0, 1}, []int{why[0].Place, why[1].Place})
	require.Equal(t, "all", why[1].Rule)

	require.NoError(t, st.Close())
	routed(t, x)
	x.KeepRecords(t.Context(), st, quiet) // it waits, and nobody waits for it
}

// attempt writes what a gateway would have of an order's first attempt.
func attempt(t *testing.T, tx *store.Tx, id, account string, state order.PaymentState, class channel.Class) {
	t.Helper()
	attemptAt(t, tx, noon, id, account, state, class)
}

func attemptAt(t *testing.T, tx *store.Tx, at time.Time, id, account string, state order.PaymentState, class channel.Class) {
	t.Helper()
	require.NoError(t, tx.AddGatewayPayment(t.Context(), store.GatewayPayment{Number: "p-" + id, Order: id, N: 1, IdempotencyKey: "k", Channel: account, Product: string(channel.QR), Amount: money.Minor(500),
		Currency: "CNY", State: string(state), Class: int(class), Created: at, Changed: at, Sent: at, Expires: at}))
}

// TestSidesAreAddedUpForGood: what was decided long ago is counted once, and then counts although it is forgotten.
func TestSidesAreAddedUpForGood(t *testing.T) {
	c := clock.NewManual(noon)
	x, _, st := process(t, c, emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")))
	_ = x.Record(st, quiet)
	variant := twoChannels()
	variant.Rules[0].Accounts = []string{"second", "first"}
	e := route.Experiment{Name: "second-first", Part: 0.5, MinSample: 1000, Guardrail: 0.05}
	require.NoError(t, x.Try(variant, e))
	n := 0
	pay := func(orders int) {
		for range orders {
			n++
			w := tea
			w.Order = fmt.Sprintf("order-%d", n)
			names, err := x.Route(t.Context(), w)
			require.NoError(t, err)
			state := order.Waiting
			if n%10 == 0 {
				state = order.Unknown
			}
			require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error { attempt(t, tx, w.Order, names[0], state, channel.NoClass); return nil }))
		}
		x.KeepRecords(t.Context(), st, quiet)
	}
	sides := func() (orders, good int, e store.ChannelExperiment) {
		require.NoError(t, st.View(t.Context(), func(tx *store.Tx) error {
			base, tried, err := tx.ChannelArms(t.Context(), "second-first")
			require.NoError(t, err)
			require.Positive(t, base.Orders)
			require.Positive(t, tried.Orders)
			all, err := tx.ChannelExperiments(t.Context())
			require.Len(t, all, 1)
			orders, good, e = base.Orders+tried.Orders, base.Good+tried.Good, all[0]
			return err
		}))
		return orders, good, e
	}
	judge := func() {
		running, err := x.JudgeTrial(t.Context(), e, st, quiet)
		require.NoError(t, err)
		require.True(t, running)
	}
	pay(50)
	judge()
	orders, good, kept := sides()
	require.Equal(t, []int{50, 45}, []int{orders, good})
	c.Advance(2 * time.Hour)
	pay(30)
	judge()
	orders, good, kept = sides()
	require.Equal(t, []int{80, 72}, []int{orders, good})
	require.Equal(t, noon.Add(time.Hour), kept.Counted)
	require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error { return tx.PruneChannelDecisions(t.Context(), noon.Add(time.Hour)) }))
	judge()
	orders, good, _ = sides()
	require.Equal(t, []int{80, 72}, []int{orders, good}, "each once, forgotten or not")
}

// TestAnExperimentThatRunsKeepsItsPlan and rests where it is not named any more.
func TestAnExperimentThatRunsKeepsItsPlan(t *testing.T) {
	x, _, _ := process(t, clock.NewManual(noon), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")))
	variant := twoChannels()
	variant.Rules[0].Accounts = []string{"second", "first"}
	e := route.Experiment{Name: "one", Part: 0.5, MinSample: 1000, Guardrail: 0.05}
	require.NoError(t, x.Try(variant, e))
	wider := e
	wider.Part = 0.4
	require.ErrorIs(t, x.Try(variant, wider), selfheal.ErrSameName)
	require.ErrorIs(t, x.Try(twoChannels(), e), selfheal.ErrSameName)
	e.Guardrail = 0.01
	require.NoError(t, x.Try(variant, e), "what is judged by may change")
	seconds := func() (n int) {
		for i := range 200 {
			w := tea
			w.Order = fmt.Sprintf("order-%d", i)
			names, err := x.Route(t.Context(), w)
			require.NoError(t, err)
			if names[0] == "second" {
				n++
			}
		}
		return n
	}
	require.InDelta(t, 100, seconds(), 40)
	x.Rest()
	require.Zero(t, seconds())
	wider.Name = "two"
	require.NoError(t, x.Try(variant, wider))
	require.InDelta(t, 80, seconds(), 40)
}

// TestAnExperimentStopsItself: its plan leads to a channel that fails more often. Orders are divided alike in every process, and none goes its way after the end.
func TestAnExperimentStopsItself(t *testing.T) {
	c := clock.NewManual(noon)
	at := emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db"))
	x, _, st := process(t, c, at)
	other, _, _ := process(t, c, at)
	_ = x.Record(st, quiet)
	variant := twoChannels()
	variant.Version, variant.Rules[0].Accounts = 4, []string{"second", "first"}
	e := route.Experiment{Name: "second-first", Seed: 7, Part: 0.3, MinSample: 1000, Guardrail: 0.05}
	for _, p := range []*selfheal.Channels{x, other} {
		require.NoError(t, p.Try(variant, e))
		running, err := p.JudgeTrial(t.Context(), e, st, quiet)
		require.NoError(t, err)
		require.True(t, running)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	took := map[string]int{}
	running, orders := true, 0
	for running && orders < 3000 {
		var firsts []string
		for range 100 {
			orders++
			w := tea
			w.Order = fmt.Sprintf("order-%d", orders)
			names, err := x.Route(t.Context(), w)
			require.NoError(t, err)
			same, err := other.Route(t.Context(), w)
			require.NoError(t, err)
			require.Equal(t, names, same)
			took[names[0]]++
			firsts = append(firsts, names[0])
		}
		x.KeepRecords(t.Context(), st, quiet)
		require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
			for i, first := range firsts {
				state, class := order.Waiting, channel.NoClass
				switch {
				case first == "second" && rng.Float64() < 0.25:
					state, class = order.Failed, channel.ByChannel
				case rng.Float64() < 0.3:
					state, class = order.Failed, channel.ByPayer // says nothing of the channel
				}
				attempt(t, tx, fmt.Sprintf("order-%d", orders-99+i), first, state, class)
			}
			return nil
		}))
		var err error
		running, err = x.JudgeTrial(t.Context(), e, st, quiet)
		require.NoError(t, err)
	}
	require.False(t, running)
	require.InDelta(t, 0.3*float64(orders), took["second"], 0.05*float64(orders))
	require.Equal(t, []string{"first", "second"}, routed(t, x))
	running, err := other.JudgeTrial(t.Context(), e, st, quiet)
	require.NoError(t, err)
	require.False(t, running, "the other process hears of it")
	require.Equal(t, []string{"first", "second"}, routed(t, other))
	require.NoError(t, st.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.ChannelExperiments(t.Context())
		require.Len(t, all, 1)
		require.Contains(t, all[0].Why, "guardrail: success changed by -")
		base, tried, err1 := tx.ChannelArms(t.Context(), e.Name)
		require.NoError(t, err1)
		require.Less(t, base.Orders+tried.Orders, orders, "what payers refuse does not count")
		require.Equal(t, base.Orders, base.Good)
		return err
	}))

	again, _, _ := process(t, c, at)
	require.NoError(t, again.Try(variant, e))
	running, err = again.JudgeTrial(t.Context(), e, st, quiet)
	require.NoError(t, err)
	require.False(t, running, "it stays ended after a restart")
	require.ErrorContains(t, x.Try(variant, route.Experiment{Name: "x", Part: 0.9, MinSample: 100}), "at most 0.5")
}

func TestADryRunSaysWhatAPlanWouldHaveChanged(t *testing.T) {
	old, cheap := twoChannels(), twoChannels()
	old.Accounts[0].FeePPM, old.Accounts[1].FeePPM = 6000, 3000
	cheap.Accounts = append([]route.Account{}, old.Accounts...)
	cheap.Version = 4
	cheap.Rules = []route.Rule{{Name: "small", When: "amount < 1000", Accounts: []string{"second", "first"}, Strategy: route.InOrder}}
	var past []selfheal.Paid
	for i := range 10 {
		amount := int64(500)
		if i%2 == 1 {
			amount = 20_000
		}
		past = append(past, selfheal.Paid{App: "till", GatewayPayment: store.GatewayPayment{Order: fmt.Sprint(i), N: 1, Channel: "first", Product: string(channel.QR), Amount: money.Minor(amount),
			Currency: "CNY", State: string(order.PaymentPaid), Created: noon.Add(time.Duration(i) * time.Minute)}})
	}
	again := past[9].GatewayPayment
	again.N, again.State, again.Class = 2, string(order.Failed), int(channel.ByChannel) // no payment of its own
	moves := []store.ChannelMove{
		{Cell: health.Cell{Channel: "second"}, Version: 1, Share: 0, At: noon.Add(5 * time.Minute)},
		{Cell: health.Cell{Channel: "second"}, Version: 2, Share: 1, At: noon.Add(7 * time.Minute)},
	}
	dry, err := selfheal.DryRun(old, cheap, append(past, selfheal.Paid{GatewayPayment: again}), moves)
	require.NoError(t, err)
	require.Equal(t, 10, dry.Payments)
	require.Equal(t, 1, dry.Same, "the small one while second was out")
	require.Equal(t, map[[2]string]int{{"first", "second"}: 4, {"first", ""}: 5}, dry.Changes)
	require.Equal(t, [][2]string{{"first", ""}, {"first", "second"}}, dry.ChangesInOrder())
	require.Equal(t, []int{0, 5}, []int{dry.Old.Nobody, dry.New.Nobody})
	require.Equal(t, map[string]int{"first": 10}, dry.Old.Took)
	require.Equal(t, []int64{5*3 + 5*120, 4*2 + 3}, []int64{dry.Old.Fee, dry.New.Fee})
	require.InDelta(t, 0.93, dry.Old.Success, 0.03)
	_, err = selfheal.DryRun(old, route.Plan{Rules: []route.Rule{{Name: "x"}}}, nil, nil)
	require.Error(t, err)
}
