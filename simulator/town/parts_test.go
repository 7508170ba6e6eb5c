package town

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestAgendaKeepsItsOrder: earliest first, and of one moment what was entered first, also when appointments make others.
func TestAgendaKeepsItsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct{ minute, n int }
		var a agenda
		var got []entry
		n := 0
		add := func(minute int) {
			e := entry{minute, n}
			n++
			a.add(opening.Add(time.Duration(minute)*time.Minute), func() { got = append(got, e) })
		}
		for range rapid.IntRange(0, 30).Draw(t, "appointments") {
			add(rapid.IntRange(0, 5).Draw(t, "minute"))
		}
		for {
			do, due := a.take(opening.Add(5 * time.Minute))
			if !due {
				break
			}
			do()
		}
		require.Len(t, got, n)
		require.True(t, a.next().IsZero())
		for i := 1; i < len(got); i++ {
			if got[i-1].minute == got[i].minute {
				require.Less(t, got[i-1].n, got[i].n)
			} else {
				require.Less(t, got[i-1].minute, got[i].minute)
			}
		}
	})
}

// TestLinkLosesNothingWithoutFaults: without faults each message comes once, in the order of the moments at which it is due, and
// none before.
func TestLinkLosesNothingWithoutFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), &Faults{})
		n := rapid.IntRange(0, 40).Draw(t, "messages")
		for i := range n {
			l.send(message{terminal: i}, opening)
		}
		require.Empty(t, l.arrived(opening))
		seen := map[int]bool{}
		last := opening
		for _, m := range l.arrived(opening.Add(time.Second)) {
			require.False(t, seen[m.terminal])
			require.False(t, m.due.Before(last))
			seen[m.terminal], last = true, m.due
		}
		require.Len(t, seen, n)
		require.Empty(t, l.queue)
	})
}

// TestLinkIsDownWhileModemOrBrokerIs: what is sent then is lost.
func TestLinkIsDownWhileModemOrBrokerIs(t *testing.T) {
	l := newLink(rand.New(rand.NewPCG(1, 0)), &Faults{})
	l.down[1] = opening.Add(time.Hour)
	l.send(message{terminal: 1}, opening)
	l.send(message{terminal: 2}, opening)
	require.Equal(t, 1, l.lost)
	require.True(t, l.connected(1, opening.Add(time.Hour)))
	l.broken = true
	require.False(t, l.connected(2, opening))
	l.send(message{terminal: 2}, opening)
	require.Equal(t, 2, l.lost)
	require.Len(t, l.queue, 1)
}
