package topup

import (
	"errors"
	"fmt"
)

// State of a load order. The text is stored and is part of the API.
type State string

// States. The comment says who moves next.
const (
	Paid       State = "paid"        // the agent has the money; the rider presents a card, or asks for the money back
	InProgress State = "in_progress" // MAC2 has left; the card moves next
	Uncertain  State = "uncertain"   // MAC2 has left and no answer is known; the same card, or a record of it, moves next
	Loaded     State = "loaded"      // on the card; nobody moves
	Refunded   State = "refunded"    // the agent gave the money back; nobody moves
)

// States lists every state.
var States = []State{Paid, InProgress, Uncertain, Loaded, Refunded}

// Event is what can happen to an order.
type Event string

// Events.
const (
	Authorised Event = "authorised" // MAC1 verified, MAC2 made
	Doubted    Event = "doubted"    // no answer came, a wrong one came, or none came for too long
	Proved     Event = "proved"     // the card's TAC, its later online counter, or a later record of it shows the credit
	Disproved  Event = "disproved"  // the card has shown afresh that it was not credited, and the session is dead
	GivenBack  Event = "given-back" // the agent returned the money
)

// Events lists every event.
var Events = []Event{Authorised, Doubted, Proved, Disproved, GivenBack}

// arrow is one move of an order.
type arrow struct {
	from State
	on   Event
	to   State
}

// arrows is every move there is; all others are refused. The drawing in docs/topup.md is printed from it.
var arrows = []arrow{
	{Paid, Authorised, InProgress},
	{Paid, GivenBack, Refunded},
	{InProgress, Authorised, InProgress}, // a new session of the same card at the same counter: the old one is dead
	{InProgress, Proved, Loaded},
	{InProgress, Doubted, Uncertain},
	{InProgress, Disproved, Paid},
	{Uncertain, Authorised, InProgress}, // as above: the card shows that the counter has not moved
	{Uncertain, Proved, Loaded},
	{Uncertain, Disproved, Paid},
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

// Open reports that money of the order is on its way to a card.
func (s State) Open() bool { return s == InProgress || s == Uncertain }
