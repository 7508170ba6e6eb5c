package health

import (
	"errors"
	"fmt"
)

// State of a cell. The number is stored.
type State int

// States.
const (
	Available   State = 0 // takes all that the router gives it
	Unavailable State = 1 // takes nothing
	Ramping     State = 2 // takes a share
)

var stateNames = []string{"available", "unavailable", "ramping"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state %d", int(s))
	}
	return stateNames[s]
}

// Event is what can happen to a cell.
type Event string

// Events.
const (
	FaultFound  Event = "fault-found"  // by the detector
	SwitchedOff Event = "switched-off" // by a person
	TrialDue    Event = "trial-due"    // the back-off has passed and probes do not speak against it
	StepGood    Event = "step-good"
	Full        Event = "full" // the step that was good was the last
	StepBad     Event = "step-bad"
	SwitchedOn  Event = "switched-on" // by a person
)

// Events lists every event.
var Events = []Event{FaultFound, SwitchedOff, TrialDue, StepGood, Full, StepBad, SwitchedOn}

// Action is what a move does to the traffic.
type Action string

// Actions.
const (
	SetFault     Action = "set-fault"     // all traffic moves away
	StartRamp    Action = "start-ramp"    // a first share comes back
	ContinueRamp Action = "continue-ramp" // a larger one
	BackToFault  Action = "back-to-fault" // none again
	SetNormal    Action = "set-normal"    // all
)

// Arrow is one move of a cell.
type Arrow struct {
	From State
	On   Event
	To   State
	Does Action
}

// Arrows is every move there is; all others are refused. The drawing in docs/channel-health.md is printed from it.
var Arrows = []Arrow{
	{Available, FaultFound, Unavailable, SetFault},
	{Available, SwitchedOff, Unavailable, SetFault},
	{Unavailable, TrialDue, Ramping, StartRamp},
	{Unavailable, SwitchedOn, Available, SetNormal},
	{Ramping, StepGood, Ramping, ContinueRamp},
	{Ramping, Full, Available, SetNormal},
	{Ramping, StepBad, Unavailable, BackToFault},
	{Ramping, FaultFound, Unavailable, BackToFault},
	{Ramping, SwitchedOff, Unavailable, BackToFault},
	{Ramping, SwitchedOn, Available, SetNormal},
}

// ErrMove says that a cell's state does not know the event.
var ErrMove = errors.New("the channel's state does not allow it")

// Next is the move of a state on an event, or ErrMove.
func Next(s State, e Event) (Arrow, error) {
	for _, a := range Arrows {
		if a.From == s && a.On == e {
			return a, nil
		}
	}
	return Arrow{}, fmt.Errorf("channel is %v, %s: %w", s, e, ErrMove)
}
