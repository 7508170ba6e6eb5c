package selfheal_test

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

var (
	noon   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	signer = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public = signer.Public().(ed25519.PublicKey)
	tea    = gateway.Wanted{Product: channel.QR, Money: channel.Money{Amount: money.Minor(500), Currency: "CNY"}, Order: "o-1"}
)

func twoChannels() route.Plan {
	p := route.Plan{Version: 3, Rules: []route.Rule{{Name: "all", Accounts: []string{"first", "second"}, Strategy: route.InOrder}}}
	for _, n := range p.Rules[0].Accounts {
		p.Accounts = append(p.Accounts, route.Account{Name: n, Channel: n, Products: []channel.Product{channel.QR}, Currencies: []string{"CNY"}})
	}
	return p
}

// process is a keeper with routing over a database of its own.
func process(t *testing.T, c clock.Clock, at string) (*selfheal.Channels, *keeper.Keeper, *store.Store) {
	st, err := store.Open(t.Context(), at, store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { st.Close() })
	k := keeper.New(st, keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: c})
	x, err := selfheal.New(k, twoChannels(), c)
	require.NoError(t, err)
	return x, k, st
}

func routed(t *testing.T, x *selfheal.Channels) []string {
	names, err := x.Route(t.Context(), tea)
	require.NoError(t, err)
	return names
}

// TestRoutingGoesOnWithoutTheDatabase: the database is closed under load. A read of it would be an error from then on, so that there are none means that decisions read nothing;
// a channel that dies meanwhile still goes out.
func TestRoutingGoesOnWithoutTheDatabase(t *testing.T) {
	c := clock.NewManual(noon)
	x, k, st := process(t, c, emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")))
	require.NoError(t, k.Load(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var before, after, failed atomic.Int64
	var closed atomic.Bool
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				late := closed.Load()
				names, err := x.Route(ctx, tea)
				switch {
				case err != nil || len(names) == 0:
					failed.Add(1)
				case late:
					after.Add(1)
				default:
					before.Add(1)
				}
			}
		})
	}
	reach := func(n *atomic.Int64) {
		for n.Load() < 10_000 && t.Context().Err() == nil {
			c.Advance(time.Millisecond)
		}
	}
	reach(&before)
	require.NoError(t, st.Close())
	closed.Store(true)
	reach(&after)
	for range 20 {
		c.Advance(100 * time.Millisecond)
		x.Watch("first", "")(channel.Result{Outcome: channel.Unknown}, nil)
	}
	k.Step(t.Context())
	require.Equal(t, []string{"second"}, routed(t, x))
	after.Store(0)
	reach(&after)
	stop()
	load.Wait()
	require.Zero(t, failed.Load())
	path := filepath.Join(t.TempDir(), "routing.fallback")
	require.NoError(t, x.Publish(selfheal.Publishing{Path: path, Key: signer}), "nor does the file need it")
	f, err := selfheal.ReadFallback(path, public, c.Now())
	require.NoError(t, err)
	require.Equal(t, []route.FallbackChannel{{Channel: "first"}}, f.Out)
}

// TestTheFallbackFileAloneRoutes: another process has the file and nothing else.
func TestTheFallbackFileAloneRoutes(t *testing.T) {
	c := clock.NewManual(noon)
	x, k, _ := process(t, c, filepath.Join(t.TempDir(), "scheme.db"))
	_, err := k.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOff, 0, "ann", "tests")
	require.NoError(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "routing.fallback")
	for range 2 { // the second takes the place of the first
		require.NoError(t, x.Publish(selfheal.Publishing{Path: path, Key: signer}))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)

	c.Advance(time.Hour)
	f, err := selfheal.ReadFallback(path, public, c.Now())
	require.NoError(t, err)
	require.Equal(t, time.Hour, c.Now().Sub(f.At))
	alone, err := selfheal.Offline(f, c)
	require.NoError(t, err)
	require.Equal(t, []string{"second"}, routed(t, alone))
	alone.Watch("second", "")(channel.Result{}, nil) // nothing that it sees is kept
	require.Equal(t, []string{"second"}, routed(t, alone))
	again, err := alone.Snapshot()
	require.NoError(t, err)
	require.Equal(t, f.Out, again.Out)

	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)-2] ^= 1
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	_, err = selfheal.ReadFallback(path, public, c.Now())
	require.ErrorIs(t, err, route.ErrFallback)
}

// TestAProcessThatStartsWithoutTheDatabaseTakesTheLastFile, and the database's word when it is heard.
func TestAProcessThatStartsWithoutTheDatabaseTakesTheLastFile(t *testing.T) {
	c := clock.NewManual(noon)
	at, path := filepath.Join(t.TempDir(), "scheme.db"), filepath.Join(t.TempDir(), "routing.fallback")
	x, k, _ := process(t, c, at)
	none, err := x.Assume(path, public)
	require.NoError(t, err)
	require.Zero(t, none)
	_, err = k.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOff, 0, "ann", "tests")
	require.NoError(t, err)
	require.NoError(t, x.Publish(selfheal.Publishing{Path: path, Key: signer}))

	away, _, st := process(t, c, filepath.Join(t.TempDir(), "away.db"))
	require.NoError(t, st.Close())
	require.Equal(t, []string{"first", "second"}, routed(t, away))
	written, err := away.Assume(path, public)
	require.NoError(t, err)
	require.Equal(t, noon, written.UTC())
	require.Equal(t, []string{"second"}, routed(t, away))

	_, err = k.Switch(t.Context(), health.Cell{Channel: "first"}, health.SwitchedOn, 1, "ann", "done")
	require.NoError(t, err)
	back, kept, _ := process(t, c, at)
	_, err = back.Assume(path, public)
	require.NoError(t, err)
	require.Equal(t, []string{"second"}, routed(t, back))
	kept.Step(t.Context())
	require.Equal(t, []string{"first", "second"}, routed(t, back))

	require.NoError(t, os.WriteFile(path, []byte("no file of ours"), 0o600))
	_, err = back.Assume(path, public)
	require.ErrorIs(t, err, route.ErrFallback)
}

// TestLearnedSuccessSurvivesARestart: a process that starts chooses at once by what the one before it had learned, unless that is of another day.
func TestLearnedSuccessSurvivesARestart(t *testing.T) {
	c := clock.NewManual(noon)
	at, file := emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db")), filepath.Join(t.TempDir(), "routing.fallback")
	x, _, _ := process(t, c, at)
	p := twoChannels()
	p.Version, p.Rules[0].Strategy = 4, route.Best
	require.NoError(t, x.Use(p))
	for range 300 {
		x.Watch("first", "icbc")(channel.Result{Outcome: channel.Failed, Class: channel.ByChannel}, nil)
		x.Watch("second", "icbc")(channel.Result{Outcome: channel.Succeeded}, nil)
	}
	require.NoError(t, x.Publish(selfheal.Publishing{Path: file, Key: signer}))
	learned := func(x *selfheal.Channels) map[string]int {
		why, err := x.Explain(tea)
		require.NoError(t, err)
		seen := map[string]int{}
		for _, r := range why {
			seen[r.Account] = r.Seen
		}
		return seen
	}
	before, err := x.Explain(tea)
	require.NoError(t, err)

	again, _, _ := process(t, c, at)
	require.NoError(t, again.Use(p))
	require.NotEqual(t, learned(x), learned(again))
	_, err = again.Assume(file, public)
	require.NoError(t, err)
	after, err := again.Explain(tea)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for i := range before {
		require.InDelta(t, before[i].Success, after[i].Success, 1e-6)
		require.Equal(t, before[i].Seen, after[i].Seen)
	}
	require.Equal(t, []string{"second", "first"}, routed(t, again))

	f, err := selfheal.ReadFallback(file, public, c.Now())
	require.NoError(t, err)
	alone, err := selfheal.Offline(f, c)
	require.NoError(t, err)
	require.Equal(t, learned(x), learned(alone))

	c.Advance(25 * time.Hour)
	late, _, _ := process(t, c, at)
	require.NoError(t, late.Use(p))
	_, err = late.Assume(file, public)
	require.NoError(t, err)
	require.NotEqual(t, learned(x), learned(late), "of another day")
}
