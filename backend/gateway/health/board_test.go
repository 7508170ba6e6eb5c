package health_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/health"
)

var (
	pay   = health.Cell{Channel: "unionpay"}
	icbc  = health.Cell{Channel: "unionpay", Bank: "icbc", Card: "debit"}
	ccb   = health.Cell{Channel: "unionpay", Bank: "ccb", Card: "debit"}
	banks = []health.Cell{icbc, ccb, {Channel: "unionpay", Bank: "abc", Card: "debit"}, {Channel: "unionpay", Bank: "boc", Card: "credit"}}
)

func board(change func(*health.Settings)) *health.Board {
	s := health.Defaults()
	if change != nil {
		change(&s)
	}
	return health.NewBoard(func(health.Cell) health.Settings { return s })
}

// world drives a board second by second.
type world struct {
	b      *health.Board
	now    time.Time
	r      *rand.Rand
	fails  func(health.Cell) float64 // chance by cell
	perSec int
	moves  []health.Move
	alarms []health.Alarm
}

func (w *world) keep(m *health.Move) {
	if m != nil {
		w.moves = append(w.moves, *m)
		w.b.Adopt(m.Status, w.now)
	}
}

func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(time.Second / time.Duration(w.perSec))
		c := banks[w.r.IntN(len(banks))]
		if health.Admit(w.b.Share(c), 0, false, w.r.Float64()) {
			m, a := w.b.Observe(health.Observation{At: w.now, Cell: c, Failed: w.r.Float64() < w.fails(c)})
			w.keep(m)
			if a != nil {
				w.alarms = append(w.alarms, *a)
			}
		}
		moves, probes := w.b.Tick(w.now)
		for _, m := range moves {
			w.keep(m)
		}
		for _, c := range probes {
			m, a := w.b.Observe(health.Observation{At: w.now, Cell: c, Failed: w.r.Float64() < w.fails(c), Probe: true})
			w.keep(m)
			if a != nil {
				w.alarms = append(w.alarms, *a)
			}
		}
	}
}

func newWorld(b *health.Board, seed uint64) *world {
	return &world{b: b, now: noon, r: rand.New(rand.NewPCG(seed, 9)), perSec: 10, fails: func(health.Cell) float64 { return 0.03 }}
}

func (w *world) actions() (out []health.Action) {
	for _, m := range w.moves {
		out = append(out, m.Does)
	}
	return out
}

func TestADeadChannelGoesOutAndComesBackInDoubles(t *testing.T) {
	w := newWorld(board(nil), 1)
	w.pass(5 * time.Minute)
	require.Empty(t, w.moves)
	began := w.now
	w.fails = func(health.Cell) float64 { return 1 }
	w.pass(2 * time.Minute)
	require.Len(t, w.moves, 1, "one fault, one move")
	require.Equal(t, pay, w.moves[0].Cell)
	require.Equal(t, health.SetFault, w.moves[0].Does)
	require.LessOrEqual(t, w.moves[0].At.Sub(began), 10*time.Second)
	require.Zero(t, w.b.Share(icbc))

	w.fails = func(health.Cell) float64 { return 0.03 }
	ended := w.now
	w.pass(5 * time.Minute)
	require.Equal(t, health.Available, w.b.Status(pay).State)
	last := w.moves[len(w.moves)-1]
	require.Equal(t, health.SetNormal, last.Does)
	require.LessOrEqual(t, last.At.Sub(ended), 5*time.Minute)
	share := 0.0
	for _, m := range w.moves[1:] {
		switch m.Does {
		case health.StartRamp:
			share = m.Share
			require.LessOrEqual(t, share, 0.06)
		case health.ContinueRamp:
			require.InDelta(t, min(2*share, 1), m.Share, 1e-9)
			share = m.Share
		}
	}
	require.InDelta(t, 1, share, 1e-9)
}

func TestOneBadBankGoesOutAlone(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(board(nil), seed)
		w.pass(3 * time.Minute)
		w.fails = func(c health.Cell) float64 {
			if c == icbc {
				return 0.95
			}
			return 0.03
		}
		w.pass(time.Minute)
		require.NotEmpty(t, w.moves, "seed %d", seed)
		for _, m := range w.moves {
			require.Equal(t, icbc, m.Cell, "seed %d", seed)
		}
		require.Equal(t, 1.0, w.b.Share(ccb))
		require.Less(t, w.b.Share(icbc), 1.0)
	}
}

func TestAFaultThatLastsGivesTheShareBackEachTimeLater(t *testing.T) {
	w := newWorld(board(nil), 3)
	w.pass(3 * time.Minute)
	dead := func(c health.Cell) float64 {
		if c.Bank == "" {
			return 0 // probes see nothing of it
		}
		return 1
	}
	w.fails = dead
	w.pass(20 * time.Minute)
	var back []time.Duration
	var out time.Time
	for _, m := range w.moves {
		switch m.Does {
		case health.SetFault, health.BackToFault:
			out = m.At
		case health.StartRamp:
			back = append(back, m.At.Sub(out))
			require.LessOrEqual(t, m.Share, 0.06)
		case health.SetNormal:
			t.Fatal("a dead channel was taken back")
		}
	}
	require.Greater(t, len(back), 4)
	for i, d := range back {
		want := min(15*time.Second<<i, 2*time.Minute)
		require.GreaterOrEqual(t, d, want)
		require.LessOrEqual(t, d, want+5*time.Second)
	}
}

func TestAQuietChannelIsFoundByProbes(t *testing.T) {
	w := newWorld(board(nil), 4)
	w.fails = func(health.Cell) float64 { return 0 }
	w.b.Watch(pay)
	quiet := func(d time.Duration, failed bool) {
		for end := w.now.Add(d); w.now.Before(end); {
			w.now = w.now.Add(time.Second)
			if w.now.Unix()%10 == 0 && w.b.Share(pay) > 0 {
				m, _ := w.b.Observe(health.Observation{At: w.now, Cell: pay, Failed: failed})
				w.keep(m)
			}
			moves, probes := w.b.Tick(w.now)
			for _, m := range moves {
				w.keep(m)
			}
			for _, c := range probes {
				m, _ := w.b.Observe(health.Observation{At: w.now, Cell: c, Failed: failed, Probe: true})
				w.keep(m)
			}
		}
	}
	quiet(10*time.Minute, false)
	began := w.now
	quiet(2*time.Minute, true)
	require.Len(t, w.moves, 1)
	require.LessOrEqual(t, w.moves[0].At.Sub(began), time.Minute)
	ended := w.now
	quiet(5*time.Minute, false)
	last := w.moves[len(w.moves)-1]
	require.Equal(t, health.Available, last.State)
	require.LessOrEqual(t, last.At.Sub(ended), 5*time.Minute)
}

func TestModes(t *testing.T) {
	for mode, want := range map[health.Mode]struct {
		moves  bool
		alarms int
		ramps  bool
	}{health.Manual: {false, 1, false}, health.SemiAutomatic: {true, 0, false}, health.Automatic: {true, 0, true}} {
		w := newWorld(board(func(s *health.Settings) { s.Mode = mode }), 5)
		w.pass(3 * time.Minute)
		w.fails = func(health.Cell) float64 { return 1 }
		w.pass(time.Minute)
		w.fails = func(health.Cell) float64 { return 0.03 }
		w.pass(10 * time.Minute)
		require.Equal(t, want.moves, len(w.moves) > 0, mode)
		if mode == health.Manual {
			whole := 0
			for _, a := range w.alarms {
				if a.Cell == pay {
					whole++
				}
			}
			require.Equal(t, 1, whole, "one alarm a fault")
		} else {
			require.Empty(t, w.alarms)
		}
		require.Equal(t, want.ramps, contains(w.actions(), health.StartRamp), mode)
	}
}

func contains(all []health.Action, a health.Action) bool {
	for _, x := range all {
		if x == a {
			return true
		}
	}
	return false
}

func TestAPersonsSwitch(t *testing.T) {
	b := board(nil)
	m, err := b.Switch(pay, health.SwitchedOff, 0, noon, "li", "bank called")
	require.NoError(t, err)
	require.Equal(t, "li", m.By)
	b.Adopt(m.Status, noon)
	require.Zero(t, b.Share(icbc))

	_, err = b.Switch(pay, health.SwitchedOff, 0, noon, "wu", "bank called me too")
	require.ErrorIs(t, err, health.ErrStale)
	_, err = b.Switch(pay, health.SwitchedOff, 1, noon, "wu", "again")
	require.ErrorIs(t, err, health.ErrMove)
	_, err = b.Switch(pay, health.SwitchedOn, 1, noon, "wu", " ")
	require.ErrorIs(t, err, health.ErrReason)
	_, err = b.Switch(pay, health.FaultFound, 1, noon, "wu", "x")
	require.ErrorIs(t, err, health.ErrMove)
	m, err = b.Switch(pay, health.SwitchedOn, 1, noon, "wu", "works")
	require.NoError(t, err)
	b.Adopt(m.Status, noon)
	require.Equal(t, 1.0, b.Share(icbc))
}

// TestFiftyWhoAskMakeOneMove: all saw the same version, and what keeps moves takes one for each version.
func TestFiftyWhoAskMakeOneMove(t *testing.T) {
	b := board(nil)
	var mu sync.Mutex
	moved := 0
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			m, err := b.Switch(pay, health.SwitchedOff, 0, noon, "li", "down")
			if err != nil {
				require.ErrorIs(t, err, health.ErrStale)
				return
			}
			moved++
			b.Adopt(m.Status, noon)
		})
	}
	all.Wait()
	require.Equal(t, 1, moved)
}

// TestRandomWalkKeepsTheTable: whatever happens, shares fit states, versions go up by one, and a stale status is never adopted.
func TestRandomWalkKeepsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := board(func(s *health.Settings) { s.Interval, s.BackOff = time.Second, time.Second })
		now := noon
		var kept []health.Status
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond)
			before := b.Status(pay)
			var m *health.Move
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				m, _ = b.Observe(health.Observation{At: now, Cell: pay, Failed: rapid.Bool().Draw(t, "failed"), Probe: rapid.Bool().Draw(t, "probe")})
			case 2:
				for range 12 {
					if m, _ = b.Observe(health.Observation{At: now, Cell: pay, Failed: true}); m != nil {
						break
					}
				}
			case 3:
				moves, _ := b.Tick(now)
				if len(moves) > 0 {
					m = moves[0]
				}
			case 4:
				m, _ = b.Switch(pay, rapid.SampledFrom([]health.Event{health.SwitchedOff, health.SwitchedOn}).Draw(t, "switch"), before.Version, now, "li", "drill")
			case 5:
				if len(kept) > 0 {
					b.Adopt(rapid.SampledFrom(kept).Draw(t, "old"), now) // a late word of another process
					require.Equal(t, before, b.Status(pay))
				}
			}
			if m == nil {
				continue
			}
			a, err := health.Next(before.State, m.On)
			require.NoError(t, err)
			require.Equal(t, a, m.Arrow)
			require.Equal(t, before.Version+1, m.Version)
			require.Equal(t, before.Version, m.Before)
			if rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
				b.Refused(pay)
				continue
			}
			b.Adopt(m.Status, now)
			kept = append(kept, m.Status)
			s := b.Status(pay)
			require.Equal(t, m.Status, s)
			switch s.State {
			case health.Available:
				require.Equal(t, 1.0, s.Share)
				require.Zero(t, s.Incident)
			case health.Unavailable:
				require.Zero(t, s.Share)
				require.NotZero(t, s.Incident)
			case health.Ramping:
				require.Greater(t, s.Share, 0.0)
				require.LessOrEqual(t, s.Share, 1.0)
				require.NotZero(t, s.Incident)
			}
		}
	})
}

func TestEveryStateAndEvent(t *testing.T) {
	moves := 0
	for _, s := range []health.State{health.Available, health.Unavailable, health.Ramping} {
		for _, e := range health.Events {
			if _, err := health.Next(s, e); err == nil {
				moves++
			} else {
				require.ErrorIs(t, err, health.ErrMove)
			}
		}
	}
	require.Equal(t, len(health.Arrows), moves, "no two arrows for one state and event")
}

func TestTolerantPayersComeFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	in, tolerant := 0, 0
	const n = 100000
	for range n {
		is := r.Float64() < 0.3
		if health.Admit(0.2, 0.3, is, r.Float64()) {
			in++
			if is {
				tolerant++
			}
		}
	}
	require.InDelta(t, 0.2, float64(in)/n, 0.005)
	require.Equal(t, in, tolerant, "the share is smaller than their part")
	in = 0
	for range n {
		if health.Admit(0.6, 0.3, r.Float64() < 0.3, r.Float64()) {
			in++
		}
	}
	require.InDelta(t, 0.6, float64(in)/n, 0.01)
}

func TestALateCallCountsOnce(t *testing.T) {
	var c health.Calls
	slow := func(health.Cell) time.Duration { return 3 * time.Second }
	a, b := c.Began(pay, noon), c.Began(icbc, noon.Add(2*time.Second))
	require.Empty(t, c.Late(noon.Add(3*time.Second), slow))
	late := c.Late(noon.Add(4*time.Second), slow)
	require.Equal(t, []health.Observation{{At: noon.Add(4 * time.Second), Cell: pay, Failed: true}}, late)
	require.Empty(t, c.Late(noon.Add(4500*time.Millisecond), slow))
	require.False(t, c.Ended(a), "it has been counted")
	require.True(t, c.Ended(b))
	require.False(t, c.Ended(b), "twice")
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	require.NoError(t, health.Defaults().Check())
	for name, change := range map[string]func(*health.Settings){
		"alpha": func(s *health.Settings) { s.Alpha = 0 }, "worst": func(s *health.Settings) { s.Worst = s.Usual / 2 },
		"growth": func(s *health.Settings) { s.Growth = 1 }, "interval": func(s *health.Settings) { s.Interval = 0 },
		"back-off": func(s *health.Settings) { s.MaxOff = time.Second }, "mode": func(s *health.Settings) { s.Mode = 7 },
	} {
		s := health.Defaults()
		change(&s)
		require.ErrorContains(t, s.Check(), name)
	}
}

// TestWhatAPersonSwitchedOffWaitsForAPerson: probes are good all day, and the channel stays out until it is switched on; from a ramp too.
func TestWhatAPersonSwitchedOffWaitsForAPerson(t *testing.T) {
	for _, ramping := range []bool{false, true} {
		b := board(nil)
		now := noon
		pass := func(until func() bool) {
			for end := now.Add(24 * time.Hour); now.Before(end) && !until(); now = now.Add(5 * time.Second) {
				b.Observe(health.Observation{At: now, Cell: pay, Probe: true})
				moves, _ := b.Tick(now)
				for _, m := range moves {
					b.Adopt(m.Status, now)
				}
			}
		}
		if ramping {
			var m *health.Move
			for m == nil {
				m, _ = b.Observe(health.Observation{At: now, Cell: pay, Failed: true})
			}
			b.Adopt(m.Status, now)
			pass(func() bool { return b.Status(pay).State == health.Ramping })
			require.Equal(t, health.Ramping, b.Status(pay).State)
		}
		m, err := b.Switch(pay, health.SwitchedOff, b.Status(pay).Version, now, "li", "work tonight")
		require.NoError(t, err)
		b.Adopt(m.Status, now)
		pass(func() bool { return b.Status(pay).State != health.Unavailable })
		require.Equal(t, health.Unavailable, b.Status(pay).State)
		m, err = b.Switch(pay, health.SwitchedOn, m.Version, now, "li", "done")
		require.NoError(t, err)
		require.Equal(t, 1.0, m.Share)
	}
}

// TestAChannelThatComesAndGoesIsNotTriedEachTime: after the first time it must be well for longer than it was, so that payers meet it once or twice and not every minute.
func TestAChannelThatComesAndGoesIsNotTriedEachTime(t *testing.T) {
	w := newWorld(board(nil), 11)
	w.pass(3 * time.Minute)
	began := w.now
	w.fails = func(health.Cell) float64 {
		if w.now.Sub(began)/(40*time.Second)%2 == 0 {
			return 1
		}
		return 0.03
	}
	w.pass(40 * time.Minute)
	ramps := 0
	for _, m := range w.moves {
		require.NotEqual(t, health.SetNormal, m.Does)
		if m.Does == health.StartRamp {
			ramps++
		}
	}
	require.Positive(t, ramps)
	require.LessOrEqual(t, ramps, 3)
	over := w.now
	w.fails = func(health.Cell) float64 { return 0.03 }
	w.pass(10 * time.Minute)
	last := w.moves[len(w.moves)-1]
	require.Equal(t, health.SetNormal, last.Does)
	require.Less(t, last.At.Sub(over), 5*time.Minute)
}

// TestABanksFaultIsNoChannelsForPeopleEither: where people switch, a bank whose alarm stands is left out of what its channel is judged by.
func TestABanksFaultIsNoChannelsForPeopleEither(t *testing.T) {
	w := newWorld(board(func(s *health.Settings) { s.Mode = health.Manual }), 7)
	w.pass(3 * time.Minute)
	w.fails = func(c health.Cell) float64 {
		if c == icbc {
			return 0.95
		}
		return 0.03
	}
	w.pass(9 * time.Minute)
	require.Len(t, w.alarms, 1)
	require.Equal(t, icbc, w.alarms[0].Cell)
}
