package link

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/internal/ids"
)

var (
	testKey = []byte("0123456789abcdef0123456789abcdef")
	noon    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	line7   = [2]byte{0, 7}
	stop    = [2]byte{1, 2}
)

const window = 30 * time.Second

func cardOf(n byte) ids.CardNumber { return ids.CardNumber{0x31, 9: n} }

// lan carries datagrams between tables until none is left; drop decides by datagram.
func lan(t require.TestingT, now time.Time, tables []*Table, from int, out []Out, drop func() bool) {
	type flight struct {
		from int
		raw  Out
	}
	var queue []flight
	for _, o := range out {
		queue = append(queue, flight{from, o})
	}
	for steps := 0; len(queue) > 0; steps++ {
		require.Less(t, steps, 10_000, "the tables talk without end")
		f := queue[0]
		queue = queue[1:]
		for i, table := range tables {
			if i == f.from || drop() {
				continue
			}
			answers, err := table.Take(f.raw, now)
			require.NoError(t, err)
			for _, a := range answers {
				queue = append(queue, flight{i, a})
			}
		}
	}
}

func never() bool { return false }

func pair() []*Table {
	return []*Table{NewTable(testKey, "door-front", 1, window), NewTable(testKey, "door-rear", 2, window)}
}

func TestATapIsSeenAtTheOtherDoor(t *testing.T) {
	d := pair()
	for i := range d {
		lan(t, noon, d, i, d[i].Tick(noon), never)
	}
	lan(t, noon, d, 0, d[0].Note(cardOf(1), line7, stop, true, noon), never)
	s, found := d[1].Recent(cardOf(1), line7, noon.Add(10*time.Second))
	require.True(t, found)
	require.Equal(t, Seen{Terminal: "door-front", Line: line7, Station: stop, Granted: true, At: noon}, Seen{s.Terminal, s.Line, s.Station, s.Granted, s.At.UTC()})
	for name, ask := range map[string]func() bool{
		"another card":     func() bool { _, ok := d[1].Recent(cardOf(2), line7, noon); return ok },
		"another line":     func() bool { _, ok := d[1].Recent(cardOf(1), [2]byte{0, 8}, noon); return ok },
		"after the window": func() bool { _, ok := d[1].Recent(cardOf(1), line7, noon.Add(window+time.Second)); return ok },
		"one's own":        func() bool { _, ok := d[0].Recent(cardOf(1), line7, noon); return ok },
	} {
		require.False(t, ask(), name)
	}
	lan(t, noon, d, 0, d[0].Note(cardOf(3), line7, stop, false, noon), never)
	_, found = d[1].Recent(cardOf(3), line7, noon)
	require.False(t, found, "an outcome that is not known pays for nothing")
	require.Zero(t, d[0].Peers(noon)[0].Untold)
}

func TestALateStarterLearnsTheWindow(t *testing.T) {
	d := pair()
	d[0].Note(cardOf(1), line7, stop, true, noon)
	later := noon.Add(10 * time.Second)
	lan(t, later, d, 1, d[1].Tick(later), never) // the rear door has just been switched on
	lan(t, later, d, 0, d[0].Tick(later), never)
	_, found := d[1].Recent(cardOf(1), line7, later)
	require.True(t, found)
	// It restarts, and is told again.
	d[1] = NewTable(testKey, "door-rear", 3, window)
	later = later.Add(time.Second)
	lan(t, later, d, 1, d[1].Tick(later), never)
	lan(t, later, d, 0, d[0].Tick(later), never)
	_, found = d[1].Recent(cardOf(1), line7, later)
	require.True(t, found)
}

func TestALinkThatIsDown(t *testing.T) {
	d := pair()
	for i := range d {
		lan(t, noon, d, i, d[i].Tick(noon), never)
	}
	require.True(t, d[0].Peers(noon)[0].Up)
	down := noon.Add(20 * time.Second)
	require.False(t, d[0].Peers(down)[0].Up)
	d[0].Note(cardOf(1), line7, stop, true, down)
	require.Equal(t, 1, d[0].Peers(down)[0].Untold)
	for i := range 100 { // it does not shout into the dark
		require.LessOrEqual(t, len(d[0].Tick(down.Add(time.Duration(i)*time.Millisecond))), 1)
	}
	up := down.Add(5 * time.Second)
	lan(t, up, d, 1, d[1].Tick(up), never)
	_, found := d[1].Recent(cardOf(1), line7, up)
	require.True(t, found, "told as soon as it is heard again")
}

func TestForgeryAndReplay(t *testing.T) {
	d := pair()
	evil := NewTable([]byte("another key"), "door-front", 9, window)
	for _, o := range evil.Note(cardOf(1), line7, stop, true, noon) {
		_, err := d[1].Take(o, noon)
		require.ErrorIs(t, err, ErrForged)
	}
	lan(t, noon, d, 1, d[1].Tick(noon), never)
	out := d[0].Note(cardOf(1), line7, stop, true, noon)
	for _, o := range out {
		require.NotContains(t, string(o), string(cardOf(1).Reveal()))
		for i := range o {
			bad := slices.Clone(o)
			bad[i] ^= 1
			_, err := d[1].Take(bad, noon)
			require.Error(t, err)
		}
	}
	_, found := d[1].Recent(cardOf(1), line7, noon)
	require.False(t, found)
	lan(t, noon, d, 0, out, never)
	// The next day somebody plays it back.
	tomorrow := noon.Add(24 * time.Hour)
	for _, o := range out {
		_, err := d[1].Take(o, tomorrow)
		require.ErrorContains(t, err, "replay")
	}
	// A second terminal of the same name is a fault of the configuration.
	twin := NewTable(testKey, "door-rear", 77, window)
	_, err := d[1].Take(twin.Tick(noon)[0], noon)
	require.ErrorContains(t, err, "another terminal calls itself door-rear")
}

func TestManyTapsAndManyPeers(t *testing.T) {
	d := []*Table{NewTable(testKey, "gate-1", 1, window), NewTable(testKey, "gate-2", 2, window), NewTable(testKey, "gate-3", 3, window)}
	for i := range d {
		lan(t, noon, d, i, d[i].Tick(noon), never)
	}
	for n := range 200 {
		d[0].own = append(d[0].own, entry{number: d[0].next, card: TokenOf(testKey, cardOf(byte(n))), line: line7, granted: true, at: noon})
		d[0].next++
	}
	now := noon.Add(3 * time.Second)
	for _, o := range d[0].Tick(now) {
		require.Less(t, len(o), 1400, "one datagram is one packet")
	}
	now = now.Add(5 * time.Second)
	for i := range d {
		lan(t, now, d, i, d[i].Tick(now), never)
	}
	for _, i := range []int{1, 2} {
		for n := range 200 {
			_, found := d[i].Recent(cardOf(byte(n)), line7, now)
			require.True(t, found, "gate %d, card %d", i+1, n)
		}
	}
	require.Zero(t, d[0].Peers(now)[0].Untold)
	later := now.Add(window + time.Second)
	d[1].Tick(later)
	require.Empty(t, d[1].seen)
	require.Zero(t, d[1].kept)
	for i := range 40 {
		_, _ = d[0].Take(NewTable(testKey, ids.TerminalID("x-"+string(rune('a'+i%26))+string(rune('a'+i/26))), uint64(100+i), window).Tick(later)[0], later)
	}
	require.LessOrEqual(t, len(d[0].peers), maxPeers)
}

// TestWhateverIsLostEverybodyLearns loses datagrams at random for a while and none afterwards: then every tap within the window is known everywhere.
func TestWhateverIsLostEverybodyLearns(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := []ids.TerminalID{"a", "b", "c"}
		var d []*Table
		for i, n := range names {
			d = append(d, NewTable(testKey, n, uint64(i+1), window))
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		lossy := func() bool { return rng.IntN(100) < 60 }
		now := noon
		boot := uint64(10)
		type told struct {
			at   time.Time
			who  int
			card byte
		}
		var taps []told
		for n := range rapid.IntRange(1, 40).Draw(r, "steps") {
			now = now.Add(time.Duration(rng.IntN(400)) * time.Millisecond)
			who := rng.IntN(len(d))
			if rng.IntN(15) == 0 { // a restart forgets its own taps too
				boot++
				d[who] = NewTable(testKey, names[who], boot, window)
				taps = slices.DeleteFunc(taps, func(x told) bool { return x.who == who })
			}
			lan(r, now, d, who, d[who].Note(cardOf(byte(n)), line7, stop, true, now), lossy)
			taps = append(taps, told{now, who, byte(n)})
			for i := range d {
				lan(r, now, d, i, d[i].Tick(now), lossy)
			}
		}
		for range 20 { // the faults have stopped
			now = now.Add(500 * time.Millisecond)
			for i := range d {
				lan(r, now, d, i, d[i].Tick(now), never)
			}
		}
		for _, x := range taps {
			if now.Sub(x.at) > window {
				continue
			}
			for i := range d {
				if i == x.who {
					continue
				}
				if _, found := d[i].Recent(cardOf(x.card), line7, now); !found {
					r.Fatalf("%s does not know of card %d at %s", names[i], x.card, names[x.who])
				}
			}
		}
	})
}

func FuzzTake(f *testing.F) {
	a := NewTable(testKey, "door-front", 1, window)
	for _, o := range append(a.Note(cardOf(1), line7, stop, true, noon), a.Tick(noon.Add(time.Minute))...) {
		f.Add([]byte(o[:len(o)-macSize]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// With a good MAC, so that what stands behind it is reached: a linked terminal may be of another version, or broken.
		b := NewTable(testKey, "door-rear", 2, window)
		answers, err := b.Take(append(slices.Clone(body), macOf(testKey, body)...), noon)
		if err != nil {
			require.Empty(t, answers)
			require.Empty(t, b.seen)
		}
		m, err := parse(testKey, append(slices.Clone(body), macOf(testKey, body)...))
		if err == nil {
			require.Equal(t, body, m.bytes(testKey)[:len(body)], "read and written, it is the same")
		}
	})
}
