package webhook

import (
	"errors"
	"fmt"
)

// State of a message to an endpoint. The text is stored and is an outside contract.
type State string

// States.
const (
	Waiting   State = "waiting"   // it will be tried (again) by itself
	Delivered State = "delivered" // the endpoint has answered 2xx
	Dead      State = "dead"      // it was tried for a day in vain: nobody moves until it is asked for
)

// States lists every state.
var States = []State{Waiting, Delivered, Dead}

// Event is what can happen to a message.
type Event string

// Events.
const (
	Answered Event = "answered"  // with 2xx
	Failed   Event = "failed"    // no answer, or another one
	GaveUp   Event = "gave-up"   // failed, and the schedule is at its end
	AskedFor Event = "asked-for" // somebody wants it sent again
)

// Events lists every event.
var Events = []Event{Answered, Failed, GaveUp, AskedFor}

// Arrow is one move of a message.
type Arrow struct {
	From State
	On   Event
	To   State
}

// arrows is every move there is; all others are refused. The drawing in docs/webhooks.md is printed from it.
var arrows = []Arrow{
	{Waiting, Answered, Delivered},
	{Waiting, Failed, Waiting},
	{Waiting, GaveUp, Dead},
	{Waiting, AskedFor, Waiting},
	{Dead, AskedFor, Waiting},
	{Delivered, AskedFor, Waiting},
}

// Arrows lists the table.
func Arrows() []Arrow { return append([]Arrow(nil), arrows...) }

// ErrState says that a message's state does not allow what was asked.
var ErrState = errors.New("the message's state does not allow it")

// Next returns the state that follows s on e, or [ErrState].
func Next(s State, e Event) (State, error) {
	for _, a := range arrows {
		if a.From == s && a.On == e {
			return a.To, nil
		}
	}
	return s, fmt.Errorf("message is %s, cannot be %s: %w", s, e, ErrState)
}
