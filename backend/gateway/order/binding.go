package order

import "github.com/purselane/purselane/backend/gateway/channel"

// BindingState is the state of a bound card. The text is stored and is part of the API.
type BindingState string

// States of a binding. The comment says who moves next.
const (
	Applied        BindingState = "applied"   // the payer types what his bank knows, once or once more
	CodeSent       BindingState = "code_sent" // the payer types the code that his bank has sent
	Opening        BindingState = "opening"   // the channel binds, or the payer does on its page; it is asked until that is known
	PreBound       BindingState = "pre_bound" // the channel has it, and has not checked whose it is: the payer types a code of ours
	Bound          BindingState = "bound"     // payments may be made
	Unbinding      BindingState = "unbinding" // no payment is made any more; the channel is told
	Unbound        BindingState = "unbound"   // nobody moves
	BindingExpired BindingState = "expired"   // the payer did not go on in time; nobody moves
	BindingRefused BindingState = "refused"   // nobody moves
)

// BindingStates lists every state of a binding.
var BindingStates = []BindingState{Applied, CodeSent, Opening, PreBound, Bound, Unbinding, Unbound, BindingExpired, BindingRefused}

// Live reports a binding that may be used, or come to be: a second one of the same card and holder is the same one.
func (s BindingState) Live() bool {
	return s == Applied || s == CodeSent || s == Opening || s == PreBound || s == Bound
}

// BindingEvent is what can happen to a binding.
type BindingEvent string

// Events of a binding.
const (
	CodeWasSent   BindingEvent = "code-sent"    // by the payer's bank
	BindCalled    BindingEvent = "called"       // from here on the channel may have bound the card
	Mistyped      BindingEvent = "mistyped"     // the bank knows it otherwise: the payer types again
	BindOpened    BindingEvent = "opened"       // and whose card it is was checked, or cannot be
	BindPreOpened BindingEvent = "pre-opened"   // and our own code checks what the channel did not
	BindProven    BindingEvent = "proven"       // by our own code
	BindNotThere  BindingEvent = "not-arrived"  // the request to bind never reached the channel
	BindRefused   BindingEvent = "refused"      // by the channel
	UnbindAsked   BindingEvent = "unbind-asked" // by the holder over the app
	BindTimeOver  BindingEvent = "time-over"    // the payer did not go on
	BindEnded     BindingEvent = "ended"        // the channel has it no more; a holder may end it there, without us
)

// BindingEvents lists every event of a binding.
var BindingEvents = []BindingEvent{CodeWasSent, BindCalled, Mistyped, BindOpened, BindPreOpened, BindProven, BindNotThere, BindRefused, UnbindAsked, BindTimeOver, BindEnded}

// bindingArrows is every move of a binding; all others are refused.
var bindingArrows = []arrow[BindingState, BindingEvent]{
	{Applied, CodeWasSent, CodeSent},
	{Applied, BindCalled, Opening},
	{Applied, Mistyped, Applied},
	{Applied, BindRefused, BindingRefused},
	{Applied, BindOpened, Bound}, // later than we waited for
	{Applied, BindPreOpened, PreBound},
	{Applied, UnbindAsked, Unbound},
	{Applied, BindTimeOver, BindingExpired},
	{CodeSent, CodeWasSent, CodeSent},
	{CodeSent, BindCalled, Opening},
	{CodeSent, Mistyped, Applied},
	{CodeSent, BindRefused, BindingRefused},
	{CodeSent, BindOpened, Bound},
	{CodeSent, BindPreOpened, PreBound},
	{CodeSent, UnbindAsked, Unbound},
	{CodeSent, BindTimeOver, BindingExpired},
	{Opening, BindOpened, Bound},
	{Opening, BindPreOpened, PreBound},
	{Opening, Mistyped, Applied},
	{Opening, BindNotThere, Applied},
	{Opening, BindRefused, BindingRefused},
	{Opening, UnbindAsked, Unbinding},
	{Opening, BindTimeOver, BindingExpired},
	{PreBound, BindProven, Bound},
	{PreBound, UnbindAsked, Unbinding},
	{PreBound, BindTimeOver, Unbinding},
	{PreBound, BindEnded, Unbound},
	{Bound, UnbindAsked, Unbinding},
	{Bound, BindEnded, Unbound},
	{Unbinding, BindEnded, Unbound},
	{BindingExpired, BindOpened, Bound},
	{BindingExpired, BindPreOpened, PreBound},
}

// NextBinding returns the state that follows s on e, or [ErrState].
func NextBinding(s BindingState, e BindingEvent) (BindingState, error) {
	return next("binding", bindingArrows, s, e)
}

// BindingWord is a channel's word on a binding, with what it takes to understand it.
type BindingWord struct {
	Outcome  channel.Outcome
	ByPayer  bool // refused because of what the payer typed
	Proven   bool // no code of ours is needed
	OnItsWay bool // a request may still be, or the payer may still be on the page
	ByPage   bool // the payer binds on the channel's page
	Tries    int  // that the bank has refused so far
	MaxTries int
}

// BindingEventOf says what a channel's word on an opening means to a binding, and whether it means anything.
func BindingEventOf(s BindingState, w BindingWord) (BindingEvent, bool) {
	waits := s == Applied || s == CodeSent
	switch w.Outcome {
	case channel.Succeeded:
		e := BindOpened
		if !w.Proven {
			e = BindPreOpened
		}
		return e, waits || s == Opening || s == BindingExpired
	case channel.Failed:
		if w.ByPayer && !w.ByPage && w.Tries+1 < w.MaxTries {
			return Mistyped, s == Opening
		}
		return BindRefused, s == Opening
	case channel.Closed:
		if s == Opening {
			return BindRefused, true
		}
		return BindEnded, s == PreBound || s == Bound || s == Unbinding
	case channel.Missing:
		switch {
		case w.OnItsWay:
			return "", false
		case s == Opening && w.ByPage:
			return BindTimeOver, true
		case s == Opening:
			return BindNotThere, true
		}
		return BindEnded, s == Unbinding
	}
	return "", false
}
