package cases

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/shadowaccount"
)

// Kind says why there is a case. The text is stored and is an outside contract.
type Kind string

// Kinds.
const (
	Rejected Kind = "rejected" // its proof does not verify
	Suspect  Kind = "suspect"  // it is proved, and another tap has its slot
	Aged     Kind = "aged"     // nobody knows its outcome, and nothing has told for long
	Claimed  Kind = "claimed"  // somebody claims it, or objects to what was decided
	Expired  Kind = "expired"  // it stands, and came too late to be paid for
	Goodwill Kind = "goodwill" // it stands, and its holder wants it back
)

// Kinds lists every kind.
var Kinds = []Kind{Rejected, Suspect, Aged, Claimed, Expired, Goodwill}

// kindOf is the kind of a case that opens by itself.
func kindOf(s shadowaccount.Status) (Kind, error) {
	switch s {
	case shadowaccount.BadTAC:
		return Rejected, nil
	case shadowaccount.Clone:
		return Suspect, nil
	case shadowaccount.Open:
		return Aged, nil
	}
	return "", fmt.Errorf("cases: a tap that is %v opens no case", s)
}

// State of a case. The text is stored and is an outside contract.
type State string

// States. The comment says who moves next.
const (
	Open      State = "open"      // an officer proposes what to do
	Proposed  State = "proposed"  // another officer approves or refuses
	Decided   State = "decided"   // the books say so; nobody moves
	Withdrawn State = "withdrawn" // it is left as it is; nobody moves
	Moot      State = "moot"      // the tap has decided itself; nobody moves, and a new case may open if that changes
)

// States lists every state.
var States = []State{Open, Proposed, Decided, Withdrawn, Moot}

// Event is what can happen to a case.
type Event string

// Events.
const (
	Made     Event = "proposed"    // to grant or deny the claim
	Refused  Event = "refused"     // by another officer than proposed it
	Approved Event = "approved"    // by another officer than proposed it
	Left     Event = "withdrawn"   // by anybody, while nothing is decided
	Overcome Event = "overcome"    // the card's records have decided it
	opened   Event = "opened"      // the first of the trail; no move
	tried    Event = "not-allowed" // a move was refused for who asked; no move
)

// Events lists every event that moves a case.
var Events = []Event{Made, Refused, Approved, Left, Overcome}

// arrow is one move of a case.
type arrow struct {
	from State
	on   Event
	to   State
}

// arrows is every move there is; all others are refused. The drawing in docs/cases.md is printed from it.
var arrows = []arrow{
	{Open, Made, Proposed},
	{Open, Left, Withdrawn},
	{Open, Overcome, Moot},
	{Proposed, Approved, Decided},
	{Proposed, Refused, Open},
	{Proposed, Left, Withdrawn},
	{Proposed, Overcome, Moot},
}

// ErrState says that a case's state does not allow what was asked.
var ErrState = errors.New("the case's state does not allow it")

// Next returns the state that follows s on e, or ErrState.
func Next(s State, e Event) (State, error) {
	for _, a := range arrows {
		if a.from == s && a.on == e {
			return a.to, nil
		}
	}
	return s, fmt.Errorf("case is %s, cannot be %s: %w", s, e, ErrState)
}

// Running reports that the case can still move.
func (s State) Running() bool { return s == Open || s == Proposed }
