package selfheal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/channel/wechat"
	"github.com/purselane/purselane/backend/gateway/code"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/order"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
	sim "github.com/purselane/purselane/simulator/channel"
	simwechat "github.com/purselane/purselane/simulator/channel/wechat"
)

// town is a gateway over two accounts at WeChat Pay, each with a simulator of its own.
type town struct {
	t        *testing.T
	clock    *clock.Manual
	sims     map[string]*simwechat.Simulator
	keeper   *keeper.Keeper
	channels *selfheal.Channels
	gateway  *gateway.Service
	orders   int
	seen     map[string]int // attempts by account
	failed   int
}

func newTown(t *testing.T) *town {
	x := &town{t: t, clock: clock.NewManual(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)), sims: map[string]*simwechat.Simulator{}, seen: map[string]int{}}
	st, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { st.Close() })
	registry, err := code.NewRegistry(map[code.Product]string{1: "shop"}, map[code.Company]string{1: "wechat"})
	require.NoError(t, err)
	cfg := gateway.Config{Registry: registry, Log: slog.New(slog.DiscardHandler)}
	of := map[string]channel.Channel{}
	plan := route.Plan{Version: 1, Rules: []route.Rule{{Name: "all", Accounts: []string{"first", "second"}, Strategy: route.InOrder}}}
	for i, name := range []string{"first", "second"} {
		s := simwechat.New(simwechat.Options{Clock: x.clock, Seed: uint64(i + 1), Mode: simwechat.ByPublicKey})
		ch, err := wechat.New(s.Settings())
		require.NoError(t, err)
		x.sims[name], of[name] = s, ch
		cfg.Accounts = append(cfg.Accounts, gateway.Account{ID: name, Company: 1, Number: code.Number(i + 1), Channel: ch, NotifyURL: "https://gateway.example/" + name})
		plan.Accounts = append(plan.Accounts, route.Account{Name: name, Channel: name, Products: []channel.Product{channel.QR}, Currencies: []string{"CNY"}})
	}
	x.keeper = keeper.New(st, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: x.clock, Probe: selfheal.Prober(of)})
	x.channels, err = selfheal.New(x.keeper, plan, x.clock)
	require.NoError(t, err)
	cfg.Router, cfg.Watch, cfg.Out, cfg.Attempts = x.channels, x.channels.Watch, x.channels.Out, 2
	x.gateway, err = gateway.New(st, x.clock, cfg)
	require.NoError(t, err)
	return x
}

// pass lets payers come, five a second.
func (x *town) pass(d time.Duration) {
	for end := x.clock.Now().Add(d); x.clock.Now().Before(end); {
		x.clock.Advance(200 * time.Millisecond)
		x.keeper.Step(x.t.Context())
		x.orders++
		o, err := x.gateway.Create(x.t.Context(), "app", gateway.NewOrder{Key: fmt.Sprint(x.orders), Type: code.Pay, Product: 1, Merchant: "shop",
			Money: channel.Money{Amount: money.Minor(500), Currency: "CNY"}, Subject: "tea"})
		require.NoError(x.t, err)
		p, err := x.gateway.Pay(x.t.Context(), "app", o.ID, gateway.NewPayment{Key: "p", Product: channel.QR})
		require.NoError(x.t, err)
		x.seen[p.Account]++
		if p.Action.QR == "" {
			x.failed++
		}
	}
}

// TestAChannelDiesAndComesBack: the real adapter, its simulator and the gateway, with nobody at the switches. Payers who come after the first few are not touched.
func TestAChannelDiesAndComesBack(t *testing.T) {
	x := newTown(t)
	x.pass(20 * time.Second)
	require.Equal(t, map[string]int{"first": 100}, x.seen)
	require.Zero(t, x.failed)

	x.sims["first"].Weather.Set(sim.Faults{CutBefore: 1}) // connections break: nobody knows what became of the requests
	x.pass(20 * time.Second)
	require.Positive(t, x.failed)
	require.LessOrEqual(t, x.failed, 12)
	require.Zero(t, x.keeper.Share(health.Cell{Channel: "first"}))
	hit := x.failed
	require.GreaterOrEqual(t, x.seen["second"], 85)

	x.sims["first"].Weather.Set(sim.Faults{})
	x.pass(100 * time.Second)
	require.Equal(t, hit, x.failed, "the way back hurt nobody")
	require.Equal(t, 1.0, x.keeper.Share(health.Cell{Channel: "first"}))
	why, err := x.channels.Explain(gateway.Wanted{Product: channel.QR, Money: channel.Money{Amount: money.Minor(500), Currency: "CNY"}})
	require.NoError(t, err)
	require.Len(t, why, 2)
	require.Equal(t, route.May, why[0].Verdict)
}

func TestWhatACallSaysOfItsChannel(t *testing.T) {
	for _, c := range []struct {
		r              channel.Result
		err            error
		failed, counts bool
	}{
		{channel.Result{Outcome: channel.Succeeded}, nil, false, true},
		{channel.Result{Outcome: channel.Pending}, nil, false, true},
		{channel.Result{Outcome: channel.Failed, Class: channel.ByPayer}, nil, false, false},
		{channel.Result{Outcome: channel.Failed, Class: channel.ByRisk}, nil, false, false},
		{channel.Result{Outcome: channel.Failed, Class: channel.NotSupported}, nil, false, false},
		{channel.Result{Outcome: channel.Failed, Class: channel.ByIssuer}, nil, true, true},
		{channel.Result{Outcome: channel.Failed, Class: channel.ByChannel}, nil, true, true},
		{channel.Result{Outcome: channel.Failed, Class: channel.BySetting}, nil, true, true},
		{channel.Result{}, nil, true, true},
		{channel.Result{}, errors.New("no answer"), true, true},
		{channel.Result{}, channel.ErrNotSent, true, true},
		{channel.Result{}, context.DeadlineExceeded, true, true},
		{channel.Result{}, context.Canceled, false, false},
		{channel.Result{}, channel.ErrUnsupported, false, false},
		{channel.Result{Outcome: channel.Closed}, nil, false, false},
	} {
		failed, counts := selfheal.Judge(c.r, c.err)
		require.Equal(t, []bool{c.failed, c.counts}, []bool{failed, counts}, "%v %v", c.r, c.err)
	}
}

// TestARefundWaitsForItsChannel: while it is out nobody is called, and it goes on by itself when the channel is back.
func TestARefundWaitsForItsChannel(t *testing.T) {
	x := newTown(t)
	o, err := x.gateway.Create(t.Context(), "app", gateway.NewOrder{Key: "1", Type: code.Pay, Product: 1, Merchant: "shop", Money: channel.Money{Amount: money.Minor(500), Currency: "CNY"}, Subject: "tea"})
	require.NoError(t, err)
	p, err := x.gateway.Pay(t.Context(), "app", o.ID, gateway.NewPayment{Key: "p", Product: channel.QR})
	require.NoError(t, err)
	require.NoError(t, x.sims["first"].Pay(p.Number, simwechat.Payer{}))
	scan := func() {
		x.clock.Advance(30 * time.Second)
		_, err := x.gateway.Scan(t.Context())
		require.NoError(t, err)
	}
	scan()
	_, err = x.keeper.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOff, 0, "ann", "tests")
	require.NoError(t, err)
	r, err := x.gateway.Refund(t.Context(), "app", o.ID, gateway.NewRefund{Key: "r", Amount: money.Minor(200)})
	require.NoError(t, err)
	require.Equal(t, order.Ordered, r.State)
	state := func() order.OperationState {
		again, err := x.gateway.Refund(t.Context(), "app", o.ID, gateway.NewRefund{Key: "r", Amount: money.Minor(200)})
		require.NoError(t, err)
		return again.State
	}
	for range 3 {
		scan()
		require.Equal(t, order.Ordered, state())
	}
	_, err = x.keeper.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOn, 1, "ann", "done")
	require.NoError(t, err)
	scan()
	require.NotEqual(t, order.Ordered, state())
}
