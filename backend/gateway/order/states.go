package order

// State of an order. The text is stored and is part of the API.
type State string

// States. The comment says who moves next.
const (
	Open         State = "open"          // owed; the payer pays, by one attempt or another
	Closing      State = "closing"       // no new attempt is taken; channels say how the ones that are out end
	Authorised   State = "authorised"    // the money is reserved at the channel; the merchant captures or releases
	Held         State = "held"          // paid, and kept back until it is confirmed or claimed
	Paid         State = "paid"          // paid; of a withdrawal: counted as paid out
	PartRefunded State = "part_refunded" // some of it was given back
	Refunded     State = "refunded"      // all of it was given back; nobody moves
	Closed       State = "closed"        // nobody paid and nobody can; nobody moves
	Returned     State = "returned"      // a withdrawal that came back after it counted as paid; two persons may send it again
)

// States lists every state of an order.
var States = []State{Open, Closing, Authorised, Held, Paid, PartRefunded, Refunded, Closed, Returned}

// Event is what can happen to an order.
type Event string

// Events.
const (
	MoneyReserved Event = "reserved"      // an attempt has reserved the money
	MoneyHeld     Event = "held"          // an attempt was paid, and the order's mode keeps the money back
	MoneyCame     Event = "paid"          // an attempt was paid or captured; a pay-out counts as paid
	CloseAsked    Event = "close-asked"   // by the merchant, or its time is over
	Ended         Event = "ended"         // no attempt is open any more
	Released      Event = "released"      // what was reserved is free again
	Confirmed     Event = "confirmed"     // the payer has what was bought
	Claimed       Event = "claimed"       // somebody has claimed a share of the red packet, and others are left
	ClaimedAll    Event = "claimed-all"   // … and it was the last one
	GivenPart     Event = "refunded-part" // a refund was made, and something is left
	GivenAll      Event = "refunded"      // a refund was made, and nothing is left
	Bounced       Event = "bounced"       // the pay-out came back
	Resent        Event = "re-sent"       // by two persons
	BackAgainPart Event = "returned-part" // a refund that went out as a pay-out came back, and another was made
	BackAgain     Event = "returned"      // … and no other was made
)

// Events lists every event of an order.
var Events = []Event{MoneyReserved, MoneyHeld, MoneyCame, CloseAsked, Ended, Released, Confirmed, Claimed, ClaimedAll, GivenPart, GivenAll, Bounced, Resent, BackAgainPart, BackAgain}

// arrows is every move of an order; all others are refused.
var arrows = []arrow[State, Event]{
	{Open, MoneyCame, Paid},
	{Open, MoneyHeld, Held},
	{Open, MoneyReserved, Authorised},
	{Open, CloseAsked, Closing},
	{Open, Ended, Closed},
	{Closing, MoneyCame, Paid}, // somebody was faster
	{Closing, MoneyHeld, Held},
	{Closing, MoneyReserved, Authorised},
	{Closing, Ended, Closed},
	{Authorised, MoneyCame, Paid},
	{Authorised, Released, Closed},
	{Held, Confirmed, Paid},
	{Held, Claimed, Held},
	{Held, ClaimedAll, Paid},
	{Held, GivenPart, PartRefunded}, // what nobody claimed in time
	{Held, GivenAll, Refunded},
	{Paid, GivenPart, PartRefunded},
	{Paid, GivenAll, Refunded},
	{Paid, Bounced, Returned},
	{PartRefunded, GivenPart, PartRefunded},
	{PartRefunded, GivenAll, Refunded},
	{PartRefunded, BackAgainPart, PartRefunded},
	{PartRefunded, BackAgain, Paid},
	{Refunded, BackAgainPart, PartRefunded},
	{Refunded, BackAgain, Paid},
	{Returned, Resent, Paid},
}

// Next returns the state that follows s on e, or [ErrState].
func Next(s State, e Event) (State, error) { return next("order", arrows, s, e) }

// Awaits reports that the order has no money and may still get it.
func (s State) Awaits() bool { return s == Open || s == Closing }

// Refundable reports that there may be money to give back.
func (s State) Refundable() bool { return s == Held || s == Paid || s == PartRefunded }
