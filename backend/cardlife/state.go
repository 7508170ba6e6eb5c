package cardlife

import (
	"errors"
	"fmt"
)

// Kind says what becomes of a card's value. The text is stored and is an outside contract.
type Kind string

// Kinds.
const (
	Transfer Kind = "transfer" // to another card: the old one is lost, stolen or broken
	Cash     Kind = "cash"     // to the holder, at an acquirer's desk: the card is given back
	Breakage Kind = "breakage" // to the scheme: nobody has used the card for so long that its rules end the claim
)

// State of an order. The text is stored and is an outside contract.
type State string

// States. The comment says who moves next.
const (
	Requested  State = "requested"   // the card is blocked; a second person approves, or somebody cancels
	Settling   State = "settling"    // approved; when the settling period is over and nothing of the card is open, the sweep moves
	Released   State = "released"    // the value is a paid load order, which tells the rest; nobody moves here
	WrittenOff State = "written_off" // the value is income of the scheme; nobody moves
	Empty      State = "empty"       // there was nothing left; nobody moves
	Cancelled  State = "cancelled"   // no value was moved; the card stays blocked
)

// States lists every state.
var States = []State{Requested, Settling, Released, WrittenOff, Empty, Cancelled}

// Event is what can happen to an order.
type Event string

// Events.
const (
	Approved  Event = "approved"    // by another person than asked for it
	Withdrawn Event = "withdrawn"   // by anybody, while no value has moved
	Due       Event = "due"         // value was left, and became a load order
	DueOff    Event = "due-off"     // value was left, and became income
	DueEmpty  Event = "due-nothing" // nothing was left, or less
)

// Events lists every event.
var Events = []Event{Approved, Withdrawn, Due, DueOff, DueEmpty}

// arrow is one move of an order.
type arrow struct {
	from State
	on   Event
	to   State
}

// arrows is every move there is; all others are refused. The drawing in docs/card-life.md is printed from it.
var arrows = []arrow{
	{Requested, Approved, Settling},
	{Requested, Withdrawn, Cancelled},
	{Settling, Withdrawn, Cancelled},
	{Settling, Due, Released},
	{Settling, DueOff, WrittenOff},
	{Settling, DueEmpty, Empty},
}

// ErrState says that an order's state does not allow what was asked.
var ErrState = errors.New("the order's state does not allow it")

// Next returns the state that follows s on e, or ErrState.
func Next(s State, e Event) (State, error) {
	for _, a := range arrows {
		if a.from == s && a.on == e {
			return a.to, nil
		}
	}
	return s, fmt.Errorf("order is %s, cannot be %s: %w", s, e, ErrState)
}

// Open reports that the order's value has not moved yet, and may.
func (s State) Open() bool { return s == Requested || s == Settling }
