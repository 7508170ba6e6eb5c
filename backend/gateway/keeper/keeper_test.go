package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/backend/gateway/keeper"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/clock"
)

var (
	noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	pay  = health.Cell{Channel: "wechat"}
	icbc = health.Cell{Channel: "unionpay", Bank: "icbc", Card: "debit"}
)

// place is a store that two processes have open.
type place struct {
	t     *testing.T
	clock *clock.Manual
	at    string
	away  atomic.Bool
}

func newPlace(t *testing.T) *place {
	return &place{t: t, clock: clock.NewManual(noon), at: emptystore.At(t, filepath.Join(t.TempDir(), "scheme.db"))}
}

func (p *place) process(change ...func(*keeper.Config)) (*keeper.Keeper, *store.Store) {
	st, err := store.Open(p.t.Context(), p.at, store.Options{NoSync: true, Fault: func(string) error {
		if p.away.Load() {
			return errors.New("the store is away")
		}
		return nil
	}})
	require.NoError(p.t, err)
	p.t.Cleanup(func() { st.Close() })
	cfg := keeper.Config{Settings: func(health.Cell) health.Settings { return health.Defaults() }, Clock: p.clock, Sinks: []string{"console", "mail"}}
	for _, f := range change {
		f(&cfg)
	}
	return keeper.New(st, cfg), st
}

// fails has a cell fail until it is surely faulty.
func (p *place) fails(k *keeper.Keeper, c health.Cell) {
	for range 20 {
		p.clock.Advance(100 * time.Millisecond)
		k.Ended(k.Began(c), true, true)
	}
}

func moves(t *testing.T, st *store.Store) (out []store.ChannelMove) {
	require.NoError(t, st.View(t.Context(), func(tx *store.Tx) (err error) {
		out, err = tx.ChannelMoves(t.Context(), "", 100)
		return err
	}))
	return out
}

func messages(t *testing.T, st *store.Store, sink string) (out []keeper.Notice) {
	require.NoError(t, st.Update(t.Context(), func(tx *store.Tx) error {
		out = nil
		all, err := tx.LeaseOutbox(t.Context(), keeper.Topic(sink), "test", 1<<60, 1<<60+1, 100)
		for _, m := range all {
			var n keeper.Notice
			require.NoError(t, json.Unmarshal(m.Body, &n))
			out = append(out, n)
		}
		return err
	}))
	return out
}

func TestAFaultIsKeptAndEveryProcessKnows(t *testing.T) {
	p := newPlace(t)
	one, st := p.process()
	two, _ := p.process()
	p.fails(one, pay)
	require.Equal(t, 1.0, two.Share(pay))
	one.Step(t.Context())
	require.Zero(t, one.Share(pay))
	two.Step(t.Context())
	require.Zero(t, two.Share(pay))
	all := moves(t, st)
	require.Len(t, all, 1)
	require.Equal(t, health.FaultFound, all[0].Event)
	require.Positive(t, all[0].Failed)
	require.Empty(t, all[0].By)
	for _, sink := range []string{"console", "mail"} {
		told := messages(t, st, sink)
		require.Len(t, told, 1, sink)
		require.Equal(t, "set-fault", told[0].Action)
		require.Equal(t, "wechat", told[0].Channel)
	}
	three, _ := p.process() // begins later
	require.NoError(t, three.Load(t.Context()))
	require.Zero(t, three.Share(pay))
}

func TestTwoThatFindOneFaultMakeOneMove(t *testing.T) {
	p := newPlace(t)
	one, st := p.process()
	two, _ := p.process()
	p.fails(one, pay)
	p.fails(two, pay)
	one.Step(t.Context())
	two.Step(t.Context())
	require.Zero(t, one.Share(pay))
	require.Zero(t, two.Share(pay))
	require.Len(t, moves(t, st), 1)
	require.Len(t, messages(t, st, "mail"), 1)
	require.Equal(t, one.Statuses(), two.Statuses())
}

func TestFiftySwitchesOfOneFaultMakeOneTransition(t *testing.T) {
	p := newPlace(t)
	one, st := p.process()
	two, _ := p.process()
	var done, stale atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		k := []*keeper.Keeper{one, two}[i%2]
		all.Go(func() {
			_, err := k.Switch(context.Background(), pay, health.SwitchedOff, 0, "li", "the bank called")
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, health.ErrStale):
				stale.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, done.Load())
	require.EqualValues(t, 49, stale.Load())
	all2 := moves(t, st)
	require.Len(t, all2, 1)
	require.Equal(t, "li", all2[0].By)
	require.Len(t, messages(t, st, "console"), 1)
	require.Zero(t, one.Share(pay))
	require.Zero(t, two.Share(pay))
}

func TestAnIncidentIsClosedWithACause(t *testing.T) {
	p := newPlace(t)
	k, st := p.process()
	s, err := k.Switch(t.Context(), icbc, health.SwitchedOff, 0, "li", "the bank called")
	require.NoError(t, err)
	closes := func(cause, by string) error {
		return st.Update(t.Context(), func(tx *store.Tx) error {
			return tx.CloseIncident(t.Context(), icbc, s.Incident, cause, "their core was down", by, p.clock.Now())
		})
	}
	require.ErrorIs(t, closes("bank-down", "wu"), store.ErrIncidentLasts)
	p.clock.Advance(time.Hour)
	_, err = k.Switch(t.Context(), icbc, health.SwitchedOn, s.Version, "wu", "they are back")
	require.NoError(t, err)
	require.ErrorIs(t, closes("", "wu"), store.ErrCause)
	require.ErrorIs(t, closes("bad luck", "wu"), store.ErrCause)
	require.ErrorIs(t, closes("bank-down", " "), store.ErrCause)
	require.NoError(t, closes("bank-down", "wu"))
	require.ErrorIs(t, closes("unknown", "li"), store.ErrIncidentClosed)
	var all []store.ChannelIncident
	require.NoError(t, st.View(t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.ChannelIncidents(t.Context(), false, 10)
		return err
	}))
	require.Equal(t, []store.ChannelIncident{{Cell: icbc, Incident: s.Incident, Began: noon, Ended: noon.Add(time.Hour), Cause: "bank-down", Note: "their core was down", ClosedBy: "wu", Closed: noon.Add(time.Hour)}}, all)
}

func TestHealthGoesOnWhileTheStoreIsAway(t *testing.T) {
	p := newPlace(t)
	k, st := p.process()
	p.away.Store(true)
	p.fails(k, pay)
	k.Step(t.Context())
	require.Zero(t, k.Share(pay), "out, though nobody could write it down")
	require.Empty(t, moves(t, st))
	_, err := k.Switch(t.Context(), icbc, health.SwitchedOff, 0, "li", "drill")
	require.ErrorContains(t, err, "not switched")
	require.Equal(t, 1.0, k.Share(icbc))

	p.away.Store(false)
	p.clock.Advance(time.Second)
	k.Step(t.Context())
	require.Len(t, moves(t, st), 1, "brought to the store when it is back")
	require.Zero(t, k.Share(pay))
}

func TestWhatOthersKeptMeanwhileStands(t *testing.T) {
	p := newPlace(t)
	k, st := p.process()
	p.away.Store(true)
	p.fails(k, pay)
	k.Step(t.Context())
	require.Zero(t, k.Share(pay))

	p.away.Store(false)
	other, _ := p.process()
	s, err := other.Switch(t.Context(), pay, health.SwitchedOff, 0, "li", "maintenance")
	require.NoError(t, err)
	_, err = other.Switch(t.Context(), pay, health.SwitchedOn, s.Version, "li", "done")
	require.NoError(t, err)
	k.Step(t.Context())
	require.Equal(t, 1.0, k.Share(pay))
	require.Len(t, moves(t, st), 2)
	require.EqualValues(t, 2, k.Statuses()[0].Version)
}

func TestAnAlarmInManualMode(t *testing.T) {
	p := newPlace(t)
	k, st := p.process(func(c *keeper.Config) {
		s := health.Defaults()
		s.Mode = health.Manual
		c.Settings = func(health.Cell) health.Settings { return s }
	})
	p.fails(k, pay)
	k.Step(t.Context())
	require.Equal(t, 1.0, k.Share(pay), "people switch it")
	told := messages(t, st, "mail")
	require.Len(t, told, 1)
	require.True(t, told[0].Alarm)
	require.Positive(t, told[0].Failed)
}

func TestACallWithoutAnAnswerIsSeen(t *testing.T) {
	p := newPlace(t)
	k, _ := p.process()
	var open []uint64
	for range 20 {
		open = append(open, k.Began(pay))
	}
	k.Step(t.Context())
	require.Equal(t, 1.0, k.Share(pay))
	p.clock.Advance(4 * time.Second)
	k.Step(t.Context())
	require.Zero(t, k.Share(pay))
	for _, n := range open {
		k.Ended(n, true, true) // late: they have counted
	}
}

func TestWhatThePayerDidCountsNothing(t *testing.T) {
	p := newPlace(t)
	k, st := p.process()
	for range 100 {
		k.Ended(k.Began(pay), true, false)
	}
	k.Step(t.Context())
	require.Empty(t, moves(t, st))
}

// TestAQuietChannelIsProbedBothWays: with nobody paying, a channel that dies goes out by its probes, and comes back by them.
func TestAQuietChannelIsProbedBothWays(t *testing.T) {
	p := newPlace(t)
	var dead atomic.Bool
	k, st := p.process(func(c *keeper.Config) {
		c.Probe = func(context.Context, health.Cell) bool { return dead.Load() }
	})
	k.Watch("wechat")
	pass := func(d time.Duration) {
		for end := p.clock.Now().Add(d); p.clock.Now().Before(end); {
			p.clock.Advance(time.Second)
			k.Step(t.Context())
			k.Probed()
		}
	}
	pass(time.Minute)
	require.Equal(t, 1.0, k.Share(pay))
	dead.Store(true)
	pass(time.Minute)
	require.Zero(t, k.Share(pay))
	dead.Store(false)
	pass(3 * time.Minute)
	require.Equal(t, 1.0, k.Share(pay))
	require.Equal(t, p.clock.Now(), k.Heard().UTC())
	all := moves(t, st)
	require.Equal(t, health.SetFault, all[len(all)-1].Action)
	require.Equal(t, health.SetNormal, all[0].Action)
}

// TestRunEndsWithItsContext, and what was found before is kept at the first beat.
func TestRunEndsWithItsContext(t *testing.T) {
	p := newPlace(t)
	k, st := p.process()
	p.fails(k, pay)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	require.Eventually(t, func() bool { return k.Share(pay) == 0 }, 10*time.Second, time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.Len(t, moves(t, st), 1)
}

// TestCallsAreCountedForPeople: of all processes, also those that were made while the store was away, each once.
func TestCallsAreCountedForPeople(t *testing.T) {
	p := newPlace(t)
	a, st := p.process()
	b, _ := p.process()
	call := func(k *keeper.Keeper, failed bool, took time.Duration) {
		n := k.Began(pay)
		p.clock.Advance(took)
		k.Ended(n, failed, true)
	}
	counted := func() (out store.ChannelSample) {
		require.NoError(t, st.View(t.Context(), func(tx *store.Tx) error {
			out = store.ChannelSample{}
			all, err := tx.ChannelSamples(t.Context(), noon)
			for _, s := range all {
				require.Equal(t, pay, s.Cell)
				out.Payments, out.Failed, out.Took = out.Payments+s.Payments, out.Failed+s.Failed, out.Took+s.Took
			}
			return err
		}))
		return out
	}
	call(a, false, 100*time.Millisecond)
	call(b, true, 200*time.Millisecond)
	a.Ended(a.Began(pay), false, false) // says nothing
	a.Step(t.Context())
	b.Step(t.Context())
	require.Equal(t, store.ChannelSample{Payments: 2, Failed: 1, Took: 300 * time.Millisecond}, counted())
	p.away.Store(true)
	call(a, false, time.Millisecond)
	late := a.Began(pay)
	p.clock.Advance(6 * time.Second)
	a.Step(t.Context())
	call(a, false, time.Millisecond)
	p.away.Store(false)
	p.clock.Advance(6 * time.Second)
	a.Step(t.Context())
	a.Ended(late, false, true) // it was counted as late
	p.clock.Advance(6 * time.Second)
	a.Step(t.Context())
	require.Equal(t, store.ChannelSample{Payments: 5, Failed: 2, Took: 3302 * time.Millisecond}, counted())
}
