package journal

import (
	"fmt"

	"github.com/purselane/purselane/uplink/wire"
)

// phase is where an open intent stands.
type phase byte

const (
	// phaseIntent: DEBIT may go out, or may have gone out if the terminal died here.
	phaseIntent phase = 1
	// phaseUnknown: DEBIT went out and no answer came; an UNKNOWN record is written. The card moves next.
	phaseUnknown phase = 2
)

// move is one way an intent can go: to a final or unknown state with a record, or away without one.
type move struct {
	from phase
	to   wire.State // STATE_UNSPECIFIED: dropped, because DEBIT surely was not carried out
}

// moves is every move there is.
var moves = map[move]bool{
	{phaseIntent, wire.State_STATE_COMPLETED}:   true,
	{phaseIntent, wire.State_STATE_UNKNOWN}:     true,
	{phaseIntent, wire.State_STATE_UNSPECIFIED}: true,
	{phaseUnknown, wire.State_STATE_COMPLETED}:  true,
	{phaseUnknown, wire.State_STATE_VOIDED}:     true,
	{phaseUnknown, wire.State_STATE_AGED}:       true,
}

func (p phase) String() string {
	if p == phaseIntent {
		return "intent"
	}
	return "unknown"
}

func checkMove(p phase, to wire.State) error {
	if !moves[move{p, to}] {
		return fmt.Errorf("journal: an intent in phase %v cannot become %v", p, to)
	}
	return nil
}
