package app

import (
	"errors"
	"fmt"
)

// State of an app. The text is stored and is an outside contract.
type State string

// States. The comment says who moves next.
const (
	Applied  State = "applied"  // papers are looked at; two officers
	Approved State = "approved" // keys and terms are tried; two officers
	Active   State = "active"   // it may transact
	Frozen   State = "frozen"   // it may not for now; two officers
	Closed   State = "closed"   // it may never again; nobody moves
)

// States lists every state.
var States = []State{Applied, Approved, Active, Frozen, Closed}

// Event is what can happen to an app.
type Event string

// Events that move an app.
const (
	Approve  Event = "approve"
	Activate Event = "activate"
	Freeze   Event = "freeze" // by one person, at once
	Close    Event = "close"
)

// Events lists every event that moves an app.
var Events = []Event{Approve, Activate, Freeze, Close}

// Arrow is one move of an app.
type Arrow struct {
	From State
	On   Event
	To   State
}

// arrows is every move there is; all others are refused. The drawing in docs/gateway-apps.md is printed from it.
var arrows = []Arrow{
	{Applied, Approve, Approved},
	{Applied, Close, Closed},
	{Approved, Activate, Active},
	{Approved, Close, Closed},
	{Active, Freeze, Frozen},
	{Active, Close, Closed},
	{Frozen, Activate, Active},
	{Frozen, Close, Closed},
}

// Arrows lists the table.
func Arrows() []Arrow { return append([]Arrow(nil), arrows...) }

// ErrState says that an app's state does not allow what was asked.
var ErrState = errors.New("the app's state does not allow it")

// Next returns the state that follows s on e, or [ErrState].
func Next(s State, e Event) (State, error) {
	for _, a := range arrows {
		if a.From == s && a.On == e {
			return a.To, nil
		}
	}
	return s, fmt.Errorf("app is %s, cannot %s: %w", s, e, ErrState)
}
