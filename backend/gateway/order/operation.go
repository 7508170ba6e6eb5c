package order

import "github.com/purselane/purselane/backend/gateway/channel"

// OperationState is the state of an operation: a refund, a void, a pay-out, an increment, a capture, a release. The text is stored and is
// part of the API.
type OperationState string

// States of an operation. The comment says who moves next.
const (
	Ordered    OperationState = "ordered"  // on disk and in the books; the channel is called
	OpWaiting  OperationState = "waiting"  // the channel has it
	OpUnknown  OperationState = "unknown"  // nobody knows: the channel is asked, by the same number
	Assumed    OperationState = "assumed"  // a pay-out that nobody has said anything about for long: it counts as paid
	Done       OperationState = "done"     // nobody moves, a pay-out's bank apart
	OpFailed   OperationState = "failed"   // refused, and booked back; nobody moves
	OpReturned OperationState = "returned" // a pay-out that came back after it counted as paid, and booked back; two persons may send another
)

// OperationStates lists every state of an operation.
var OperationStates = []OperationState{Ordered, OpWaiting, OpUnknown, Assumed, Done, OpFailed, OpReturned}

// OperationEvent is what can happen to an operation.
type OperationEvent string

// Events of an operation.
const (
	OpAccepted  OperationEvent = "accepted"
	OpDoubted   OperationEvent = "doubted"
	GivenUp     OperationEvent = "given-up" // pay-outs: asked often enough
	OpSucceeded OperationEvent = "done"
	OpRefused   OperationEvent = "refused"
	CameBack    OperationEvent = "came-back" // pay-outs: refused after it counted as paid
)

// OperationEvents lists every event of an operation.
var OperationEvents = []OperationEvent{OpAccepted, OpDoubted, GivenUp, OpSucceeded, OpRefused, CameBack}

// operationArrows is every move of an operation; all others are refused.
var operationArrows = []arrow[OperationState, OperationEvent]{
	{Ordered, OpAccepted, OpWaiting},
	{Ordered, OpDoubted, OpUnknown},
	{Ordered, OpSucceeded, Done},
	{Ordered, OpRefused, OpFailed},
	{OpWaiting, GivenUp, Assumed},
	{OpWaiting, OpSucceeded, Done},
	{OpWaiting, OpRefused, OpFailed},
	{OpUnknown, OpAccepted, OpWaiting},
	{OpUnknown, GivenUp, Assumed},
	{OpUnknown, OpSucceeded, Done},
	{OpUnknown, OpRefused, OpFailed},
	{Assumed, OpSucceeded, Done},
	{Assumed, CameBack, OpReturned},
	{Done, CameBack, OpReturned},
}

// NextOperation returns the state that follows s on e, or [ErrState].
func NextOperation(s OperationState, e OperationEvent) (OperationState, error) {
	return next("operation", operationArrows, s, e)
}

// InDoubt reports that the channel's word is awaited.
func (s OperationState) InDoubt() bool { return s == Ordered || s == OpWaiting || s == OpUnknown }

// Counts reports that the operation's money has left, or is leaving: it can not be given twice.
func (s OperationState) Counts() bool { return s != OpFailed && s != OpReturned }

// OperationEventOf says what a channel's word means to an operation, and whether it means anything. payout is whether it is a pay-out: only
// these come back after they were done.
func OperationEventOf(s OperationState, o channel.Outcome, payout bool) (OperationEvent, bool) {
	switch o {
	case channel.Succeeded:
		return OpSucceeded, s.InDoubt() || s == Assumed
	case channel.Failed, channel.Closed:
		if payout && (s == Assumed || s == Done) {
			return CameBack, true
		}
		return OpRefused, s.InDoubt()
	case channel.Pending:
		return OpAccepted, s == Ordered || s == OpUnknown
	}
	return OpDoubted, s == Ordered
}
