package timekeeper

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/uplink/wire"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	good     = wire.ClockState_CLOCK_GOOD
	holdover = wire.ClockState_CLOCK_HOLDOVER
	bad      = wire.ClockState_CLOCK_BAD
)

// says is what a source says at that moment of the stopwatch: it is wrong by off, and the stopwatch is right.
func says(s Source, elapsed, off, bound time.Duration) Reading {
	return Reading{Source: s, At: noon.Add(elapsed + off), Bound: bound, Elapsed: elapsed}
}

// TestWhatIsBelieved is the judge's table: what sources say one after the other, and what follows a second after the last.
func TestWhatIsBelieved(t *testing.T) {
	const s, h = time.Second, time.Hour
	for _, c := range []struct {
		name     string
		says     []Reading
		by       Source
		off      time.Duration // of what is given
		state    wire.ClockState
		suspects []Source
	}{
		{name: "nobody says anything", by: Nobody, state: bad},
		{name: "the time service", says: []Reading{says(Kernel, s, 0, s)}, by: Kernel, state: good},
		{name: "a time service that is not exact", says: []Reading{says(Kernel, s, 0, 5*s)}, by: Kernel, state: holdover},
		{name: "one that may be anywhere", says: []Reading{says(Kernel, s, 0, h)}, by: Kernel, state: bad},
		{name: "one without a bound", says: []Reading{says(Kernel, s, 0, MaxBound)}, by: Nobody, state: bad, suspects: []Source{Kernel}},
		{name: "before this program was made", says: []Reading{says(Kernel, s, -40*365*24*h, s)}, by: Nobody, state: bad, suspects: []Source{Kernel}},
		{name: "the more exact one of two that agree", says: []Reading{says(Backend, s, s, 3*s), says(Kernel, 2*s, 0, s)}, by: Kernel, state: good},
		{name: "the less exact one changes nothing", says: []Reading{says(Kernel, s, 0, s), says(Backend, 2*s, s, 3*s)}, by: Kernel, state: good},
		{name: "a small step by the only source", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, 30*s, s/10)}, by: Kernel, off: 30 * s, state: good},
		{name: "a large step by the only source", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, 120*s, s/10)}, by: Kernel, state: holdover, suspects: []Source{Kernel}},
		{name: "a very large step by the only source", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, h, s/10)}, by: Kernel, state: bad, suspects: []Source{Kernel}},
		{name: "it takes the step back", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, h, s/10), says(Kernel, 3*s, 0, s/10)}, by: Kernel, state: good},
		{name: "a second source agrees with the step", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, h, s/10), says(Backend, 3*s, h, s)},
			by: Kernel, off: h, state: good},
		{name: "a second source does not", says: []Reading{says(Kernel, s, 0, s/10), says(Kernel, 2*s, h, s/10), says(Backend, 3*s, 0, s)},
			by: Backend, state: bad, suspects: []Source{Kernel}},
		{name: "two against one", says: []Reading{says(LastKnown, s, 0, s), says(Backend, 2*s, 0, s), says(Kernel, 3*s, h, s/10)}, by: Backend, state: good, suspects: []Source{Kernel}},
		{name: "two strong ones contradict a little", says: []Reading{says(Kernel, s, 0, s/10), says(Backend, 2*s, 5*s, s)}, by: Kernel, state: holdover, suspects: []Source{Backend}},
		{name: "what was last known was a little off", says: []Reading{says(LastKnown, s, 0, s), says(Kernel, 2*s, 20*s, s/10)}, by: Kernel, off: 20 * s, state: good, suspects: []Source{LastKnown}},
		{name: "what was last known was far off, by one word", says: []Reading{says(LastKnown, s, 0, s), says(Kernel, 2*s, h, s/10)}, by: LastKnown, state: bad, suspects: []Source{Kernel}},
		{name: "and by two", says: []Reading{says(LastKnown, s, 0, s), says(Kernel, 2*s, h, s/10), says(Backend, 3*s, h, s)},
			by: Kernel, off: h, state: good, suspects: []Source{LastKnown}},
		{name: "an unkept clock goes off", says: []Reading{says(Backend, s, 0, s), says(Machine, 2*s, h, 2*s)}, by: Backend, state: good, suspects: []Source{Machine}},
		{name: "an unkept clock, by the operator's word", says: []Reading{says(Machine, s, 0, 5*s)}, by: Machine, state: holdover},
		{name: "an unkept clock is set by hand", says: []Reading{says(Machine, s, 0, 5*s), says(Machine, 2*s, h, 5*s)}, by: Machine, state: bad, suspects: []Source{Machine}},
		{name: "weak ones do not outweigh strong ones", says: []Reading{says(LastKnown, s, h, s), says(Machine, 2*s, h, 5*s), says(Kernel, 3*s, 0, s/10), says(Backend, 4*s, 0, s)},
			by: Kernel, off: h, state: bad, suspects: []Source{LastKnown, Machine}}, // slewing: it was given an hour ahead
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJudge(Settings{})
			at := time.Second
			var g Time
			for _, r := range c.says {
				j.hear(r)
				at = r.Elapsed
				g = j.give(at, noon)
			}
			at += time.Second
			g = j.give(at, noon)
			require.Equal(t, c.by, g.By, "%v", g)
			require.Equal(t, c.state, g.State, "%v", g)
			var suspects []Source
			for _, s := range sources {
				if g.Suspects[s] != "" {
					suspects = append(suspects, s)
				}
			}
			require.Equal(t, c.suspects, suspects, "%v", g)
			if c.by == Nobody {
				require.Equal(t, MaxBound, g.Bound)
				at = 0 // the machine's clock of this test stands still
			}
			require.WithinDuration(t, noon.Add(at+c.off), g.At, time.Second, "%v", g)
		})
	}
}

// TestItNeverGoesBack: it runs at half speed until what is believed has come up, and says how far ahead it is.
func TestItNeverGoesBack(t *testing.T) {
	const s = time.Second
	j := newJudge(Settings{})
	j.hear(says(Kernel, 0, 0, s/10))
	require.Equal(t, noon.Add(10*s), j.give(10*s, noon).At)
	j.hear(says(Kernel, 10*s, -20*s, s/10))
	require.Equal(t, noon.Add(10*s), j.give(10*s, noon).At, "it holds")
	g := j.give(20*s, noon)
	require.Equal(t, noon.Add(15*s), g.At, "it runs at half speed")
	require.Equal(t, 15*s, g.Slewed)
	require.Equal(t, holdover, g.State, "the bound holds what it is ahead by")
	require.GreaterOrEqual(t, g.Bound, 15*s)
	g = j.give(60*s, noon)
	require.Equal(t, noon.Add(40*s), g.At, "and has come up")
	require.Zero(t, g.Slewed)
	require.Equal(t, good, g.State)

	j.notBefore(noon.Add(100 * s))
	g = j.give(61*s, noon)
	require.Equal(t, noon.Add(100*s), g.At, "never below the newest record")
	require.Equal(t, 59*s, g.Slewed)
	require.Equal(t, holdover, g.State)
}

// TestNobodysClockIsGivenAsBad follows the machine's clock, but not back.
func TestNobodysClockIsGivenAsBad(t *testing.T) {
	j := newJudge(Settings{})
	require.Equal(t, noon, j.give(0, noon).At)
	require.Equal(t, noon.Add(time.Hour), j.give(time.Second, noon.Add(time.Hour)).At)
	g := j.give(3*time.Second, noon)
	require.Equal(t, noon.Add(time.Hour+time.Second), g.At, "it was set back")
	require.Equal(t, bad, g.State)
}

// TestABoundGrowsUntilTheClockIsBad is a terminal that was told the time once.
func TestABoundGrowsUntilTheClockIsBad(t *testing.T) {
	j := newJudge(Settings{DriftPPM: 50})
	j.hear(says(Backend, 0, 0, time.Second))
	for _, c := range []struct {
		after time.Duration
		state wire.ClockState
	}{{time.Hour, good}, {5 * time.Hour, good}, {6 * time.Hour, holdover}, {100 * 24 * time.Hour, holdover}, {150 * 24 * time.Hour, bad}} {
		g := j.give(c.after, noon)
		require.Equal(t, c.state, g.State, "after %v: %v", c.after, g)
	}
}

// world is a true time and a stopwatch that goes wrong by as much as it may.
type world struct {
	true    time.Time
	elapsed time.Duration
}

func (w *world) pass(t *rapid.T, ppm int) {
	passed := time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "passed"))
	wrong := rapid.IntRange(-ppm, ppm).Draw(t, "wrong")
	w.true = w.true.Add(passed)
	w.elapsed += passed + time.Duration(float64(passed)*float64(wrong)/1e6)
}

// TestTheBoundHoldsTheTruth: whoever speaks in whatever order, with whatever exactness, as long as each tells the truth about how exact it
// is. The time given never goes back, is never below the newest record, and is as good as it is said to be.
func TestTheBoundHoldsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := Settings{DriftPPM: rapid.IntRange(0, 500).Draw(t, "ppm")}.filled()
		j := newJudge(set)
		w := world{true: noon}
		var last time.Time
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.pass(t, set.DriftPPM)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				bound := time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "bound"))
				off := time.Duration(rapid.Int64Range(-int64(bound), int64(bound)).Draw(t, "off"))
				j.hear(Reading{Source: rapid.SampledFrom(sources).Draw(t, "source"), At: w.true.Add(off), Bound: bound, Elapsed: w.elapsed})
			case 3:
				j.withdraw(rapid.SampledFrom(sources).Draw(t, "source"), w.elapsed)
			case 4: // another reader's record, or one of before: its time was given, so it is about now at most
				j.notBefore(w.true.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "old"))))
			}
			machine := w.true.Add(time.Duration(rapid.Int64Range(-int64(24*time.Hour), int64(24*time.Hour)).Draw(t, "machine")))
			g := j.give(w.elapsed, machine)
			require.False(t, g.At.Before(last), "it went back")
			require.False(t, g.At.Before(j.floor), "it is below the newest record")
			last = g.At
			checkState(t, set, w.true, g)
			if j.told {
				require.Empty(t, g.Suspects, "all told the truth")
			}
		}
	})
}

// checkState is what a state promises.
func checkState(t *rapid.T, set Settings, truth time.Time, g Time) {
	off := g.At.Sub(truth).Abs()
	switch g.State {
	case good:
		require.LessOrEqual(t, g.Bound, set.Good)
	case holdover:
		require.LessOrEqual(t, g.Bound, set.Holdover)
	}
	if g.By != Nobody {
		require.LessOrEqual(t, off, g.Bound, "%v, by %v", g.At, g.By)
	}
}

// TestOneLiarIsNotBelievedAgainstTwo: two sources tell the truth, and a third says what it likes whenever it likes, once the two have
// spoken. Nobody follows it, and whatever is said to be good is right.
func TestOneLiarIsNotBelievedAgainstTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := Settings{}.filled()
		j := newJudge(set)
		w := world{true: noon}
		liar := rapid.SampledFrom([]Source{Kernel, Backend, Machine}).Draw(t, "liar")
		var honest []Source
		for _, s := range []Source{Kernel, Backend, LastKnown} {
			if s != liar && len(honest) < 2 {
				honest = append(honest, s)
			}
		}
		var last time.Time
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			w.pass(t, set.DriftPPM)
			for _, s := range honest {
				j.hear(Reading{Source: s, At: w.true, Bound: time.Second, Elapsed: w.elapsed})
			}
			lie := time.Duration(rapid.Int64Range(int64(5*time.Minute), int64(1000*time.Hour)).Draw(t, "lie"))
			if rapid.Bool().Draw(t, "back") {
				lie = -lie
			}
			j.hear(Reading{Source: liar, At: w.true.Add(lie), Bound: time.Second, Elapsed: w.elapsed})
			g := j.give(w.elapsed, w.true)
			require.NotEqual(t, liar, g.By)
			require.Contains(t, g.Suspects, liar)
			require.Equal(t, good, g.State)
			require.False(t, g.At.Before(last))
			last = g.At
			checkState(t, set, w.true, g)
		}
	})
}

// TestAContradictionIsNeverGood: of two that contradict, one is right, whichever: the bound holds it.
func TestAContradictionIsNeverGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := Settings{}.filled()
		j := newJudge(set)
		first, second := Kernel, Backend
		if rapid.Bool().Draw(t, "other") {
			first, second = second, first
		}
		off := time.Duration(rapid.Int64Range(int64(3*time.Second), int64(40*24*time.Hour)).Draw(t, "off"))
		if rapid.Bool().Draw(t, "back") {
			off = -off
		}
		j.hear(Reading{Source: first, At: noon, Bound: time.Second, Elapsed: 0})
		j.hear(Reading{Source: second, At: noon.Add(off), Bound: time.Second, Elapsed: 0})
		g := j.give(0, noon)
		require.NotEqual(t, good, g.State)
		for _, truth := range []time.Time{noon, noon.Add(off)} {
			checkState(t, set, truth, g)
		}
	})
}
