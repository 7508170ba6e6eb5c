package tcc

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The model is a coordinator and three participants that follow exactly the two tables of this package, and a network that delivers what was sent
// in any order, any number of times, or never. A crash is what comes for nothing: all that is remembered is what the state holds, and a message
// may have been sent by a coordinator that died before it wrote anything down. Every state that can be reached is looked at.

const parts = 3

type message struct {
	op  Op
	leg int
}

// world is one state. Sent messages and answers are sets, because delivering does not use them up.
type world struct {
	state    State
	done     [parts]bool // as the coordinator has written it
	branch   [parts]Branch
	held     [parts]int // reserved by the participant: the value itself, beside the memory of it
	taken    [parts]int
	sent     [3][parts]bool
	answered [3][parts]bool // the participant has done it
	no       [parts]bool    // the participant has refused the try
}

func start() world { return world{state: Reserving} }

// steps are all worlds that may come next. bug plants a mistake.
func (w world) steps(bug string) (out []world) {
	// The coordinator, or another one beside it, sends.
	if op, more := w.state.Op(); more {
		for i := range parts {
			n := w
			n.sent[op][i] = true
			out = append(out, n)
		}
	}
	// The coordinator hears an answer, and moves.
	if op, more := w.state.Op(); more {
		for i := range parts {
			if w.answered[op][i] && !w.done[i] {
				n := w
				n.done[i] = true
				out = append(out, n)
			}
			if op == Try && w.no[i] {
				out = append(out, w.move(OneRefused))
			}
		}
		if w.done == [parts]bool{true, true, true} {
			out = append(out, w.move(AllDone))
		}
		if w.state == Reserving {
			out = append(out, w.move(TimeIsUp))
		}
		if bug == "time is up while taking" && w.state == Taking {
			n := w
			n.state, n.done = GivingUp, [parts]bool{}
			out = append(out, n)
		}
	}
	// A participant gets a message.
	for _, op := range []Op{Try, Confirm, Cancel} {
		for i := range parts {
			if w.sent[op][i] {
				out = append(out, w.deliver(op, i, false, bug))
				if op == Try && Decide(w.branch[i], op) == Act {
					out = append(out, w.deliver(op, i, true, bug))
				}
			}
		}
	}
	return out
}

func (w world) move(n News) world {
	if to, moves := w.state.Next(n); moves {
		w.state, w.done = to, [parts]bool{}
	}
	return w
}

func (w world) deliver(op Op, i int, refuse bool, bug string) world {
	duty := Decide(w.branch[i], op)
	switch {
	case bug == "try after cancel" && op == Try && w.branch[i] == Cancelled:
		duty = Act
	case bug == "cancel of nothing is not remembered" && duty == Empty:
		w.answered[op][i] = true
		return w
	case bug == "confirm is not remembered" && op == Confirm && w.branch[i] == Confirmed:
		duty = Act
	}
	switch duty {
	case Act:
		switch {
		case op == Try && refuse:
			w.branch[i], w.no[i] = Refused, true
			return w
		case op == Try:
			w.branch[i], w.held[i] = Tried, w.held[i]+1
		case op == Confirm:
			w.branch[i], w.held[i], w.taken[i] = Confirmed, w.held[i]-1, w.taken[i]+1
		case op == Cancel:
			w.branch[i], w.held[i] = Cancelled, w.held[i]-1
		}
	case Empty:
		w.branch[i] = Cancelled
	case Never:
		w.no[i] = true
		return w
	case Absurd:
		w.branch[i] = "absurd"
		return w
	}
	w.answered[op][i] = true
	return w
}

// wrong is what must not be in any world.
func (w world) wrong() string {
	takenBy := 0
	for i := range parts {
		takenBy += w.taken[i]
		switch {
		case w.branch[i] == "absurd":
			return "a participant was told what cannot be"
		case w.taken[i] > 1 || w.held[i] < 0 || w.held[i] > 1:
			return "something was taken or held twice, or given up without being held"
		}
	}
	switch {
	case w.state == Paid && takenBy != parts:
		return "paid, and not everybody has taken"
	case (w.state == CalledOff || w.state == GivingUp) && takenBy != 0:
		return "called off, and somebody has taken"
	case w.state == Reserving && takenBy != 0:
		return "taken before everybody had reserved"
	case w.state.Final() && w.held != [parts]int{}:
		return "it has ended, and something is still held"
	}
	return ""
}

// explore looks at every world that can be reached. It is the first wrong one, or how many there are, and those that end.
func explore(bug string) (worlds int, ends map[State]int, wrong string) {
	seen := map[world]bool{start(): true}
	queue := []world{start()}
	ends = map[State]int{}
	for len(queue) > 0 {
		w := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if why := w.wrong(); why != "" {
			return len(seen), ends, fmt.Sprintf("%s: %+v", why, w)
		}
		if w.state.Final() {
			ends[w.state]++
		}
		for _, n := range w.steps(bug) {
			if !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
	return len(seen), ends, ""
}

func TestEveryOrderOfMessagesEndsAllOrNothing(t *testing.T) {
	worlds, ends, wrong := explore("")
	require.Empty(t, wrong)
	require.Greater(t, worlds, 5_000, "the model has lost its network")
	require.NotZero(t, ends[Paid])
	require.NotZero(t, ends[CalledOff])
	t.Logf("%d worlds, of which %d are paid and %d called off", worlds, ends[Paid], ends[CalledOff])
}

// TestFromEveryWorldItCanStillEnd: nothing hangs for ever. Wherever it is, a network that delivers what is sent now brings it to its end.
func TestFromEveryWorldItCanStillEnd(t *testing.T) {
	seen := map[world]bool{start(): true}
	queue := []world{start()}
	for len(queue) > 0 {
		w := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		end := w
		for range 4 {
			op, more := end.state.Op()
			if !more {
				break
			}
			for i := range parts {
				end.sent[op][i] = true
				end = end.deliver(op, i, false, "")
				end.done[i] = end.answered[op][i]
			}
			switch {
			case end.done == [parts]bool{true, true, true}:
				end = end.move(AllDone)
			case end.state == Reserving:
				end = end.move(OneRefused)
			}
		}
		require.True(t, end.state.Final(), "%+v", w)
		require.Empty(t, end.wrong())
		for _, n := range w.steps("") {
			if !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
}

func TestTheModelSeesMistakes(t *testing.T) {
	for _, bug := range []string{"try after cancel", "cancel of nothing is not remembered", "confirm is not remembered", "time is up while taking"} {
		_, _, wrong := explore(bug)
		require.NotEmpty(t, wrong, bug)
	}
}

func TestWhatAParticipantDoes(t *testing.T) {
	require.Equal(t, Never, Decide(Cancelled, Try), "suspension: what was cancelled first must not be reserved later")
	require.Equal(t, Empty, Decide(Unheard, Cancel), "empty roll-back")
	require.Equal(t, Same, Decide(Confirmed, Confirm))
	require.Equal(t, Same, Decide(Cancelled, Cancel))
	require.Equal(t, Absurd, Decide(Confirmed, Cancel))
	require.Equal(t, Absurd, Decide("something else", Try))
}
