package session

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// begins is where a kiosk may begin: with nobody there, or with the rider of a sale that it finds on its disk.
var begins = []State{Idle, Checking, Hold, Done}

func reach(from []State, follow func(arrow) (State, State)) map[State]bool {
	seen := map[State]bool{}
	for _, s := range from {
		seen[s] = true
	}
	for again := true; again; {
		again = false
		for _, a := range arrows {
			if x, y := follow(a); seen[x] && !seen[y] {
				seen[y], again = true, true
			}
		}
	}
	return seen
}

func TestEveryStateIsMetAndLeft(t *testing.T) {
	met := reach(begins, func(a arrow) (State, State) { return a.from, a.to })
	left := reach([]State{Idle}, func(a arrow) (State, State) { return a.to, a.from })
	for _, s := range States() {
		require.True(t, met[s], "%s is never met", s)
		require.True(t, left[s], "from %s no rider leaves the kiosk to the next", s)
	}
	for i, a := range arrows {
		require.Contains(t, places, a.from)
		require.Contains(t, places, a.to)
		for _, b := range arrows[:i] {
			require.False(t, a.from == b.from && a.on == b.on, "%s in %s leads to two states", a.on, a.from)
		}
	}
}

// TestNobodyIsLeftStanding: a rider who walks away leaves every state that waits for one.
func TestNobodyIsLeftStanding(t *testing.T) {
	machine := []State{Idle, NoReader, Reading, Ordering, Loading} // these wait for the card, the reader or the backend, which answer in time or not at all
	for _, s := range States() {
		if _, err := Next(s, TimeOut); err != nil {
			require.Contains(t, machine, s)
		}
	}
}

// TestMoneyIsNeverForgotten: where money came, or may have come, a session ends only on a screen that says where it is; and what says that nothing was taken
// follows on the backend's word alone.
func TestMoneyIsNeverForgotten(t *testing.T) {
	ours := []Money{Asked, InOrder, Moving, Back, Yours}
	notices := []State{Unsure, Kept, RefundLater} // which say so, and whose sale stays on the disk
	word := []Event{ClosedHeard, RefusedHeard}
	for _, a := range arrows {
		if !slices.Contains(ours, places[a.from]) || slices.Contains(notices, a.from) {
			continue
		}
		require.NotEqual(t, Idle, a.to, "%s in %s", a.on, a.from)
		if places[a.to] == None {
			require.Contains(t, word, a.on, "in %s", a.from)
			require.Contains(t, []Money{Asked, Yours}, places[a.from], "%s: the money had come", a.from)
		}
	}
}

func TestWhatTheTableDoesNotKnow(t *testing.T) {
	_, err := Next(Idle, PaidHeard)
	require.ErrorContains(t, err, "paid in state idle")
	require.Equal(t, []Event{CancelAsked}, Choices(QR))
	require.Empty(t, Choices(Loading), "nothing interrupts a load")
}

func TestALoadOnItsWaySaysSo(t *testing.T) {
	require.Equal(t, InOrder, moneyOf(Kept, false))
	require.Equal(t, Moving, moneyOf(Kept, true))
	require.Equal(t, None, moneyOf(Idle, true))
}

// TestThePageDrawsTheTable keeps docs/kiosk.md equal to the code.
func TestThePageDrawsTheTable(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/kiosk.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(raw), "```mermaid\nstateDiagram-v2\n")
	require.True(t, found)
	drawn, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	require.Equal(t, Drawing(), drawn)
	for _, s := range States() {
		require.Contains(t, string(raw), fmt.Sprintf("| `%s` | %s |", s, places[s]), "the table of screens")
	}
}

// Drawing is the table as docs/kiosk.md draws it: a line for each pair of states, with all that leads from the one to the other.
func Drawing() string {
	var b strings.Builder
	name := func(s State) string { return strings.ReplaceAll(string(s), "-", "_") }
	done := map[[2]State]bool{}
	for _, a := range arrows {
		pair := [2]State{a.from, a.to}
		if done[pair] {
			continue
		}
		done[pair] = true
		var on []string
		for _, x := range arrows {
			if x.from == a.from && x.to == a.to {
				on = append(on, string(x.on))
			}
		}
		fmt.Fprintf(&b, "  %s --> %s: %s\n", name(a.from), name(a.to), strings.Join(on, ", "))
	}
	return b.String()
}
